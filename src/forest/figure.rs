//! The forest as boxes and arrows: bases on the left, overlays to the right, branches below.

use super::label::{Glyphs, short_names, width};
use super::{Forest, Node, NodeId};
use crate::chain::MAX_DEPTH;

/// Widest name in a box, in columns.
const NAME_COLUMNS: usize = 24;
/// Most snapshots listed in a box.
const SNAPSHOTS: usize = 8;
const ARROW: &str = "<----";

/// A drawing and where its boxes are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figure {
    /// The drawing, escaped and safe to print; no trailing blanks.
    pub lines: Vec<String>,
    /// One box for each image drawn, bases before what is based on them.
    pub boxes: Vec<FigureBox>,
}

/// Where the box of one image is in a [`Figure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FigureBox {
    /// The image.
    pub node: NodeId,
    /// Line of the top border, from 0.
    pub row: usize,
    /// Terminal column of the left border, from 0.
    pub col: usize,
    /// Columns, borders included.
    pub width: usize,
    /// Lines, borders included.
    pub height: usize,
}

impl FigureBox {
    fn bottom(&self) -> usize {
        self.row + self.height - 1
    }

    /// Line with the name, where arrows arrive.
    fn name_row(&self) -> usize {
        self.row + 1
    }

    /// Column where branches leave downwards.
    fn trunk(&self) -> usize {
        self.col + (self.width - 1) / 2
    }
}

/// The forest as lines of boxes and arrows.
pub fn figure(forest: &Forest, ascii: bool) -> Vec<String> {
    layout(forest, ascii).lines
}

/// Draws the forest, one tree below the other. `ascii` avoids everything outside ASCII but what the
/// names contain.
///
/// Images deeper than [`MAX_DEPTH`] are counted in the box of the last one drawn.
pub fn layout(forest: &Forest, ascii: bool) -> Figure {
    let mut drawing = Drawing {
        forest,
        glyphs: Glyphs::new(ascii),
        names: short_names(forest),
        children: main_line_first(forest),
        canvas: Canvas::default(),
        boxes: Vec::with_capacity(forest.nodes.len()),
    };
    let mut row = 0;
    for root in forest.roots() {
        row = drawing.tree(root, row) + 2;
    }
    Figure { lines: drawing.canvas.into_lines(), boxes: drawing.boxes }
}

struct Drawing<'a> {
    forest: &'a Forest,
    glyphs: Glyphs,
    names: Vec<String>,
    children: Vec<Vec<NodeId>>,
    canvas: Canvas,
    boxes: Vec<FigureBox>,
}

/// A box whose children are being drawn.
struct Open {
    at: FigureBox,
    next_child: usize,
    /// Lowest line of the children so far.
    bottom: usize,
    /// Where the next branch must begin at least, below the box of the last child.
    below: usize,
    /// Where the trunk of the branches goes on.
    trunk_row: usize,
}

impl Open {
    fn new(at: FigureBox) -> Self {
        Self { at, next_child: 0, bottom: at.bottom(), below: 0, trunk_row: at.bottom() + 1 }
    }
}

