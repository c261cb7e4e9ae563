//! Who reads, looks, packs and writes.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_channel::{Receiver, Sender};

use super::PIECE;
use crate::error::Result;
use crate::image::{Packer, State};
use crate::job::died;
use crate::plan::Source;
use crate::storage::{CopyBuffer, File, write_bulk};
use crate::units::align_up;

/// Zeros are found in units of the image, or of this size where those are smaller.
pub(super) const LOOK: u64 = 4096;

static ZEROS: [u8; PIECE as usize] = [0; PIECE as usize];

/// Guest bytes, of a state of the target.
pub(super) struct Stretch {
    pub(super) state: State,
    pub(super) at: u64,
    pub(super) len: u64,
}

/// A place in the file, and the part of a buffer that goes there.
pub(super) type Part = (u64, Range<usize>);

/// What a worker is to do.
pub(super) enum Task {
    /// Read a piece and look at it.
    Read { number: u64, stretches: Vec<Stretch>, buffer: CopyBuffer },
    /// Write parts of the buffer to these places of the file.
    Write { parts: Vec<Part>, buffer: CopyBuffer },
    /// Read what goes to this place of the file, one behind the other, and write it.
    Copy { to: u64, stretches: Vec<Stretch>, buffer: CopyBuffer },
}

/// What it did.
pub(super) enum Done {
    Read(u64, Piece),
    Wrote(CopyBuffer),
}

/// Whole units that were read, one stretch behind the other, and what each unit is.
pub(super) struct Piece {
    pub(super) stretches: Vec<Stretch>,
    pub(super) buffer: CopyBuffer,
    pub(super) units: Vec<Unit>,
}

#[derive(PartialEq, Eq)]
pub(super) enum Unit {
    Zeros,
    Packed(Vec<u8>),
    AsItIs,
}

/// What every worker knows.
pub(super) struct Common<'a> {
    pub(super) source: &'a Source,
    pub(super) file: &'a dyn File,
    pub(super) packer: Option<Packer>,
    pub(super) looks: bool,
    /// Bytes of a unit of the image.
    pub(super) unit: u64,
}

impl Common<'_> {
    pub(super) fn work(&self, tasks: Receiver<Task>, tell: Sender<Result<Done>>) {
        for task in tasks {
            // One that dies must not be waited for.
            let done = catch_unwind(AssertUnwindSafe(|| self.do_one(task))).unwrap_or_else(|_| Err(died()));
            if tell.send(done).is_err() {
                return;
            }
        }
    }

    fn do_one(&self, task: Task) -> Result<Done> {
        match task {
            Task::Read { number, stretches, mut buffer } => {
                let (bytes, step) = (buffer.bytes(), self.unit.max(LOOK) as usize);
                let (mut units, mut end) = (Vec::new(), 0);
                for stretch in &stretches {
                    let start = end;
                    end += align_up(stretch.len, self.unit) as usize;
                    let part = &mut bytes[start..end];
                    self.read(stretch.state, stretch.at, part)?;
                    units.extend(part.chunks(step).map(|unit| self.look(unit)));
                }
                Ok(Done::Read(number, Piece { stretches, buffer, units }))
            }
            Task::Write { parts, mut buffer } => {
                let bytes = buffer.bytes();
                for (to, part) in together(parts, bytes) {
                    write_bulk(self.file, to, bytes.get(part).unwrap_or_default())?;
                }
                Ok(Done::Wrote(buffer))
            }
            Task::Copy { to, stretches, mut buffer } => {
                let bytes = buffer.bytes();
                let mut end = 0;
                for Stretch { state, at, len } in stretches {
                    let start = end;
                    end += len as usize;
                    self.read(state, at, &mut bytes[start..end])?;
                }
                write_bulk(self.file, to, &bytes[..end])?;
                Ok(Done::Wrote(buffer))
            }
        }
    }

    /// Reads what a state gets, zeros behind the end of all that has something there.
    fn read(&self, state: State, at: u64, bytes: &mut [u8]) -> Result<()> {
        let end = at.saturating_add(bytes.len() as u64).min(self.source.end);
        let mut pos = at;
        for view in std::iter::once(self.source.view(state)?).chain(&self.source.rest) {
            for extent in view.extents(pos, end) {
                let extent = extent?;
                let part = (extent.start.0 - at) as usize..(extent.end() - at) as usize;
                view.read_extent(&extent, 0, &mut bytes[part])?;
                pos = extent.end();
            }
        }
        bytes[(pos - at) as usize..].fill(0);
        Ok(())
    }

    fn look(&self, unit: &[u8]) -> Unit {
        if !self.looks {
            return Unit::AsItIs;
        }
        if *unit == ZEROS[..unit.len()] {
            return Unit::Zeros;
        }
        self.packer.as_ref().and_then(|packer| packer(unit)).map_or(Unit::AsItIs, Unit::Packed)
    }
}

/// Moves what goes to one place of the file together: what lies between was left out.
fn together(parts: Vec<Part>, bytes: &mut [u8]) -> Vec<Part> {
    let mut whole: Vec<Part> = Vec::new();
    for (to, part) in parts {
        match whole.last_mut() {
            Some((start, last)) if *start + last.len() as u64 == to => {
                let end = last.end + part.len();
                bytes.copy_within(part, last.end);
                last.end = end;
            }
            _ => whole.push((to, part)),
        }
    }
    whole
}
