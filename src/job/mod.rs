//! Doing it: a worker thread that runs a plan and nothing else.
//!
//! A job takes QEMU-compatible locks on every file of the plan, refuses when anything changed since
//! planning, writes a journal unless all of it is one switch, runs the steps, reports progress, obeys
//! pause and cancel at safe points, and syncs. What fails or is cancelled is undone where that is
//! possible; what is cut off can be finished or undone by whoever finds the journal. Step executors are
//! the only callers of image-changing functions.
//!
//! | file | concern |
//! |---|---|
//! | `progress` | how far it is, for faces to look at |
//! | `files` | opening, locking and checking the files of a plan |
//! | `mover` | moving bytes, with cancel and rate limit |
//! | `gather` | the same, where blocks are shared |
//! | `pipeline` | the same into new images, on all cores |
//! | `comparing` | whether views read as they must, now that they may have changed |
//! | `giving` | room going back to the file system meanwhile |
//! | `run` | a plan under way: from locks to its end, or back |
//! | `steps`, `convert`, `names`, `streams` | one executor per step |
//! | `journal`, `task` | what is being done and how far it is, beside the images |
//! | `marks` | how an image shows that nobody else wrote to it meanwhile |
//! | `leftover`, `meanwhile` | finding what was cut off; whether its files were used since |
//! | `trash` | what is noted of a file there; bringing it back, emptying it |
//! | `footprint` | room on the file system before and after |
//! | `recover`, `undo` | finishing it, or undoing it |

mod comparing;
mod convert;
mod files;
mod footprint;
mod gather;
mod giving;
mod journal;
mod leftover;
mod marks;
mod meanwhile;
mod mover;
mod names;
mod pipeline;
mod progress;
mod recover;
mod run;
mod steps;
mod streams;
mod task;
mod trash;
mod undo;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::Receiver;

pub use footprint::{Footprint, Freed};
pub use leftover::{Leftover, leftovers, leftovers_below, none_in_the_way};
pub use progress::{Phase, Progress, Snapshot};
pub use recover::{Recovery, discard_unbegun};
pub use trash::{empty_trash, restore};

use self::task::Task;
use crate::chain::Gate;
use crate::error::{Error, Kind, Result};
use crate::plan::{HazardKind, Plan};
use crate::storage::{Disk, HostDisk, trim_memory};
use crate::text::human_size;

/// How a job runs.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Hazards consented to by name.
    pub accepted: Vec<HazardKind>,
    /// Bytes of guest data moved per second at most.
    pub rate_limit: Option<u64>,
}

/// What a finished job did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// One line for people.
    pub summary: String,
    /// Bytes written to images.
    pub written_bytes: u64,
    /// Bytes given back to the file system.
    pub freed_bytes: u64,
    /// Files that were moved to the trash: from, to.
    pub trashed: Vec<(PathBuf, PathBuf)>,
    /// What has become free, measured.
    #[serde(flatten)]
    pub freed: Freed,
    /// What was compared: when that was asked for, and what conversions prove by themselves.
    pub compared: Option<Compared>,
}

/// Views that were found to read as they must.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Compared {
    /// How many.
    pub views: u64,
    /// Bytes of all of them.
    pub compared_bytes: u64,
    /// Of those, bytes known equal without reading: the same place in the same file, or zeros.
    pub shared_bytes: u64,
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, shared) = (human_size(self.compared_bytes), human_size(self.shared_bytes));
        let (views, read) = if self.views == 1 { ("view", "reads as it") } else { ("views", "read as they") };
        write!(f, "{} {views} {read} must; {all}, {shared} of it shared", self.views)
    }
}

/// A running (or finished) job.
pub struct Job {
    title: String,
    progress: Arc<Progress>,
    worker: Option<JoinHandle<Result<Report>>>,
    /// Cut off when the worker ends.
    ended: Receiver<()>,
}

impl Job {
    /// Starts running `plan`.
    ///
    /// Fails, with nothing done, when the plan cannot run (the kind is that of the hazard), needs
    /// consent that `options` do not give ([`Kind::Consent`], [`Kind::NoLocks`]), or when a job on one of
    /// its files was cut off ([`Kind::Interrupted`]).
    pub fn start(plan: Plan, options: Options) -> Result<Self> {
        Self::start_on(Arc::new(HostDisk), plan, options)
    }

