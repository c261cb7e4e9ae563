//! Why a verb cannot act on what is selected, in words.

use super::{Beside, Subject, Verb};
use crate::forest::{Forest, Node};
use crate::image::Format;
use crate::text::Shown;

pub(super) fn why_not(
    verb: Verb,
    subject: Option<&Subject>,
    forest: &Forest,
    beside: &Beside,
) -> Option<String> {
    let said = |text: &str| Some(text.to_owned());
    match verb {
        Verb::CleanUp => return forest.nodes.is_empty().then(|| "there are no images".to_owned()),
        Verb::Recover => return beside.leftovers.is_empty().then(|| "nothing was interrupted".to_owned()),
        Verb::Restore | Verb::EmptyTrash => {
            return beside.trash.is_empty().then(|| "the trash is empty".to_owned());
        }
        _ => {}
    }
    let Some(subject) = subject else { return said("nothing is selected") };
    let Some(node) = forest.find(&subject.image).and_then(|id| forest.get(id)) else {
        return said("the image is gone");
    };
    let name = Shown::new(&node.name()).into_string();
    let on_snapshot = subject.snapshot.is_some();
    let Some(format) = node.format else {
        let movable = matches!(verb, Verb::Rename | Verb::Delete) && !on_snapshot;
        return (!movable).then(|| format!("{name} cannot be read"));
    };
    match verb {
        Verb::Commit | Verb::Pull | Verb::Rebase | Verb::Overlay | Verb::Resize | Verb::Convert
            if on_snapshot =>
        {
            Some(format!("this is an internal snapshot; select its image, {name}"))
        }
        Verb::Commit | Verb::Pull => based(node, &name),
        Verb::Rebase if format == Format::Raw => {
            Some(format!("{name} is raw and cannot be based on anything"))
        }
        Verb::Snapshot if format != Format::Qcow2 => {
            Some(format!("{name} is {format}: only qcow2 has internal snapshots"))
        }
        Verb::GoBack if !on_snapshot && node.backing.is_none() => {
            Some(format!("{name} has no backing file to go back to; select one of its snapshots"))
        }
        Verb::GoBack if !on_snapshot => based(node, &name),
        Verb::Compact if format == Format::Raw => Some(format!("{name} is raw: there is nothing to compact")),
        Verb::Repair if format == Format::Raw => {
            Some(format!("{name} is raw: there is no metadata to repair"))
        }
        Verb::Import => based(node, &name),
        _ => None,
    }
}

fn based(node: &Node, name: &str) -> Option<String> {
    match &node.backing {
        None => Some(format!("{name} has no backing file")),
        Some(backing) if backing.node.is_none() => {
            Some(format!("the backing file of {name} cannot be reached"))
        }
        Some(_) => None,
    }
}
