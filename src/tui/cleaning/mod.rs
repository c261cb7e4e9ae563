//! The clean-up wizard: every image with how it stands, marks on what may go, and what that frees and costs.
//!
//! | file | concern |
//! |---|---|
//! | this one | the state, and what keys do to it |
//! | `survey` | what workers find out: how images stand, what the marks come to |

mod survey;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub(super) use survey::{Sum, sum};

use crate::forest::{Forest, NodeId};
use crate::plan::{Judged, Standing, ViewId, Wishes};

/// Ages that can be chosen, in days.
const AGES: [u64; 5] = [1, 7, 30, 90, 365];
const DAY: u64 = 24 * 60 * 60;
/// A long chain is not indented any further.
const DEEPEST: usize = 8;

/// One line: an image, or one of its snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) view: ViewId,
    /// Its name, untrusted.
    pub(super) name: String,
    /// How deep it is indented.
    pub(super) depth: usize,
    /// Bytes on the file system; nothing for a snapshot that was not counted.
    pub(super) bytes: Option<u64>,
}

/// How much of a line's image goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    None,
    /// All of it stays, whatever is wished.
    Pinned,
    Some,
    All,
}

/// The wizard.
#[derive(Debug)]
pub(super) struct Cleaning {
    pub(super) forest: Arc<Forest>,
    pub(super) lines: Vec<Line>,
    pub(super) cursor: usize,
    /// First line on screen, and how many there are.
    pub(super) scroll: usize,
    pub(super) height: usize,
    pub(super) goes: BTreeSet<ViewId>,
    /// What stays, whatever is wished.
    pub(super) pinned: BTreeSet<ViewId>,
    pub(super) keep_last: Option<usize>,
    /// Days.
    pub(super) older_than: Option<u64>,
    /// How images stand, as far as it is known.
    pub(super) judged: HashMap<PathBuf, Judged>,
    pub(super) judging: bool,
    /// What the marks come to: for which of them, and the answer.
    pub(super) sum: Option<(BTreeSet<ViewId>, Sum)>,
    /// For which marks a worker is finding that out.
    pub(super) summing: Option<BTreeSet<ViewId>>,
}

impl Cleaning {
    pub(super) fn new(forest: Arc<Forest>) -> Self {
        let lines = lines(&forest);
        Self {
            forest,
            lines,
            cursor: 0,
            scroll: 0,
            height: 1,
            goes: BTreeSet::new(),
            pinned: BTreeSet::new(),
            keep_last: None,
            older_than: None,
            judged: HashMap::new(),
            judging: true,
            sum: None,
            summing: None,
        }
    }

    pub(super) fn line(&self) -> Option<&Line> {
        self.lines.get(self.cursor)
    }

    /// Moves the cursor, and the window with it.
    pub(super) fn go_to(&mut self, line: usize) {
        self.cursor = line.min(self.lines.len().saturating_sub(1));
        self.show_cursor();
    }

    pub(super) fn show_cursor(&mut self) {
        let height = self.height.max(1);
        self.scroll = self.scroll.min(self.cursor).max((self.cursor + 1).saturating_sub(height));
    }

    /// Marks what the cursor is on, or unmarks it: a snapshot, or an image with all its snapshots.
    pub(super) fn toggle(&mut self) {
        let Some(line) = self.line() else { return };
        let views = self.views_of(line);
        self.pinned.retain(|view| !views.contains(view));
        if views.iter().all(|view| self.goes.contains(view)) {
            self.goes.retain(|view| !views.contains(view));
        } else {
            self.goes.extend(views);
        }
    }

    /// Has what the cursor is on stay whatever is wished, or not any more.
    pub(super) fn pin(&mut self) {
        let Some(line) = self.line() else { return };
        let views = self.views_of(line);
        if views.iter().all(|view| self.pinned.contains(view)) {
            self.pinned.retain(|view| !views.contains(view));
            if self.keep_last.is_some() || self.older_than.is_some() {
                self.wish();
            }
        } else {
            self.goes.retain(|view| !views.contains(view));
            self.pinned.extend(views);
        }
    }

