//! The workers, as the driver sees them, and the buffers that go round.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use super::BUFFERS;
use super::worker::{Done, Piece, Task};
use crate::error::Result;
use crate::job::died;
use crate::storage::{CopyBuffer, File};

/// Room that is taken at the end of a file at once: within it several can write at a time, and at its end one.
const AHEAD: u64 = 64 << 20;

/// The workers, as the driver sees them.
pub(super) struct Crew {
    pub(super) todo: Sender<Task>,
    pub(super) told: Receiver<Result<Done>>,
    /// Those that nobody uses.
    pub(super) buffers: Vec<CopyBuffer>,
    /// What was read and not yet placed.
    pub(super) read: BTreeMap<u64, Piece>,
    pub(super) ahead: Ahead,
}

/// Room at the end of the file.
pub(super) struct Ahead {
    pub(super) file: Arc<dyn File>,
    /// Where it ends.
    pub(super) end: u64,
    /// Bytes that more can be taken.
    pub(super) left: u64,
}

impl Ahead {
    /// Sees to it that there is room for `len` bytes at `to`, when that is the end of the file.
    pub(super) fn take(&mut self, to: u64, len: u64) -> Result<()> {
        let more = (to.saturating_add(len)).saturating_sub(self.end);
        if more == 0 || more > self.left {
            return Ok(());
        }
        let more = more.max(AHEAD).min(self.left);
        self.file.reserve(self.end, more)?;
        (self.end, self.left) = (self.end + more, self.left - more);
        Ok(())
    }
}

impl Crew {
    pub(super) fn ask(&self, task: Task) -> Result<()> {
        self.todo.send(task).map_err(|_| died())
    }

    /// Takes one report.
    pub(super) fn listen(&mut self) -> Result<()> {
        match self.told.recv().map_err(|_| died())?? {
            Done::Wrote(buffer) => self.buffers.push(buffer),
            Done::Read(number, piece) => {
                self.read.insert(number, piece);
            }
        }
        Ok(())
    }

    pub(super) fn buffer(&mut self) -> Result<CopyBuffer> {
        loop {
            match self.buffers.pop() {
                Some(buffer) => return Ok(buffer),
                None => self.listen()?,
            }
        }
    }

    /// Waits until everything is written.
    pub(super) fn rest(&mut self) -> Result<()> {
        while self.buffers.len() < BUFFERS {
            self.listen()?;
        }
        Ok(())
    }
}
