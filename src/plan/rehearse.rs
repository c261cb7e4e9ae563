//! Going through the motions without writing, to know what a plan costs.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ranges::{drive, resize};
use super::{Copy, CopyMode, Cost, Step, targets};
use crate::chain::{Opener, View};
use crate::error::{Error, Place, Result};
use crate::image::qcow2::{self, CreateOptions, Writer};
use crate::image::{self, BackingRef, Format, State, Target, Written};
use crate::storage::{File, FileId, RealFile, free_space};

/// Adds up cost in the order of the steps, per file system.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) cost: Cost,
    extra: HashMap<u64, Extra>,
    /// Metadata that earlier steps write to each file.
    metadata: HashMap<FileId, u64>,
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
        let before = self.metadata.entry(file.id()).or_default();
        self.cost.exact &= *before == 0;
        written.meta_bytes += 2 * *before;
        written.extra_bytes += 2 * *before;
        *before = written.meta_bytes;
        self.cost.write_bytes += written.data_bytes + written.meta_bytes;
        self.cost.freed_bytes += written.freed_bytes;
        let folder = file.path().parent().unwrap_or(Path::new("."));
        let free = free_space(folder)?;
        let extra = self.extra.entry(file.id().dev).or_default();
        (extra.free, extra.folder) = (free, folder.to_path_buf());
        // What a step frees may be holes already, so nothing is taken off for it.
        extra.peak = extra.peak.saturating_add(written.extra_bytes);
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

    /// Counts a new file `len` long of which `written` bytes are written.
    pub(super) fn created(&mut self, path: &Path, written: u64, len: u64) -> Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let dev = std::fs::metadata(folder).map_err(|e| Error::io("cannot examine", e).at(folder))?.dev();
        self.cost.write_bytes += written;
        let extra = self.extra.entry(dev).or_default();
        (extra.free, extra.folder) = (free_space(folder)?, folder.to_path_buf());
        extra.peak = extra.peak.saturating_add(len);
        self.cost.peak_extra_bytes = self.extra.values().map(|e| e.peak).max().unwrap_or(0);
        Ok(())
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

/// Makes the new image of a `Create` step in `file`; gives how many bytes that took.
pub fn make(file: &dyn File, size: u64, backing: &Path, format: Format) -> Result<u64> {
    let backing = BackingRef { name: backing.into(), format: Some(format.name().to_owned()) };
    let options = CreateOptions { virtual_size: size, backing: Some(backing), ..CreateOptions::default() };
    qcow2::create(file, &options)
}

/// Rehearses a copy step; fills in its byte counts.
pub(super) fn copy(step: &mut Copy, opener: &Opener) -> Result<Rehearsed> {
    let source = step.open(opener)?;
    let mut target = image::write(opener.files(&step.into, step.format)?, step.format, true)?;
    let (file, in_place) = (target.file().clone(), target.in_place());
    if let Some(size) = step.grow_to {
        target.grow(size).at(&step.into)?;
    }
    if step.mode == CopyMode::Overwrite {
        target.content_changes();
    }
    let (unit, size) = (target.unit(), target.size());
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
pub(super) fn alone(step: &Step, opener: &Opener) -> Result<Option<(Arc<dyn File>, Written)>> {
    let (path, format) = match step {
        Step::Empty { image, format, .. } | Step::Repair { image, format, .. } => (image, *format),
        Step::Resize { image, format, .. } => (image, *format),
        Step::Snapshot { image, .. } => (image, Format::Qcow2),
        _ => return Ok(None),
    };
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
