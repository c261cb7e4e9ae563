//! The forest as `tree --json` prints it.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;

use serde_json::{Value, json};

use super::{Forest, Node};

/// The forest as one JSON value: `{"images": [...]}`, paths absolute, sizes in bytes. Bytes of a
/// path that are not UTF-8 appear as `\xNN`.
pub fn to_json(forest: &Forest) -> Value {
    json!({ "images": forest.nodes.iter().map(|node| image(forest, node)).collect::<Vec<_>>() })
}

fn image(forest: &Forest, node: &Node) -> Value {
    let path = |p: &std::path::Path| lossless_or_escaped(p.as_os_str());
    let children: Vec<_> =
        node.children.iter().filter_map(|id| forest.get(*id)).map(|child| path(&child.path)).collect();
    let backing = node
        .backing
        .as_ref()
        .map(|b| json!({ "path": b.name, "format": b.format, "resolved": b.resolved.as_deref().map(path) }));
    let data = node
        .data_file
        .as_ref()
        .map(|d| json!({ "path": d.name, "resolved": d.resolved.as_deref().map(path) }));
    json!({
        "path": path(&node.path),
        "format": node.format,
        "virtual_size": node.virtual_size,
        "cluster_size": node.cluster_size,
        "disk_size": node.disk_size,
        "exclusive_bytes": node.exclusive_bytes,
        "backing": backing,
        "data_file": data,
        "children": children,
        "snapshots": *node.snapshots,
        "in_use": node.in_use,
        "domains": node.domains,
        "dirty": node.dirty,
        "corrupt": node.corrupt,
        "encrypted": node.encrypted,
        "problems": node.problems,
    })
}

/// A name as text: as it is where it is UTF-8, `\xNN` for each byte that is not.
pub(super) fn lossless_or_escaped(name: &OsStr) -> String {
    let mut out = String::with_capacity(name.len());
    for chunk in name.as_bytes().utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}
