//! Reading and comparing what only content can decide.

use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// What all readers found together.
#[derive(Default)]
pub(super) struct Finds(Mutex<Option<Found>>);

impl Finds {
    fn lock(&self) -> MutexGuard<'_, Option<Found>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is anything.
    pub(super) fn any(&self) -> bool {
        self.lock().is_some()
    }

    /// The find that comes first in guest order.
    pub(super) fn first(self) -> Option<Found> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
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

    /// Compares parts in guest order, until the first that differs or cannot be read.
    pub(super) fn compare(&mut self, parts: &[Part], finds: &Finds) {
        for part in parts {
            if finds.any_before(part.at) {
                return;
            }
            let (at, what) = match self.difference(part) {
                Ok(None) => continue,
                Ok(Some(at)) => (at, Ok(())),
                Err(e) => (part.at, Err(e)),
            };
            return finds.add(Found { at, what, shared_bytes: part.shared_bytes });
        }
    }

    fn difference(&mut self, part: &Part) -> Result<Option<u64>> {
        let [a, b] = &mut self.sides;
        let left = a.bytes(&part.runs[0], part.len as usize)?;
        let right = b.bytes(&part.runs[1], part.len as usize)?;
        if left == right {
            return Ok(None);
        }
        let same = left.iter().zip(right).take_while(|(x, y)| x == y).count();
        Ok(Some(part.at + same as u64))
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
