//! The forest as an indented list with columns.

use std::collections::BTreeSet;
use std::path::Path;

use super::label::{Glyphs, width};
use super::{DomainUse, Forest, Node, NodeId, SnapshotNode};
use crate::text::{Shown, human_size};

/// Widest name, in columns, indent included; longer ones lose their middle.
const NAME_COLUMNS: usize = 60;

/// One line before the columns are aligned.
#[derive(Default)]
struct Row {
    name: String,
    /// Format, virtual size, size on disk, own bytes.
    cells: [String; 4],
    notes: String,
}

/// The forest as lines: bases first, what is based on them indented below. An only child stays at
/// the indent of its parent, marked `↑`, so that a long chain stays readable; branches indent.
/// Snapshots are nested in their image. The lines are escaped and safe to print.
pub fn text(forest: &Forest, ascii: bool) -> Vec<String> {
    let glyphs = Glyphs::new(ascii);
    let mut rows = vec![Row {
        name: "IMAGE".to_owned(),
        cells: ["FORMAT", "SIZE", "ON DISK", "OWN"].map(str::to_owned),
        notes: String::new(),
    }];
    let folders = folders(forest);
    for root in forest.roots() {
        tree(forest, &folders, root, glyphs, &mut rows);
    }
    if rows.len() == 1 {
        return Vec::new();
    }
    align(&rows)
}

/// An image to be listed: the mark before its name, and the indent of what comes below it.
struct Pending {
    id: NodeId,
    mark: String,
    indent: String,
}

fn tree(forest: &Forest, folders: &BTreeSet<&Path>, root: NodeId, glyphs: Glyphs, rows: &mut Vec<Row>) {
    let mut todo = vec![Pending { id: root, mark: String::new(), indent: String::new() }];
    while let Some(Pending { id, mark, indent }) = todo.pop() {
        let Some(node) = forest.get(id) else { continue };
        rows.push(image_row(&mark, &place(forest, folders, id, node), node, glyphs));
        // The line of descent goes on below the snapshots when branches follow.
        let rest = if node.children.len() > 1 { glyphs.trunk } else { "  " };
        rows.extend(node.snapshots.iter().map(|s| snapshot_row(&format!("{indent}{rest}"), s, glyphs)));
        let pending = |(i, child): (usize, &NodeId)| {
            let (mark, below) = match node.children.len() - i {
                _ if node.children.len() == 1 => (glyphs.only_child, ""),
                1 => (glyphs.last_branch, "   "),
                _ => (glyphs.branch, glyphs.trunk),
            };
            Pending { id: *child, mark: format!("{indent}{mark}"), indent: format!("{indent}{below}") }
        };
        todo.extend(node.children.iter().enumerate().rev().map(|(i, child)| pending((i, child))));
    }
}

/// The folders that names are shown from: those scanned, and those of images named by themselves.
fn folders(forest: &Forest) -> BTreeSet<&Path> {
    let folder = |root| if forest.find(root).is_some() { root.parent() } else { Some(root) };
    forest.roots.iter().filter_map(|root| folder(root)).collect()
}

/// The name an image is listed under: short beside its parent, else from the scanned folder on.
fn place(forest: &Forest, folders: &BTreeSet<&Path>, id: NodeId, node: &Node) -> String {
    let parent = forest.parent(id).and_then(|p| forest.get(p));
    if parent.is_some_and(|p| p.path.parent() == node.path.parent()) {
        return node.name();
    }
    let inside = folders.iter().filter_map(|folder| node.path.strip_prefix(folder).ok());
    let path = inside.min_by_key(|path| path.as_os_str().len()).unwrap_or(&node.path);
    path.to_string_lossy().into_owned()
}

fn image_row(mark: &str, name: &str, node: &Node, glyphs: Glyphs) -> Row {
    let room = NAME_COLUMNS.saturating_sub(width(mark)).max(NAME_COLUMNS / 3);
    let mut notes = Vec::new();
    if let Some(in_use) = &node.in_use {
        let who = in_use.by.as_ref().map_or("another process".to_owned(), ToString::to_string);
        notes.push(format!("{} in use: {who}", glyphs.in_use));
    }
    notes.extend(words(&node.domains));
    if node.data_file.is_some() {
        notes.push("data file".to_owned());
    }
    if node.encrypted {
        notes.push("encrypted".to_owned());
    }
    notes.extend(node.problems.iter().map(|p| format!("! {}", Shown::new(&p.message))));
    let known = |text: String| if node.format.is_some() { text } else { "-".to_owned() };
    Row {
        name: format!("{mark}{}", glyphs.shorten(name, room)),
        cells: [
            node.format.map_or("?", |f| f.name()).to_owned(),
            known(human_size(node.virtual_size)),
            human_size(node.disk_size),
            node.exclusive_bytes.map_or(String::new(), human_size),
        ],
        notes: notes.join("  "),
    }
}

/// The domains by name, in few words.
fn words(domains: &[DomainUse]) -> Option<String> {
    let mut names: Vec<_> = domains.iter().map(|one| one.domain.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [] => None,
        [one] => Some(format!("domain {}", Shown::new(one))),
        [first, rest @ ..] => Some(format!("domain {} and {} more", Shown::new(first), rest.len())),
    }
}

fn snapshot_row(indent: &str, snapshot: &SnapshotNode, glyphs: Glyphs) -> Row {
    let name = match snapshot.name.as_str() {
        "" => format!("#{}", snapshot.id),
        name => name.to_owned(),
    };
    let room = NAME_COLUMNS.saturating_sub(width(indent) + 2).max(NAME_COLUMNS / 3);
    let state = match snapshot.vm_state_size {
        0 => String::new(),
        bytes => format!("  with {} of machine state", human_size(bytes)),
    };
    Row {
        name: format!("{indent}{} {}", glyphs.snapshot, glyphs.shorten(&name, room)),
        cells: [
            String::new(),
            human_size(snapshot.virtual_size),
            String::new(),
            snapshot.exclusive_bytes.map_or(String::new(), human_size),
        ],
        notes: format!("{}{state}", Shown::new(&snapshot.date)),
    }
}

/// Pads all columns; a column that only has its heading is left out.
fn align(rows: &[Row]) -> Vec<String> {
    let name_width = rows.iter().map(|r| width(&r.name)).max().unwrap_or(0);
    let mut widths = [0; 4];
    for (i, column) in widths.iter_mut().enumerate() {
        if rows[1..].iter().any(|r| !r.cells[i].is_empty()) {
            *column = rows.iter().map(|r| width(&r.cells[i])).max().unwrap_or(0);
        }
    }
    let line = |row: &Row| {
        let mut line = format!("{}{}", row.name, " ".repeat(name_width - width(&row.name)));
        for (i, cell) in row.cells.iter().enumerate().filter(|(i, _)| widths[*i] > 0) {
            let pad = " ".repeat(widths[i] - width(cell));
            // Words to the left, numbers to the right.
            line += &if i == 0 { format!("  {cell}{pad}") } else { format!("  {pad}{cell}") };
        }
        line += "  ";
        line += &row.notes;
        line.truncate(line.trim_end().len());
        line
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
