//! Tying images together by their backing references.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::model::{Node, NodeId, ProblemKind};
use super::probe::{Found, Look, Why};
use crate::chain::MAX_DEPTH;
use crate::image::Format;
use crate::storage::FileId;
use crate::text::Shown;

/// Adds the backing files that were not found in a folder, sorts by path, fills in parents and
/// children, and flags what is wrong with the references.
pub(super) fn tie(mut found: Vec<Found>, look: &Look) -> Vec<Found> {
    // Stable: of a file found twice, the first finding stays.
    found.sort_by(|a, b| a.node.path.cmp(&b.node.path));
    found.dedup_by(|b, a| a.node.path == b.node.path);
    add_backing_files(&mut found, look);
    data_files(&mut found);
    found.sort_by(|a, b| a.node.path.cmp(&b.node.path));
    link(&mut found);
    cut_loops(&mut found);
    flag_hard_linked_loops(&mut found);
    flag_depth(&mut found);
    adopt(&mut found);
    found
}

/// The recorded format, when it is one we know.
fn recorded(node: &Node) -> Option<Format> {
    node.backing.as_ref()?.format.as_deref().and_then(Format::from_name)
}

/// Files that images name but that were not taken for images by themselves.
fn add_backing_files(found: &mut Vec<Found>, look: &Look) {
    let mut known: HashMap<PathBuf, usize> =
        found.iter().enumerate().map(|(i, f)| (f.node.path.clone(), i)).collect();
    let mut next = 0;
    while next < found.len() {
        let node = &found[next].node;
        let format = recorded(node);
        let target = node.backing.as_ref().and_then(|b| b.resolved.clone());
        next += 1;
        let Some(target) = target else { continue };
        match known.get(&target) {
            None => {
                if let Some(f) = look.at(&target, Why::Backing(format)) {
                    known.insert(target, found.len());
                    found.push(f);
                }
            }
            // `x.qcow2` without a header is damaged, unless an overlay says that it is a raw disk.
            Some(&i) if format == Some(Format::Raw) && not_an_image(&found[i].node) => {
                if let Some(f) = look.at(&target, Why::Backing(format)) {
                    found[i] = f;
                }
            }
            Some(_) => {}
        }
    }
}

/// Takes external data files out of the forest: each is a part of the image that names it. One that
/// is anything else as well stays and is flagged, because writing to one changes the other.
fn data_files(found: &mut Vec<Found>) {
    // By file: two names of one image have the same data file.
    let mut owners: HashMap<PathBuf, HashSet<Option<FileId>>> = HashMap::new();
    let data = |f: &Found| f.node.data_file.as_ref().and_then(|d| d.resolved.clone());
    for (path, id) in found.iter().filter_map(|f| Some((data(f)?, f.id))) {
        owners.entry(path).or_default().insert(id);
    }
    if owners.is_empty() {
        return;
    }
    let parents: HashSet<PathBuf> =
        found.iter().filter_map(|f| f.node.backing.as_ref()?.resolved.clone()).collect();
    let an_image: HashSet<PathBuf> = found
        .iter()
        .filter(|f| f.node.format.is_some_and(|format| format != Format::Raw))
        .map(|f| f.node.path.clone())
        .collect();
    for f in found.iter_mut() {
        let Some(path) = data(f) else { continue };
        let why = if owners.get(&path).is_some_and(|ids| ids.len() > 1) {
            "is the data file of another image too"
        } else if parents.contains(&path) {
            "is the backing file of another image"
        } else if an_image.contains(&path) {
            "is an image itself"
        } else {
            continue;
        };
        let what = format!("its data file {} {why}", Shown::path(&path));
        f.node.flag(ProblemKind::DataFileShared, what);
    }
    found.retain(|f| {
        !owners.contains_key(&f.node.path)
            || parents.contains(&f.node.path)
            || an_image.contains(&f.node.path)
    });
}

fn not_an_image(node: &Node) -> bool {
    node.problems.iter().any(|p| p.kind == ProblemKind::NotAnImage)
}

