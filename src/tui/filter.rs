//! Which images and snapshots a filter leaves: what matches, and everything it is based on.

use std::collections::HashSet;

use super::words;
use crate::forest::{Forest, NodeId};

/// The outcome of a filter on one forest.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// `None` keeps everything.
    kept: Option<HashSet<NodeId>>,
    images: HashSet<NodeId>,
    snapshots: HashSet<(NodeId, usize)>,
}

impl Kept {
    /// Images whose shown name, or one of whose snapshots, contains `text` in any case.
    pub(super) fn new(forest: &Forest, text: &str) -> Self {
        let wanted = text.trim().to_lowercase();
        if wanted.is_empty() {
            return Self::default();
        }
        let mut out = Self { kept: Some(HashSet::new()), ..Self::default() };
        for id in forest.ids() {
            let Some(node) = forest.get(id) else { continue };
            if words::short_path(forest, node).to_lowercase().contains(&wanted) {
                out.images.insert(id);
            }
            for (i, snapshot) in node.snapshots.iter().enumerate() {
                if words::snapshot_name(snapshot).to_lowercase().contains(&wanted) {
                    out.snapshots.insert((id, i));
                }
            }
        }
        let found = out.images.iter().copied().chain(out.snapshots.iter().map(|s| s.0));
        let mut kept = HashSet::new();
        for id in found {
            let mut next = Some(id);
            // An id that is already kept has kept its ancestors too; that also ends loops.
            while let Some(id) = next.filter(|id| kept.insert(*id)) {
                next = forest.parent(id);
            }
        }
        out.kept = Some(kept);
        out
    }

    pub(super) fn image(&self, id: NodeId) -> bool {
        self.kept.as_ref().is_none_or(|kept| kept.contains(&id))
    }

    pub(super) fn snapshot(&self, id: NodeId, index: usize) -> bool {
        self.kept.is_none() || self.images.contains(&id) || self.matched_snapshot(id, index)
    }

    pub(super) fn matched_image(&self, id: NodeId) -> bool {
        self.kept.is_none() || self.images.contains(&id)
    }

    pub(super) fn matched_snapshot(&self, id: NodeId, index: usize) -> bool {
        self.kept.is_none() || self.snapshots.contains(&(id, index))
    }
}
