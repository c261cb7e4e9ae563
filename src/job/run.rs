//! A plan under way: from locks to its end, or back to its beginning.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::Files;
use super::giving::Giving;
use super::journal::{Done, Journal, Log, Now, Opening, Remembered};
use super::mover::Pace;
use super::task::Task;
use super::undo::{possible, resumable, rolled_back};
use super::{Options, Progress, Report, marks};
use crate::chain::Gate;
use crate::error::{Error, Kind, Result};
use crate::plan::Step;
use crate::storage::{CopyBuffer, Disk, Partial};
use crate::text::human_size;

/// What is left when a comparison found a difference and there is no way back.
const AS_IT_IS: &str = "everything is left as it is now: nothing more is emptied or removed";

/// Runs a plan that was not begun yet.
pub(super) fn new(
    disk: &Arc<dyn Disk>,
    task: &Task,
    gate: Gate,
    progress: &Progress,
    options: &Options,
) -> Result<Report> {
    let here = task.files.iter().map(|file| (file, file.path.clone()));
    let files = Files::lock(&**disk, here, &options.accepted, progress)?;
    Files::are_as_planned(&**disk, &task.files)?;
    let mut run = Run::new(task, progress, disk.clone(), files, gate, options);
    run.remember()?;
    if !task.is_one_switch() {
        let (marks, links) = (marks::to_set(task, &run.files)?, marks::links(task, &run.files)?);
        let remembered = std::mem::take(&mut run.remembered);
        run.keep(Journal::begin(disk, Opening::new(task.clone(), marks, links, remembered))?);
    }
    finish(run)
}

/// Does what is left to be done of a run, or undoes it.
pub(super) fn finish(mut run: Run<'_>) -> Result<Report> {
    let outcome = run.mark().and_then(|()| run.go_on()).and_then(|()| run.close());
    match outcome {
        Ok(()) => Ok(run.report()),
        Err(e) => Err(run.give_up(e)),
    }
}

/// A task under way.
pub(super) struct Run<'a> {
    pub(super) task: &'a Task,
    pub(super) progress: &'a Progress,
    pub(super) disk: Arc<dyn Disk>,
    /// Before the files, whose locks outlast it.
    pub(super) giving: Giving,
    pub(super) files: Files,
    /// New files that have no name yet; those that are left when the run ends are gone.
    pub(super) made: Vec<Partial>,
    pub(super) gate: Gate,
    pub(super) pace: Pace,
    pub(super) buffer: CopyBuffer,
    pub(super) report: Report,
    /// What is done so far, when the task has a journal.
    pub(super) journal: Option<Journal>,
    /// What views read at first, when there is no journal that knows it.
    pub(super) remembered: Vec<Remembered>,
    /// Whether anything was changed by a job without a journal: then all of it was, at once.
    pub(super) switched: bool,
    /// Whether the step under way may have been done, in part or in whole, before the job was cut off.
    pub(super) again: bool,
    /// Whether the view that the plan names has begun to change, or a file has two names; then there is
    /// no way back.
    pub(super) committed: bool,
}

impl<'a> Run<'a> {
    /// A run of `task`, whose files are locked.
    pub(super) fn new(
        task: &'a Task,
        progress: &'a Progress,
        disk: Arc<dyn Disk>,
        files: Files,
        gate: Gate,
        options: &Options,
    ) -> Self {
        let (pace, buffer) = (Pace::new(options.rate_limit), CopyBuffer::default());
        let (report, journal, giving) = (Report::default(), None, Giving::default());
        let (again, committed, switched, made, remembered) = (false, false, false, Vec::new(), Vec::new());
        Self {
            task,
            progress,
            disk,
            files,
            made,
            gate,
            pace,
            giving,
            buffer,
            report,
            journal,
            remembered,
            switched,
            again,
            committed,
        }
    }

    /// Remembers in `journal` how far it is from now on.
    pub(super) fn keep(&mut self, journal: Journal) {
        self.journal = Some(journal);
    }

    /// Marks the images that are written, unless that was done before.
    pub(super) fn mark(&mut self) -> Result<()> {
        let Some(journal) = self.journal.as_mut().filter(|journal| !journal.log().is_marked()) else {
            return Ok(());
        };
        let marks = &journal.log().opening.marks;
        let now = marks::set(&*self.disk, marks, &self.files)?;
        self.report.written_bytes += marks::bytes(marks);
        journal.marked(now)
    }

    /// Takes up what was cut off: the next step may have been done already.
    pub(super) fn resume(&mut self) {
        self.again = true;
    }

