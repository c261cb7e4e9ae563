//! Forests for unit tests, made without files.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Backing, Forest, Node, NodeId, SnapshotNode};
use crate::image::Format;

/// An image in `/d`, `MiB` large, raw when its name ends so, based on the image called `backing`.
pub(super) fn node(name: &str, backing: Option<&str>) -> Node {
    let format = if name.ends_with(".img") { Format::Raw } else { Format::Qcow2 };
    let path = PathBuf::from("/d").join(name);
    Node {
        format: Some(format),
        virtual_size: 20 << 20,
        cluster_size: 65536,
        disk_size: 1 << 20,
        backing: backing.map(|b| Backing {
            name: b.to_owned(),
            format: None,
            resolved: Some(PathBuf::from("/d").join(b)),
            node: None,
        }),
        ..Node::blank(&path)
    }
}

/// Internal snapshots with these names.
pub(super) fn snapshots(names: &[&str]) -> Arc<Vec<SnapshotNode>> {
    let snapshot = |(id, name): (u32, &&str)| SnapshotNode {
        id: id.to_string(),
        name: (*name).to_owned(),
        date: "2026-11-02T10:00:00Z".to_owned(),
        virtual_size: 20 << 20,
        vm_state_size: 0,
        exclusive_bytes: None,
    };
    Arc::new((1..).zip(names).map(snapshot).collect())
}

/// The forest of these images, tied.
pub(super) fn forest(nodes: impl IntoIterator<Item = Node>) -> Forest {
    let mut forest =
        Forest { roots: vec!["/d".into()], nodes: nodes.into_iter().collect(), ..Forest::default() };
    forest.nodes.sort_by(|a, b| a.path.cmp(&b.path));
    for i in 0..forest.nodes.len() {
        let target = forest.nodes[i].backing.as_ref().and_then(|b| b.resolved.clone());
        let id: Option<NodeId> = target.and_then(|path| forest.find(&path));
        if let Some(backing) = &mut forest.nodes[i].backing {
            backing.node = id;
        }
    }
    forest.adopt();
    forest
}
