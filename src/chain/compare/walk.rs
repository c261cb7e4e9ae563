//! Through the metadata of both views: what is equal without reading, and what must be read.

use super::content::Finds;
use crate::chain::{Cursor, View, ViewExtent, known_equal};
use crate::error::{Error, Kind, Result};
use crate::image::ExtentKind;
use crate::units::Guest;

/// Most bytes of one part: with the same of the other view they stay in the cache of a core.
pub(super) const PART: u64 = 64 << 10;
/// Bytes of guest range that one reader gets at a time: as large as the largest cluster, so that no
/// compressed one is wanted by two readers.
const WINDOW: u64 = 2 << 20;

/// A guest range that only content can decide.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) at: u64,
    pub(super) len: u64,
    /// What both views have there, from `at` on and without gaps.
    pub(super) runs: [Vec<ViewExtent>; 2],
    /// Bytes before it that were equal without reading.
    pub(super) shared_bytes: u64,
}

/// The parts of one window, in guest order.
pub(super) type Batch = Vec<Part>;

/// A walk through two views.
pub(super) struct Walk<'a> {
    views: [&'a View; 2],
    cursors: [Cursor<'a>; 2],
    progress: &'a mut (dyn FnMut(u64) -> bool + Send),
    at: u64,
    failed: Option<Error>,
    batch: Batch,
    /// Whether the last part of the batch ends where the walk is.
    open: bool,
    shared_bytes: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(a: &'a View, b: &'a View, progress: &'a mut (dyn FnMut(u64) -> bool + Send)) -> Self {
        Self {
            views: [a, b],
            cursors: [a.cursor(), b.cursor()],
            progress,
            at: 0,
            failed: None,
            batch: Vec::new(),
            open: false,
            shared_bytes: 0,
        }
    }

    /// The next window in which something must be read, in guest order. `None` at the end, which
    /// comes early when something was found or failed.
    pub(super) fn next(&mut self, finds: &Finds<'_>) -> Option<Batch> {
        let end = self.views[0].size().max(self.views[1].size());
        while self.at < end && self.failed.is_none() && !finds.any() {
            match self.step(end) {
                Ok(None) => {}
                Ok(Some(batch)) => return Some(batch),
                Err(e) => self.failed = Some(e),
            }
        }
        // What lies before a failure comes first.
        Some(self.close()).filter(|batch| !batch.is_empty())
    }

    /// The bytes that are equal without reading, of all that was walked.
    pub(super) fn shared_bytes(self) -> Result<u64> {
        self.failed.map_or(Ok(self.shared_bytes), Err)
    }

    /// Takes one run of both views; gives the window that ended before it.
    fn step(&mut self, end: u64) -> Result<Option<Batch>> {
        let at = self.at;
        if !(self.progress)(at) {
            return Err(Error::new(Kind::Cancelled, "comparison stopped"));
        }
        let runs = [self.run_at(0, at, end)?, self.run_at(1, at, end)?];
        let len = runs[0].len.min(runs[1].len);
        if known_equal(Some((self.views[0], &runs[0])), Some((self.views[1], &runs[1]))) {
            self.shared_bytes += len;
            self.open = false;
            self.at += len;
            return Ok(None);
        }
        let left = self.batch.first().is_some_and(|first| first.at / WINDOW != at / WINDOW);
        let done = left.then(|| self.close());
        let len = len.min(PART - at % PART);
        self.take(at, len, runs);
        self.at += len;
        Ok(done)
    }

    /// The run of one view at `at`; zeros beyond its end.
    fn run_at(&mut self, side: usize, at: u64, end: u64) -> Result<ViewExtent> {
        if at < self.views[side].size() {
            return self.cursors[side].extent_at(Guest(at), end - at);
        }
        Ok(ViewExtent { start: Guest(at), len: end - at, depth: 0, kind: ExtentKind::Unallocated })
    }

    /// Adds `len` bytes of both runs to what must be read.
    fn take(&mut self, at: u64, len: u64, runs: [ViewExtent; 2]) {
        if !self.open {
            let runs = [Vec::new(), Vec::new()];
            self.batch.push(Part { at, len: 0, runs, shared_bytes: self.shared_bytes });
        }
        if let Some(part) = self.batch.last_mut() {
            part.len += len;
            for (all, run) in part.runs.iter_mut().zip(runs) {
                let run = ViewExtent { len, ..run };
                match all.last_mut() {
                    Some(last) if last.joins(&run) => last.len += len,
                    _ => all.push(run),
                }
            }
        }
        self.open = !(at + len).is_multiple_of(PART);
    }

    fn close(&mut self) -> Batch {
        self.open = false;
        std::mem::take(&mut self.batch)
    }
}
