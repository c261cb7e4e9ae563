//! What the UI asks of the floors below, in one place.
//!
//! The event loop calls these from worker threads and knows nothing else about disks; pictures and
//! tests put fixed answers in their place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::errand::Errand;
use super::operation::{self, Operation, Proposal, Work};
use super::verify::{Begun, Verified, verify_views};
use crate::chain::{self, Gate, Opener, Strips, ViewSpec};
use crate::error::Result;
use crate::forest::{self, Forest, ScanOptions, trashed};
use crate::job::{self, Job, Leftover, Report, Snapshot, leftovers_below};
use crate::plan::{self, HazardKind, Judged};
use crate::storage::{self, Trashed, Watch};

/// The floors below, as the UI uses them. Called from several threads.
pub trait Engine: Send + Sync + 'static {
    /// Looks through folders and images.
    fn scan(&self, paths: &[PathBuf], options: &ScanOptions) -> Result<Forest>;

    /// Looks for jobs that were cut off.
    fn leftovers(&self, paths: &[PathBuf]) -> Result<Vec<Leftover>>;

    /// Looks into the trash.
    fn trash(&self, paths: &[PathBuf]) -> Result<Vec<Trashed>>;

    /// Plans an operation. Writes nothing.
    fn plan(&self, forest: &Forest, operation: &Operation, gate: &Gate) -> Result<Proposal>;

    /// Says how every image stands. Writes nothing.
    fn judge(&self, forest: &Forest, gate: &Gate) -> Vec<Judged> {
        plan::judge(forest, gate, || true)
    }

    /// For telling when something in the folders changes; `None` where that cannot be told.
    fn watch(&self) -> Option<Watch>;

    /// Tells what each layer of a view holds. Stops when `going` says no.
    fn strips(&self, view: &ViewSpec, gate: &Gate, going: &dyn Fn() -> bool) -> Result<Strips>;

    /// Compares two views to the end; `begin` is told once both are open.
    fn verify(&self, views: &[ViewSpec; 2], gate: &Gate, begin: &mut dyn FnMut(Begun)) -> Result<Verified>;

    /// Starts a job.
    fn start(&self, proposal: Proposal, accepted: &[HazardKind], gate: &Gate) -> Result<Box<dyn Running>>;

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

    fn leftovers(&self, paths: &[PathBuf]) -> Result<Vec<Leftover>> {
        leftovers_below(paths)
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

    fn trash(&self, paths: &[PathBuf]) -> Result<Vec<Trashed>> {
        let mut found = Vec::new();
        for path in paths.iter().filter(|path| path.is_dir()) {
            found.extend(trashed(path)?);
        }
        Ok(found)
    }

    fn plan(&self, forest: &Forest, operation: &Operation, gate: &Gate) -> Result<Proposal> {
        operation::propose(forest, operation, gate)
    }

    fn start(&self, proposal: Proposal, accepted: &[HazardKind], gate: &Gate) -> Result<Box<dyn Running>> {
        let options = job::Options { accepted: accepted.to_vec(), rate_limit: None };
        let gate = gate.clone();
        Ok(match proposal.work {
            Work::Plan => Box::new(Job::start(proposal.plan, options)?),
            Work::Recover { journal, how } => Box::new(Job::recover(&journal, how, gate, options)?),
            Work::Restore { file } => Box::new(Errand::start(move || restore(&file, &gate))?),
            Work::Empty { files } => Box::new(Errand::start(move || empty(&files))?),
        })
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

fn restore(file: &Path, gate: &Gate) -> Result<Report> {
    let mut summary = Vec::new();
    for item in trashed(file)?.iter().filter(|item| item.path == file) {
        let done = job::restore(item, gate)?;
        summary.extend(done.iter().map(|(_, to)| crate::text::Shown::path(to).into_string()));
    }
    Ok(Report { summary: format!("restored {}", summary.join(", ")), ..Report::default() })
}

fn empty(files: &[PathBuf]) -> Result<Report> {
    let mut items = Vec::new();
    for file in files {
        items.extend(trashed(file)?.into_iter().filter(|item| item.path == *file));
    }
    let freed_bytes = job::empty_trash(&items)?;
    let freed = crate::text::human_size(freed_bytes);
    let summary = format!("deleted {} files, freed {freed}", items.len());
    Ok(Report { summary, freed_bytes, ..Report::default() })
}