/// Sets each backing's node and compares the formats. `found` is sorted by path.
fn link(found: &mut [Found]) {
    let formats: HashMap<&Path, (u32, Option<Format>)> =
        (0..).zip(found.iter()).map(|(i, f)| (f.node.path.as_path(), (i, f.node.format))).collect();
    let parents: Vec<Option<(u32, Option<Format>)>> =
        found.iter().map(|f| formats.get(f.node.backing.as_ref()?.resolved.as_deref()?).copied()).collect();
    for (f, parent) in found.iter_mut().zip(parents) {
        if let (Some((id, actual)), Some(backing)) = (parent, &mut f.node.backing) {
            backing.node = Some(NodeId(id));
            flag_format(&mut f.node, actual);
        }
    }
}

fn flag_format(node: &mut Node, actual: Option<Format>) {
    let Some(backing) = &node.backing else { return };
    match (&backing.format, actual) {
        (Some(name), _) if Format::from_name(name).is_none() => {
            let what =
                format!("recorded backing format \"{}\" is not one of raw, qcow2, qed", Shown::new(name));
            node.flag(ProblemKind::Unsupported, what);
        }
        (Some(name), Some(actual)) if name != actual.name() => {
            let what = format!("backing file is recorded as {name} but its content is {actual}");
            node.flag(ProblemKind::BackingFormatWrong, what);
        }
        // QED can record nothing but raw, so there it is only missing for a raw file.
        (None, Some(actual)) if node.format != Some(Format::Qed) || actual == Format::Raw => {
            let what = format!("no backing format is recorded; the content looks like {actual}");
            node.flag(ProblemKind::BackingFormatMissing, what);
        }
        _ => {}
    }
}

fn parent(found: &[Found], i: usize) -> Option<usize> {
    Some(found[i].node.backing.as_ref()?.node?.0 as usize)
}

/// Flags every member of a loop and cuts it below its first member, so that whoever walks up or
/// down the forest comes to an end.
fn cut_loops(found: &mut [Found]) {
    // 0: not seen; otherwise the number of the walk that saw it first.
    let mut seen = vec![0_usize; found.len()];
    for start in 0..found.len() {
        let mut at = Some(start);
        while let Some(i) = at.filter(|i| seen[*i] == 0) {
            seen[i] = start + 1;
            at = parent(found, i);
        }
        if let Some(entry) = at.filter(|i| seen[*i] == start + 1) {
            flag_loop(found, entry);
        }
    }
}

fn flag_loop(found: &mut [Found], entry: usize) {
    let mut members = vec![entry];
    let mut at = parent(found, entry);
    while let Some(i) = at.filter(|i| *i != entry) {
        members.push(i);
        at = parent(found, i);
    }
    for i in &members {
        found[*i].node.flag(ProblemKind::BackingLoop, "the backing chain leads back to this image");
    }
    if let Some(backing) = members.iter().min().and_then(|i| found[*i].node.backing.as_mut()) {
        backing.node = None;
    }
}

/// A hard link gives one file two names; by relative backing names it can then be its own ancestor
/// without a loop of paths.
fn flag_hard_linked_loops(found: &mut [Found]) {
    let mut ids = HashSet::new();
    if found.iter().filter_map(|f| f.id).all(|id| ids.insert(id)) {
        return;
    }
    for i in 0..found.len() {
        let mut at = parent(found, i);
        for _ in 0..MAX_DEPTH {
            let Some(above) = at else { break };
            if found[above].id.is_some() && found[above].id == found[i].id {
                found[i].node.flag(ProblemKind::BackingLoop, "the backing chain leads back to the same file");
                break;
            }
            at = parent(found, above);
        }
    }
}

/// Flags images whose chain is deeper than is followed. There are no loops any more.
fn flag_depth(found: &mut [Found]) {
    let mut depth = vec![0_usize; found.len()];
    for start in 0..found.len() {
        let mut path = Vec::new();
        let mut at = Some(start);
        while let Some(i) = at.filter(|i| depth[*i] == 0) {
            path.push(i);
            at = parent(found, i);
        }
        let mut below = at.map_or(0, |i| depth[i]);
        for i in path.into_iter().rev() {
            below += 1;
            depth[i] = below;
        }
    }
    for (f, depth) in found.iter_mut().zip(depth) {
        if depth > MAX_DEPTH {
            let what = format!("the backing chain has {depth} images, more than {MAX_DEPTH}");
            f.node.flag(ProblemKind::TooDeep, what);
        }
    }
}

/// Fills in the children; in order, because `found` is.
fn adopt(found: &mut [Found]) {
    for (child, i) in (0..found.len()).zip(0..) {
        if let Some(parent) = parent(found, child) {
            found[parent].node.children.push(NodeId(i));
        }
    }
}