    /// The same, on files of another kind: for tests that watch what is done or let it fail.
    pub fn start_on(disk: Arc<dyn Disk>, plan: Plan, options: Options) -> Result<Self> {
        if let Some((hazard, kind)) = plan.forbidden() {
            return Err(Error::new(kind, hazard.message.clone()));
        }
        if let Some(hazard) = plan.unaccepted(&options.accepted).first() {
            return Err(Error::new(hazard.kind.refusal(), hazard.message.clone())
                .remedy(format!("consent with --accept {}", hazard.kind)));
        }
        none_in_the_way(plan.files.iter().filter(|file| file.changes).map(|file| &*file.path))?;
        let task = Task::of(&plan);
        let (title, steps, bytes) = (task.title.clone(), task.steps.len(), task.data_bytes());
        let (footprint, is_for_room) = (Footprint::of(&plan), plan.operation == "cleanup");
        Self::spawn(title, Progress::new(steps, bytes), move |progress| {
            let mut report = run::new(&disk, &task, plan.gate, progress, &options)?;
            report.freed = footprint.freed(&report.trashed);
            if is_for_room {
                report.summary = format!("{}: {}", task.title, report.freed.in_words());
            }
            Ok(report)
        })
    }

    /// Takes up, or undoes, the job whose journal is at `path`. Of the names in the journal none is
    /// followed that `gate` does not allow.
    ///
    /// Fails with [`Kind::NotFound`] when there is nothing (any more), with [`Kind::InUse`] when that job
    /// still runs.
    pub fn recover(path: &Path, how: Recovery, gate: Gate, options: Options) -> Result<Self> {
        Self::recover_on(Arc::new(HostDisk), path, how, gate, options)
    }

    /// The same, on files of another kind.
    pub fn recover_on(
        disk: Arc<dyn Disk>,
        path: &Path,
        how: Recovery,
        gate: Gate,
        options: Options,
    ) -> Result<Self> {
        let journal = recover::take_over(&disk, path, &gate)?;
        let task = journal.log().task();
        let (title, steps, bytes) = (task.title.clone(), task.steps.len(), task.data_bytes());
        Self::spawn(title, Progress::new(steps, bytes), move |progress| {
            recover::run(&disk, journal, how, gate, progress, &options)
        })
    }

    fn spawn(
        title: String,
        progress: Progress,
        work: impl FnOnce(&Progress) -> Result<Report> + Send + 'static,
    ) -> Result<Self> {
        let progress = Arc::new(progress);
        let its = progress.clone();
        let (alive, ended) = crossbeam_channel::bounded::<()>(0);
        trim_memory();
        let worker = std::thread::Builder::new()
            .name("job".to_owned())
            .spawn(move || {
                let _alive = alive;
                // A panic becomes the job's failure, never the program's.
                let outcome = catch_unwind(AssertUnwindSafe(|| work(&its)));
                its.enter(Phase::Done);
                outcome.unwrap_or_else(|_| Err(died()))
            })
            .map_err(|e| Error::io("cannot start a thread for the job", e))?;
        Ok(Self { title, progress, worker: Some(worker), ended })
    }

    /// What it does, one line for people.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Where it is.
    pub fn progress(&self) -> Snapshot {
        self.progress.snapshot()
    }

    /// What it did since the last call: files locked, steps begun. A line each, safe to print.
    pub fn take_notes(&self) -> Vec<String> {
        self.progress.take_notes()
    }

    /// Asks it to stop at the next safe point; every view stays as it was, or as the plan says.
    pub fn cancel(&self) {
        self.progress.cancel();
    }

    /// Has it wait at the next safe point, or go on.
    pub fn pause(&self, on: bool) {
        self.progress.pause(on);
    }

    /// Whether it is over, well or not.
    pub fn is_finished(&self) -> bool {
        self.worker.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until it is over, at most this long.
    pub fn wait_for(&self, time: Duration) {
        // Nothing is ever sent: the other end is dropped.
        let _ = self.ended.recv_timeout(time);
    }

    /// Waits for the end and gives the outcome. A stopped job fails with [`Kind::Cancelled`]; the
    /// sentence says what is left.
    pub fn wait(mut self) -> Result<Report> {
        match self.worker.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            _ => Err(died()),
        }
    }
}

fn died() -> Error {
    Error::new(
        Kind::Internal,
        "the job met a defect in cowherd and stopped where it was; every other view is as before",
    )
    .remedy("`cowherd recover` finishes what was interrupted, or undoes it")
}
