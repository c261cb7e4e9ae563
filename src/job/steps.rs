//! One executor per step of a plan.

use std::ffi::OsString;
use std::path::Path;

use super::files::Files;
use super::mover::{Mover, Pace};
use super::{Options, Phase, Progress, Report};
use crate::chain::Opener;
use crate::error::{Error, Kind, Place, Result};
use crate::image::qcow2::Writer;
use crate::image::{self, BackingRef, Format, Repair, Severity, State, Target, Written};
use crate::plan::{Copy, CopyMode, Plan, SnapshotChange, Source, Step, drive, make, resize_image};
use crate::storage::{CopyBuffer, File, Partial, RealFile, adopt, link, trash, unlink};
use crate::text::{Shown, human_size};

/// A plan under way.
pub(super) struct Run<'a> {
    plan: &'a Plan,
    progress: &'a Progress,
    files: Files,
    pace: Pace,
    buffer: CopyBuffer,
    report: Report,
    /// Whether a step is done, so that a stop leaves something behind.
    begun: bool,
    /// Whether the view that the plan names has begun to change, or a file has two names; then there is
    /// no way back.
    committed: bool,
}

impl<'a> Run<'a> {
    /// Takes the locks and checks that the plan still fits.
    pub(super) fn prepare(plan: &'a Plan, progress: &'a Progress, options: &Options) -> Result<Self> {
        let files = Files::lock(plan, &options.accepted, progress)?;
        let pace = Pace::new(options.rate_limit);
        Ok(Self {
            plan,
            progress,
            files,
            pace,
            buffer: CopyBuffer::default(),
            report: Report::default(),
            begun: false,
            committed: false,
        })
    }

    /// Does one step. Stopping is possible until the named view begins to change; what follows
    /// then is metadata and takes no time.
    pub(super) fn step(&mut self, step: &Step) -> Result<()> {
        if self.progress.cancelled() && !self.committed {
            return Err(stopped(match self.begun {
                false => "rolled back: nothing was changed",
                true => "stopped; resumable: every view is as before, and the same command goes on from here",
            }));
        }
        self.execute(step)?;
        self.begun = true;
        Ok(())
    }

    fn execute(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Copy(copy) => self.copy(copy),
            Step::Relink { image, backing, format, of } => {
                self.relink(image, backing.as_deref(), *format, *of)
            }
            Step::Compact { image, format } => self.empty(image, *format),
            Step::Snapshot { image, change } => self.snapshot(image, change),
            Step::Repair { image, format, what } => self.repair(image, *format, *what),
            Step::Resize { image, format, to, .. } => self.resize(image, *format, *to),
            Step::Create { image, size, backing, format } => self.create(image, *size, backing, *format),
            Step::Link { file, to } => {
                self.committed = true;
                link(file, to)
            }
            Step::Unlink { file } => unlink(file),
            Step::Trash { file } => self.trash(file),
            Step::Verify { image, format } => self.verify(image, *format),
        }
    }

    /// The outcome, once all steps are done.
    pub(super) fn report(mut self) -> Report {
        let (wrote, freed) = (human_size(self.report.written_bytes), human_size(self.report.freed_bytes));
        self.report.summary = format!("{}: wrote {wrote}, freed {freed}", self.plan.title);
        self.report
    }

    /// Opens images without locks: the job holds them all already.
    fn opener(&self) -> Opener {
        Opener { gate: self.plan.gate.clone(), force_share: true, ..Opener::default() }
    }

    fn wrote(&mut self, written: Written) {
        self.report.written_bytes += written.data_bytes + written.meta_bytes;
        self.report.freed_bytes += written.freed_bytes;
    }

    fn copy(&mut self, copy: &Copy) -> Result<()> {
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
        let runs = copy.runs(&source, target.unit(), target.size(), false)?;
        let (progress, pace, buffer) = (self.progress, &mut self.pace, &mut self.buffer);
        let mut mover = Mover { source: &source, file: &*file, progress, pace, buffer };
        let moved = drive(runs, &mut *target, &mut |state, at, host, len| mover.fill(state, at, host, len));
        if let Err(e) = moved {
            return Err(match e.kind() {
                Kind::Cancelled => stopped_in(copy, in_place),
                _ if in_place => e.remedy(
                    "run the commit again once that is mended; until then this file alone is a mixture",
                ),
                _ => e,
            });
        }
        self.progress.enter(Phase::Syncing);
        self.committed |= overwrites;
        let written = target.finish()?;
        self.wrote(written);
        Ok(())
    }

    fn relink(
        &mut self,
        image: &Path,
        backing: Option<&Path>,
        format: Option<Format>,
        of: Format,
    ) -> Result<()> {
        self.progress.enter(Phase::Finishing);
        let file = self.files.get(image)?.image;
        let backing = backing.map(|name| BackingRef {
            name: OsString::from(name),
            format: format.map(|format| format.name().to_owned()),
        });
        self.report.written_bytes += image::relink(&*file, of, backing.as_ref()).at(image)?;
        Ok(())
    }

    fn empty(&mut self, image: &Path, format: Format) -> Result<()> {
        self.progress.enter(Phase::Finishing);
        let file = self.files.get(image)?;
        let written = image::empty(file, format, false).at(image)?;
        self.wrote(written);
        Ok(())
    }

    fn snapshot(&mut self, image: &Path, change: &SnapshotChange) -> Result<()> {
        self.progress.enter(Phase::Finishing);
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
        let mut mover = Mover { source: &source, file: &*file, progress, pace, buffer };
        let view = source.view(State::Active)?;
        let written =
            resize_image(target, view, to, &mut |state, at, host, len| mover.fill(state, at, host, len))?;
        self.wrote(written);
        Ok(())
    }

    /// Under another name until it is whole. Whoever may open what it is based on may open it.
    fn create(&mut self, image: &Path, size: u64, backing: &Path, format: Format) -> Result<()> {
        self.progress.enter(Phase::Finishing);
        let partial = Partial::begin(image)?;
        make(partial.file(), size, backing, format)?;
        let below = image.with_file_name(backing);
        let lost = adopt(partial.file(), &RealFile::open(&below, false)?)?;
        if !lost.is_empty() {
            let (below, lost) = (Shown::path(&below), lost.join(" and "));
            self.progress.note(format!("{} cannot have the {lost} of {below}", Shown::path(image)));
        }
        self.report.written_bytes += partial.file().len()?;
        partial.publish()
    }

    fn trash(&mut self, file: &Path) -> Result<()> {
        self.progress.enter(Phase::Finishing);
        let note = serde_json::json!({
            "original": file,
            "operation": self.plan.operation,
            "why": self.plan.title,
        });
        let to = trash(file, &format!("{note:#}\n"))?;
        self.report.trashed.push((file.to_path_buf(), to));
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

fn stopped(what: impl Into<String>) -> Error {
    Error::new(Kind::Cancelled, what)
}

fn stopped_in(copy: &Copy, in_place: bool) -> Error {
    let into = Shown::path(&copy.into);
    match in_place {
        true => stopped(format!(
            "stopped; resumable: {into} is a mixture until the commit is run again, every other view is as before"
        )),
        false => stopped("rolled back: every view is as before"),
    }
}
