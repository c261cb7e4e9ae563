//! Going through the motions on files in memory, to know what a plan costs.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::model::Room;
use super::ranges::{drive, resize};
use super::{Copy, CopyMode, Cost, Step, targets};
use crate::chain::{Opener, View};
use crate::error::{Error, Kind, Place, Result};
use crate::image::qcow2::Writer;
use crate::image::{self, State, Target, Written};
use crate::storage::{RealFile, free_space};

/// Adds up cost in the order of the steps, per file system.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter {
    pub(super) cost: Cost,
    rooms: HashMap<u64, Room>,
}

impl Meter {
    /// A meter whose figures are exact until something says otherwise.
    pub(super) fn new() -> Self {
        Self { cost: Cost { exact: true, ..Cost::default() }, ..Self::default() }
    }

    /// Counts what one step wrote to the file at `path`.
    pub(super) fn wrote(&mut self, path: &Path, written: Written) -> Result<()> {
        self.cost.write_bytes += written.data_bytes + written.meta_bytes;
        self.cost.freed_bytes += written.freed_bytes;
        // What a step frees may be holes already, so nothing is taken off for it.
        self.takes(path, written.extra_bytes)
    }

    /// Counts room that a file takes on its file system.
    fn takes(&mut self, path: &Path, bytes: u64) -> Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        // A folder that is made on the way lies where the one above it does.
        let folder = if folder.exists() { folder } else { folder.parent().unwrap_or(folder) };
        let dev = std::fs::metadata(folder).map_err(|e| Error::io("cannot examine", e).at(folder))?.dev();
        let free_bytes = free_space(folder)?;
        let room = self.rooms.entry(dev).or_insert_with(|| Room { folder: folder.into(), ..Room::default() });
        room.free_bytes = free_bytes;
        room.extra_bytes = room.extra_bytes.saturating_add(bytes);
        self.cost.peak_extra_bytes = self.rooms.values().map(|room| room.extra_bytes).max().unwrap_or(0);
        Ok(())
    }

    /// Counts what an operation costs that comes before the rest of the plan.
    pub(super) fn add(&mut self, cost: Cost, rooms: &[Room]) -> Result<()> {
        self.cost.read_bytes += cost.read_bytes;
        self.cost.write_bytes += cost.write_bytes;
        self.cost.freed_bytes += cost.freed_bytes;
        self.cost.freed_after_trash_bytes += cost.freed_after_trash_bytes;
        self.cost.exact &= cost.exact;
        rooms.iter().try_for_each(|room| self.takes(&room.folder.join("any"), room.extra_bytes))
    }

    /// Bytes of the marks that a job sets on the images it writes, and takes off again: a sector each time.
    pub(super) fn marks(steps: &[Step]) -> u64 {
        let bears_one = |(path, format): &(&Path, _)| {
            let marked = RealFile::open(path, false).and_then(|file| image::marked(&file, *format));
            // What cannot be read is a hazard of its own.
            matches!(marked, Ok(Some(_)))
        };
        targets(steps).iter().filter(|target| bears_one(target)).count() as u64 * 2 * image::MARK_BYTES
    }

    /// Counts a new file that takes `room` bytes and of which `written` are written.
    pub(super) fn created(&mut self, path: &Path, written: u64, room: u64) -> Result<()> {
        self.cost.write_bytes += written;
        self.takes(path, room)
    }

    /// What each file system must have free.
    pub(super) fn rooms(&self) -> Vec<Room> {
        let mut rooms: Vec<_> = self.rooms.values().cloned().collect();
        rooms.sort_by(|a, b| a.folder.cmp(&b.folder));
        rooms
    }

    /// How many bytes are missing where most are missing, and a folder there; `None` when all fits.
    pub(super) fn missing_space(&self) -> Option<(u64, &Path)> {
        let all = self.rooms.values().filter_map(|room| Some((room.missing()?, room.folder.as_path())));
        all.max_by_key(|(missing, _)| *missing)
    }
}

/// What a rehearsed copy would have written to which file, and read.
pub(super) struct Rehearsed {
    pub(super) written: Written,
    /// The file that data went to.
    pub(super) path: PathBuf,
    pub(super) in_place: bool,
    /// Whether its file system shares blocks: then a job places together what lies together in the source.
    pub(super) shares: bool,
    pub(super) read: u64,
}

/// Rehearses a copy step; fills in its byte counts.
pub(super) fn copy(step: &mut Copy, opener: &Opener) -> Result<Rehearsed> {
    let source = step.open(opener)?;
    let mut target = image::write(opener.files(&step.into, step.format)?, step.format, false)?;
    let file = target.file().clone();
    let in_place = target.in_place() && step.mode != CopyMode::New;
    let size = step.grow(&mut *target).at(&step.into)?;
    if step.mode == CopyMode::Overwrite {
        target.content_changes();
    }
    let unit = target.unit();
    let (mut data, mut read, mut total) = (0, 0, 0);
    let runs = step.runs(&source, unit, size, true)?.inspect(|run| {
        total += run.as_ref().map_or(0, |r| r.run.len);
    });
    drive(Box::new(runs), &mut *target, &mut |state, at, host, len| {
        data += len;
        if !file.rehearses(host.0, len) {
            return Err(Error::new(Kind::Internal, "a rehearsal on a real file"));
        }
        let view = source.view(state)?;
        read += stored(view, at.0, len)?;
        if let Some(rest) = &source.rest {
            let from = at.0.max(view.size());
            read += stored(rest, from, (at.0 + len).saturating_sub(from))?;
        }
        Ok(())
    })?;
    step.shrink(&mut *target)?;
    let written = target.finish()?;
    step.data_bytes = data;
    step.zero_bytes = total.saturating_sub(data);
    let shares = file.shares_blocks();
    Ok(Rehearsed { written, path: file.path().into(), in_place, shares, read })
}

/// Bytes of a guest range that are stored somewhere, so that reading it reads them.
fn stored(view: &View, from: u64, len: u64) -> Result<u64> {
    let mut bytes = 0;
    for extent in view.extents(from, from.saturating_add(len)) {
        let extent = extent?;
        bytes += if extent.reads_zero() { 0 } else { extent.len };
    }
    Ok(bytes)
}

/// Rehearses a step that changes one image by itself: the file that takes room, and what would be written.
/// `None` for a step of another sort.
pub(super) fn alone(step: &Step, opener: &Opener) -> Result<Option<(PathBuf, Written)>> {
    let Some((path, format)) = step.target() else { return Ok(None) };
    let files = opener.files(path, format)?;
    let grows = files.data.as_ref().unwrap_or(&files.image).path().to_path_buf();
    let written = match step {
        Step::Empty { reverts, .. } => image::empty(files, format, *reverts, false)?,
        Step::Snapshot { change, .. } => {
            let mut writer = Writer::open(files, false)?;
            change.request(&mut writer)?;
            Box::new(writer).finish()?
        }
        Step::Repair { what, .. } => image::repair(files.image, format, *what, false)?,
        Step::Resize { to, .. } => {
            let view = opener.open(path)?.view(State::Active);
            let target = image::write(files, format, false)?;
            let file = target.file().clone();
            resize(target, &view, *to, &mut |_, _, host, len| {
                file.rehearses(host.0, len);
                Ok(())
            })?
        }
        _ => return Ok(None),
    };
    Ok(Some((grows, written)))
}