impl Drawing<'_> {
    /// Draws a tree with its top at `row`; returns its lowest line. Not recursive: chains are deep.
    fn tree(&mut self, root: NodeId, row: usize) -> usize {
        let Some(at) = self.draw_box(root, row, 0, 0) else { return row };
        let mut open = vec![Open::new(at)];
        let mut lowest = row;
        while let Some(depth) = open.len().checked_sub(1) {
            let parent = &mut open[depth];
            let children = self.children.get(parent.at.node.0 as usize).map_or(&[][..], Vec::as_slice);
            let child = children.get(parent.next_child).copied().filter(|_| depth + 1 < MAX_DEPTH);
            let Some(child) = child else {
                lowest = lowest.max(parent.bottom);
                let bottom = parent.bottom;
                open.pop();
                if let Some(above) = open.last_mut() {
                    above.bottom = above.bottom.max(bottom);
                }
                continue;
            };
            let first = parent.next_child == 0;
            let row = match first {
                true => parent.at.row,
                false => (parent.bottom + 1).max(parent.at.bottom() + 2).max(parent.below),
            };
            parent.next_child += 1;
            let (from, more) = (parent.at, parent.next_child < children.len());
            let trunk_row = parent.trunk_row;
            let col = from.col + from.width + ARROW.len();
            let Some(at) = self.draw_box(child, row, col, depth + 1) else { continue };
            if first {
                self.canvas.put(at.name_row(), from.col + from.width, ARROW);
            } else {
                self.branch(from, trunk_row, at, more);
            }
            if let Some(parent) = open.last_mut() {
                parent.below = at.bottom() + 2;
                parent.bottom = parent.bottom.max(at.bottom());
                if !first {
                    parent.trunk_row = at.name_row() + 1;
                }
            }
            open.push(Open::new(at));
        }
        lowest
    }

    /// Draws the arm of a branch, and the trunk down to it from `trunk_row` on.
    fn branch(&mut self, from: FigureBox, trunk_row: usize, to: FigureBox, more: bool) {
        let trunk = from.trunk();
        for row in trunk_row..to.name_row() {
            self.canvas.put(row, trunk, if row == from.bottom() + 1 { "^" } else { "|" });
        }
        let joint = if more { "+" } else { "'" };
        self.canvas.put(to.name_row(), trunk, &format!("{joint}{}", "-".repeat(to.col - trunk - 1)));
    }

    /// Draws a box and remembers it; `None` for an id that is not of this forest.
    fn draw_box(&mut self, id: NodeId, row: usize, col: usize, depth: usize) -> Option<FigureBox> {
        let node = self.forest.get(id)?;
        let (mut head, mut list) = self.content(id, node);
        if depth + 1 == MAX_DEPTH && !node.children.is_empty() {
            list.push(format!("+{} more", self.forest.descendants(id).len()));
        }
        let inner = head.iter().chain(&list).map(|line| width(line)).max().unwrap_or(0);
        for line in &mut head {
            let left = (inner - width(line)) / 2;
            line.insert_str(0, &" ".repeat(left));
        }
        let height = head.len() + list.len() + 2;
        self.canvas.put(row, col, &format!(".{}.", "-".repeat(inner + 2)));
        for (line, row) in head.iter().chain(&list).zip(row + 1..) {
            self.canvas.put(row, col, &format!("| {line}{} |", " ".repeat(inner - width(line))));
        }
        self.canvas.put(row + height - 1, col, &format!("'{}'", "-".repeat(inner + 2)));
        let at = FigureBox { node: id, row, col, width: inner + 4, height };
        self.boxes.push(at);
        Some(at)
    }

    /// What a box says: lines to be centred, and the list below them.
    fn content(&self, id: NodeId, node: &Node) -> (Vec<String>, Vec<String>) {
        let glyphs = self.glyphs;
        let name = self.names.get(id.0 as usize).map_or("", String::as_str);
        let mut head = vec![glyphs.shorten(name, NAME_COLUMNS)];
        head.extend(kind_line(node));
        let snapshots = node.snapshots.iter().take(SNAPSHOTS).map(|s| {
            let name = if s.name.is_empty() { format!("#{}", s.id) } else { s.name.clone() };
            format!("{} {}", glyphs.snapshot, glyphs.shorten(&name, NAME_COLUMNS - 2))
        });
        let mut list: Vec<String> = snapshots.collect();
        if node.snapshots.len() > SNAPSHOTS {
            list.push(format!("{} +{} more", glyphs.snapshot, node.snapshots.len() - SNAPSHOTS));
        }
        if let Some(in_use) = &node.in_use {
            let pid = in_use.by.as_ref().map_or(String::new(), |by| format!(", pid {}", by.pid));
            list.push(format!("{} in use{pid}", glyphs.in_use));
        }
        let mut kinds: Vec<_> = node.problems.iter().map(|p| p.kind.name()).collect();
        kinds.dedup();
        list.extend(kinds.into_iter().map(|kind| format!("! {kind}")));
        (head, list)
    }
}

/// The children of each image, the one with the longest chain above it first: it goes on to the right,
/// the others branch off below.
fn main_line_first(forest: &Forest) -> Vec<Vec<NodeId>> {
    let mut order = forest.roots();
    let mut next = 0;
    while let Some(node) = order.get(next).and_then(|id| forest.get(*id)) {
        order.extend(&node.children);
        next += 1;
    }
    let mut height = vec![1_usize; forest.nodes.len()];
    for id in order.iter().rev() {
        if let Some(parent) = forest.parent(*id) {
            let above = height[id.0 as usize] + 1;
            let height = &mut height[parent.0 as usize];
            *height = above.max(*height);
        }
    }
    let sorted = |node: &Node| {
        let mut children = node.children.clone();
        // The first of the longest, so that names decide among equals.
        let longest = (0..children.len()).min_by_key(|i| usize::MAX - height[children[*i].0 as usize]);
        if let Some(longest) = longest {
            children[..=longest].rotate_right(1);
        }
        children
    };
    forest.nodes.iter().map(sorted).collect()
}

/// `(raw)`, `(Active)`: the format, and whether nothing is based on the image. An active qcow2 image
/// is the ordinary case and needs no format; a list of snapshots says qcow2 by itself.
fn kind_line(node: &Node) -> Option<String> {
    let format = node.format?.name();
    match (node.children.is_empty(), format) {
        (true, "qcow2") => Some("(Active)".to_owned()),
        (true, format) => Some(format!("({format}, Active)")),
        (false, _) if !node.snapshots.is_empty() => None,
        (false, format) => Some(format!("({format})")),
    }
}

/// Lines made of pieces at columns. Pieces of a line never overlap.
#[derive(Default)]
struct Canvas {
    rows: Vec<Vec<(usize, String)>>,
}

impl Canvas {
    fn put(&mut self, row: usize, col: usize, text: &str) {
        if self.rows.len() <= row {
            self.rows.resize_with(row + 1, Vec::new);
        }
        self.rows[row].push((col, text.to_owned()));
    }

    fn into_lines(self) -> Vec<String> {
        let line = |mut pieces: Vec<(usize, String)>| {
            pieces.sort_by_key(|(col, _)| *col);
            let (mut line, mut at) = (String::new(), 0);
            for (col, text) in pieces {
                line.extend(std::iter::repeat_n(' ', col.saturating_sub(at)));
                at = col + width(&text);
                line.push_str(&text);
            }
            line
        };
        self.rows.into_iter().map(line).collect()
    }
}

#[cfg(test)]
#[path = "figure_tests.rs"]
mod tests;
