//! Comparing two views to the end: how much differs, where, and the first places of it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::content::{Finds, Found};
use super::{View, run};
use crate::error::Result;

/// Granularity in which differences are told.
const SECTOR: usize = 512;
/// Differences that are listed; all are counted.
const LISTED: usize = 256;
/// Pieces of the strip that shows where differences lie.
pub const STRIP: usize = 1024;

/// The outcome of comparing two views to the end.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Verification {
    /// Bytes looked at: all of the longer view.
    pub compared_bytes: u64,
    /// Of those, bytes known equal without reading (the same place in the same file, or zeros).
    pub shared_bytes: u64,
    /// Bytes in sectors that differ.
    pub different_bytes: u64,
    /// The first differences in guest order, at most 256: from the first byte that differs to the end of the
    /// last sector of the run. The last one may go on.
    pub differences: Vec<Range<u64>>,
    /// Sizes of the two views. A longer one is equal when the rest of it is zeros.
    pub sizes: (u64, u64),
}

impl Verification {
    /// Whether a guest reads the same from both.
    pub fn identical(&self) -> bool {
        self.different_bytes == 0
    }
}

/// A verification under way, shared with whoever watches or stops it.
#[derive(Debug)]
pub struct Verifying {
    total: u64,
    done: AtomicU64,
    stop: AtomicBool,
    strip: Box<[AtomicU64]>,
    listed: Mutex<BTreeMap<u64, u64>>,
}

impl Verifying {
    /// Nothing done yet, of two views.
    pub fn of(a: &View, b: &View) -> Self {
        Self {
            total: a.size().max(b.size()),
            done: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            strip: (0..STRIP).map(|_| AtomicU64::new(0)).collect(),
            listed: Mutex::default(),
        }
    }

    /// Bytes looked at, and bytes there are.
    pub fn progress(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total)
    }

    /// Has it end soon, with [`Kind::Cancelled`](crate::error::Kind::Cancelled).
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Differing bytes in each of [`STRIP`] equal pieces of the views, so far.
    pub fn strip(&self) -> Vec<u64> {
        self.strip.iter().map(|piece| piece.load(Ordering::Relaxed)).collect()
    }

    fn listed(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes where `left` and `right`, both from `at` on, differ.
    pub(super) fn differ(&self, at: u64, left: &[u8], right: &[u8]) {
        let sectors = left.chunks(SECTOR).zip(right.chunks(SECTOR)).enumerate();
        let mut open: Option<Range<u64>> = None;
        for (i, (l, r)) in sectors {
            let from = at + (i * SECTOR) as u64;
            if l == r {
                open.take().into_iter().for_each(|range| self.list(range));
                continue;
            }
            let end = from + l.len() as u64;
            self.count(from, l.len() as u64);
            match &mut open {
                Some(range) => range.end = end,
                None => {
                    let same = l.iter().zip(r).take_while(|(x, y)| x == y).count();
                    open = Some(from + same as u64..end);
                }
            }
        }
        open.into_iter().for_each(|range| self.list(range));
    }

    fn count(&self, at: u64, bytes: u64) {
        let piece = u128::from(at) * STRIP as u128 / u128::from(self.total.max(1));
        if let Some(piece) = self.strip.get(piece as usize) {
            piece.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Adds a range to the list, joined with its neighbours: parts are compared in any order.
    fn list(&self, range: Range<u64>) {
        let sector = |at: u64| at / SECTOR as u64 * SECTOR as u64;
        let mut listed = self.listed();
        let Range { mut start, mut end } = range;
        if let Some((before, to)) = listed.range(..start).next_back().map(|(s, e)| (*s, *e))
            && to == sector(start)
        {
            listed.remove(&before);
            start = before;
        }
        if let Some((next, to)) = listed.range(start..).next().map(|(s, e)| (*s, *e))
            && sector(next) == end
        {
            listed.remove(&next);
            end = to;
        }
        listed.insert(start, end);
        if listed.len() > LISTED {
            listed.pop_last();
        }
    }
}

/// Compares all of two views, on all cores and in little memory, and tells every difference to `watch`.
///
/// Fails where one of them cannot be read, and with [`Kind::Cancelled`](crate::error::Kind::Cancelled) when it
/// is [stopped](Verifying::stop).
pub fn verify(a: &View, b: &View, watch: &Verifying) -> Result<Verification> {
    let mut going = |at: u64| {
        watch.done.store(at, Ordering::Relaxed);
        !watch.stop.load(Ordering::Relaxed)
    };
    let finds = Finds::to_the_end(watch);
    let shared_bytes = run(a, b, &finds, &mut going);
    if let Some(Found { what: Err(e), .. }) = finds.first() {
        return Err(e);
    }
    let shared_bytes = shared_bytes?;
    watch.done.store(watch.total, Ordering::Relaxed);
    Ok(Verification {
        compared_bytes: watch.total,
        shared_bytes,
        different_bytes: watch.strip().iter().sum(),
        differences: watch.listed().iter().map(|(start, end)| *start..*end).collect(),
        sizes: (a.size(), b.size()),
    })
}
