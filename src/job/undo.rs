//! Undoing a job that was cut off, step by step, last first.
//!
//! What was filled in changed no view and stays. References and names are put back. Once the view that
//! the plan names has begun to change there is no way back, only the way to the end.

use std::path::Path;

use super::journal::{Journal, Log};
use super::marks;
use super::names::find_in_trash;
use super::run::Run;
use crate::error::{Error, Kind, Result};
use crate::image::{self, Format};
use crate::plan::Step;
use crate::storage::{link, rename, unlink};
use crate::text::Shown;

/// Fails, with the reason, when the job cannot be undone any more.
pub(super) fn possible(log: &Log) -> Result<()> {
    for index in log.to_undo() {
        let stays =
            |step: &&Step| step.changes_view() || becomes_raw(step) || log.task().ends_roll_back(index);
        let Some(step) = log.task().steps.get(index).filter(stays) else { continue };
        if log.was_done(index) || log.was_begun(index) {
            let error = Error::new(Kind::Usage, "has changed already; the job can only be finished")
                .remedy("run recover without --roll-back");
            return Err(match step.image() {
                Some(path) => error.at(path),
                None => error,
            });
        }
    }
    Ok(())
}

/// Whether the step leaves nothing of the old image in the end.
fn becomes_raw(step: &Step) -> bool {
    matches!(step, Step::Convert { to, .. } if to.format() == Format::Raw)
}

impl Run<'_> {
    /// Undoes what was done, as far as `journal` says.
    pub(super) fn roll_back(&mut self, journal: &mut Journal) -> Result<()> {
        if !journal.log().back {
            // A job that was all but over may have taken them off.
            let now = marks::set(&*self.disk, &journal.log().opening.marks, &self.files)?;
            if !now.is_empty() {
                journal.marked(now)?;
            }
            journal.back()?;
        }
        for index in journal.log().to_undo() {
            let Some(step) = journal.log().task().steps.get(index).cloned() else { continue };
            self.progress.note(format!("undoing step {}: {}", index + 1, step.describe()));
            self.undo(&step, index, journal.log())?;
            let done = self.after(&step, index, None, journal.log())?;
            journal.undone(done)?;
        }
        Ok(())
    }

    fn undo(&mut self, step: &Step, index: usize, log: &Log) -> Result<()> {
        let disk = self.disk.clone();
        let there = |path: &Path| disk.stamp(path).ok();
        match step {
            Step::Relink { image, of, .. } => {
                let was = log.opening.links.iter().find(|was| was.path == *image);
                let was = was.and_then(|was| was.backing.as_ref());
                // Its base has become something else by now, and is no more what this says.
                let up = log.task().fences(image);
                image::relink(&*self.files.get(image)?.image, *of, was, up).map(|_| ())
            }
            Step::Fence { image, of } => image::fence(&*self.files.get(image)?.image, *of, false),
            Step::Convert { image, from, to, .. } => self.unconvert(image, from, to, log),
            Step::Link { file, to } => match (there(file), there(to)) {
                (Some(file), Some(new)) if file.id == new.id => unlink(&*disk, to),
                (_, None) => Ok(()),
                _ => Err(Error::new(Kind::Changed, "is not the file that it was").at(to)),
            },
            Step::Unlink { file } if there(file).is_none() => {
                let other = log.task().steps.iter().find_map(|step| match step {
                    Step::Link { file: old, to } if old == file => Some(to),
                    _ => None,
                });
                let other = other.ok_or_else(|| Error::new(Kind::Internal, "a name without another"))?;
                link(&*disk, other, file)
            }
            Step::Trash { file } if there(file).is_none() => {
                let found = match log.moved(index) {
                    Some(to) => to.to_path_buf(),
                    None => find_in_trash(&*disk, file, log)?,
                };
                rename(&*disk, &found, file)
            }
            _ => Ok(()),
        }
    }
}

/// What to say about a job that was undone.
pub(super) fn rolled_back() -> &'static str {
    "rolled back: every view is as before"
}

/// What to say about a job that can be taken up again.
pub(super) fn resumable(journal: &Path) -> String {
    let folder = Shown::path(journal.parent().unwrap_or(Path::new("/")));
    format!("resumable: `cowherd recover {folder}` finishes it")
}
