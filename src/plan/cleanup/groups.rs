//! Neighbours that go together.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::ViewId;
use crate::forest::{Forest, Node, NodeId};

/// Whether all of an image goes.
pub(super) fn all_goes(node: &Node, goes: &BTreeSet<ViewId>) -> bool {
    ViewId::all(node).all(|view| goes.contains(&view))
}

/// An image of which nothing stays and on which nothing is based.
pub(super) fn leaf_that_goes(forest: &Forest, goes: &BTreeSet<ViewId>) -> Option<PathBuf> {
    let leaf = |node: &&Node| node.children.is_empty() && all_goes(node, goes);
    forest.nodes.iter().find(leaf).map(|node| node.path.clone())
}

/// Images of which nothing stays, in groups that hang together, each from its lowest on.
pub(super) fn groups(forest: &Forest, goes: &BTreeSet<ViewId>) -> Vec<Vec<PathBuf>> {
    let goes = |id: NodeId| forest.get(id).is_some_and(|node| all_goes(node, goes));
    let lowest = forest.ids().filter(|id| goes(*id) && !forest.parent(*id).is_some_and(goes));
    lowest
        .map(|id| {
            let mut group = vec![id];
            let mut next = 0;
            while let Some(node) = group.get(next).and_then(|id| forest.get(*id)) {
                group.extend(node.children.iter().filter(|child| goes(**child)));
                next += 1;
            }
            group.into_iter().filter_map(|id| Some(forest.get(id)?.path.clone())).collect()
        })
        .collect()
}
