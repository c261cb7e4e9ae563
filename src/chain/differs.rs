//! Where one view is not what another one is: by identity wherever that decides, by content elsewhere, unit by
//! unit.

use std::collections::VecDeque;

use super::{Cursor, Touched, View, ViewExtent, known_equal};
use crate::error::Result;
use crate::units::{Guest, align_down};

/// Most bytes read from each view at a time.
const CHUNK: u64 = 1 << 20;

/// What is done where identity does not decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Nothing is read: places that are stored apart count as different.
    Unread,
    /// Both are read and compared.
    Compared,
}

/// The ranges, up to some end, where a view is not known to be what another one is; with
/// [`Content::Compared`], where it is not. A range is `zero` where the first of the two is known to read as
/// zeros. Stops after the first error.
pub struct Differs<'a> {
    of: Option<Side<'a>>,
    since: Option<Side<'a>>,
    at: u64,
    end: u64,
    unit: u64,
    content: Content,
    ready: VecDeque<Touched>,
    buffers: (Vec<u8>, Vec<u8>),
}

/// One view; nothing reads as zeros without end.
struct Side<'a> {
    view: &'a View,
    cursor: Cursor<'a>,
}

impl Side<'_> {
    /// The run at `at`, at most `max` bytes; `None` beyond the end.
    fn run(&mut self, at: u64, max: u64) -> Result<Option<ViewExtent>> {
        match at < self.view.size() {
            true => self.cursor.extent_at(Guest(at), max).map(Some),
            false => Ok(None),
        }
    }

    fn read(&self, run: &ViewExtent, buf: &mut [u8]) -> Result<()> {
        self.view.read_extent(run, 0, buf)
    }
}

impl<'a> Differs<'a> {
    /// Compares up to `end` in units of `unit` bytes. Nothing stands for zeros without end, and so does what
    /// lies behind the end of a view.
    pub fn new(of: Option<&'a View>, since: Option<&'a View>, end: u64, unit: u64, content: Content) -> Self {
        let side = |view: Option<&'a View>| view.map(|view| Side { view, cursor: view.cursor() });
        let (ready, buffers) = (VecDeque::new(), (Vec::new(), Vec::new()));
        Self { of: side(of), since: side(since), at: 0, end, unit: unit.max(1), content, ready, buffers }
    }

    /// Begins at the unit that `at` lies in.
    pub(super) fn from(self, at: u64) -> Self {
        Self { at: align_down(at, self.unit), ..self }
    }

    fn step(&mut self) -> Result<()> {
        let (at, max) = (self.at, self.end - self.at);
        let run = |side: &mut Option<Side<'a>>| match side {
            Some(side) => side.run(at, max),
            None => Ok(None),
        };
        let (old, new) = (run(&mut self.of)?, run(&mut self.since)?);
        let len = |run: &Option<ViewExtent>| run.as_ref().map_or(max, |run| run.len);
        let mut both = len(&old).min(len(&new));
        let known = |side: &Option<Side<'a>>| side.as_ref().map(|side| side.view);
        if known_equal(known(&self.of).zip(old.as_ref()), known(&self.since).zip(new.as_ref())) {
            self.at = at.saturating_add(both);
            return Ok(());
        }
        let zero = old.as_ref().is_none_or(ViewExtent::reads_zero);
        if self.content == Content::Unread {
            self.differ(at, at.saturating_add(both), zero);
            self.at = at.saturating_add(both);
            return Ok(());
        }
        // To a unit boundary, so that no unit is looked at in two pieces without need.
        if both > CHUNK {
            both = align_down(at + CHUNK, self.unit).checked_sub(at).filter(|n| *n > 0).unwrap_or(CHUNK);
        }
        let n = both as usize;
        let (mut left, mut right) = std::mem::take(&mut self.buffers);
        for (buf, side, run) in [(&mut left, &self.of, &old), (&mut right, &self.since, &new)] {
            buf.resize(n.max(buf.len()), 0);
            match (side, run) {
                (Some(side), Some(run)) => side.read(run, &mut buf[..n])?,
                _ => buf[..n].fill(0),
            }
        }
        let mut from = 0;
        while from < n {
            let rest = self.unit - (at + from as u64) % self.unit;
            let to = n.min(from.saturating_add(usize::try_from(rest).unwrap_or(n)));
            if left[from..to] != right[from..to] {
                self.differ(at + from as u64, at + to as u64, zero);
            }
            from = to;
        }
        self.buffers = (left, right);
        self.at = at.saturating_add(both);
        Ok(())
    }

    fn differ(&mut self, start: u64, end: u64, zero: bool) {
        match self.ready.back_mut().filter(|last| (last.end, last.zero) == (start, zero)) {
            Some(last) => last.end = end,
            None => self.ready.push_back(Touched { start, end, zero }),
        }
    }
}

impl Iterator for Differs<'_> {
    type Item = Result<Touched>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(range) = self.ready.pop_front() {
                return Some(Ok(range));
            }
            if self.at >= self.end {
                return None;
            }
            if let Err(e) = self.step() {
                self.at = self.end;
                return Some(Err(e));
            }
        }
    }
}
