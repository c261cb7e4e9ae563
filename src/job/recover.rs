//! Taking up a job that was cut off: to its end, or back to its beginning.

use std::path::Path;
use std::sync::Arc;

use super::files::Files;
use super::journal::Journal;
use super::leftover::journals_in;
use super::meanwhile::unused;
use super::run::Run;
use super::undo::possible;
use super::{Options, Progress, Report, journal, run};
use crate::chain::Gate;
use crate::error::{Error, Kind, Result};
use crate::plan::{FileState, HazardKind};
use crate::storage::{Access, Disk, HostDisk, Lock, RealFile, discard_partial, unlink};
use crate::text::Shown;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// To the end.
    Finish,
    /// Back to the beginning, as long as no view has begun to change.
    RollBack,
}

/// The journal at `path`, when its job does not run and it names nothing that `gate` forbids.
pub(super) fn take_over(disk: &Arc<dyn Disk>, path: &Path, gate: &Gate) -> Result<Journal> {
    let nothing = || Error::new(Kind::NotFound, "is no journal of an interrupted job").at(path);
    let journal = Journal::take_over(disk, path)?.ok_or_else(nothing)?;
    let log = journal.log();
    let task = log.task();
    let steps = task.steps.iter().flat_map(|step| step.paths());
    let moved = (0..task.steps.len()).filter_map(|step| log.moved(step));
    let pointers = log.opening.pointers.iter().map(|pointer| &*pointer.0);
    for name in steps.chain(moved).chain(pointers).chain(task.files.iter().map(|file| &*file.path)) {
        gate.admit(name)?;
    }
    Ok(journal)
}

/// Goes on with `journal`, or undoes it.
pub(super) fn run(
    disk: &Arc<dyn Disk>,
    journal: Journal,
    how: Recovery,
    gate: Gate,
    progress: &Progress,
    options: &Options,
) -> Result<Report> {
    let task = journal.log().task().clone();
    // What has another name by now, or is in the trash, may have to come back.
    let place = |file: &FileState| {
        let now = [Some(&*file.path), journal.log().where_is(&file.path)];
        now.into_iter().flatten().find(|path| disk.stamp(path).is_ok()).map(Path::to_path_buf)
    };
    let there = task.files.iter().filter_map(|file| Some((file, place(file)?)));
    let files = Files::lock(&**disk, there, &options.accepted, progress)?;
    if !options.accepted.contains(&HazardKind::UsedMeanwhile) {
        unused(&**disk, journal.log(), &disk.stamp(journal.path())?)?;
    }
    let back = journal.log().back || how == Recovery::RollBack;
    if back {
        possible(journal.log())?;
    }
    progress.note(format!("took up the journal {}", Shown::path(journal.path())));
    let mut run = Run::new(&task, progress, disk.clone(), files, gate, options);
    run.keep(journal);
    if back {
        return match run.undo_all() {
            Ok(()) => Ok(run.undone()),
            Err(e) => Err(e.also("resumable: `cowherd recover` goes on undoing it")),
        };
    }
    run.resume();
    run::finish(run)
}

/// Removes journals in `folder` whose job had not begun, those that lead to one that is gone, and files that
/// were never given their name. Gives how many.
pub fn discard_unbegun(folder: &Path) -> Result<usize> {
    let mut gone = discard_partial(folder)?;
    for path in journals_in(folder) {
        let lock = Lock::acquire(Arc::new(RealFile::open(&path, true)?), Access::Write);
        if lock.is_ok() && journal::look(&path)?.is_none() {
            unlink(&HostDisk, &path)?;
            gone += 1;
        }
    }
    Ok(gone)
}