    /// How much of the line goes.
    pub(super) fn mark(&self, line: &Line) -> Mark {
        let views = self.views_of(line);
        match views.iter().filter(|view| self.goes.contains(view)).count() {
            0 if views.iter().all(|view| self.pinned.contains(view)) => Mark::Pinned,
            0 => Mark::None,
            n if n == views.len() => Mark::All,
            _ => Mark::Some,
        }
    }

    /// A snapshot; or an image with all of its snapshots.
    fn views_of(&self, line: &Line) -> Vec<ViewId> {
        if line.view.snapshot.is_some() {
            return vec![line.view.clone()];
        }
        let node = self.forest.find(&line.view.image).and_then(|id| self.forest.get(id));
        node.map_or_else(Vec::new, |node| ViewId::all(node).collect())
    }

    /// Lets more of each line stay, or fewer; none is no wish.
    pub(super) fn keep(&mut self, more: bool) {
        let longest = self.lines.iter().filter(|line| line.view.snapshot.is_none()).count().max(1);
        self.keep_last = match (self.keep_last, more) {
            (None, true) => Some(1),
            (Some(n), true) => Some((n + 1).min(longest)),
            (n, false) => n.and_then(|n| n.checked_sub(1)).filter(|n| *n > 0),
        };
        self.wish();
    }

    /// Goes through the ages.
    pub(super) fn next_age(&mut self) {
        let at = self.older_than.and_then(|days| AGES.iter().position(|age| *age == days));
        self.older_than = match (self.older_than, at) {
            (None, _) => AGES.first().copied(),
            (_, at) => at.and_then(|at| AGES.get(at + 1).copied()),
        };
        self.wish();
    }

    /// Marks anew what the wishes say.
    fn wish(&mut self) {
        let older_than = self.older_than.map(|days| Duration::from_secs(days * DAY));
        let wishes = Wishes { keep_last: self.keep_last, older_than, ..Wishes::default() };
        // No name is looked up, so nothing can be missing.
        self.goes = wishes.going(&self.forest, SystemTime::now()).unwrap_or_default();
        self.goes.retain(|view| !self.pinned.contains(view));
    }

    /// Marks what is free to go; says whether there is anything.
    pub(super) fn propose(&mut self) -> bool {
        let free = self.judged.values().filter(|one| one.standing == Standing::Free);
        let free: Vec<_> = free.filter_map(|one| self.forest.get(self.forest.find(&one.path)?)).collect();
        let views = free.into_iter().flat_map(ViewId::all).filter(|view| !self.pinned.contains(view));
        let views: Vec<_> = views.collect();
        let any = !views.is_empty();
        self.goes.extend(views);
        any
    }

    /// What is known of the marks as they are.
    pub(super) fn sum(&self) -> Option<&Sum> {
        self.sum.as_ref().filter(|(goes, _)| *goes == self.goes).map(|(_, sum)| sum)
    }

    /// The marks that a worker should look at next; nothing while one does, or when it is known.
    pub(super) fn next_to_sum(&mut self) -> Option<BTreeSet<ViewId>> {
        if self.goes.is_empty() || self.summing.is_some() || self.sum().is_some() {
            return None;
        }
        self.summing = Some(self.goes.clone());
        self.summing.clone()
    }

    /// Takes over what a worker found out.
    pub(super) fn summed(&mut self, sum: Sum) {
        self.sum = self.summing.take().map(|goes| (goes, sum));
    }
}

/// All images, bases before what is based on them, each with its snapshots.
fn lines(forest: &Forest) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut todo: Vec<(NodeId, usize)> = forest.roots().into_iter().rev().map(|id| (id, 0)).collect();
    let mut seen = BTreeSet::new();
    while let Some((id, depth)) = todo.pop() {
        let Some(node) = forest.get(id).filter(|_| seen.insert(id)) else { continue };
        let (view, bytes) = (ViewId::active(&node.path), Some(node.disk_size));
        lines.push(Line { view, name: node.name(), depth, bytes });
        lines.extend(node.snapshots.iter().map(|one| Line {
            view: ViewId::snapshot(&node.path, &one.id),
            name: if one.name.is_empty() { format!("#{}", one.id) } else { one.name.clone() },
            depth: depth + 1,
            bytes: one.exclusive_bytes,
        }));
        let deeper = (depth + 1).min(DEEPEST);
        todo.extend(node.children.iter().rev().map(|child| (*child, deeper)));
    }
    lines
}
