//! The figure of the selected tree: its drawing, where it is panned to, and which box is selected.

use crate::forest::{self, FigureBox, Forest, NodeId};

/// Images beyond which only the line of descent of the selected one is drawn.
const WHOLE_TREE_MAX: usize = 300;

/// A drawing and its width.
#[derive(Debug, Default)]
pub(super) struct Drawing {
    pub(super) figure: forest::Figure,
    pub(super) width: usize,
}

impl Drawing {
    pub(super) fn of(figure: forest::Figure) -> Self {
        Self { width: figure.width(), figure }
    }
}

/// A drawn figure that can be panned.
#[derive(Debug, Default)]
pub(super) struct Figure {
    pub(super) drawing: Drawing,
    pub(super) pan: (usize, usize),
    /// Columns and lines on screen at the last drawing.
    pub(super) view: (usize, usize),
    /// The selected image, as the drawing numbers it.
    pub(super) marked: Option<NodeId>,
    shown: Option<NodeId>,
    members: Vec<NodeId>,
    reveal: bool,
}

impl Figure {
    /// Makes the next `show` draw anew, as after a scan.
    pub(super) fn forget(&mut self) {
        self.members.clear();
        self.shown = None;
    }

    /// Draws the tree that `id` belongs to, unless it is already there, and brings `id` in view.
    pub(super) fn show(&mut self, forest: &Forest, id: NodeId, ascii: bool) {
        if self.shown == Some(id) {
            return;
        }
        if !self.members.contains(&id) {
            self.members = members(forest, id);
            self.pan = (0, 0);
        }
        self.shown = Some(id);
        self.marked = self.members.binary_search(&id).ok().map(|at| NodeId(at as u32));
        let keep: Vec<_> = self.marked.into_iter().collect();
        let part = forest.part(&self.members);
        self.drawing = Drawing::of(forest::layout_around(&part, &keep, ascii));
        self.reveal = true;
    }

    /// Moves the visible part, as far as there is more to see.
    pub(super) fn pan_by(&mut self, x: isize, y: isize) {
        let far = |size: usize, view: usize| size.saturating_sub(view);
        self.pan.0 = self.pan.0.saturating_add_signed(x).min(far(self.drawing.width, self.view.0));
        let lines = self.drawing.figure.lines.len();
        self.pan.1 = self.pan.1.saturating_add_signed(y).min(far(lines, self.view.1));
    }

    /// Tells the size of the visible part; brings the selected box in view if that is due.
    pub(super) fn fit(&mut self, columns: usize, lines: usize) {
        self.view = (columns, lines);
        let boxes = &self.drawing.figure.boxes;
        let marked: Option<&FigureBox> = boxes.iter().find(|b| Some(b.node) == self.marked);
        if std::mem::take(&mut self.reveal)
            && let Some(at) = marked
        {
            // With what is beside it, as far as there is room.
            let beside = columns.saturating_sub(at.width) / 2;
            let about = lines.saturating_sub(at.height) / 2;
            let (left, top) = (at.col.saturating_sub(beside), at.row.saturating_sub(about));
            self.pan.0 = into_view(self.pan.0, columns, left, at.col + at.width + beside);
            self.pan.1 = into_view(self.pan.1, lines, top, at.row + at.height + about);
        }
        self.pan_by(0, 0);
    }
}

fn into_view(from: usize, room: usize, start: usize, end: usize) -> usize {
    if start < from {
        start
    } else if end > from + room {
        end.saturating_sub(room)
    } else {
        from
    }
}

/// The tree of `id`; in a huge one, what it is based on and what is based on it directly.
fn members(forest: &Forest, id: NodeId) -> Vec<NodeId> {
    let whole = forest.tree_of(id);
    if whole.len() <= WHOLE_TREE_MAX {
        return whole;
    }
    let mut line = vec![id];
    while let Some(parent) = line.last().and_then(|id| forest.parent(*id)).filter(|p| !line.contains(p)) {
        line.push(parent);
    }
    line.extend(forest.get(id).into_iter().flat_map(|node| node.children.iter().take(50)));
    line.sort();
    line.dedup();
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_move_no_more_than_needed() {
        assert_eq!(into_view(0, 10, 2, 8), 0);
        assert_eq!(into_view(0, 10, 12, 18), 8);
        assert_eq!(into_view(8, 10, 2, 6), 2);
    }
}
