//! One executor per step of a plan.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::Files;
use super::giving::Giving;
use super::journal::{Done, Journal, Log, Now};
use super::mover::{Mover, Pace, Unwritten};
use super::task::{Task, reference};
use super::trash::note;
use super::undo::{possible, resumable, rolled_back};
use super::{Options, Phase, Progress, Report, marks};
use crate::chain::{Gate, Opener};
use crate::error::{Error, Kind, Place, Result};
use crate::image::qcow2::Writer;
use crate::image::{self, Format, Repair, Severity, State, Target, Written};
use crate::plan::{Copy, CopyMode, SnapshotChange, Source, Step, drive, make, resize_image};
use crate::storage::{CopyBuffer, Disk, Partial, adopt, in_trash, link, trash, unlink};
use crate::text::{Shown, human_size};

/// A task under way.
pub(super) struct Run<'a> {
    task: &'a Task,
    pub(super) progress: &'a Progress,
    pub(super) disk: Arc<dyn Disk>,
    /// Before the files, whose locks outlast it.
    giving: Giving,
    pub(super) files: Files,
    gate: Gate,
    pace: Pace,
    buffer: CopyBuffer,
    report: Report,
    /// What is done so far, when the task has a journal.
    journal: Option<Journal>,
    /// Whether the step under way may have been done, in part or in whole, before the job was cut off.
    again: bool,
    /// Whether the view that the plan names has begun to change, or a file has two names; then there is
    /// no way back.
    committed: bool,
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
        let (again, committed) = (false, false);
        Self { task, progress, disk, files, gate, pace, giving, buffer, report, journal, again, committed }
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
                self.again = false;
                let done = self.after(step, index, moved)?;
                if let Some(journal) = &mut self.journal {
                    journal.done(done)?;
                }
            }
        }
        self.giving.end()
    }

    /// What a step left, for the journal.
    pub(super) fn after(&self, step: &Step, index: usize, moved: Option<PathBuf>) -> Result<Done> {
        let mut now = Vec::new();
        if let Some(journal) = &self.journal {
            let mut paths: BTreeSet<&Path> = BTreeSet::new();
            for path in step.writes() {
                paths.extend(std::iter::once(path).chain(self.task.data_of(path)));
            }
            if matches!(step, Step::Link { .. } | Step::Unlink { .. }) {
                // A file with two names changes under both.
                paths.extend(journal.log().files().map(|(path, _)| path));
            }
            for path in paths {
                now.push(seen(&*self.disk, path)?);
            }
        }
        Ok(Done { step: index, now, moved })
    }

    /// Ends the journal, if there is one: marks off, then the file.
    pub(super) fn close(&mut self) -> Result<()> {
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
        let Some(journal) = &self.journal else { return without_journal(error) };
        let resumable = resumable(journal.path());
        let back = possible(journal.log()).and_then(|()| self.undo_all());
        let said = if back.is_ok() { rolled_back().to_owned() } else { resumable };
        match error.kind() {
            Kind::Cancelled => Error::new(Kind::Cancelled, format!("{}; {said}", error.sentence())),
            _ => error.also(&said),
        }
    }

    /// From here on the view that the plan names may have changed.
    fn no_way_back(&mut self, index: usize) -> Result<()> {
        match &mut self.journal {
            Some(journal) if !journal.log().was_begun(index) => journal.begun(index),
            _ => Ok(()),
        }
    }

    /// Does one step; gives where it moved the file, if it did that.
    fn execute(&mut self, step: &Step, index: usize) -> Result<Option<PathBuf>> {
        match step {
            Step::Copy(copy) => self.copy(copy, index),
            Step::Relink { image, backing, format, of } => {
                self.relink(image, backing.as_deref(), *format, *of)
            }
            Step::Empty { image, format, reverts } => self.empty(image, *format, *reverts),
            Step::Compact { image, format } => self.compact(image, *format),
            Step::Snapshot { image, change } => self.snapshot(image, change),
            Step::Repair { image, format, what } => self.repair(image, *format, *what),
            Step::Resize { image, format, to, .. } => self.resize(image, *format, *to),
            Step::Create { image, size, backing, format } => self.create(image, *size, backing, *format),
            Step::Link { file, to } => {
                self.committed = true;
                self.link(file, to)
            }
            Step::Unlink { file } => self.unlink(file),
            Step::Trash { file } => return self.trash(file).map(Some),
            Step::Verify { image, format } => self.verify(image, *format),
        }?;
        Ok(None)
    }

    /// The outcome, once all steps are done.
    pub(super) fn report(mut self) -> Report {
        let (wrote, freed) = (human_size(self.report.written_bytes), human_size(self.report.freed_bytes));
        self.report.summary = format!("{}: wrote {wrote}, freed {freed}", self.task.title);
        self.report
    }

    /// Opens images without locks: the job holds them all already.
    fn opener(&self) -> Opener {
        Opener { gate: self.gate.clone(), force_share: true, disk: self.disk.clone(), ..Opener::default() }
    }

    fn wrote(&mut self, written: Written) {
        self.report.written_bytes += written.data_bytes + written.meta_bytes;
        self.report.freed_bytes += written.freed_bytes;
    }

    fn copy(&mut self, copy: &Copy, index: usize) -> Result<()> {
        self.progress.enter(Phase::Copying);
        let source = copy.open(&self.opener())?;
        let mut target = image::write(self.files.get(&copy.into)?, copy.format, false)?;
        let file = target.file().clone();
        let overwrites = copy.mode == CopyMode::Overwrite;
        let in_place = overwrites && target.in_place();
        if let Some(size) = copy.grow_to {
            target.grow(size).at(&copy.into)?;
        }
        if overwrites {
            target.content_changes();
        }
        // One that was begun with a journal goes on step by step.
        if let (None, Some((_, backing))) = (&self.journal, self.task.linked_copy()) {
            target.relink(backing.as_ref()).at(&copy.into)?;
        }
        let runs = copy.runs(&source, target.unit(), target.size(), false)?;
        let (progress, pace, buffer) = (self.progress, &mut self.pace, &mut self.buffer);
        // A mark says better than the time whether somebody else wrote.
        let journal = self.journal.as_ref().filter(|journal| !journal.log().marks(&copy.into));
        let by_time = journal.is_some();
        let mut mover =
            Mover { source: &source, file: &*file, progress, pace, buffer, unwritten: Unwritten::default() };
        drive(runs, &mut *target, &mut |state, at, host, len| {
            journal.map_or(Ok(()), Journal::beat)?;
            mover.fill(state, at, host, len)
        })
        .map_err(|e| match e.kind() {
            Kind::Cancelled if in_place => {
                let into = Shown::path(&copy.into);
                Error::new(Kind::Cancelled, format!("stopped; {into} is a mixture until the job is finished"))
            }
            _ => e,
        })?;
        self.progress.enter(Phase::Syncing);
        if overwrites {
            self.committed = true;
            self.no_way_back(index)?;
        }
        let (written, unused) = target.finish_soon()?;
        self.wrote(written);
        match unused {
            // Its times are all that tells whether somebody else wrote to it.
            Some(unused) if by_time => unused.give_back(),
            Some(unused) => self.giving.begin(&copy.into, unused),
            None => Ok(()),
        }
    }

    fn relink(
        &mut self,
        image: &Path,
        backing: Option<&Path>,
        format: Option<Format>,
        of: Format,
    ) -> Result<()> {
        self.progress.enter(Phase::Finishing);
        if self.journal.is_none() && self.task.linked_copy().is_some() {
            return Ok(()); // its copy brought it along
        }
        let file = self.files.get(image)?.image;
        let backing = reference(backing, format);
        self.report.written_bytes += image::relink(&*file, of, backing.as_ref()).at(image)?;
        Ok(())
    }

    fn empty(&mut self, image: &Path, format: Format, reverts: bool) -> Result<()> {
        self.progress.enter(Phase::Finishing);
        let file = self.files.get(image)?;
        let written = image::empty(file, format, reverts, false).at(image)?;
        self.wrote(written);
        Ok(())
    }

    /// Stops between two copies; what is switched by then stays, and reads the same.
    fn compact(&mut self, image: &Path, format: Format) -> Result<()> {
        self.progress.enter(Phase::Copying);
        let files = self.files.get(image)?;
        let (progress, pace) = (self.progress, &mut self.pace);
        let done = image::compact(files, format, false, &mut |bytes| {
            pace.moved(bytes, progress);
            match progress.cancelled() {
                true => Err(Error::new(Kind::Cancelled, "stopped")),
                false => Ok(()),
            }
        })?;
        self.wrote(done.written);
        Ok(())
    }

    fn snapshot(&mut self, image: &Path, change: &SnapshotChange) -> Result<()> {
        self.progress.enter(Phase::Finishing);
        let then = self.journal.as_ref().and_then(|journal| Some(journal.log().stamp(image)?.head));
        if self.again && then.is_some_and(|then| self.disk.stamp(image).is_ok_and(|now| now.head != then)) {
            // Its one switch is made; done again it would be another change.
            return Ok(());
        }
        let mut writer = Writer::open(self.files.get(image)?, false)?;
        change.request(&mut writer).at(image)?;
        let written = Box::new(writer).finish()?;
        self.wrote(written);
        Ok(())
    }

    fn repair(&mut self, image: &Path, format: Format, what: Repair) -> Result<()> {
        self.progress.enter(Phase::Finishing);
        let written = image::repair(self.files.get(image)?.image, format, what, false)?;
        self.wrote(written);
        Ok(())
    }

    fn resize(&mut self, image: &Path, format: Format, to: u64) -> Result<()> {
        self.progress.enter(Phase::Finishing);
        let source = Source::of(self.opener().open(image)?.view(State::Active), to);
        let target = image::write(self.files.get(image)?, format, false)?;
        let file = target.file().clone();
        let (progress, pace, buffer) = (self.progress, &mut self.pace, &mut self.buffer);
        let mut mover =
            Mover { source: &source, file: &*file, progress, pace, buffer, unwritten: Unwritten::default() };
        let view = source.view(State::Active)?;
        let written =
            resize_image(target, view, to, &mut |state, at, host, len| mover.fill(state, at, host, len))?;
        self.wrote(written);
        Ok(())
    }

    /// Under another name until it is whole. Whoever may open what it is based on may open it.
    fn create(&mut self, image: &Path, size: u64, backing: &Path, format: Format) -> Result<()> {
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

    fn link(&self, file: &Path, to: &Path) -> Result<()> {
        let id = |path: &Path| self.disk.stamp(path).ok().map(|stamp| stamp.id);
        match self.again && id(to).is_some() && id(file) == id(to) {
            true => Ok(()),
            false => link(&*self.disk, file, to),
        }
    }

    fn unlink(&self, file: &Path) -> Result<()> {
        match unlink(&*self.disk, file) {
            Err(e) if self.again && e.kind() == Kind::NotFound => Ok(()),
            done => done,
        }
    }

    fn trash(&mut self, file: &Path) -> Result<PathBuf> {
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

    fn verify(&mut self, image: &Path, format: Format) -> Result<()> {
        self.progress.enter(Phase::Verifying);
        let report = image::open(self.files.get(image)?, Some(format))?.check()?;
        // Leaks that were there before are nobody's harm and no fault of this job.
        match report.findings.iter().find(|f| f.severity == Severity::Corruption) {
            None => Ok(()),
            Some(first) => {
                Err(Error::new(Kind::Internal, format!("the check afterwards found: {}", first.message))
                    .at(image)
                    .offset(first.offset))
            }
        }
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

/// Where the file went that lay at `path` when it was last recorded.
pub(super) fn find_in_trash(disk: &dyn Disk, path: &Path, log: &Log) -> Result<PathBuf> {
    let lost = || Error::new(Kind::NotFound, "is neither here nor in the trash").at(path);
    let then = log.stamp(path).ok_or_else(lost)?;
    in_trash(path).into_iter().find(|to| disk.stamp(to).is_ok_and(|now| now.id == then.id)).ok_or_else(lost)
}

fn without_journal(error: Error) -> Error {
    match error.kind() {
        Kind::Cancelled => {
            Error::new(Kind::Cancelled, format!("{}; rolled back: every view is as before", error.sentence()))
        }
        _ => error,
    }
}
