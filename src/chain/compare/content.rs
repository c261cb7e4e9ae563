//! Reading and comparing what only content can decide.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Verifying;
use super::walk::{PART, Part};
use crate::chain::{View, ViewExtent};
use crate::error::{Error, Result};
use crate::image::ExtentKind;
use crate::units::Guest;

static ZEROS: [u8; PART as usize] = [0; PART as usize];

/// The first place where something was found: a difference, or a failure to read.
pub(super) struct Found {
    pub(super) at: u64,
    pub(super) what: Result<()>,
    pub(super) shared_bytes: u64,
}

/// What all readers found together, and whether the first difference is enough.
#[derive(Default)]
pub(super) struct Finds<'a> {
    first: Mutex<Option<Found>>,
    all: Option<&'a Verifying>,
}

impl<'a> Finds<'a> {
    /// Differences are told to `watch` and end nothing.
    pub(super) fn to_the_end(watch: &'a Verifying) -> Self {
        Self { first: Mutex::default(), all: Some(watch) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Found>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is anything.
    pub(super) fn any(&self) -> bool {
        self.lock().is_some()
    }

    /// The find that comes first in guest order.
    pub(super) fn first(self) -> Option<Found> {
        self.first.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Parts come back in any order; the first place counts.
    fn add(&self, new: Found) {
        let mut first = self.lock();
        if first.as_ref().is_none_or(|f| new.at < f.at) {
            *first = Some(new);
        }
    }

    fn any_before(&self, at: u64) -> bool {
        self.lock().as_ref().is_some_and(|f| f.at < at)
    }
}

/// One reader of both views.
pub(super) struct Content<'a> {
    sides: [Side<'a>; 2],
}

impl<'a> Content<'a> {
    pub(super) fn of(a: &'a View, b: &'a View) -> Self {
        Self { sides: [Side::of(a), Side::of(b)] }
    }

    /// Compares parts in guest order, until the first that cannot be read, or that differs where that is enough.
    pub(super) fn compare(&mut self, parts: &[Part], finds: &Finds<'_>) {
        for part in parts {
            if finds.any_before(part.at) {
                return;
            }
            let found = |at, what| Found { at, what, shared_bytes: part.shared_bytes };
            let (left, right) = match self.bytes(part) {
                Ok(both) => both,
                Err(e) => return finds.add(found(part.at, Err(e))),
            };
            if left == right {
                continue;
            }
            match finds.all {
                Some(watch) => watch.differ(part.at, left, right),
                None => {
                    let same = left.iter().zip(right).take_while(|(x, y)| x == y).count();
                    return finds.add(found(part.at + same as u64, Ok(())));
                }
            }
        }
    }

    fn bytes(&mut self, part: &Part) -> Result<(&[u8], &[u8])> {
        let [a, b] = &mut self.sides;
        Ok((a.bytes(&part.runs[0], part.len as usize)?, b.bytes(&part.runs[1], part.len as usize)?))
    }
}

/// One view, and where its bytes go.
struct Side<'a> {
    view: &'a View,
    bytes: Vec<u8>,
    /// The last compressed cluster that was wanted in pieces: its layer and what it is, its content.
    cluster: (Option<(usize, ExtentKind)>, Vec<u8>),
}

impl<'a> Side<'a> {
    fn of(view: &'a View) -> Self {
        Self { view, bytes: vec![0; PART as usize], cluster: (None, Vec::new()) }
    }

    /// The `len` bytes of these runs.
    fn bytes(&mut self, runs: &[ViewExtent], len: usize) -> Result<&[u8]> {
        if runs.iter().all(ViewExtent::reads_zero) {
            return Ok(&ZEROS[..len]);
        }
        let mut done = 0;
        for run in runs {
            let end = done + run.len as usize;
            self.read(run, done, end)?;
            done = end;
        }
        Ok(&self.bytes[..len])
    }

    fn read(&mut self, run: &ViewExtent, from: usize, to: usize) -> Result<()> {
        let to_fill = &mut self.bytes[from..to];
        let ExtentKind::Compressed { host, bytes, skip } = run.kind else {
            return self.view.read_extent(run, 0, to_fill);
        };
        let size = self.view.layers()[run.depth].image.cluster_size();
        if run.len == size {
            return self.view.read_extent(run, 0, to_fill);
        }
        // Unpacking cannot start in the middle: once for all pieces.
        let kind = ExtentKind::Compressed { host, bytes, skip: 0 };
        let (held, cluster) = &mut self.cluster;
        if *held != Some((run.depth, kind)) {
            *held = None;
            cluster.resize(size as usize, 0);
            let start = Guest(run.start.0.saturating_sub(skip));
            self.view.read_extent(&ViewExtent { start, len: size, kind, ..*run }, 0, cluster)?;
            *held = Some((run.depth, kind));
        }
        let piece = usize::try_from(skip).ok().and_then(|at| cluster.get(at..)?.get(..to - from));
        to_fill.copy_from_slice(piece.ok_or_else(|| Error::corrupt("read beyond a cluster"))?);
        Ok(())
    }
}
