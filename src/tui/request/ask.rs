//! What has to be asked for each verb, with the answers that most would give.

use std::path::PathBuf;

use super::field::{Item, Pick};
use super::{Asked, Beside, Field, InTrash, Subject, Value, Verb, propose_names};
use crate::chain::{StateSpec, ViewSpec};
use crate::forest::{Forest, Node, NodeId};
use crate::image::Format;
use crate::job::Leftover;
use crate::text::{Shown, human_size};

pub(super) fn fields(verb: Verb, subject: Option<&Subject>, forest: &Forest, beside: &Beside) -> Vec<Field> {
    match verb {
        Verb::Recover => return vec![interrupted(subject, beside)],
        Verb::Restore => return vec![in_trash(beside)],
        Verb::EmptyTrash | Verb::CleanUp => return Vec::new(),
        _ => {}
    }
    let Some(subject) = subject else { return Vec::new() };
    let Some(id) = forest.find(&subject.image) else { return Vec::new() };
    let Some(node) = forest.get(id) else { return Vec::new() };
    let protect = "let other images that read it change too (no protection)";
    match verb {
        Verb::Commit => {
            let leaf = node.children.is_empty();
            let file = match leaf {
                true => format!("move {} to the trash (otherwise it stays, emptied)", shown(node)),
                false => format!("keep the file of {} (otherwise it goes to the trash)", shown(node)),
            };
            let file = Field::toggle(if leaf { "remove" } else { "keep" }, file, Asked::InPlace);
            let mut fields = below(forest, id, "into", false);
            fields.extend([file, Field::toggle("no-protect", protect, Asked::InPlace)]);
            fields
        }
        Verb::Pull => below(forest, id, "based on", true),
        Verb::Rebase => {
            vec![Field::choice("base", "based on", bases(forest, id), Asked::Before), unsafely(node)]
        }
        Verb::Snapshot => vec![Field::text("name", "name", propose_names::snapshot(node))],
        Verb::Overlay => {
            vec![Field::text("new", "new image", propose_names::overlay(forest, &subject.image))]
        }
        Verb::Delete if subject.snapshot.is_none() => {
            vec![Field::toggle(
                "no-protect",
                "let what is based on it change (no protection)",
                Asked::InPlace,
            )]
        }
        Verb::Rename => match &subject.snapshot {
            Some((_, name)) => vec![Field::text("name", "new name", name.clone())],
            None => vec![Field::text("new", "new name", node.name())],
        },
        Verb::Resize => {
            let size = size_as_typed(node.virtual_size);
            let mut field = Field::text("size", "size", size);
            field.label = "size (or +N, -N)".to_owned();
            let shrink = "make it shorter although what lies beyond the new end is lost";
            vec![field, Field::toggle("shrink", shrink, Asked::InPlace)]
        }
        Verb::Repair => {
            let items = vec![
                Item::new("leaks", "space that counts as used and is not", Pick::Word("leaks")),
                Item::new("all", "leaks, and everything else that references decide", Pick::Word("all")),
            ];
            vec![Field::choice("what", "repair", items, Asked::InPlace)]
        }
        Verb::Convert => {
            let now = node.format;
            // What it is already comes last: that brings a qcow2 up to date.
            let others = [Format::Qcow2, Format::Qed, Format::Raw].into_iter().filter(|f| now != Some(*f));
            let same = now.filter(|format| *format == Format::Qcow2);
            let items = others.map(|f| {
                let note = if f == Format::Raw {
                    "data moves to where the guest has it"
                } else {
                    "data stays where it is"
                };
                Item::new(f.name(), note, Pick::Format(f))
            });
            let newer = same.map(|f| Item::new("qcow2, version 3", "", Pick::Format(f)));
            let items = items.chain(newer).collect();
            let tail = "leave new metadata at the end of the file";
            vec![
                Field::choice("to", "to", items, Asked::Both),
                Field::toggle("no-compact", tail, Asked::InPlace),
            ]
        }
        Verb::Export => export(forest, id, subject),
        Verb::Import => {
            let name = propose_names::export(forest, &subject.image, Some("all"), "qcow2");
            vec![Field::text("out", "new image", name), Field::toggle("compress", "compress", Asked::Both)]
        }
        _ => Vec::new(),
    }
}

fn shown(node: &Node) -> String {
    Shown::new(&node.name()).into_string()
}

fn format_of(node: &Node) -> String {
    node.format.map_or("unreadable", Format::name).to_owned()
}

fn about(node: &Node) -> String {
    format!("{}, {}", format_of(node), human_size(node.virtual_size))
}

/// The layers below, nearest first; no question where there is no choice.
fn below(forest: &Forest, id: NodeId, label: &str, alone: bool) -> Vec<Field> {
    let layers = forest.ancestors(id).into_iter().skip(usize::from(alone)).filter_map(|id| forest.get(id));
    let mut items: Vec<_> =
        layers.map(|node| Item::new(shown(node), about(node), Pick::Path(node.path.clone()))).collect();
    if alone {
        // Merging everything is what the word alone says.
        items.insert(0, Item::new("nothing", "it stands alone", Pick::Nothing));
    }
    match items.len() {
        0 | 1 => Vec::new(),
        _ => vec![Field::choice("base", label, items, Asked::InPlace)],
    }
}

