//! The figure of the selected tree: its lines, where it is panned to, and where a name is in it.

use crate::forest::{self, Forest, NodeId};

use super::text_fit;
use super::words;

/// Images beyond which only the line of descent of the selected one is drawn.
const WHOLE_TREE_MAX: usize = 300;

/// A drawn figure that can be panned.
#[derive(Debug, Default)]
pub(super) struct Figure {
    pub(super) lines: Vec<String>,
    pub(super) width: usize,
    pub(super) pan: (usize, usize),
    /// Columns and lines on screen at the last drawing.
    pub(super) view: (usize, usize),
    /// The line, first column and columns of the selected image's name.
    pub(super) mark: Option<(usize, usize, usize)>,
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
            self.lines = forest::figure(&forest.part(&self.members), ascii);
            self.width = self.lines.iter().map(|l| text_fit::width(l)).max().unwrap_or(0);
            self.pan = (0, 0);
        }
        self.shown = Some(id);
        self.mark = forest.get(id).and_then(|node| locate(&self.lines, &words::name(node)));
        self.reveal = true;
    }

    /// Moves the visible part, as far as there is more to see.
    pub(super) fn pan_by(&mut self, x: isize, y: isize) {
        let far = |size: usize, view: usize| size.saturating_sub(view);
        self.pan.0 = self.pan.0.saturating_add_signed(x).min(far(self.width, self.view.0));
        self.pan.1 = self.pan.1.saturating_add_signed(y).min(far(self.lines.len(), self.view.1));
    }

    /// Tells the size of the visible part; brings the marked name in view if that is due.
    pub(super) fn fit(&mut self, columns: usize, lines: usize) {
        self.view = (columns, lines);
        if std::mem::take(&mut self.reveal)
            && let Some((line, column, width)) = self.mark
        {
            // A box is a little larger than the name in it.
            self.pan.0 = into_view(self.pan.0, columns, column.saturating_sub(3), column + width + 3);
            self.pan.1 = into_view(self.pan.1, lines, line.saturating_sub(2), line + 4);
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

/// Where `name` stands in the figure: line, column, columns. A box may hold it without its
/// extension or cut short.
pub(super) fn locate(lines: &[String], name: &str) -> Option<(usize, usize, usize)> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    [name, stem].into_iter().find_map(|wanted| {
        lines
            .iter()
            .enumerate()
            .find_map(|(y, line)| Some((y, whole_word(line, wanted)?, text_fit::width(wanted))))
    })
}

fn whole_word(line: &str, word: &str) -> Option<usize> {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    line.match_indices(word).filter(|_| !word.is_empty()).find_map(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(part);
        let after = line[at + word.len()..].chars().next().is_some_and(part);
        (!before && !after).then(|| text_fit::width(&line[..at]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_whole() {
        let lines = ["| Snap-10 |<--| Snap-1 |".to_owned()];
        assert_eq!(locate(&lines, "Snap-1"), Some((0, 16, 6)));
        assert_eq!(locate(&lines, "Snap-1.qcow2"), Some((0, 16, 6)));
        assert_eq!(locate(&lines, "Snap"), None);
        assert_eq!(locate(&lines, ""), None);
    }

    #[test]
    fn views_move_no_more_than_needed() {
        assert_eq!(into_view(0, 10, 2, 8), 0);
        assert_eq!(into_view(0, 10, 12, 18), 8);
        assert_eq!(into_view(8, 10, 2, 6), 2);
    }
}
