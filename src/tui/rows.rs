//! The forest as rows of a tree.
//!
//! A linear chain is a run of siblings, each marked as following the one above; only branches and
//! internal snapshots nest. So sixty layers stay as readable as three. Pure: no drawing, no keys.

use std::collections::HashMap;

use ratatui::text::{Line, Span, Text};
use tui_tree_widget::TreeItem;

use super::filter::Kept;
use super::text_fit;
use super::theme::{Glyphs, Theme};
use super::words;
use crate::forest::{Forest, Node, NodeId, SnapshotNode};
use crate::text::Shown;

/// Nesting beyond which the largest branch stays on the trunk's level, so that indentation grows
/// with the logarithm of the forest and never eats the names.
const DEEP: usize = 4;

/// Longest name that is kept; nothing wider is ever drawn.
const NAME_MAX: usize = 160;

/// Which image or snapshot a row shows. Valid for one forest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum RowId {
    Image(NodeId),
    Snapshot(NodeId, u32),
}

impl RowId {
    pub(super) fn image(self) -> NodeId {
        match self {
            Self::Image(id) | Self::Snapshot(id, _) => id,
        }
    }
}

/// How a row hangs on what is above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// Based on nothing in the forest.
    Root,
    /// One of several images on the same base.
    Branch,
    /// Based on the image of the row above (at the same indentation).
    Follows,
    /// An internal snapshot.
    Snapshot,
}

/// What a row says beside the tree.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// Ids from the outermost row to this one.
    pub(super) path: Vec<RowId>,
    pub(super) link: Link,
    /// Whether another branch comes further down at this level.
    pub(super) more: bool,
    /// Columns that its text takes.
    pub(super) width: usize,
    pub(super) format: &'static str,
    pub(super) size: String,
    pub(super) own: String,
    pub(super) in_use: bool,
    pub(super) problem: bool,
    /// A few words behind the name: in full, and shorter.
    pub(super) note: (String, &'static str),
    /// Whether the filter means this row (and not only something based on it).
    pub(super) matched: bool,
    pub(super) parent_of_rows: bool,
}

/// All rows of a forest.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) items: Vec<TreeItem<'static, RowId>>,
    pub(super) rows: HashMap<RowId, Row>,
    /// From top to bottom, everything open.
    pub(super) order: Vec<RowId>,
    /// Whether the last column shows what only a row holds, or the size of its file.
    pub(super) counted: bool,
}

impl Rows {
    pub(super) fn build(forest: &Forest, kept: &Kept, glyphs: Glyphs) -> Self {
        let counted = forest.nodes.iter().any(|n| n.exclusive_bytes.is_some());
        let mut builder = Builder {
            forest,
            kept,
            glyphs,
            seen: vec![false; forest.nodes.len()],
            weights: weights(forest),
            out: Self { counted, ..Self::default() },
        };
        let roots = forest.roots().into_iter().filter(|id| kept.image(*id)).collect();
        let items = builder.run(roots, &[]);
        Self { items, ..builder.out }
    }

    /// Columns that the widest row would like for its tree part, indentation included.
    pub(super) fn widest(&self) -> usize {
        self.rows.values().map(|r| r.path.len() * 2 + r.width).max().unwrap_or(0)
    }
}

struct Builder<'a> {
    forest: &'a Forest,
    kept: &'a Kept,
    glyphs: Glyphs,
    seen: Vec<bool>,
    weights: Vec<usize>,
    out: Rows,
}

