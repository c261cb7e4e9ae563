//! From wishes to the views that go: by name, or all but what is to stay.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::ViewId;
use crate::chain::{StateSpec, ViewSpec};
use crate::error::{Error, Kind, Result};
use crate::forest::{Forest, Node, NodeId, SnapshotNode};

/// What is to go, and what is to stay.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// These go. An image that is named goes as a whole, with its snapshots.
    pub delete: Vec<ViewSpec>,
    /// On each line from a base to an image that nothing is based on, only so many views stay, the newest.
    pub keep_last: Option<usize>,
    /// Only what is younger stays. An active state is as old as its file's last change, unless nothing is based on
    /// it: then it is what somebody works with, and stays.
    pub older_than: Option<Duration>,
    /// These stay, whatever else is wished.
    pub pinned: Vec<ViewSpec>,
}

impl Wishes {
    /// Whether nothing is wished.
    pub fn is_empty(&self) -> bool {
        self.delete.is_empty() && self.keep_last.is_none() && self.older_than.is_none()
    }

    /// The views of `forest` that go, as of `now`.
    ///
    /// Where it is only said what is to stay, no image goes that somebody is using or a domain names, that is
    /// damaged, or that several lines have below them.
    ///
    /// Fails with [`Kind::NotFound`] when a view is not there, with [`Kind::Usage`] when a name is not clear.
    pub fn going(&self, forest: &Forest, now: SystemTime) -> Result<BTreeSet<ViewId>> {
        let pinned = self.pinned.iter().map(|spec| one(forest, spec)).collect::<Result<BTreeSet<_>>>()?;
        let mut going = BTreeSet::new();
        for spec in &self.delete {
            match spec.state {
                StateSpec::Active => going.extend(ViewId::all(found(forest, &spec.path)?)),
                _ => {
                    going.insert(one(forest, spec)?);
                }
            }
        }
        if self.keep_last.is_some() || self.older_than.is_some() {
            let staying = self.staying(forest, now);
            let all = forest.nodes.iter().flat_map(ViewId::all);
            going.extend(all.filter(|view| !staying.contains(view)));
        }
        going.retain(|view| !pinned.contains(view));
        Ok(going)
    }

    fn staying(&self, forest: &Forest, now: SystemTime) -> BTreeSet<ViewId> {
        let mut staying = BTreeSet::new();
        for id in forest.ids() {
            let Some(node) = forest.get(id) else { continue };
            let is_left_alone = !node.problems.is_empty() || node.format.is_none();
            let is_shared = leaves_above(forest, id) > 1;
            match is_left_alone {
                true => {
                    // What it reads through cannot be copied into it.
                    let below = forest.ancestors(id).into_iter().filter_map(|id| forest.get(id));
                    staying.extend(below.map(|node| ViewId::active(&node.path)));
                    staying.extend(ViewId::all(node));
                }
                false if is_shared || node.in_use.is_some() || !node.domains.is_empty() => {
                    staying.insert(ViewId::active(&node.path));
                }
                false => {}
            }
            if node.children.is_empty() {
                let line = line(forest, id);
                let last = self.keep_last.unwrap_or(1).max(1);
                staying.extend(line.iter().rev().take(last).cloned());
            }
            if let Some(age) = self.older_than {
                staying.extend(ViewId::all(node).filter(|view| is_younger(node, view, age, now)));
            }
        }
        staying
    }
}

fn found<'f>(forest: &'f Forest, path: &Path) -> Result<&'f Node> {
    let unknown = || Error::new(Kind::NotFound, "is not part of the scanned folders").at(path);
    forest.find(path).and_then(|id| forest.get(id)).ok_or_else(unknown)
}

fn one(forest: &Forest, spec: &ViewSpec) -> Result<ViewId> {
    let node = found(forest, &spec.path)?;
    let is_it = |snapshot: &&SnapshotNode| match &spec.state {
        StateSpec::Id(id) => snapshot.id == *id,
        StateSpec::Name(name) => snapshot.name == *name,
        StateSpec::Active | StateSpec::VmState(_) => false,
    };
    if spec.state == StateSpec::Active {
        return Ok(ViewId::active(&node.path));
    }
    let matching: Vec<_> = node.snapshots.iter().filter(is_it).collect();
    match matching[..] {
        [one] => Ok(ViewId::snapshot(&node.path, &one.id)),
        [] => Err(Error::new(Kind::NotFound, format!("no snapshot {}", spec.state)).at(&node.path)),
        _ => Err(Error::new(Kind::Usage, format!("several snapshots are called {}", spec.state))
            .at(&node.path)
            .remedy("name it by id: IMAGE@#ID")),
    }
}

/// The snapshots of an image, oldest first.
pub(super) fn by_date(node: &Node) -> Vec<&SnapshotNode> {
    let mut all: Vec<_> = node.snapshots.iter().collect();
    all.sort_by_key(|one| (one.date.clone(), one.id.parse::<u64>().unwrap_or(u64::MAX)));
    all
}

/// All views from the base up to the active state of `leaf`, oldest first.
fn line(forest: &Forest, leaf: NodeId) -> Vec<ViewId> {
    let ids = std::iter::once(leaf).chain(forest.ancestors(leaf)).collect::<Vec<_>>().into_iter().rev();
    let views = ids.filter_map(|id| forest.get(id)).flat_map(|node| {
        let snapshots = by_date(node).into_iter().map(|one| ViewId::snapshot(&node.path, &one.id));
        snapshots.chain([ViewId::active(&node.path)]).collect::<Vec<_>>()
    });
    views.collect()
}

/// How many images that nothing is based on read through this one.
fn leaves_above(forest: &Forest, id: NodeId) -> usize {
    let above = forest.descendants(id);
    above.iter().filter(|id| forest.get(**id).is_some_and(|node| node.children.is_empty())).count()
}

fn is_younger(node: &Node, view: &ViewId, age: Duration, now: SystemTime) -> bool {
    let since = now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
    match &view.snapshot {
        None => {
            let changed = std::fs::metadata(&node.path).and_then(|meta| meta.modified());
            // Whose age cannot be told stays.
            changed.map_or(true, |changed| changed >= since)
        }
        Some(id) => {
            let date = node.snapshots.iter().find(|one| one.id == *id).map(|one| one.date.as_str());
            let taken = date.and_then(|date| date.parse::<jiff::Timestamp>().ok()).map(SystemTime::from);
            taken.is_none_or(|taken| taken >= since)
        }
    }
}
