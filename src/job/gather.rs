//! Moving guest data where the file system shares blocks: what lies together in the source stays together, so
//! that one call takes over many clusters. Their order on the disk is that of the source in any case.

use super::mover::Mover;
use crate::chain::{CopyRun, View};
use crate::error::Result;
use crate::image::{ExtentKind, State, Target};
use crate::plan::{StateRun, StateRuns, drive};
use crate::units::{Guest, Host, align_down, align_up};

/// Pieces that are placed together, at most: this bounds memory.
const MOST: usize = 1 << 16;

/// Whole units of guest range that come from one place.
#[derive(Debug, Clone, Copy)]
struct Piece {
    at: u64,
    len: u64,
    from: From,
}

/// Where bytes come from, in the order in which they are placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum From {
    /// The data of the layer at this depth, from this offset on.
    Layer(usize, u64),
    /// Several places, or one that has to be decoded.
    Anywhere,
    /// Nowhere: zeros.
    Zeros,
}

/// A part of a piece, and where it went.
#[derive(Debug, Clone, Copy)]
struct Placed {
    at: u64,
    host: u64,
    len: u64,
    from: From,
}

/// Takes every run to `target`. What is for several states of it goes the usual way.
pub(super) fn gathered(runs: StateRuns<'_>, target: &mut dyn Target, mover: &mut Mover<'_>) -> Result<()> {
    let mut batch = Batch::default();
    for run in runs {
        let StateRun { run, states } = run?;
        let [state] = states[..] else {
            batch.place(target, mover)?;
            let one = std::iter::once(Ok(StateRun { run, states }));
            drive(Box::new(one), target, &mut |state, at, host, len| mover.fill(state, at, host, len))?;
            continue;
        };
        if batch.state.is_some_and(|of| of != state) {
            batch.place(target, mover)?;
        }
        batch.state = Some(state);
        if run.zero {
            batch.pieces.push(Piece { at: run.at.0, len: run.len, from: From::Zeros });
        } else {
            let view = mover.source.view(state)?;
            let end = view.size().min(mover.source.end);
            batch.take(view, run.at.0, run.at.0 + run.len, end, target.unit())?;
        }
        if batch.pieces.len() >= MOST {
            batch.place(target, mover)?;
        }
    }
    batch.place(target, mover)
}

#[derive(Default)]
struct Batch {
    /// In guest order.
    pieces: Vec<Piece>,
    state: Option<State>,
}

impl Batch {
    /// Adds the units from `at` to `to`, of a view that has something to say until `end`.
    fn take(&mut self, view: &View, at: u64, to: u64, end: u64, unit: u64) -> Result<()> {
        let mut pos = at;
        for extent in view.extents(at, to.min(end)) {
            let extent = extent?;
            let whole = align_down(extent.end(), unit);
            let ExtentKind::Data { host } = extent.kind else { continue };
            if view.layers()[extent.depth].image.encryption().is_some() {
                continue;
            }
            let start = align_up(extent.start.0.max(pos), unit);
            if start < whole {
                self.anywhere(pos, start);
                let from = From::Layer(extent.depth, host.0 + (start - extent.start.0));
                self.pieces.push(Piece { at: start, len: whole - start, from });
                pos = whole;
            }
        }
        self.anywhere(pos, align_up(to, unit));
        Ok(())
    }

    fn anywhere(&mut self, at: u64, to: u64) {
        if at < to {
            self.pieces.push(Piece { at, len: to - at, from: From::Anywhere });
        }
    }

    /// Finds room for all, fills it in the order of the source, and maps it in guest order.
    fn place(&mut self, target: &mut dyn Target, mover: &mut Mover<'_>) -> Result<()> {
        let mut pieces = std::mem::take(&mut self.pieces);
        let Some(state) = self.state.filter(|_| !pieces.is_empty()) else { return Ok(()) };
        target.select(&[state])?;
        let first = pieces[0].at;
        let zeros: Vec<Piece> = pieces.extract_if(.., |piece| piece.from == From::Zeros).collect();
        pieces.sort_by_key(|piece| (piece.from, piece.at));
        let mut left: u64 = pieces.iter().map(|piece| piece.len).sum();
        let mut placed = Vec::with_capacity(pieces.len());
        let (mut room, mut free) = (0, 0);
        for piece in pieces {
            let mut done = 0;
            while done < piece.len {
                if free == 0 {
                    let (host, len) = target.allocate(Guest(first), left)?;
                    (room, free) = (host.0, len);
                }
                let n = free.min(piece.len - done);
                let from = match piece.from {
                    From::Layer(depth, at) => From::Layer(depth, at + done),
                    other => other,
                };
                placed.push(Placed { at: piece.at + done, host: room, len: n, from });
                (room, free, done) = (room + n, free - n, done + n);
                left = left.saturating_sub(n);
            }
        }
        self.fill(state, &placed, mover)?;
        placed.extend(zeros.iter().map(|z| Placed { at: z.at, host: 0, len: z.len, from: From::Zeros }));
        placed.sort_unstable_by_key(|part| part.at);
        for part in placed {
            if part.from != From::Zeros {
                target.map(Guest(part.at), Host(part.host), part.len)?;
            } else if !target.zero(Guest(part.at), part.len)? {
                // The format cannot say so: they are written out.
                let run = CopyRun { at: Guest(part.at), len: part.len, zero: false };
                let one = std::iter::once(Ok(StateRun { run, states: vec![state] }));
                drive(Box::new(one), target, &mut |state, at, host, len| mover.fill(state, at, host, len))?;
            }
        }
        Ok(())
    }

    fn fill(&self, state: State, placed: &[Placed], mover: &mut Mover<'_>) -> Result<()> {
        let mut parts = placed.iter().copied().peekable();
        while let Some(mut part) = parts.next() {
            let From::Layer(depth, from) = part.from else {
                mover.fill(state, Guest(part.at), Host(part.host), part.len)?;
                continue;
            };
            while let Some(next) = parts.next_if(|next| {
                next.from == From::Layer(depth, from + part.len) && next.host == part.host + part.len
            }) {
                part.len += next.len;
            }
            mover.take_over(state, depth, from, part.host, part.len)?;
        }
        Ok(())
    }
}
