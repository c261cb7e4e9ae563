//! Walking a view, run by run.
//!
//! A [`Cursor`] remembers how far each layer has nothing to say: asking every layer again for every
//! run would make a fragmented base below a large empty overlay quadratic, and a chain of them worse.

use std::borrow::Cow;
use std::ops::Range;

use super::{View, ViewExtent};
use crate::error::{Error, Kind, Place, Result};
use crate::image::{Extent, ExtentKind};
use crate::units::Guest;

/// A walk through a view. Cheapest in guest order, right in any.
#[derive(Debug)]
pub struct Cursor<'a> {
    view: Cow<'a, View>,
    /// Per layer, the last range it said nothing about.
    silent: Vec<Range<u64>>,
    /// The last answer.
    last: Option<ViewExtent>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(view: Cow<'a, View>) -> Self {
        Self { silent: vec![0..0; view.layers().len()], view, last: None }
    }

    /// One run at `at`, at most `max` bytes, not coalesced; see [`View::extent_at`].
    pub fn extent_at(&mut self, at: Guest, max: u64) -> Result<ViewExtent> {
        if let Some(last) = self.last.filter(|last| (last.start.0..last.end()).contains(&at.0)) {
            let by = at.0 - last.start.0;
            let kind = last.kind.advance(by);
            return Ok(ViewExtent { start: at, len: (last.len - by).min(max), kind, ..last });
        }
        let found = self.ask(at, max)?;
        self.last = Some(found);
        Ok(found)
    }

    fn ask(&mut self, at: Guest, max: u64) -> Result<ViewExtent> {
        let mut len = max.min(self.view.size().saturating_sub(at.0));
        for (depth, layer) in self.view.layers().iter().enumerate() {
            let state = self.view.state_at(depth);
            let size = layer.image.virtual_size(state);
            if at.0 >= size {
                return Ok(ViewExtent { start: at, len, depth, kind: ExtentKind::Zero { host: None } });
            }
            if self.silent[depth].contains(&at.0) {
                len = len.min(self.silent[depth].end - at.0);
                continue;
            }
            let Extent { len: run, kind, .. } =
                layer.image.extent_at(state, at, len.min(size - at.0)).at(&layer.path)?;
            if run == 0 {
                return Err(Error::new(Kind::Internal, "an image answered with an empty run").at(&layer.path));
            }
            if kind.is_allocated() {
                return Ok(ViewExtent { start: at, len: run.min(len), depth, kind });
            }
            self.silent[depth] = at.0..at.0.saturating_add(run);
            len = len.min(run);
        }
        let depth = self.view.layers().len() - 1;
        Ok(ViewExtent { start: at, len, depth, kind: ExtentKind::Unallocated })
    }
}

/// Runs of a view in guest order. Stops after the first error.
pub struct Extents<'a> {
    cursor: Cursor<'a>,
    at: u64,
    end: u64,
    held: Option<ViewExtent>,
    failed: bool,
}

impl<'a> Extents<'a> {
    pub(super) fn new(view: Cow<'a, View>, from: u64, to: u64) -> Self {
        let end = to.min(view.size());
        Self { cursor: Cursor::new(view), at: from, end, held: None, failed: false }
    }
}

impl Iterator for Extents<'_> {
    type Item = Result<ViewExtent>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed && self.at < self.end {
            match self.cursor.extent_at(Guest(self.at), self.end - self.at) {
                // What lies before the bad place is still good; asking again fails again.
                Err(_) if self.held.is_some() => return self.held.take().map(Ok),
                Err(e) => {
                    self.failed = true;
                    return Some(Err(e));
                }
                Ok(run) => {
                    self.at = run.end();
                    match &mut self.held {
                        Some(held) if held.joins(&run) => held.len += run.len,
                        held => {
                            if let Some(done) = held.replace(run) {
                                return Some(Ok(done));
                            }
                        }
                    }
                }
            }
        }
        if self.failed { None } else { self.held.take().map(Ok) }
    }
}
