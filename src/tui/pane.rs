//! The forest pane's state: what is selected, closed and filtered, kept by path across rescans.

use std::collections::HashSet;
use std::path::PathBuf;

use ratatui::layout::{Position, Rect};
use tui_tree_widget::TreeState;

use super::filter::Kept;
use super::rows::{Link, RowId, Rows};
use super::theme::Glyphs;
use crate::chain::{StateSpec, ViewSpec};
use crate::forest::{Forest, NodeId};

/// What a row is about, in words that outlive a rescan.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) path: PathBuf,
    pub(super) snapshot: Option<String>,
}

/// The forest pane.
#[derive(Debug, Default)]
pub(super) struct Pane {
    pub(super) rows: Rows,
    pub(super) state: TreeState<RowId>,
    pub(super) filter: String,
    /// Columns that the widest row of the whole forest would like; a filter does not change it.
    pub(super) widest: usize,
    /// Rows on screen at the last drawing.
    pub(super) height: usize,
    /// Where they are, and which ones.
    pub(super) area: Rect,
    pub(super) drawn: Vec<RowId>,
    selected: Option<Key>,
    closed: HashSet<Key>,
    /// What is marked, in the order in which it was.
    pub(super) marks: Vec<Key>,
}

impl Pane {
    /// Takes over a new forest (or a new filter) and finds the selection again.
    pub(super) fn rebuild(&mut self, forest: &Forest, glyphs: Glyphs) {
        let before = self.index();
        self.rows = Rows::build(forest, &Kept::new(forest, &self.filter), glyphs);
        if self.filter.is_empty() {
            self.widest = self.rows.widest();
        }
        self.state.close_all();
        for (id, row) in self.rows.rows.iter().filter(|(_, row)| row.parent_of_rows) {
            if !self.filter.is_empty() || key(forest, *id).is_none_or(|key| !self.closed.contains(&key)) {
                self.state.open(row.path.clone());
            }
        }
        let wanted = self.selected.as_ref().and_then(|key| find(forest, key));
        let visible = self.visible();
        let matches = self.matches();
        // While filtering, what was only kept as an ancestor gives way to what was looked for.
        let found = wanted.filter(|id| visible.contains(id) && matches.contains(id));
        // What vanished leaves the selection with its image or its neighbour.
        let image = wanted.map(|id| RowId::Image(id.image())).filter(|id| matches.contains(id));
        let neighbour = visible.get(before.unwrap_or(0).min(visible.len().saturating_sub(1)));
        let first = if self.filter.is_empty() { neighbour } else { matches.first() };
        let id = found.or(image).or(first.copied());
        self.put(id);
        if found.is_some() || self.filter.is_empty() {
            self.selected = id.and_then(|id| key(forest, id));
        }
    }

    /// The selected row.
    pub(super) fn selected(&self) -> Option<RowId> {
        self.state.selected().last().copied()
    }

    /// The view that a row shows.
    pub(super) fn view(&self, forest: &Forest, id: RowId) -> Option<ViewSpec> {
        view(forest, &key(forest, id)?)
    }

    /// Marks a row, or takes its mark away.
    pub(super) fn mark(&mut self, forest: &Forest, id: RowId) {
        let Some(key) = key(forest, id) else { return };
        match self.marks.iter().position(|mark| *mark == key) {
            Some(at) => drop(self.marks.remove(at)),
            None => self.marks.push(key),
        }
    }

    /// Whether a row is marked.
    pub(super) fn is_marked(&self, forest: &Forest, id: RowId) -> bool {
        !self.marks.is_empty() && key(forest, id).is_some_and(|key| self.marks.contains(&key))
    }

    /// The marked views, in the order in which they were marked.
    pub(super) fn marked_views(&self, forest: &Forest) -> Vec<ViewSpec> {
        self.marks.iter().filter_map(|key| view(forest, key)).collect()
    }

    /// Rows that are not inside a closed one, from top to bottom.
    pub(super) fn visible(&self) -> Vec<RowId> {
        let flat = self.state.flatten(&self.rows.items);
        flat.into_iter().filter_map(|row| row.identifier.last().copied()).collect()
    }

    fn index(&self) -> Option<usize> {
        let id = self.selected()?;
        self.visible().iter().position(|row| *row == id)
    }

    fn put(&mut self, id: Option<RowId>) {
        let path = id.and_then(|id| self.rows.rows.get(&id)).map(|row| row.path.clone());
        self.state.select(path.unwrap_or_default());
    }

    /// Selects a row, opening what it is in.
    pub(super) fn select(&mut self, forest: &Forest, id: RowId) {
        let Some(path) = self.rows.rows.get(&id).map(|row| row.path.clone()) else { return };
        for outer in 1..path.len() {
            self.state.open(path[..outer].to_vec());
        }
        self.put(Some(id));
        self.selected = key(forest, id);
    }