/// What an image can be based on: its own chain first, then what looks like its base.
fn bases(forest: &Forest, id: NodeId) -> Vec<Item> {
    let Some(node) = forest.get(id) else { return Vec::new() };
    let own = forest.ancestors(id);
    let descends = |other: &NodeId| *other == id || forest.ancestors(*other).contains(&id);
    let wanted = node.backing.as_ref().and_then(|backing| backing.format.clone());
    // Where it is in the chain, whether it is of the size, and of the format that is recorded.
    let fits = |other: &NodeId| {
        let far = own.iter().position(|known| known == other).unwrap_or(usize::MAX);
        let Some(at) = forest.get(*other) else { return (far, 2) };
        let size = at.virtual_size == node.virtual_size;
        let format = wanted.as_deref().is_none_or(|format| format == format_of(at));
        (far, 2 - usize::from(size) - usize::from(format))
    };
    let mut others: Vec<_> = forest.ids().filter(|other| !descends(other)).collect();
    others.retain(|other| forest.get(*other).is_some_and(|other| other.format.is_some()));
    others.sort_by_key(fits);
    let item = |id: NodeId| {
        let base = forest.get(id)?;
        let now = own.first() == Some(&id);
        let note = if now { format!("{}, as it is now", about(base)) } else { about(base) };
        Some(Item::new(crate::tui::words::short_path(forest, base), note, Pick::Path(base.path.clone())))
    };
    let mut items: Vec<_> = others.into_iter().filter_map(item).collect();
    // What it is based on now is the least likely wish, unless there is nothing else.
    if !own.is_empty() && items.len() > 1 {
        items.rotate_left(1);
    }
    let alone = Item::new("nothing", "it stands alone: all that it reads is copied into it", Pick::Nothing);
    items.push(alone);
    items
}

/// A broken reference can only be mended without reading through it.
fn unsafely(node: &Node) -> Field {
    let label = "change the reference only (unsafe: what it reads may change)";
    let broken = node.backing.as_ref().is_some_and(|backing| backing.node.is_none());
    Field { value: Value::Toggle(broken), ..Field::toggle("unsafe", label, Asked::Both) }
}

/// The largest unit that says it exactly.
fn size_as_typed(bytes: u64) -> String {
    let units = [(40, 'T'), (30, 'G'), (20, 'M'), (10, 'k')];
    let whole = units.iter().find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    whole.map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

fn export(forest: &Forest, id: NodeId, subject: &Subject) -> Vec<Field> {
    let snapshot = subject.snapshot.as_ref().map(|(id, name)| if name.is_empty() { id } else { name });
    let out = propose_names::export(forest, &subject.image, snapshot.map(String::as_str), "qcow2");
    let formats = [Format::Qcow2, Format::Raw, Format::Qed].map(|f| Item::new(f.name(), "", Pick::Format(f)));
    vec![
        Field::text("out", "new file", out),
        Field::choice("what", "what", parts(forest, id, subject), Asked::Before),
        Field::text("older", "on top of", ""),
        Field::choice("format", "format", formats.to_vec(), Asked::Both),
        Field::toggle("compress", "compress (qcow2)", Asked::Both),
        Field::toggle("by-content", "leave out what was written again with the same bytes", Asked::InPlace),
    ]
}

/// All of a view, what it has more than an older one, or every view of its chain.
fn parts(forest: &Forest, id: NodeId, subject: &Subject) -> Vec<Item> {
    let mut items = vec![Item::new("all of it", "stands alone", Pick::Word("all"))];
    let mut older: Vec<(ViewSpec, PathBuf, String)> = Vec::new();
    let line = std::iter::once(id).chain(forest.ancestors(id));
    for (depth, layer) in line.filter_map(|id| forest.get(id)).enumerate() {
        if depth > 0 {
            // What a layer shows is held by that very file.
            older.push((ViewSpec::active(&layer.path), layer.path.clone(), shown(layer)));
        }
        let until = subject.snapshot.as_ref().filter(|_| depth == 0).map(|(id, _)| id.clone());
        let before = layer.snapshots.iter().take_while(|s| until.as_ref() != Some(&s.id));
        for snapshot in before.collect::<Vec<_>>().into_iter().rev() {
            let state = StateSpec::Id(snapshot.id.clone());
            let view = ViewSpec { path: layer.path.clone(), state, format: None };
            let name = crate::tui::words::snapshot_name(snapshot);
            let held = propose_names::export(forest, &layer.path, Some(&name), "qcow2");
            older.push((view, held.into(), format!("{}@{}", shown(layer), Shown::new(&name))));
        }
    }
    items.extend(older.into_iter().map(|(view, held, name)| {
        Item::new(format!("since {name}"), "only what differs", Pick::View(view, held))
    }));
    if subject.snapshot.is_none() {
        let note = "every view of the chain, a folder of files";
        items.push(Item::new("the whole chain", note, Pick::Word("chain")));
    }
    items
}

/// Those on the image itself come first.
fn interrupted(subject: Option<&Subject>, beside: &Beside) -> Field {
    let item = |leftover: &Leftover| {
        let note = format!("{} of {} steps done", leftover.done, leftover.steps);
        Item::new(Shown::new(&leftover.title).into_string(), note, Pick::Path(leftover.journal.clone()))
    };
    let elsewhere = |job: &&Leftover| !subject.is_some_and(|subject| job.files.contains(&subject.image));
    let mut jobs: Vec<&Leftover> = beside.leftovers.iter().collect();
    jobs.sort_by_key(elsewhere);
    let items: Vec<_> = jobs.into_iter().map(item).collect();
    let asked = if items.len() > 1 { Asked::Before } else { Asked::InPlace };
    Field::choice("journal", "interrupted", items, asked)
}

fn in_trash(beside: &Beside) -> Field {
    let item = |file: &InTrash| {
        let why = file.why.as_deref().map(|why| format!(", {}", Shown::new(why))).unwrap_or_default();
        let note = format!("{}{why}", human_size(file.disk_size));
        Item::new(Shown::path(&file.destination).into_string(), note, Pick::Path(file.path.clone()))
    };
    Field::choice("file", "file", beside.trash.iter().map(item).collect(), Asked::Before)
}
