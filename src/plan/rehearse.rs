//! Going through the motions without writing, to know what a plan costs.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ranges::{drive, resize};
use super::{Copy, CopyMode, Cost, Step, targets};
use crate::chain::{Opener, View};
use crate::error::{Error, Place, Result};
use crate::image::qcow2::Writer;
use crate::image::{self, Format, State, Target, Written};
use crate::storage::{File, FileId, RealFile, free_space};

/// Adds up cost in the order of the steps, per file system.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) cost: Cost,
    extra: HashMap<u64, Extra>,
    /// Metadata that earlier steps write to each file.
    metadata: HashMap<FileId, u64>,
    /// Files that are made as far as the steps have come.
    made: HashSet<FileId>,
}

#[derive(Debug, Default)]
struct Extra {
    /// A folder on it.
    folder: PathBuf,
    peak: u64,
    free: u64,
}

impl Meter {
    /// A meter whose figures are exact until something says otherwise.
    pub(super) fn new() -> Self {
        Self { cost: Cost { exact: true, ..Cost::default() }, ..Self::default() }
    }

    /// Counts what one step wrote to `file`.
    pub(super) fn wrote(&mut self, file: &dyn File, mut written: Written) -> Result<()> {
        // A step is rehearsed on the file as it is now. What an earlier one puts there may have to be
        // moved again, twice by a step of two passes.
        if !self.made.contains(&file.id()) {
            let before = self.metadata.entry(file.id()).or_default();
            self.cost.exact &= *before == 0;
            written.meta_bytes += 2 * *before;
            written.extra_bytes += 2 * *before;
            *before = written.meta_bytes;
        }
        self.cost.write_bytes += written.data_bytes + written.meta_bytes;
        self.cost.freed_bytes += written.freed_bytes;
        // What a step frees may be holes already, so nothing is taken off for it.
        self.takes(file.path(), written.extra_bytes)
    }

    /// Counts room that a file takes on its file system.
    fn takes(&mut self, path: &Path, bytes: u64) -> Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        // A folder that is made on the way lies where the one above it does.
        let folder = if folder.exists() { folder } else { folder.parent().unwrap_or(folder) };
        let dev = std::fs::metadata(folder).map_err(|e| Error::io("cannot examine", e).at(folder))?.dev();
        let extra = self.extra.entry(dev).or_default();
        (extra.free, extra.folder) = (free_space(folder)?, folder.to_path_buf());
        extra.peak = extra.peak.saturating_add(bytes);
        self.cost.peak_extra_bytes = self.extra.values().map(|e| e.peak).max().unwrap_or(0);
        Ok(())
    }

    /// Counts the marks that a job sets on the images it writes, and takes off again: a sector each time.
    pub(super) fn marked(&mut self, steps: &[Step]) {
        for (path, format) in targets(steps) {
            let marked = RealFile::open(path, false).and_then(|file| image::marked(&file, format));
            // What cannot be read is a hazard of its own.
            if let Ok(Some(_)) = marked {
                self.cost.write_bytes += 2 * image::MARK_BYTES;
            }
        }
    }

    /// Counts what later steps write to a file of which `file` is the rehearsal.
    pub(super) fn follow(&mut self, file: &dyn File) {
        self.made.insert(file.id());
    }

    /// Counts a new file that takes `room` bytes and of which `written` are written.
    pub(super) fn created(&mut self, path: &Path, written: u64, room: u64) -> Result<()> {
        self.cost.write_bytes += written;
        self.takes(path, room)
    }

    /// How many bytes are missing where most are missing, and a folder there; `None` when all fits.
    pub(super) fn missing_space(&self) -> Option<(u64, &Path)> {
        let missing = |e: &Extra| e.peak.checked_sub(e.free).filter(|missing| *missing > 0);
        let all = self.extra.values().filter_map(|e| Some((missing(e)?, e.folder.as_path())));
        all.max_by_key(|(missing, _)| *missing)
    }
}

/// What a rehearsed copy would have written to which file, and read.
pub(super) struct Rehearsed {
    pub(super) written: Written,
    /// The file that data went to.
    pub(super) file: Arc<dyn File>,
    pub(super) in_place: bool,
    pub(super) read: u64,
}

/// Images that the plan makes, as they are before anything is copied into them.
pub(super) type Made = HashMap<PathBuf, Arc<dyn File>>;

/// Rehearses a copy step; fills in its byte counts.
pub(super) fn copy(step: &mut Copy, opener: &Opener, made: &Made) -> Result<Rehearsed> {
    let source = step.open(opener)?;
    // What the plan makes is made here too, without the data: the next step finds it as it will be.
    let (files, dry) = match made.get(&step.into) {
        Some(file) => (file.clone().into(), false),
        None => (opener.files(&step.into, step.format)?, true),
    };
    let mut target = image::write(files, step.format, dry)?;
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
    drive(Box::new(runs), &mut *target, &mut |state, at, _, len| {
        data += len;
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
    Ok(Rehearsed { written, file, in_place, read })
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

/// Rehearses a step that changes one image by itself; `None` for a step of another sort.
pub(super) fn alone(step: &Step, opener: &Opener, made: &Made) -> Result<Option<(Arc<dyn File>, Written)>> {
    let (path, format) = match step {
        Step::Empty { image, format, .. } | Step::Repair { image, format, .. } => (image, *format),
        Step::Resize { image, format, .. } => (image, *format),
        Step::Snapshot { image, .. } => (image, Format::Qcow2),
        _ => return Ok(None),
    };
    if let (Some(file), Step::Snapshot { change, .. }) = (made.get(path), step) {
        let mut writer = Writer::open(file.clone(), false)?;
        change.request(&mut writer)?;
        return Ok(Some((file.clone(), Box::new(writer).finish()?)));
    }
    let files = opener.files(path, format)?;
    let file = files.data.clone().unwrap_or_else(|| files.image.clone());
    let written = match step {
        Step::Empty { format, reverts, .. } => image::empty(files, *format, *reverts, true)?,
        Step::Snapshot { change, .. } => {
            let mut writer = Writer::open(files, true)?;
            change.request(&mut writer)?;
            Box::new(writer).finish()?
        }
        Step::Repair { format, what, .. } => image::repair(files.image, *format, *what, true)?,
        Step::Resize { format, to, .. } => {
            let view = opener.open(path)?.view(State::Active);
            resize(image::write(files, *format, true)?, &view, *to, &mut |_, _, _, _| Ok(()))?
        }
        _ => return Ok(None),
    };
    Ok(Some((file, written)))
}
