//! One executor per step of a plan.

use std::path::{Path, PathBuf};

use super::Phase;
use super::gather::gathered;
use super::journal::Journal;
use super::mover::{Mover, Unwritten};
use super::pipeline::{Pipeline, suits};
use super::run::Run;
use super::task::reference;
use crate::chain::Opener;
use crate::error::{Error, Kind, Place, Result};
use crate::image::qcow2::Writer;
use crate::image::{self, Format, Repair, Severity, State, Target, Written};
use crate::plan::{Copy, CopyMode, SnapshotChange, Source, Step, drive, resize_image};
use crate::text::Shown;

impl Run<'_> {
    /// Does one step; gives where it moved the file, if it did that.
    pub(super) fn execute(&mut self, step: &Step, index: usize) -> Result<Option<PathBuf>> {
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
            Step::Create { image, new, like } => self.create(image, new, like),
            Step::Write { file, text, like } => self.write(file, text, like),
            Step::Stream { file, of, since, names, .. } => self.stream(file, of, since.as_ref(), names),
            Step::Link { file, to } => {
                self.committed = true;
                self.link(file, to)
            }
            Step::Unlink { file } => self.unlink(file),
            Step::Trash { file } => return self.trash(file).map(Some),
            Step::Verify { image, format } => self.verify(image, *format),
            Step::Compare { view, was, bytes, .. } => self.compare(view, was, *bytes),
        }?;
        Ok(None)
    }

    /// Opens images without locks: the job holds them all already.
    pub(super) fn opener(&self) -> Opener {
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
        let size = copy.grow(&mut *target).at(&copy.into)?;
        if overwrites {
            target.content_changes();
        }
        // One that was begun with a journal goes on step by step.
        if let (None, Some((_, backing))) = (&self.journal, self.task.linked_copy()) {
            target.relink(backing.as_ref()).at(&copy.into)?;
        }
        let runs = copy.runs(&source, target.unit(), size, false)?;
        let (progress, pace, buffer) = (self.progress, &mut self.pace, &mut self.buffer);
        // A mark says better than the time whether somebody else wrote.
        let journal = self.journal.as_ref().filter(|journal| !journal.log().marks(&copy.into));
        let by_time = journal.is_some();
        let beat = || journal.map_or(Ok(()), Journal::beat);
        let packer = target.packer().filter(|_| copy.compress);
        let (in_file, shares) = (target.in_place() && copy.mode != CopyMode::New, file.shares_blocks());
        let looks = copy.sparse || packer.is_some();
        let done = if looks && suits(&*target) || !shares && !in_file {
            let pipeline = Pipeline { source: &source, progress, pace, packer, sparse: copy.sparse };
            match copy.mode == CopyMode::New && suits(&*target) {
                true => pipeline.make(runs, &mut *target),
                false => pipeline.fill(runs, &mut *target, &beat),
            }
        } else {
            let unwritten = Unwritten::default();
            let mut mover = Mover { source: &source, file: &*file, progress, pace, buffer, unwritten };
            match journal.is_none() && shares && !target.in_place() {
                true => gathered(runs, &mut *target, &mut mover),
                false => drive(runs, &mut *target, &mut |state, at, host, len| {
                    beat()?;
                    mover.fill(state, at, host, len)
                }),
            }
        };
        done.map_err(|e| match e.kind() {
            Kind::Cancelled if in_place => {
                let into = Shown::path(&copy.into);
                Error::new(Kind::Cancelled, format!("stopped; {into} is a mixture until the job is finished"))
            }
            _ => e,
        })?;
        copy.shrink(&mut *target)?;
        source.still_there()?;
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
