//! Doing it: a worker thread that runs a plan and nothing else.
//!
//! A job takes QEMU-compatible locks on every file of the plan, refuses when anything changed since
//! planning, runs the steps, reports progress, obeys cancel at safe points, and syncs. Its step
//! executors are the only callers of image-changing functions.
//!
//! | file | concern |
//! |---|---|
//! | `progress` | how far it is, for faces to look at |
//! | `files` | opening, locking and checking the files of a plan |
//! | `mover` | moving bytes, with cancel and rate limit |
//! | `steps` | one executor per step |

mod files;
mod mover;
mod progress;
mod steps;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

pub use progress::{Phase, Progress, Snapshot};

use crate::error::{Error, Kind, Result};
use crate::plan::{HazardKind, Plan, Step};

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
}

/// A running (or finished) job.
pub struct Job {
    plan: Arc<Plan>,
    progress: Arc<Progress>,
    worker: Option<JoinHandle<Result<Report>>>,
}

impl Job {
    /// Starts running `plan`.
    ///
    /// Fails, with nothing done, when the plan cannot run (the kind is that of the hazard) or needs
    /// consent that `options` do not give ([`Kind::Consent`], [`Kind::NoLocks`]).
    pub fn start(plan: Plan, options: Options) -> Result<Self> {
        if let Some((hazard, kind)) = plan.forbidden() {
            return Err(Error::new(kind, hazard.message.clone()));
        }
        if let Some(hazard) = plan.unaccepted(&options.accepted).first() {
            return Err(Error::new(hazard.kind.refusal(), hazard.message.clone())
                .remedy(format!("consent with --accept {}", hazard.kind)));
        }
        let total = plan.steps.iter().map(|s| if let Step::Copy(c) = s { c.data_bytes } else { 0 }).sum();
        let plan = Arc::new(plan);
        let progress = Arc::new(Progress::new(plan.steps.len(), total));
        let (its_plan, its_progress) = (plan.clone(), progress.clone());
        let worker = std::thread::Builder::new()
            .name("job".to_owned())
            .spawn(move || work(&its_plan, &its_progress, &options))
            .map_err(|e| Error::io("cannot start a thread for the job", e))?;
        Ok(Self { plan, progress, worker: Some(worker) })
    }

    /// What it runs.
    pub fn plan(&self) -> &Plan {
        &self.plan
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

    /// Whether it is over, well or not.
    pub fn is_finished(&self) -> bool {
        self.worker.as_ref().is_none_or(JoinHandle::is_finished)
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
}

/// The worker thread. A panic becomes the job's failure, never the program's.
fn work(plan: &Plan, progress: &Progress, options: &Options) -> Result<Report> {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut run = steps::Run::prepare(plan, progress, options)?;
        for (index, step) in plan.steps.iter().enumerate() {
            progress.at_step(index);
            progress.note(format!("step {} of {}: {}", index + 1, plan.steps.len(), step.describe()));
            run.step(step)?;
        }
        Ok(run.report())
    }));
    progress.enter(Phase::Done);
    outcome.unwrap_or_else(|_| Err(died()))
}
