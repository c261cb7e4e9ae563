//! Names as they appear in drawings: escaped, short, and telling images apart.

use std::collections::HashMap;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{Forest, Node};
use crate::text::Shown;

/// The characters a drawing uses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glyphs {
    pub(super) snapshot: &'static str,
    pub(super) in_use: &'static str,
    pub(super) ellipsis: &'static str,
    pub(super) only_child: &'static str,
    pub(super) branch: &'static str,
    pub(super) last_branch: &'static str,
    pub(super) trunk: &'static str,
}

impl Glyphs {
    pub(super) fn new(ascii: bool) -> Self {
        if ascii {
            Self {
                snapshot: "*",
                in_use: "@",
                ellipsis: "..",
                only_child: "^ ",
                branch: "|- ",
                last_branch: "`- ",
                trunk: "|  ",
            }
        } else {
            Self {
                snapshot: "◆",
                in_use: "●",
                ellipsis: "…",
                only_child: "↑ ",
                branch: "├─ ",
                last_branch: "└─ ",
                trunk: "│  ",
            }
        }
    }

    /// `name` escaped and, when wider than `max` columns, without its middle (both ends of a name
    /// tell images apart).
    pub(super) fn shorten(self, name: &str, max: usize) -> String {
        let shown = Shown::new(name).into_string();
        if width(&shown) <= max {
            return shown;
        }
        let room = max.saturating_sub(width(self.ellipsis));
        let head = take(shown.chars(), room.div_ceil(2));
        let tail: String = take(shown.chars().rev(), room / 2).chars().rev().collect();
        format!("{head}{}{tail}", self.ellipsis)
    }
}

impl Glyphs {
    /// A line that is already safe to print, without what is behind `columns`.
    pub(super) fn cut(self, line: String, columns: usize) -> String {
        if width(&line) <= columns {
            return line;
        }
        let kept: String = take(line.chars(), columns.saturating_sub(width(self.ellipsis)));
        format!("{kept}{}", self.ellipsis)
    }
}

/// As many characters as fit `max` columns.
fn take(chars: impl Iterator<Item = char>, max: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= max
        })
        .collect()
}

/// Columns that `text` takes on a terminal.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// A name for each image, as short as still tells it apart: without extension, else the file name,
/// else with its folder. Not escaped yet.
pub(super) fn short_names(forest: &Forest) -> Vec<String> {
    let stems: Vec<_> = forest.nodes.iter().map(stem).collect();
    let files: Vec<_> = forest.nodes.iter().map(Node::name).collect();
    let (stem_count, file_count) = (count(&stems), count(&files));
    let pick = |i: usize| match (stem_count.get(stems[i].as_str()), file_count.get(files[i].as_str())) {
        (Some(1), _) => stems[i].clone(),
        (_, Some(1)) => files[i].clone(),
        _ => match forest.nodes[i].path.parent().and_then(|p| p.file_name()) {
            Some(folder) => format!("{}/{}", folder.to_string_lossy(), files[i]),
            None => files[i].clone(),
        },
    };
    (0..forest.nodes.len()).map(pick).collect()
}

fn count(names: &[String]) -> HashMap<&str, u32> {
    let mut counts = HashMap::with_capacity(names.len());
    for name in names {
        *counts.entry(name.as_str()).or_insert(0) += 1;
    }
    counts
}

/// The name without an extension that says no more than the format does.
fn stem(node: &Node) -> String {
    let name = node.name();
    match name.rsplit_once('.') {
        Some((stem, "img" | "raw" | "qcow2" | "qcow" | "qed")) if !stem.is_empty() => stem.to_owned(),
        _ => name,
    }
}
