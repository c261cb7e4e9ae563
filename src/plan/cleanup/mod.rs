//! Clean up: from what must go, or what must stay, to one plan of several operations.
//!
//! What must go is a set of views. An image of which nothing stays goes to the trash when nothing reads
//! through it any more: what its readers need of it is pulled up into them (Method 2), or, where several
//! neighbours go together, they are merged down into one of them (Method 1), whose file then stays because
//! it is read through, while what it showed is gone. Which way is cheaper is found by rehearsing both. Of an
//! image of which something stays, snapshots are deleted together, and an active state that must go gives way
//! to the last snapshot that stays. Every step is one of an operation that keeps all other views.
//!
//! | file | concern |
//! |---|---|
//! | `view_id` | views by name |
//! | `wishes` | from wishes to the views that go |
//! | `groups` | neighbours that go together |
//! | `ways` | the ways to take them out, and the cheapest |
//! | `standing` | for each file: in use, needed or free to go, and why |
//! | `evidence`, `disk_ids` | which image a lost backing file may be |

mod disk_ids;
mod evidence;
mod groups;
mod standing;
mod view_id;
mod ways;
mod wishes;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use evidence::{Candidate, candidates};
pub use standing::{Judged, Standing, judge};
pub use view_id::ViewId;
pub use wishes::Wishes;

use self::groups::{groups, leaf_that_goes};
use super::sequence::Sequence;
use super::snapshot::delete_snapshots;
use super::{Plan, SnapshotRequest, snapshot};
use crate::chain::{Gate, StateSpec};
use crate::error::{Error, Kind, Result};
use crate::forest::{Forest, Node};

/// Plans to have the views of `goes` gone and all others kept, at the least cost that fits into the free
/// space. There are no steps when nothing is to go.
///
/// Fails with [`Kind::NotFound`] when `forest` does not have one of the views, and as the operations do that it
/// takes.
pub fn cleanup(forest: &Forest, goes: &BTreeSet<ViewId>, gate: Gate) -> Result<Plan> {
    for view in goes {
        let node = forest.find(&view.image).and_then(|id| forest.get(id));
        if node.is_none_or(|node| !ViewId::all(node).any(|known| known == *view)) {
            return Err(Error::new(Kind::NotFound, "is not part of the scanned folders").at(&view.image));
        }
    }
    let mut sequence = Sequence::new("cleanup", forest, gate);
    while let Some(leaf) = leaf_that_goes(sequence.forest(), goes) {
        ways::trash(&mut sequence, &leaf)?;
    }
    let partly: Vec<PathBuf> =
        forest.nodes.iter().filter(|n| some_stay(n, goes)).map(|n| n.path.clone()).collect();
    for image in &partly {
        drop_snapshots(&mut sequence, image, |id| goes.contains(&ViewId::snapshot(image, id)))?;
    }
    for group in groups(sequence.forest(), goes) {
        sequence = ways::cheapest(sequence, &group)?;
    }
    give_way(&mut sequence, &partly, goes)?;
    let undo = match (sequence.trashed().next().is_some(), sequence.loses()) {
        (false, false) => "there is nothing to undo",
        (true, false) => "cowherd trash restore, for as long as what a file is based on does not change",
        _ => "cannot be undone: snapshots that were deleted, and what was merged down, are gone for good",
    };
    let title = title(&sequence, goes);
    Ok(sequence.finish(title, undo.to_owned()))
}

fn title(sequence: &Sequence<'_>, goes: &BTreeSet<ViewId>) -> String {
    let count = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    let files = sequence.trashed().count();
    match (goes.len(), files) {
        (0, _) => "clean up: nothing is to go".to_owned(),
        (views, 0) => format!("clean up: {}", count(views, "view")),
        (views, files) => {
            format!("clean up: {}, {} to the trash", count(views, "view"), count(files, "file"))
        }
    }
}

/// Whether something of an image goes and something stays.
fn some_stay(node: &Node, goes: &BTreeSet<ViewId>) -> bool {
    let (go, stay): (Vec<_>, Vec<_>) = ViewId::all(node).partition(|view| goes.contains(view));
    !go.is_empty() && !stay.is_empty()
}

/// Deletes those snapshots of `image` that `goes` says, all at once.
fn drop_snapshots(sequence: &mut Sequence<'_>, image: &Path, goes: impl Fn(&str) -> bool) -> Result<()> {
    let forest = sequence.forest();
    let Some(node) = forest.find(image).and_then(|id| forest.get(id)) else { return Ok(()) };
    let going = node.snapshots.iter().filter(|one| goes(&one.id));
    let specs: Vec<_> = going.map(|one| StateSpec::Id(one.id.clone())).collect();
    if specs.is_empty() {
        return Ok(());
    }
    let gate = sequence.gate();
    sequence.then(|scene| delete_snapshots(scene, image, &specs, gate))
}

/// Active states that go while snapshots of their images stay: whatever is based on such an image gets what
/// it reads of it, and then the image goes back to the last of its snapshots.
fn give_way(sequence: &mut Sequence<'_>, partly: &[PathBuf], goes: &BTreeSet<ViewId>) -> Result<()> {
    let mut images: Vec<&PathBuf> = partly.iter().filter(|p| goes.contains(&ViewId::active(p))).collect();
    // What lies deepest is last: it would copy what lies above it is to lose.
    images.sort_by_key(|image| {
        let forest = sequence.forest();
        std::cmp::Reverse(forest.find(image).map_or(0, |id| forest.ancestors(id).len()))
    });
    for image in images {
        ways::pull_off(sequence, image)?;
        let forest = sequence.forest();
        let node = forest.find(image).and_then(|id| forest.get(id));
        let last = node.and_then(|node| wishes::by_date(node).last().map(|one| one.id.clone()));
        let Some(id) = last else { continue };
        let (request, gate) = (SnapshotRequest::Apply(StateSpec::Id(id)), sequence.gate());
        sequence.then(|scene| snapshot(scene, image, &request, gate))?;
    }
    Ok(())
}
