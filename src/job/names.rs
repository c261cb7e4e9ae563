//! The executors of steps about names: new files, second names, the trash.

use std::path::{Path, PathBuf};

use super::Phase;
use super::journal::Log;
use super::run::Run;
use super::trash::note;
use crate::error::{Error, Kind, Result};
use crate::image::NewImage;
use crate::storage::{Disk, Partial, adopt, in_trash, link, trash, unlink};
use crate::text::Shown;

impl Run<'_> {
    /// Under another name until all of the plan is done. Whoever may open the file at `like` may open it.
    pub(super) fn create(&mut self, image: &Path, new: &NewImage, like: &Path) -> Result<()> {
        self.progress.enter(Phase::Finishing);
        let partial = self.begin(image, like)?;
        self.report.written_bytes += new.create(&**partial.file())?;
        self.files.made(image, partial.file().clone());
        self.made.push(partial);
        Ok(())
    }

    pub(super) fn write(&mut self, file: &Path, text: &str, like: &Path) -> Result<()> {
        self.progress.enter(Phase::Finishing);
        let partial = self.begin(file, like)?;
        partial.file().write_at(0, text.as_bytes())?;
        partial.file().sync()?;
        self.report.written_bytes += text.len() as u64;
        self.made.push(partial);
        Ok(())
    }

    pub(super) fn begin(&self, path: &Path, like: &Path) -> Result<Partial> {
        if let Some(folder) = path.parent().filter(|folder| !folder.is_dir()) {
            self.disk.create_dir(folder)?;
        }
        let partial = Partial::begin(&self.disk, path)?;
        let lost = adopt(&**partial.file(), &*self.disk.open(like, false)?)?;
        if !lost.is_empty() {
            let (like, lost) = (Shown::path(like), lost.join(" and "));
            self.progress.note(format!("{} cannot have the {lost} of {like}", Shown::path(path)));
        }
        Ok(partial)
    }

    /// Gives every new file its name, in the order in which they were begun: what one is based on is there
    /// before it is. All of them or none.
    pub(super) fn publish(&mut self) -> Result<()> {
        let mut there = Vec::new();
        for partial in self.made.drain(..) {
            let path = partial.to().to_path_buf();
            if let Err(e) = partial.publish() {
                // Nobody had the time to use them; the failure is the thing to tell. One that stays needs what it
                // is based on.
                let _ = there.iter().rev().try_for_each(|path: &PathBuf| unlink(&*self.disk, path));
                return Err(e);
            }
            there.push(path);
        }
        Ok(())
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
