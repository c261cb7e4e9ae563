//! Revert: an overlay goes back to the external snapshot it was taken from. What its active state holds
//! is dropped, so that it reads what its backing file holds; its internal snapshots keep what they read.

use std::path::Path;

use super::draft::{Draft, quoted};
use super::{HazardKind, Plan};
use crate::chain::Gate;
use crate::error::{Error, Kind, Result};
use crate::forest::{Forest, Node};
use crate::text::{Shown, human_size};

/// Plans to throw away what the overlay `image` (an absolute path in `forest`) holds. Its virtual size
/// stays. There are no steps when it holds nothing.
///
/// Fails with [`Kind::NotFound`] when the forest does not know the image, with [`Kind::Usage`] when it
/// has no backing file, and as opening fails.
pub fn revert(forest: &Forest, image: &Path, gate: Gate) -> Result<Plan> {
    let unknown = || Error::new(Kind::NotFound, "is not part of the scanned folders").at(image);
    let node = forest.find(image).and_then(|id| forest.get(id)).ok_or_else(unknown)?;
    let format = node.format.ok_or_else(|| Error::corrupt("is too damaged to be reverted").at(image))?;
    if node.backing.is_none() {
        return Err(Error::new(Kind::Usage, "has no backing file, so there is nothing to go back to")
            .at(image)
            .remedy("an internal snapshot is gone back to with `cowherd snapshot apply`"));
    }
    let mut draft = Draft::new("revert", forest, gate);
    // What it reads afterwards is all below it, so that must hold.
    let chain = draft.opener().open(image)?;
    draft.file(image, true)?;
    for layer in chain.layers().iter().skip(1) {
        draft.file(&layer.path, false)?;
    }
    draft.sound(image, format);
    let name = Shown::new(&node.name()).into_string();
    draft.empty(image, format, true)?;
    if draft.written_so_far() == 0 {
        draft.nothing_to_do();
        let title = format!("revert {name}: it holds nothing");
        return draft.finish(title, "there is nothing to undo".to_owned(), Vec::new());
    }
    draft.hazard(HazardKind::NoUndo, format!("what {name} holds now and no snapshot has is lost"));
    for child in node.children.iter().filter_map(|id| forest.get(*id)) {
        draft.hazard(
            HazardKind::SnapshotsReadThrough,
            format!("{} is based on {name} and would change with it", Shown::new(&child.name())),
        );
    }
    if !chain.top().image.details().bitmaps().is_empty() {
        draft.hazard(HazardKind::BitmapsLost, format!("{name} has dirty bitmaps, which do not see this"));
    }
    draft.view_changed(image);
    draft.verify_image(image, format);
    let below = chain
        .layers()
        .get(1)
        .map_or(node.virtual_size, |layer| layer.image.virtual_size(crate::image::State::Active));
    let to = node.backing.as_ref().map_or(String::new(), |b| Shown::new(&b.name).into_string());
    let size = match below == node.virtual_size {
        true => String::new(),
        false => format!(" (its disk stays {} long)", human_size(node.virtual_size)),
    };
    let undo = "cannot be undone: take a snapshot of the active state first, or a copy of the file";
    draft.finish(format!("revert {name} to {to}{size}"), undo.to_owned(), qemu_img(node))
}

fn qemu_img(node: &Node) -> Vec<String> {
    if !node.snapshots.is_empty() {
        return vec!["# qemu-img has nothing for this: create would drop the internal snapshots".to_owned()];
    }
    let Some(backing) = &node.backing else { return Vec::new() };
    let format = backing.format.as_ref().map_or_else(String::new, |f| format!(" -F {}", Shown::new(f)));
    vec![format!(
        "qemu-img create -f {} -b {}{format} {} {}",
        node.format.map_or("qcow2", |f| f.name()),
        quoted(Path::new(&backing.name)),
        quoted(&node.path),
        node.virtual_size
    )]
}
