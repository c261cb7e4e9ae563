//! Rename: a second name, the children relinked to it one by one, the old name taken away. At every
//! instant each child names a file that is there. Cut off in between, the file has both names, and the
//! same rename goes on from there.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::draft::{Draft, quoted};
use super::{HazardKind, Plan, Step};
use crate::chain::Gate;
use crate::error::{Error, Kind, Result};
use crate::forest::{Forest, Node, reference};
use crate::image::Format;
use crate::text::Shown;

/// Plans to give `image` (an absolute path in `forest`) the name `new` (absolute), in its folder or
/// another one of the same file system. That must not exist, or be the same file already.
///
/// Fails with [`Kind::NotFound`] when the forest does not know the image, with [`Kind::Usage`] when
/// the new name is taken.
pub fn rename(forest: &Forest, image: &Path, new: &Path, gate: Gate) -> Result<Plan> {
    let unknown = || Error::new(Kind::NotFound, "is not part of the scanned folders").at(image);
    let id = forest.find(image).ok_or_else(unknown)?;
    let node = forest.get(id).ok_or_else(unknown)?;
    let has_both = has_both(image, new);
    if !has_both && new.symlink_metadata().is_ok() {
        return Err(Error::new(Kind::Usage, "exists already; nothing is ever overwritten").at(new));
    }
    let mut draft = Draft::new("rename", forest, gate);
    draft.file(image, true)?;
    if has_both {
        draft.has_two_names(image);
    }
    let moves = image.parent() != new.parent();
    let name = Shown::new(&node.name()).into_string();
    if moves && node.data_file.is_some() {
        let what = format!("{name} names its data file from its folder and cannot leave it");
        draft.hazard(HazardKind::Unsupported, what);
    }
    // A name relative to the old folder means something else in the new one; in full it means the same
    // in both.
    if let Some(backing) = node.backing.as_ref().filter(|b| moves && !Path::new(&b.name).is_absolute()) {
        let resolved = backing.resolved.clone().ok_or_else(|| {
            Error::new(Kind::NotFound, "its backing file cannot be found, so its name cannot be kept")
                .at(image)
        })?;
        let format = recorded_format(&mut draft, node);
        draft.relink_by_name(id, Some(resolved), format)?;
    }
    if !has_both {
        draft.step(Step::Link { file: image.to_path_buf(), to: new.to_path_buf() });
    }
    let twin = forest.find(new).filter(|_| has_both);
    for child_id in &node.children {
        let Some(child) = forest.get(*child_id) else { continue };
        draft.file(&child.path, true)?;
        let format = recorded_format(&mut draft, child);
        if twin.is_some() {
            draft.relink(*child_id, twin, format)?;
            continue;
        }
        let recorded = child.backing.as_ref().filter(|b| Path::new(&b.name).is_absolute());
        let backing = recorded.map_or_else(|| reference(&child.path, new), |_| new.to_path_buf());
        draft.relink_by_name(*child_id, Some(backing), format)?;
    }
    draft.step(Step::Unlink { file: image.to_path_buf() });
    match twin {
        Some(_) => draft.gone(id),
        None => draft.renamed(id, new),
    }
    let children = forest.get(id).map_or(0, |n| n.children.len());
    let title = format!("rename {name} to {}, named by {children} images", Shown::path(new));
    let undo = format!("cowherd rename {} {}", Shown::path(new), Shown::path(image));
    let mut lines = vec![format!("mv {} {}", quoted(image), quoted(new))];
    for child in node.children.iter().filter_map(|id| forest.get(*id)) {
        let format = node.format.map_or("raw", |f| f.name());
        lines.push(format!("qemu-img rebase -u -b {} -F {format} {}", quoted(new), quoted(&child.path)));
    }
    draft.finish(title, undo, lines)
}

/// The format that `node` records of its backing file. One that is not recorded stays so: only the name
/// changes, and nothing is guessed.
fn recorded_format(draft: &mut Draft<'_>, node: &Node) -> Option<Format> {
    let recorded = node.backing.as_ref()?.format.as_deref()?;
    let known = Format::from_name(recorded);
    if known.is_none() {
        let (name, recorded) = (Shown::new(&node.name()), Shown::new(recorded));
        let what =
            format!("{name} records {recorded} as the format of its backing file, which cannot be kept");
        draft.hazard(HazardKind::Unsupported, what);
    }
    known
}

/// Whether both are names of one file, as a rename leaves it that was cut off.
fn has_both(image: &Path, new: &Path) -> bool {
    let id = |path: &Path| {
        path.symlink_metadata().ok().filter(|meta| meta.is_file()).map(|meta| (meta.dev(), meta.ino()))
    };
    image != new && id(image).is_some() && id(image) == id(new)
}
