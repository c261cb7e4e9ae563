//! What the UI asks of the floors below, in one place.
//!
//! The event loop calls these from worker threads and knows nothing else about disks; pictures and
//! tests put fixed answers in their place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Result;
use crate::forest::{self, Forest, ScanOptions};
use crate::job::{self, Job, Report, Snapshot};
use crate::plan::{self, CommitOptions, HazardKind, Plan};
use crate::storage;

/// The floors below, as the UI uses them. Called from several threads.
pub trait Engine: Send + Sync + 'static {
    /// Looks through folders and images.
    fn scan(&self, paths: &[PathBuf], options: &ScanOptions) -> Result<Forest>;

    /// Plans to merge an image into its parent. Writes nothing.
    fn commit(&self, forest: &Forest, top: &Path, options: &CommitOptions) -> Result<Plan>;

    /// Starts a job.
    fn start(&self, plan: Plan, accepted: &[HazardKind]) -> Result<Box<dyn Running>>;

    /// Bytes an ordinary user can still write on the file system of `path`.
    fn free_space(&self, path: &Path) -> Option<u64>;
}

/// A job that was started.
pub trait Running {
    /// Where it is.
    fn progress(&self) -> Snapshot;

    /// Asks it to stop at the next safe point.
    fn cancel(&self);

    /// Has it wait at the next safe point, or go on.
    fn pause(&self, on: bool);

    /// Whether it is over.
    fn is_finished(&self) -> bool;

    /// Waits for the end and gives the outcome.
    fn wait(self: Box<Self>) -> Result<Report>;
}

impl Running for Job {
    fn progress(&self) -> Snapshot {
        Self::progress(self)
    }

    fn cancel(&self) {
        Self::cancel(self);
    }

    fn pause(&self, on: bool) {
        Self::pause(self, on);
    }

    fn is_finished(&self) -> bool {
        Self::is_finished(self)
    }

    fn wait(self: Box<Self>) -> Result<Report> {
        Self::wait(*self)
    }
}

/// The real floors.
#[derive(Debug, Clone, Copy, Default)]
pub struct Floors;

impl Floors {
    /// The real floors, ready to share with workers.
    pub fn shared() -> Arc<dyn Engine> {
        Arc::new(Self)
    }
}

impl Engine for Floors {
    fn scan(&self, paths: &[PathBuf], options: &ScanOptions) -> Result<Forest> {
        forest::scan(paths, options)
    }

    fn commit(&self, forest: &Forest, top: &Path, options: &CommitOptions) -> Result<Plan> {
        plan::commit(forest, top, options)
    }

    fn start(&self, plan: Plan, accepted: &[HazardKind]) -> Result<Box<dyn Running>> {
        let options = job::Options { accepted: accepted.to_vec(), rate_limit: None };
        Ok(Box::new(Job::start(plan, options)?))
    }

    fn free_space(&self, path: &Path) -> Option<u64> {
        let folder = path.parent().unwrap_or(path);
        storage::free_space(folder).ok()
    }
}
