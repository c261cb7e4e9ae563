//! The executors of steps about names: new files, second names, the trash.

use std::path::{Path, PathBuf};

use super::Phase;
use super::journal::Log;
use super::run::Run;
use super::trash::note;
use crate::error::{Error, Kind, Result};
use crate::image::Format;
use crate::plan::make;
use crate::storage::{Disk, Partial, adopt, in_trash, link, trash, unlink};
use crate::text::Shown;

impl Run<'_> {
    /// Under another name until it is whole. Whoever may open what it is based on may open it.
    pub(super) fn create(&mut self, image: &Path, size: u64, backing: &Path, format: Format) -> Result<()> {
        self.progress.enter(Phase::Finishing);
        if self.again && self.disk.stamp(image).is_ok() {
            return Ok(());
        }
        let partial = Partial::begin(&self.disk, image)?;
        self.report.written_bytes += make(partial.file(), size, backing, format)?;
        let below = image.with_file_name(backing);
        let lost = adopt(partial.file(), &*self.disk.open(&below, false)?)?;
        if !lost.is_empty() {
            let (below, lost) = (Shown::path(&below), lost.join(" and "));
            self.progress.note(format!("{} cannot have the {lost} of {below}", Shown::path(image)));
        }
        partial.publish()
    }

    pub(super) fn link(&self, file: &Path, to: &Path) -> Result<()> {
        let id = |path: &Path| self.disk.stamp(path).ok().map(|stamp| stamp.id);
        match self.again && id(to).is_some() && id(file) == id(to) {
            true => Ok(()),
            false => link(&*self.disk, file, to),
        }
    }

    pub(super) fn unlink(&self, file: &Path) -> Result<()> {
        match unlink(&*self.disk, file) {
            Err(e) if self.again && e.kind() == Kind::NotFound => Ok(()),
            done => done,
        }
    }

    pub(super) fn trash(&mut self, file: &Path) -> Result<PathBuf> {
        self.progress.enter(Phase::Finishing);
        let is_gone = self.again && self.disk.stamp(file).is_err_and(|e| e.kind() == Kind::NotFound);
        let to = match (&self.journal, is_gone) {
            (Some(journal), true) => find_in_trash(&*self.disk, file, journal.log())?,
            _ => {
                let note = note(self.task, file, &*self.disk, &self.opener())?;
                trash(&*self.disk, file, &note.text()?)?
            }
        };
        self.report.trashed.push((file.to_path_buf(), to.clone()));
        Ok(to)
    }
}

/// Where the file went that lay at `path` when it was last recorded.
pub(super) fn find_in_trash(disk: &dyn Disk, path: &Path, log: &Log) -> Result<PathBuf> {
    let lost = || Error::new(Kind::NotFound, "is neither here nor in the trash").at(path);
    let then = log.stamp(path).ok_or_else(lost)?;
    in_trash(path).into_iter().find(|to| disk.stamp(to).is_ok_and(|now| now.id == then.id)).ok_or_else(lost)
}