impl Builder<'_> {
    /// The chains that start with `heads`, one below the other.
    fn run(&mut self, heads: Vec<NodeId>, path: &[RowId]) -> Vec<TreeItem<'static, RowId>> {
        let mut items = Vec::new();
        let count = heads.len();
        for (i, head) in heads.into_iter().enumerate() {
            let more = i + 1 < count;
            let mut link = if path.is_empty() { Link::Root } else { Link::Branch };
            let mut next = Some(head);
            while let Some(id) = next.take() {
                if self.seen.get(id.0 as usize).is_none_or(|seen| *seen) {
                    break;
                }
                self.seen[id.0 as usize] = true;
                let nested;
                (nested, next) = self.fork(id, path.len());
                items.extend(self.image(id, link, more, nested, path));
                link = Link::Follows;
            }
        }
        items
    }

    /// The children that nest, and the one that goes on below.
    fn fork(&self, id: NodeId, depth: usize) -> (Vec<NodeId>, Option<NodeId>) {
        let Some(node) = self.forest.get(id) else { return (Vec::new(), None) };
        let mut children: Vec<_> = node.children.iter().copied().filter(|c| self.kept.image(*c)).collect();
        match children.len() {
            0 | 1 => (Vec::new(), children.pop()),
            _ if depth < DEEP => (children, None),
            _ => {
                let weight = |c: &NodeId| self.weights.get(c.0 as usize).copied().unwrap_or(0);
                let trunk = children.iter().copied().max_by_key(weight);
                children.retain(|c| Some(*c) != trunk);
                (children, trunk)
            }
        }
    }

    fn image(
        &mut self,
        id: NodeId,
        link: Link,
        more: bool,
        nested: Vec<NodeId>,
        path: &[RowId],
    ) -> Option<TreeItem<'static, RowId>> {
        let node = self.forest.get(id)?;
        let row_id = RowId::Image(id);
        let path: Vec<_> = path.iter().copied().chain([row_id]).collect();
        let matched = self.kept.matched_image(id);
        let name = text_fit::fit(&words::short_path(self.forest, node), NAME_MAX, self.glyphs.cut);
        let style = if matched { Theme::PLAIN } else { Theme::DIM };
        let mut spans = Vec::new();
        if link == Link::Follows {
            spans.push(Span::styled(self.glyphs.follows, Theme::DIM));
        }
        spans.push(Span::styled(name, style));
        let line = Line::from(spans);

        self.out.order.push(row_id);
        let width = line.width();
        let mut children = self.snapshots(id, node, &path, !nested.is_empty());
        children.extend(self.run(nested, &path));
        let own = if self.out.counted { node.exclusive_bytes } else { Some(node.disk_size) };
        let readable = node.format.is_some();
        let row = Row {
            path,
            link,
            more,
            width,
            format: node.format.map_or("", |f| f.name()),
            size: if readable { text_fit::size(node.virtual_size) } else { String::new() },
            own: own.filter(|_| readable).map(text_fit::size).unwrap_or_default(),
            in_use: node.in_use.is_some(),
            problem: !node.problems.is_empty(),
            note: words::note(node),
            matched,
            parent_of_rows: !children.is_empty(),
        };
        self.out.rows.insert(row_id, row);
        Some(item(row_id, line, children))
    }

    fn snapshots(
        &mut self,
        id: NodeId,
        node: &Node,
        path: &[RowId],
        branches_follow: bool,
    ) -> Vec<TreeItem<'static, RowId>> {
        let mut items = Vec::new();
        for (i, snapshot) in node.snapshots.iter().enumerate() {
            let row_id = RowId::Snapshot(id, i as u32);
            if !self.kept.snapshot(id, i) {
                continue;
            }
            let line = snapshot_line(snapshot, self.glyphs);
            let row = Row {
                path: path.iter().copied().chain([row_id]).collect(),
                link: Link::Snapshot,
                more: branches_follow,
                width: line.width(),
                format: "",
                size: String::new(),
                own: snapshot.exclusive_bytes.map(text_fit::size).unwrap_or_default(),
                in_use: false,
                problem: false,
                note: (words::day(&snapshot.date), ""),
                matched: self.kept.matched_snapshot(id, i),
                parent_of_rows: false,
            };
            self.out.order.push(row_id);
            self.out.rows.insert(row_id, row);
            items.push(TreeItem::new_leaf(row_id, Text::from(line)));
        }
        items
    }
}

fn snapshot_line(snapshot: &SnapshotNode, glyphs: Glyphs) -> Line<'static> {
    let name = Shown::new(&words::snapshot_name(snapshot)).into_string();
    Line::from(vec![
        Span::styled(format!("{} ", glyphs.snapshot), Theme::SNAPSHOT),
        Span::raw(text_fit::fit(&name, NAME_MAX, glyphs.cut)),
    ])
}

fn item(id: RowId, line: Line<'static>, children: Vec<TreeItem<'static, RowId>>) -> TreeItem<'static, RowId> {
    let text = Text::from(line);
    // Ids are unique by construction; were they not, a leaf is better than no row.
    TreeItem::new(id, text.clone(), children).unwrap_or_else(|_| TreeItem::new_leaf(id, text))
}

/// How many images hang on each one, itself included. Loops count once.
fn weights(forest: &Forest) -> Vec<usize> {
    let mut order = Vec::with_capacity(forest.nodes.len());
    let mut seen = vec![false; forest.nodes.len()];
    let mut todo = forest.roots();
    while let Some(id) = todo.pop() {
        let Some(node) = forest.get(id) else { continue };
        if !std::mem::replace(&mut seen[id.0 as usize], true) {
            order.push(id);
            todo.extend(&node.children);
        }
    }
    let mut weights = vec![1_usize; forest.nodes.len()];
    for id in order.into_iter().rev() {
        if let Some(parent) = forest.parent(id)
            && parent != id
        {
            weights[parent.0 as usize] = weights[parent.0 as usize].saturating_add(weights[id.0 as usize]);
        }
    }
    weights
}
