//! Finding room in a new image, in guest order.

use super::crew::Crew;
use super::worker::{LOOK, Part, Piece, Stretch, Task, Unit};
use super::{Load, PIECE};
use crate::error::Result;
use crate::image::{State, Target};
use crate::job::Progress;
use crate::job::mover::Pace;
use crate::plan::{StateRun, StateRuns};
use crate::units::{Guest, align_up};

/// Who finds room in a new image.
pub(super) struct Maker<'a> {
    pub(super) progress: &'a Progress,
    pub(super) pace: &'a mut Pace,
    pub(super) sparse: bool,
    pub(super) target: &'a mut dyn Target,
    pub(super) crew: &'a mut Crew,
    /// Pieces that were asked for.
    pub(super) asked: u64,
    /// The one that is placed next.
    pub(super) next: u64,
}

impl Maker<'_> {
    pub(super) fn drive(&mut self, runs: StateRuns<'_>) -> Result<()> {
        let unit = self.target.unit();
        let mut load = Load::default();
        for run in runs {
            let StateRun { run, .. } = run?;
            if run.zero {
                // In guest order, like everything.
                self.read(&mut load)?;
                self.settle()?;
                if self.target.zero(run.at, run.len)? {
                    continue;
                }
            }
            let (mut at, end) = (run.at.0, run.at.0 + run.len);
            while at < end {
                self.progress.checkpoint()?;
                let most = self.pace.chunk().clamp(unit, PIECE) / unit * unit;
                let len = most.saturating_sub(load.len).min(end - at);
                load.stretches.push(Stretch { state: State::Active, at, len });
                (load.len, at) = (load.len + align_up(len, unit), at + len);
                if load.len >= most {
                    self.read(&mut load)?;
                }
            }
        }
        self.read(&mut load)?;
        self.settle()
    }

    /// Has it read.
    fn read(&mut self, load: &mut Load) -> Result<()> {
        let stretches = std::mem::take(load).stretches;
        if stretches.is_empty() {
            return Ok(());
        }
        while self.crew.buffers.is_empty() {
            self.hear()?;
        }
        let (number, buffer) = (self.asked, self.crew.buffer()?);
        self.asked += 1;
        self.crew.ask(Task::Read { number, stretches, buffer })
    }

    /// Waits until all that was asked for is placed.
    fn settle(&mut self) -> Result<()> {
        while self.next < self.asked {
            self.progress.checkpoint()?;
            self.hear()?;
        }
        Ok(())
    }

    /// Takes one report, and places what is due.
    fn hear(&mut self) -> Result<()> {
        self.crew.listen()?;
        while let Some(piece) = self.crew.read.remove(&self.next) {
            self.next += 1;
            self.place(piece)?;
        }
        Ok(())
    }

    fn place(&mut self, piece: Piece) -> Result<()> {
        let Piece { stretches, buffer, units } = piece;
        let (unit, mut units) = (self.target.unit(), units.as_slice());
        let (mut parts, mut start) = (Vec::new(), 0);
        for Stretch { at, len, .. } in stretches {
            let whole = align_up(len, unit);
            let mine = units.split_off(..(whole.div_ceil(unit.max(LOOK)) as usize).min(units.len()));
            self.stretch(at, whole, mine.unwrap_or_default(), start, &mut parts)?;
            start += whole;
            self.progress.advance(len);
            self.pace.moved(len, self.progress);
        }
        match parts.is_empty() {
            true => self.crew.buffers.push(buffer),
            false => self.crew.ask(Task::Write { parts, buffer })?,
        }
        Ok(())
    }

    /// Places the `len` guest bytes at `at`, which lie in the buffer from `start` on.
    fn stretch(
        &mut self,
        at: u64,
        len: u64,
        units: &[Unit],
        start: u64,
        parts: &mut Vec<Part>,
    ) -> Result<()> {
        let step = self.target.unit().max(LOOK);
        let mut i = 0;
        while let Some(what) = units.get(i) {
            let from = i as u64 * step;
            let alike =
                units[i..].iter().take_while(|other| *other == what && !matches!(what, Unit::Packed(_)));
            i += alike.count().max(1);
            let to = (i as u64 * step).min(len);
            let stored = match what {
                Unit::Zeros if self.sparse => true,
                Unit::Zeros => self.target.zero(Guest(at + from), to - from)?,
                Unit::Packed(packed) => self.target.put_packed(Guest(at + from), packed)?,
                Unit::AsItIs => false,
            };
            if !stored {
                self.room(at + from, to - from, start + from, parts)?;
            }
        }
        Ok(())
    }

    /// Finds room for `len` bytes of the buffer from `from` on, and maps them.
    fn room(&mut self, at: u64, len: u64, from: u64, parts: &mut Vec<Part>) -> Result<()> {
        let mut done = 0;
        while done < len {
            let (host, n) = self.target.allocate(Guest(at + done), len - done)?;
            let n = n.min(len - done);
            self.target.map(Guest(at + done), host, n)?;
            parts.push((host.0, (from + done) as usize..(from + done + n) as usize));
            done += n;
        }
        Ok(())
    }
}
