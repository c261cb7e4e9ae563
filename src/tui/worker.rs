//! Slow work on threads of its own: scanning and planning. A worker that panics gives an error.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::cleaning::{Sum, sum};
use super::engine::Engine;
use super::operation::Operation;
use super::plan_screen::{Planned, Ready, Refusal};
use super::request::{Beside, InTrash};
use super::verify::{Begun, Verified};
use crate::chain::{Gate, Strips, ViewSpec};
use crate::error::{Error, Kind, Result};
use crate::forest::{Forest, ScanOptions};
use crate::plan::{Judged, ViewId};

/// What a worker found out.
#[derive(Debug)]
pub(super) enum Answer {
    /// A scan is over.
    Forest {
        /// Number of the scan.
        number: u64,
        /// Whether the bytes that only one node holds were counted.
        counted: bool,
        /// The forest.
        result: Result<Forest>,
    },
    /// What lies beside the images is known.
    Beside {
        /// Number of the scan.
        number: u64,
        /// Jobs that were cut off, and the trash.
        found: Beside,
    },
    /// How every image stands.
    Judged(Vec<Judged>),
    /// What the marks of the clean-up wizard come to.
    Sum(Sum),
    /// Plans are made.
    Plan {
        /// Number of the request.
        number: u64,
        /// For each way the plan, drawn, or why there is none.
        planned: Vec<Planned>,
    },
    /// Something in the folders changed.
    Changed,
    /// What the layers of a view hold.
    Strips { number: u64, result: Result<Strips> },
    /// Both views of a verification are open.
    Verifying { number: u64, begun: Begun },
    /// A verification is over.
    Verified { number: u64, result: std::result::Result<Verified, Refusal> },
}

/// Starts workers and gathers their answers.
pub(super) struct Workers {
    engine: Arc<dyn Engine>,
    send: Sender<Answer>,
    pub(super) answers: Receiver<Answer>,
}

impl Workers {
    pub(super) fn new(engine: Arc<dyn Engine>) -> Self {
        let (send, answers) = unbounded();
        Self { engine, send, answers }
    }

    /// Looks through `paths`: the headers first, then what only each node holds.
    pub(super) fn scan(&self, number: u64, paths: Vec<PathBuf>, options: ScanOptions) {
        let folders = paths.clone();
        self.start(move |engine, send| {
            let found = caught(|| Ok(beside(engine, &folders))).unwrap_or_default();
            let _ = send.send(Answer::Beside { number, found });
        });
        self.start(move |engine, send| {
            for space in [false, true] {
                let options = ScanOptions { space, ..options.clone() };
                let result = caught(|| engine.scan(&paths, &options));
                let failed = result.is_err();
                // Nobody listens any more when the UI is gone; then there is nothing left to do.
                let heard = send.send(Answer::Forest { number, counted: space || failed, result });
                if failed || heard.is_err() {
                    return;
                }
            }
        });
    }

    /// Plans each of `operations` and draws it, on the forest as it is now: what a plan does not know of, it
    /// cannot protect.
    pub(super) fn plan(&self, number: u64, operations: Vec<Operation>, verify: bool, ground: Ground) {
        self.start(move |engine, send| {
            let one = |forest: &Forest, operation: &Operation| {
                let proposal = engine.plan(forest, operation, &ground.options.gate)?;
                let proposal = if verify { proposal.compared() } else { proposal };
                let into = proposal.plan.flows.first().map(|flow| &*flow.into);
                let free = into.or(operation.subject()).and_then(|path| engine.free_space(path));
                Ok(Ready::new(proposal, operation, free, ground.ascii))
            };
            let planned: Vec<Planned> = match caught(|| engine.scan(&ground.paths, &ground.options)) {
                Ok(forest) => {
                    let one = |operation| caught(|| one(&forest, operation)).map_err(|e| Refusal::of(&e));
                    operations.iter().map(one).collect()
                }
                Err(e) => operations.iter().map(|_| Err(Refusal::of(&e))).collect(),
            };
            let _ = send.send(Answer::Plan { number, planned });
        });
    }

    /// Finds out how every image of `forest` stands.
    pub(super) fn judge(&self, forest: Arc<Forest>, gate: Gate) {
        self.start(move |engine, send| {
            let judged = caught(|| Ok(engine.judge(&forest, &gate))).unwrap_or_default();
            let _ = send.send(Answer::Judged(judged));
        });
    }

    /// Finds out what it comes to when the views of `goes` go.
    pub(super) fn sum(&self, goes: BTreeSet<ViewId>, ground: Ground) {
        self.start(move |engine, send| {
            let plan = caught(|| {
                let forest = engine.scan(&ground.paths, &ground.options)?;
                engine.plan(&forest, &Operation::CleanUp { goes }, &ground.options.gate)
            });
            let found = match &plan {
                Ok(proposal) => sum(Ok(&proposal.plan)),
                Err(e) => sum(Err(e.to_string())),
            };
            let _ = send.send(Answer::Sum(found));
        });
    }

    /// Tells of every change in `paths` from now on.
    pub(super) fn watch(&self, paths: Vec<PathBuf>) {
        self.start(move |engine, send| {
            let Some(watch) = engine.watch() else { return };
            watch.cover(&paths);
            while watch.wait().is_ok() {
                watch.cover(&paths);
                if send.send(Answer::Changed).is_err() {
                    return;
                }
            }
        });
    }

    /// Looks what the layers of a view hold, as long as `latest` stays at `number`.
    pub(super) fn strips(&self, number: u64, latest: Arc<AtomicU64>, view: ViewSpec, gate: Gate) {
        self.start(move |engine, send| {
            let going = || latest.load(Ordering::Relaxed) == number;
            let result = caught(|| engine.strips(&view, &gate, &going));
            let _ = send.send(Answer::Strips { number, result });
        });
    }

    /// Compares two views.
    pub(super) fn verify(&self, number: u64, views: [ViewSpec; 2], gate: Gate) {
        self.start(move |engine, send| {
            let mut begin = |begun| drop(send.send(Answer::Verifying { number, begun }));
            let result = caught(|| engine.verify(&views, &gate, &mut begin)).map_err(|e| Refusal::of(&e));
            let _ = send.send(Answer::Verified { number, result });
        });
    }

    fn start(&self, work: impl FnOnce(&dyn Engine, Sender<Answer>) + Send + 'static) {
        let (engine, send) = (self.engine.clone(), self.send.clone());
        thread::spawn(move || work(&*engine, send));
    }
}

/// Where plans are made.
pub(super) struct Ground {
    pub(super) paths: Vec<PathBuf>,
    pub(super) options: ScanOptions,
    pub(super) ascii: bool,
}

/// What lies beside the images. What cannot be read there is nothing to be offered.
fn beside(engine: &dyn Engine, folders: &[PathBuf]) -> Beside {
    let leftovers = engine.leftovers(folders).unwrap_or_default();
    let trash = engine.trash(folders).unwrap_or_default();
    let trash = trash.into_iter().map(|item| InTrash {
        destination: item.destination(),
        disk_size: item.disk_size,
        why: item.note.ok().map(|note| note.why),
        path: item.path,
    });
    Beside { leftovers: leftovers.into_iter().filter(|job| !job.running).collect(), trash: trash.collect() }
}

fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let died = || Err(Error::new(Kind::Internal, "a worker died; nothing was changed"));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| died())
}
