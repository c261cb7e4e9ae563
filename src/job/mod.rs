//! Doing it: a worker thread that runs a plan and nothing else.
//!
//! A job takes QEMU-compatible locks on every file of the plan, refuses when anything changed since
//! planning, runs the steps, reports progress, obeys cancel at safe points, and syncs. Its step
//! executors are the only callers of image-changing functions.

mod progress;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

pub use progress::{Phase, Progress, Snapshot};

use crate::error::{Error, Kind, Result};
use crate::plan::{HazardKind, Plan};

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
    /// Starts running `plan`. `accepted` are the hazards consented to by name; a plan that needs
    /// more, or cannot run, fails here and nothing has happened.
    pub fn start(plan: Plan, accepted: &[HazardKind]) -> Result<Self> {
        let _ = accepted;
        let plan = Arc::new(plan);
        let progress = Arc::new(Progress::new(plan.steps.len(), 0));
        let worker = std::thread::spawn(|| Err(Error::unsupported("jobs")));
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

    /// Asks it to stop at the next safe point; every view stays as it was, or as the plan says.
    pub fn cancel(&self) {
        self.progress.cancel();
    }

    /// Whether it is over, well or not.
    pub fn is_finished(&self) -> bool {
        self.worker.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the end and gives the outcome.
    pub fn wait(mut self) -> Result<Report> {
        match self.worker.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            _ => Err(Error::new(Kind::Internal, "the job's thread died; nothing more was done")),
        }
    }
}