    /// Does what is not done yet. Stopping is possible until the named view begins to change; what follows
    /// then is metadata and takes no time.
    pub(super) fn go_on(&mut self) -> Result<()> {
        let first = self.journal.as_ref().map_or(0, |journal| journal.log().next());
        let count = self.task.steps.len();
        for (index, step) in self.task.steps.iter().enumerate() {
            if index < first && step.changes() {
                continue;
            }
            self.progress.at_step(index);
            if self.progress.cancelled() && !self.committed {
                return Err(Error::new(Kind::Cancelled, "stopped"));
            }
            self.progress.note(format!("step {} of {count}: {}", index + 1, step.describe()));
            // What is copied into free space changes nothing yet.
            if step.changes_view() && (self.task.in_place(step) || !matches!(step, Step::Copy(_))) {
                self.no_way_back(index)?;
            }
            self.giving.wait(&step.writes())?;
            let moved = self.execute(step, index)?;
            if step.changes() {
                (self.again, self.switched) = (false, self.journal.is_none() && self.made.is_empty());
                let log = self.journal.as_ref().map(Journal::log);
                let done = log.map(|log| self.after(step, index, moved, log)).transpose()?;
                if let (Some(journal), Some(done)) = (&mut self.journal, done) {
                    journal.done(done)?;
                }
            }
        }
        self.giving.end()
    }

    /// What a step left, done or undone, for the journal that says `log`.
    pub(super) fn after(&self, step: &Step, index: usize, moved: Option<PathBuf>, log: &Log) -> Result<Done> {
        let mut paths: BTreeSet<&Path> = BTreeSet::new();
        for path in step.writes() {
            paths.extend(std::iter::once(path).chain(self.task.data_of(path)));
        }
        if matches!(step, Step::Link { .. } | Step::Unlink { .. }) {
            // A file with two names changes under both.
            paths.extend(log.files().map(|(path, _)| path));
        }
        let now = paths.into_iter().map(|path| seen(&*self.disk, path)).collect::<Result<_>>()?;
        Ok(Done { step: index, now, moved })
    }

    /// Names what was made; ends the journal, if there is one: marks off, then the file.
    pub(super) fn close(&mut self) -> Result<()> {
        self.publish()?;
        let Some(journal) = self.journal.take() else { return Ok(()) };
        self.unmark(&journal)?;
        journal.end()
    }

    /// Undoes everything, and ends the journal.
    pub(super) fn undo_all(&mut self) -> Result<()> {
        let Some(mut journal) = self.journal.take() else { return Ok(()) };
        self.roll_back(&mut journal)?;
        self.unmark(&journal)?;
        journal.end()
    }

    /// The outcome of that.
    pub(super) fn undone(self) -> Report {
        Report { summary: format!("{}: {}", self.task.title, rolled_back()), ..self.report }
    }

    /// What is left of a failure: what was done is undone where that is possible; otherwise
    /// the journal stays, and the job can be finished.
    pub(super) fn give_up(&mut self, error: Error) -> Error {
        // The failure that came first is the one to tell.
        let _ = self.giving.end();
        let Some(journal) = &self.journal else { return self.without_journal(error) };
        let resumable = resumable(journal.path());
        let back = possible(journal.log()).and_then(|()| self.undo_all());
        let said = match back {
            Ok(()) => rolled_back().to_owned(),
            // Going on would find the same again.
            Err(_) if error.kind() == Kind::Differs => match self.close() {
                Ok(()) => AS_IT_IS.to_owned(),
                Err(_) => resumable,
            },
            Err(_) => resumable,
        };
        match error.kind() {
            Kind::Cancelled => Error::new(Kind::Cancelled, format!("{}; {said}", error.sentence())),
            _ => error.also(&said),
        }
    }

    /// A job without a journal has done all of it or nothing.
    fn without_journal(&self, error: Error) -> Error {
        let compares = self.task.steps.iter().any(|step| matches!(step, Step::Compare { .. }));
        let said = match (error.kind(), self.switched) {
            (Kind::Cancelled, true) if compares => "the change is made, and not compared",
            // One that is switched already changed no view: what changes one is over with its switch.
            (Kind::Cancelled, _) => rolled_back(),
            (Kind::Differs, true) => AS_IT_IS,
            (Kind::Differs, false) => "nothing was made or changed",
            _ => return error,
        };
        match error.kind() {
            Kind::Cancelled => Error::new(Kind::Cancelled, format!("{}; {said}", error.sentence())),
            _ => error.also(said),
        }
    }

    /// From here on the view that the plan names may have changed.
    pub(super) fn no_way_back(&mut self, index: usize) -> Result<()> {
        match &mut self.journal {
            Some(journal) if !journal.log().was_begun(index) => journal.begun(index),
            _ => Ok(()),
        }
    }

    /// The outcome, once all steps are done.
    pub(super) fn report(mut self) -> Report {
        let (wrote, freed) = (human_size(self.report.written_bytes), human_size(self.report.freed_bytes));
        self.report.summary = format!("{}: wrote {wrote}, freed {freed}", self.task.title);
        self.report
    }
}

/// What `path` looks like, or that it is gone.
pub(super) fn seen(disk: &dyn Disk, path: &Path) -> Result<Now> {
    let stamp = match disk.stamp(path) {
        Ok(stamp) => Some(stamp),
        Err(e) if e.kind() == Kind::NotFound => None,
        Err(e) => return Err(e),
    };
    Ok(Now { path: path.to_path_buf(), stamp })
}
