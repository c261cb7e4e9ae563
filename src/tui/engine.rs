//! What the UI asks of the floors below, in one place.
//!
//! The event loop calls these from worker threads and knows nothing else about disks; pictures and
//! tests put fixed answers in their place.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::verify::{Begun, Sample, Verified};
use crate::chain::{self, Gate, Opener, Strips, Verifying, View, ViewSpec};
use crate::error::Result;
use crate::forest::{self, Forest, ScanOptions};
use crate::job::{self, Job, Report, Snapshot};
use crate::plan::{self, CommitOptions, HazardKind, Plan};
use crate::storage::{self, Watch};
use crate::units::Guest;

/// Differences that are looked at closely.
const SAMPLES: usize = 8;
/// Bytes of each.
const SAMPLE: usize = 32;

/// The floors below, as the UI uses them. Called from several threads.
pub trait Engine: Send + Sync + 'static {
    /// Looks through folders and images.
    fn scan(&self, paths: &[PathBuf], options: &ScanOptions) -> Result<Forest>;

    /// Plans to merge an image into its parent. Writes nothing.
    fn commit(&self, forest: &Forest, top: &Path, options: &CommitOptions) -> Result<Plan>;

    /// For telling when something in the folders changes; `None` where that cannot be told.
    fn watch(&self) -> Option<Watch>;

    /// Tells what each layer of a view holds. Stops when `going` says no.
    fn strips(&self, view: &ViewSpec, gate: &Gate, going: &dyn Fn() -> bool) -> Result<Strips>;

    /// Compares two views to the end; `begin` is told once both are open.
    fn verify(&self, views: &[ViewSpec; 2], gate: &Gate, begin: &mut dyn FnMut(Begun)) -> Result<Verified>;

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

    fn watch(&self) -> Option<Watch> {
        Watch::new().ok()
    }

    fn strips(&self, view: &ViewSpec, gate: &Gate, going: &dyn Fn() -> bool) -> Result<Strips> {
        // Without locks: a guest must be able to start meanwhile, and its image can be looked at.
        let opener = Opener { force_share: true, no_data: true, ..opener(view, gate) };
        let chain = opener.open_for(&view.path, &view.state)?;
        let state = chain.find_state(&view.state)?;
        chain::strips(&chain, state, going)
    }

    fn verify(&self, views: &[ViewSpec; 2], gate: &Gate, begin: &mut dyn FnMut(Begun)) -> Result<Verified> {
        let [a, b] = views;
        verify_views(&opener(a, gate).open_view(a)?, &opener(b, gate).open_view(b)?, begin)
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

fn opener(view: &ViewSpec, gate: &Gate) -> Opener {
    let mut gate = gate.clone();
    view.path.parent().into_iter().for_each(|folder| gate.allow(folder));
    Opener { gate, format: view.format, ..Opener::default() }
}

/// Compares two views that are open.
pub fn verify_views(a: &View, b: &View, begin: &mut dyn FnMut(Begun)) -> Result<Verified> {
    let start = Instant::now();
    let watch = Arc::new(Verifying::of(a, b));
    begin(Begun { watch: watch.clone(), strips: [chain::reads(a, b.size())?, chain::reads(b, a.size())?] });
    let outcome = chain::verify(a, b, &watch)?;
    a.still_there()?;
    b.still_there()?;
    let first = outcome.differences.iter().take(SAMPLES).map(|range| range.start);
    let samples = first.map(|at| sample(a, b, at)).collect::<Result<_>>()?;
    Ok(Verified { outcome, samples, took: start.elapsed() })
}

fn sample(a: &View, b: &View, at: u64) -> Result<Sample> {
    let at = at / SAMPLE as u64 * SAMPLE as u64;
    let read = |view: &View| -> Result<Vec<u8>> {
        let mut bytes = vec![0; SAMPLE];
        let n = if at < view.size() { view.read_at(Guest(at), &mut bytes)? } else { 0 };
        bytes.truncate(n);
        Ok(bytes)
    };
    Ok(Sample { at, left: read(a)?, right: read(b)? })
}
