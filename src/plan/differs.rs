//! Where two views differ: by identity wherever that decides, by content elsewhere, unit by unit.

use std::collections::VecDeque;

use crate::chain::{Cursor, Touched, View, ViewExtent, known_equal};
use crate::error::Result;
use crate::units::{Guest, align_down};

/// Most bytes read from each view at a time.
const CHUNK: u64 = 1 << 20;

/// The ranges, up to some end, where the views are not known to be the same; when it may read, where
/// they are not the same. Stops after the first error.
pub(super) struct Differs<'a> {
    old: Option<Side<'a>>,
    new: Option<Side<'a>>,
    at: u64,
    end: u64,
    unit: u64,
    reads: bool,
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
    /// Compares up to `end` in units of `unit` bytes. Nothing stands for zeros.
    pub(super) fn new(
        old: Option<&'a View>,
        new: Option<&'a View>,
        end: u64,
        unit: u64,
        reads: bool,
    ) -> Self {
        let side = |view: Option<&'a View>| view.map(|view| Side { view, cursor: view.cursor() });
        let (ready, buffers) = (VecDeque::new(), (Vec::new(), Vec::new()));
        Self { old: side(old), new: side(new), at: 0, end, unit, reads, ready, buffers }
    }

    fn step(&mut self) -> Result<()> {
        let (at, max) = (self.at, self.end - self.at);
        let run = |side: &mut Option<Side<'a>>| match side {
            Some(side) => side.run(at, max),
            None => Ok(None),
        };
        let (old, new) = (run(&mut self.old)?, run(&mut self.new)?);
        let len = |run: &Option<ViewExtent>| run.as_ref().map_or(max, |run| run.len);
        let mut both = len(&old).min(len(&new));
        let known = |side: &Option<Side<'a>>| side.as_ref().map(|side| side.view);
        if known_equal(known(&self.old).zip(old.as_ref()), known(&self.new).zip(new.as_ref())) {
            self.at = at.saturating_add(both);
            return Ok(());
        }
        if !self.reads {
            self.differ(at, at.saturating_add(both));
            self.at = at.saturating_add(both);
            return Ok(());
        }
        // To a unit boundary, so that no unit is looked at in two pieces without need.
        if both > CHUNK {
            both = align_down(at + CHUNK, self.unit).checked_sub(at).filter(|n| *n > 0).unwrap_or(CHUNK);
        }
        let n = both as usize;
        let (mut left, mut right) = std::mem::take(&mut self.buffers);
        for (buf, side, run) in [(&mut left, &self.old, &old), (&mut right, &self.new, &new)] {
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
                self.differ(at + from as u64, at + to as u64);
            }
            from = to;
        }
        self.buffers = (left, right);
        self.at = at.saturating_add(both);
        Ok(())
    }

    fn differ(&mut self, start: u64, end: u64) {
        match self.ready.back_mut().filter(|last| last.end == start) {
            Some(last) => last.end = end,
            None => self.ready.push_back(Touched { start, end, zero: false }),
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
