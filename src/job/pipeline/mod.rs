//! Moving guest data on all cores: some is written while more is read.
//!
//! Where what lies in an image decides how it is stored, a piece goes through three hands: a worker reads it and
//! finds out what is in it; the driver, alone, finds room and maps it, in guest order; a worker writes it. Where its
//! place is known at once, a worker does all of it. A few buffers go round, which bounds memory.

mod crew;
mod maker;
mod worker;

use std::collections::BTreeMap;

use crossbeam_channel::unbounded;

use super::Progress;
use super::mover::Pace;
use crate::error::Result;
use crate::image::{Packer, Target};
use crate::plan::{Source, StateRuns, drive};
use crate::storage::CopyBuffer;

use crew::Crew;
use maker::Maker;
use worker::{Common, Stretch, Task};

/// Guest bytes of a piece; none is cut where the largest cluster is not.
const PIECE: u64 = 2 << 20;
/// Pieces under way.
const BUFFERS: usize = 8;
/// Workers beyond one for each core: who writes waits for the disk.
const MORE_WORKERS: usize = 2;

/// Takes every run of a source to an image.
pub(in crate::job) struct Pipeline<'a> {
    pub(in crate::job) source: &'a Source,
    pub(in crate::job) progress: &'a Progress,
    pub(in crate::job) pace: &'a mut Pace,
    /// What compresses units, when they are to be.
    pub(in crate::job) packer: Option<Packer>,
    /// Whether what turns out to be zeros is left out: the image has nothing there yet.
    pub(in crate::job) sparse: bool,
}

/// Whether pieces hold whole units of `target`.
pub(in crate::job) fn suits(target: &dyn Target) -> bool {
    target.unit() <= PIECE
}

impl Pipeline<'_> {
    /// Into a new image: content decides.
    pub(in crate::job) fn make(self, runs: StateRuns<'_>, target: &mut dyn Target) -> Result<()> {
        let looks = self.sparse || self.packer.is_some();
        self.with_crew(target, looks, |mut crew, progress, pace, sparse, target| {
            Maker { progress, pace, sparse, target, crew: &mut crew, asked: 0, next: 0 }.drive(runs)?;
            crew.rest()
        })
    }

    /// Into any image: all of it is stored as it is. `beat` is called every now and then.
    pub(in crate::job) fn fill(
        self,
        runs: StateRuns<'_>,
        target: &mut dyn Target,
        beat: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        self.with_crew(target, false, |mut crew, progress, pace, _, target| {
            let mut load = Load::default();
            drive(runs, target, &mut |state, at, host, len| {
                let mut done = 0;
                while done < len {
                    progress.checkpoint()?;
                    beat()?;
                    if load.to + load.len != host.0 + done || load.len == PIECE {
                        load.go(&mut crew)?;
                        load.to = host.0 + done;
                    }
                    let n = pace.chunk().min(PIECE - load.len).min(len - done);
                    load.stretches.push(Stretch { state, at: at.0 + done, len: n });
                    (load.len, done) = (load.len + n, done + n);
                    progress.advance(n);
                    pace.moved(n, progress);
                }
                Ok(())
            })?;
            load.go(&mut crew)?;
            crew.rest()
        })
    }

    fn with_crew(
        self,
        target: &mut dyn Target,
        looks: bool,
        work: impl FnOnce(Crew, &Progress, &mut Pace, bool, &mut dyn Target) -> Result<()>,
    ) -> Result<()> {
        let file = target.file().clone();
        let common =
            Common { source: self.source, file: &*file, looks, packer: self.packer, unit: target.unit() };
        let (todo, tasks) = unbounded();
        let (tell, told) = unbounded();
        let workers = std::thread::available_parallelism().map_or(1, usize::from) + MORE_WORKERS;
        std::thread::scope(|scope| {
            for _ in 0..workers {
                let (common, tasks, tell) = (&common, tasks.clone(), tell.clone());
                scope.spawn(move || common.work(tasks, tell));
            }
            // They end when the crew does.
            drop((tasks, tell));
            let buffers = std::iter::repeat_with(|| CopyBuffer::of(PIECE as usize)).take(BUFFERS).collect();
            let crew = Crew { todo, told, buffers, read: BTreeMap::new() };
            work(crew, self.progress, self.pace, self.sparse, target)
        })
    }
}

/// What goes to one place together.
#[derive(Default)]
struct Load {
    to: u64,
    len: u64,
    stretches: Vec<Stretch>,
}

impl Load {
    fn go(&mut self, crew: &mut Crew) -> Result<()> {
        let (to, stretches) = (self.to, std::mem::take(&mut self.stretches));
        if std::mem::take(&mut self.len) == 0 {
            return Ok(());
        }
        let buffer = crew.buffer()?;
        crew.ask(Task::Copy { to, stretches, buffer })
    }
}