    /// Moves the selection by `by` rows, stopping at the ends.
    pub(super) fn step(&mut self, forest: &Forest, by: isize) {
        let visible = self.visible();
        let at = self.selected().and_then(|id| visible.iter().position(|row| *row == id));
        let to = at.map_or(0, |at| at.saturating_add_signed(by)).min(visible.len().saturating_sub(1));
        if let Some(id) = visible.get(to) {
            self.select(forest, *id);
        }
    }

    /// Closes the selected row, or goes to what it belongs to: its image, its base.
    pub(super) fn out(&mut self, forest: &Forest) {
        let Some(id) = self.selected() else { return };
        let at = self.state.selected().to_vec();
        if self.state.close(&at) {
            self.closed.extend(key(forest, id));
            return;
        }
        let parent = match id {
            RowId::Snapshot(image, _) => Some(image),
            RowId::Image(image) => forest.parent(image),
        };
        if let Some(parent) = parent.filter(|p| self.rows.rows.contains_key(&RowId::Image(*p))) {
            self.select(forest, RowId::Image(parent));
        }
    }

    /// Opens the selected row, or goes to the first row in it, or to the layer that follows.
    pub(super) fn into(&mut self, forest: &Forest) {
        let Some(id) = self.selected() else { return };
        let Some(row) = self.rows.rows.get(&id) else { return };
        if row.parent_of_rows && self.state.open(row.path.clone()) {
            key(forest, id).map(|key| self.closed.remove(&key));
            self.state.scroll_selected_into_view();
        } else if row.parent_of_rows || self.follower(id) {
            self.step(forest, 1);
        }
    }

    fn follower(&self, id: RowId) -> bool {
        let next = self.rows.order.iter().skip_while(|row| **row != id).nth(1);
        next.and_then(|id| self.rows.rows.get(id)).is_some_and(|row| row.link == Link::Follows)
    }

    /// Closes the selected row if it is open, and the reverse.
    pub(super) fn toggle(&mut self, forest: &Forest) {
        if self.state.opened().contains(self.state.selected()) {
            self.out(forest);
        } else {
            self.into(forest);
        }
    }

    /// The row drawn at a place of the screen.
    pub(super) fn row_at(&self, at: Position) -> Option<RowId> {
        let line = at.y.checked_sub(self.area.y).filter(|_| self.area.contains(at))?;
        self.drawn.get(line as usize).copied()
    }

    /// Rows the filter means, from top to bottom.
    pub(super) fn matches(&self) -> Vec<RowId> {
        let matched = |id: &RowId| self.rows.rows.get(id).is_some_and(|row| row.matched);
        self.rows.order.iter().copied().filter(matched).collect()
    }

    /// Goes to the next (or previous) match, around the ends.
    pub(super) fn next_match(&mut self, forest: &Forest, forward: bool) {
        let here = self.selected();
        let here = self.rows.order.iter().position(|row| Some(*row) == here).unwrap_or(0);
        let matched = |(_, id): &(usize, &RowId)| self.rows.rows.get(id).is_some_and(|row| row.matched);
        let mut matches = self.rows.order.iter().enumerate().filter(matched);
        let next = match forward {
            true => matches.clone().find(|(i, _)| *i > here).or_else(|| matches.next()),
            false => matches.clone().rfind(|(i, _)| *i < here).or_else(|| matches.next_back()),
        };
        let next = next.map(|(_, id)| id);
        if let Some(id) = next.copied() {
            self.select(forest, id);
        }
    }

    /// Changes the filter.
    pub(super) fn set_filter(&mut self, forest: &Forest, glyphs: Glyphs, text: &str) {
        if self.filter != text {
            text.clone_into(&mut self.filter);
            self.rebuild(forest, glyphs);
        }
    }
}

fn key(forest: &Forest, id: RowId) -> Option<Key> {
    let node = forest.get(id.image())?;
    let snapshot = match id {
        RowId::Image(_) => None,
        RowId::Snapshot(_, i) => Some(node.snapshots.get(i as usize)?.id.clone()),
    };
    Some(Key { path: node.path.clone(), snapshot })
}

fn view(forest: &Forest, key: &Key) -> Option<ViewSpec> {
    let state = key.snapshot.clone().map_or(StateSpec::Active, StateSpec::Id);
    let format = forest.get(forest.find(&key.path)?)?.format;
    Some(ViewSpec { path: key.path.clone(), state, format })
}

fn find(forest: &Forest, key: &Key) -> Option<RowId> {
    let image: NodeId = forest.find(&key.path)?;
    let Some(wanted) = &key.snapshot else { return Some(RowId::Image(image)) };
    let snapshots = &forest.get(image)?.snapshots;
    let found = snapshots.iter().position(|s| s.id == *wanted);
    Some(found.map_or(RowId::Image(image), |i| RowId::Snapshot(image, i as u32)))
}
