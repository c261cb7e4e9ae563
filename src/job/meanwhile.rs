//! Whether somebody used the files of a job that was cut off, before it goes on.
//!
//! A file that no step was writing must look as when it was last recorded; a power cut may have lost when
//! that was, so its times may be older but never newer. One that bears the mark was not written by anybody
//! else, whatever the job did to it. Raw files and version 2 of qcow2 have no place for a mark; while a step
//! writes one of those, the time of its last change must be one at which the job was still alive.

use std::path::Path;

use super::journal::Log;
use crate::error::{Error, Kind, Result};
use crate::image;
use crate::plan::Step;
use crate::storage::{Disk, Stamp};

/// How long after its last sign of life a job may still have been writing, in seconds.
const GRACE: i64 = 30;

/// Fails with [`Kind::Changed`] when the files of a journal are not as its job left them. `journal` is what
/// the journal itself looks like.
pub(super) fn unused(disk: &dyn Disk, log: &Log, journal: &Stamp) -> Result<()> {
    if log.is_over() {
        return Ok(());
    }
    let task = log.task();
    let step = log.to_undo().first().and_then(|i| task.steps.get(*i));
    let written: Vec<&Path> = step.map(Step::writes).unwrap_or_default();
    // A file with two names changes under both.
    let id = |path: &Path| log.stamp(path).map(|stamp| stamp.id);
    let is_written = |path: &Path| {
        let twin = |w: &Path| id(w).is_some() && id(w) == id(path);
        written.iter().any(|w| *w == path || task.data_of(w) == Some(path) || twin(w))
    };
    for (path, then) in log.files() {
        let now = match disk.stamp(path) {
            Ok(now) => now,
            // The step may have given it another name, or taken one away.
            Err(e) if e.kind() == Kind::NotFound && is_written(path) => continue,
            Err(e) => return Err(e),
        };
        let is_ours = match (mark_of(disk, log, path)?, step) {
            _ if now == *then => true,
            (Some(marked), _) => marked,
            _ if !is_written(path) => now.is_not_newer(then),
            // A header alone: who used the image meanwhile did no harm to that.
            (None, Some(Step::Relink { .. } | Step::Fence { .. })) => now.id == then.id,
            (None, Some(Step::Link { .. } | Step::Unlink { .. } | Step::Trash { .. })) => {
                now.same_content(then)
            }
            (None, _) => now.id == then.id && now.changed.0 <= journal.modified.0 + GRACE,
        };
        if !is_ours {
            return Err(Error::new(Kind::Changed, "was used since the job was cut off; nothing was done")
                .at(path)
                .remedy(
                    "look at it first; --accept used-meanwhile goes on as if nobody had used it, which \
                     may lose what was written meanwhile",
                ));
        }
    }
    Ok(())
}

/// Whether the image at `path`, or the one that it is the data file of, bears the mark; nothing when none
/// was set.
fn mark_of(disk: &dyn Disk, log: &Log, path: &Path) -> Result<Option<bool>> {
    let owner = log.task().files.iter().find(|file| file.data.as_deref() == Some(path));
    let path = owner.map_or(path, |owner| &owner.path);
    match log.opening.marks.iter().find(|mark| mark.path == path) {
        Some(mark) => image::marked(&*disk.open(path, false)?, mark.format),
        None => Ok(None),
    }
}
