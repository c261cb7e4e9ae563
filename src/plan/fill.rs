//! Filling: what states of an image leave to its backing file, within ranges that are about to change
//! there. States that need the same get one copy between them.

use std::ops::Range;

use super::ranges::{Runs, StateRun};
use crate::chain::{CopyRun, Touched, View, whole_units};
use crate::error::Result;
use crate::image::State;
use crate::units::{Guest, align_down};

/// Longest stretch looked at in one go, so that memory stays bounded.
const STRETCH: u64 = 1 << 30;

/// How one state has the units at some place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// All of it, or it ends before.
    All,
    /// Nothing of it.
    Nothing,
    /// Some bytes of the unit.
    Part,
}

/// One state of the image, and the last thing that its tables said.
struct Reader<'a> {
    state: State,
    view: &'a View,
    known: Range<u64>,
    held: bool,
}

impl Reader<'_> {
    /// How this state has the unit at `at`, and up to where (a unit boundary, at most `end`) that is
    /// so.
    fn look(&mut self, at: u64, end: u64, unit: u64) -> Result<(Holds, u64)> {
        let size = self.view.size();
        if at >= size {
            return Ok((Holds::All, end));
        }
        if !self.known.contains(&at) {
            let (held, len) = self.view.allocated(Guest(at), end.min(size) - at)?;
            (self.known, self.held) = (at..at.saturating_add(len), held);
        }
        // Nobody sees what lies behind the end of the disk.
        let until = if self.known.end >= size { end } else { align_down(self.known.end, unit).min(end) };
        Ok(match self.held {
            _ if until <= at => (Holds::Part, at.saturating_add(unit).min(end)),
            true => (Holds::All, until),
            false => (Holds::Nothing, until),
        })
    }
}

/// What `states` lack in the `changed` runs (whole `unit`s), with the states that share it.
pub(super) fn lacking<'a>(states: &'a [(State, View)], changed: Runs<'a>, unit: u64) -> StateRuns<'a> {
    let readers =
        states.iter().map(|(state, view)| Reader { state: *state, view, known: 0..0, held: false }).collect();
    let mut stretches = Stretches { readers, changed, run: None, unit };
    let mut ready = Vec::new().into_iter();
    Box::new(std::iter::from_fn(move || {
        loop {
            if let Some(run) = ready.next() {
                return Some(run);
            }
            match stretches.next()? {
                Ok(runs) => ready = runs.into_iter(),
                Err(e) => return Some(Err(e)),
            }
        }
    }))
}

/// Runs with their states, in guest order.
pub type StateRuns<'a> = Box<dyn Iterator<Item = Result<StateRun>> + 'a>;

struct Stretches<'a> {
    readers: Vec<Reader<'a>>,
    changed: Runs<'a>,
    /// What is left of the changed run under way.
    run: Option<CopyRun>,
    unit: u64,
}

impl Stretches<'_> {
    /// The runs of the next stretch in which every state stays as it is.
    fn next(&mut self) -> Option<Result<Vec<Result<StateRun>>>> {
        let run = match self.run.take() {
            Some(run) => run,
            None => match self.changed.next()? {
                Ok(run) => run,
                Err(e) => return Some(Err(e)),
            },
        };
        let end = run.at.0 + run.len;
        let mut until = end.min(run.at.0.saturating_add(STRETCH));
        let (mut nothing, mut part) = (Vec::new(), Vec::new());
        for (i, reader) in self.readers.iter_mut().enumerate() {
            match reader.look(run.at.0, end, self.unit) {
                Ok((holds, stop)) => {
                    until = until.min(stop);
                    match holds {
                        Holds::All => {}
                        Holds::Nothing => nothing.push(i),
                        Holds::Part => part.push(i),
                    }
                }
                Err(e) => return Some(Err(e)),
            }
        }
        if until < end {
            self.run = Some(CopyRun { at: Guest(until), len: end - until, zero: run.zero });
        }
        let stretch = CopyRun { at: run.at, len: until - run.at.0, zero: run.zero };
        // The longest state shows most of what is below.
        nothing.sort_by_key(|i| std::cmp::Reverse(self.readers[*i].view.size()));
        let groups = std::iter::once(nothing).chain(part.into_iter().map(|i| vec![i]));
        let mut out = Vec::new();
        for group in groups {
            let Some(first) = group.first().map(|i| &self.readers[*i]) else { continue };
            let states: Vec<State> = group.iter().map(|i| self.readers[*i].state).collect();
            let parts = whole_units(missing(first.view, stretch), self.unit, first.view.size());
            out.extend(parts.map(|run| Ok(StateRun { run: run?, states: states.clone() })));
        }
        Some(Ok(out))
    }
}

/// The parts of `run` that the top image of `view` leaves to its backing file, as they read now.
fn missing(view: &View, run: CopyRun) -> impl Iterator<Item = Result<Touched>> {
    view.extents(run.at.0, run.at.0 + run.len).filter_map(move |extent| match extent {
        Ok(e) if e.depth == 0 && e.kind.is_allocated() => None,
        // Zeros now and zeros afterwards: nothing changes there.
        Ok(e) if run.zero && e.reads_zero() => None,
        Ok(e) => Some(Ok(Touched { start: e.start.0, end: e.end(), zero: e.reads_zero() })),
        Err(e) => Some(Err(e)),
    })
}
