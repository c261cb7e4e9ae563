//! The files of a job, locked for as long as it runs and checked against what was planned.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Progress;
use crate::error::{Error, Kind, Result};
use crate::image;
use crate::plan::{FileState, HazardKind};
use crate::storage::{Access, Disk, File, Lock};
use crate::text::Shown;

/// Open files by path, images with their data files.
pub(super) struct Files {
    open: HashMap<PathBuf, image::Files>,
    _locks: Vec<Lock>,
}

impl Files {
    /// Opens and locks every file where it is now, those that change for writing. On failure everything is
    /// let go again.
    pub(super) fn lock<'a>(
        disk: &dyn Disk,
        files: impl IntoIterator<Item = (&'a FileState, PathBuf)>,
        accepted: &[HazardKind],
        progress: &Progress,
    ) -> Result<Self> {
        let mut open: HashMap<PathBuf, image::Files> = HashMap::new();
        let mut locks = Vec::new();
        for (state, at) in files {
            let file: Arc<dyn File> = disk.open(&at, state.changes)?;
            let access = if state.changes { Access::Write } else { Access::Read };
            let lock = match accepted.contains(&HazardKind::NoLocks) {
                true => Lock::acquire_if_any(file.clone(), access)?,
                false => match Lock::acquire(file.clone(), access) {
                    Err(e) if e.kind() == Kind::InUse && state.live => None,
                    lock => Some(lock.map_err(needs_locks)?),
                },
            };
            let what = if state.changes { "changing" } else { "reading" };
            let how = if lock.is_some() { "locked" } else { "opened without a lock" };
            progress.note(format!("{how} {} for {what}", Shown::path(&state.path)));
            locks.extend(lock);
            // The data file of an image comes before it.
            let data = state.data.as_ref().and_then(|data| open.get(data));
            let data = data.map(|known| known.image.clone());
            open.insert(state.path.clone(), image::Files { image: file, data });
        }
        Ok(Self { open, _locks: locks })
    }

    /// Makes sure that each is still what the plan was made for.
    pub(super) fn are_as_planned(disk: &dyn Disk, files: &[FileState]) -> Result<()> {
        // What somebody writes meanwhile has its snapshots looked at again when they were read.
        for state in files.iter().filter(|state| !state.live) {
            if disk.stamp(&state.path)? != state.stamp {
                return Err(Error::new(Kind::Changed, "changed since the plan was made; nothing was done")
                    .at(&state.path)
                    .remedy("plan again"));
            }
        }
        Ok(())
    }

    /// Adds a file that the job makes, under the name that it will have.
    pub(super) fn made(&mut self, path: &Path, file: Arc<dyn File>) {
        self.open.insert(path.to_path_buf(), file.into());
    }

    /// The open image at `path`, one that the plan said it changes.
    pub(super) fn get(&self, path: &Path) -> Result<image::Files> {
        let unknown =
            || Error::new(Kind::Internal, "a step changes a file that the plan does not name").at(path);
        self.open.get(path).cloned().ok_or_else(unknown)
    }
}

/// A plan says so when it is made; the file system may have lost its locks since.
fn needs_locks(e: Error) -> Error {
    match e.kind() {
        Kind::NoLocks => {
            e.remedy(format!("nothing was done; to go on, repeat with --accept {}", HazardKind::NoLocks))
        }
        _ => e,
    }
}
