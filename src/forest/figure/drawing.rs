//! Trees as boxes and arrows on a canvas.

use std::collections::{HashMap, HashSet};

use super::super::label::{Glyphs, short_names, width};
use super::super::{Forest, Node, NodeId};
use super::FigureBox;
use super::canvas::Canvas;
use crate::chain::MAX_DEPTH;

/// Widest name in a box, in columns.
const NAME_COLUMNS: usize = 24;
/// Most snapshots listed in a box.
const SNAPSHOTS: usize = 8;
/// Columns between a box and the next one.
const GAP: usize = 5;
/// Images of a chain that are worth one box for all.
const RUN: usize = 4;

pub(super) struct Drawing<'a> {
    forest: &'a Forest,
    glyphs: Glyphs,
    names: Vec<String>,
    children: Vec<Vec<NodeId>>,
    /// Images that need no box of their own, where several follow one another.
    spared: HashSet<NodeId>,
    /// Columns where boxes stand if there is room.
    places: HashMap<NodeId, usize>,
    pub(super) canvas: Canvas,
    pub(super) boxes: Vec<FigureBox>,
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

impl<'a> Drawing<'a> {
    pub(super) fn new(forest: &'a Forest, ascii: bool) -> Self {
        Self {
            forest,
            glyphs: Glyphs::new(ascii),
            names: short_names(forest),
            children: main_line_first(forest),
            spared: HashSet::new(),
            places: HashMap::new(),
            canvas: Canvas::default(),
            boxes: Vec::with_capacity(forest.nodes.len()),
        }
    }

    /// Draws one box for several of these images that follow one another.
    pub(super) fn sparing(self, spared: HashSet<NodeId>) -> Self {
        Self { spared, ..self }
    }

    /// The trees one below the other.
    pub(super) fn stacked(mut self) -> Self {
        let mut row = 0;
        for root in self.forest.roots() {
            row = self.tree(root, row) + 2;
        }
        self
    }

    /// The trees with their boxes at these columns, side by side where there is room.
    pub(super) fn placed(mut self, places: HashMap<NodeId, usize>) -> Self {
        self.places = places;
        let mut all = Canvas::default();
        for root in self.forest.roots() {
            let first = self.boxes.len();
            self.tree(root, 0);
            let tree = std::mem::take(&mut self.canvas);
            let row = if all.has_room_for(&tree, 0) { 0 } else { all.height() + 1 };
            self.boxes.iter_mut().skip(first).for_each(|at| at.row += row);
            all.add(tree, row);
        }
        self.canvas = all;
        self
    }

    /// Draws a tree with its top at `row`; returns its lowest line. Not recursive: chains are deep.
    fn tree(&mut self, root: NodeId, row: usize) -> usize {
        let col = self.places.get(&root).copied().unwrap_or(0);
        let Some(at) = self.draw_box(root, row, col, 0) else { return row };
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
            let wanted = self.places.get(&child).copied().unwrap_or(0);
            let col = wanted.max(from.col + from.width + GAP);
            let (spared, last) = self.run(child);
            let at = match spared >= RUN {
                true => self.draw_gap(last, spared, row, col),
                false => self.draw_box(child, row, col, depth + 1),
            };
            let Some(at) = at else { continue };
            if first {
                let right = from.col + from.width;
                self.canvas.line(at.name_row(), right, &format!("<{}", "-".repeat(col - right - 1)));
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

    /// How many images from `child` on are spared, and the last of them.
    fn run(&self, child: NodeId) -> (usize, NodeId) {
        let (mut count, mut last, mut next) = (0, child, Some(child));
        while let Some(id) = next.filter(|id| self.spared.contains(id)) {
            (count, last) = (count + 1, id);
            next = self.children.get(id.0 as usize).and_then(|children| children.first().copied());
        }
        (count, last)
    }

    /// Draws one box for `count` images, of which `last` is the last.
    fn draw_gap(&mut self, last: NodeId, count: usize, row: usize, col: usize) -> Option<FigureBox> {
        let text = format!("{} {count} more", self.glyphs.ellipsis);
        Some(self.frame(last, &[text], row, col))
    }

    /// Draws the arm of a branch, and the trunk down to it from `trunk_row` on.
    fn branch(&mut self, from: FigureBox, trunk_row: usize, to: FigureBox, more: bool) {
        let trunk = from.trunk();
        for row in trunk_row..to.name_row() {
            self.canvas.line(row, trunk, if row == from.bottom() + 1 { "^" } else { "|" });
        }
        let joint = if more { "+" } else { "'" };
        self.canvas.line(to.name_row(), trunk, &format!("{joint}{}", "-".repeat(to.col - trunk - 1)));
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
        head.append(&mut list);
        Some(self.frame(id, &head, row, col))
    }

    /// Draws lines in a box.
    fn frame(&mut self, node: NodeId, lines: &[String], row: usize, col: usize) -> FigureBox {
        let inner = lines.iter().map(|line| width(line)).max().unwrap_or(0);
        let height = lines.len() + 2;
        self.canvas.put(row, col, &format!(".{}.", "-".repeat(inner + 2)));
        for (line, row) in lines.iter().zip(row + 1..) {
            self.canvas.put(row, col, &format!("| {line}{} |", " ".repeat(inner - width(line))));
        }
        self.canvas.put(row + height - 1, col, &format!("'{}'", "-".repeat(inner + 2)));
        let at = FigureBox { node, row, col, width: inner + 4, height, touched: false };
        self.boxes.push(at);
        at
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

/// Images that say nothing by themselves: in the middle of a chain, and not near any of those to `keep`.
pub(super) fn spare(forest: &Forest, keep: impl Fn(NodeId) -> bool) -> HashSet<NodeId> {
    let plain = |id: &NodeId| {
        let (Some(node), Some(parent)) = (forest.get(*id), forest.parent(*id)) else { return false };
        let [child] = node.children.as_slice() else { return false };
        let quiet = node.snapshots.is_empty() && node.problems.is_empty() && node.in_use.is_none();
        quiet && ![*id, parent, *child].into_iter().any(&keep)
    };
    forest.ids().filter(plain).collect()
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
