//! The workers, as the driver sees them, and the buffers that go round.

use std::collections::BTreeMap;

use crossbeam_channel::{Receiver, Sender};

use super::BUFFERS;
use super::worker::{Done, Piece, Task};
use crate::error::Result;
use crate::job::died;
use crate::storage::CopyBuffer;

/// The workers, as the driver sees them.
pub(super) struct Crew {
    pub(super) todo: Sender<Task>,
    pub(super) told: Receiver<Result<Done>>,
    /// Those that nobody uses.
    pub(super) buffers: Vec<CopyBuffer>,
    /// What was read and not yet placed.
    pub(super) read: BTreeMap<u64, Piece>,
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
