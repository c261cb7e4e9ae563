//! Slow work on threads of its own: scanning and planning. A worker that panics gives an error.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::engine::Engine;
use super::plan_screen::{Ready, Refusal};
use super::verify::{Begun, Verified};
use crate::chain::{Gate, Strips, ViewSpec};
use crate::error::{Error, Kind, Result};
use crate::forest::{Forest, ScanOptions};
use crate::plan::CommitOptions;

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
    /// A plan is made.
    Plan {
        /// Number of the plan.
        number: u64,
        /// The plan, drawn, or why there is none.
        result: std::result::Result<Ready, Refusal>,
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

    /// Plans a commit and draws it.
    pub(super) fn plan(
        &self,
        number: u64,
        forest: Arc<Forest>,
        top: PathBuf,
        options: CommitOptions,
        ascii: bool,
    ) {
        self.start(move |engine, send| {
            let result = caught(|| {
                let plan = engine.commit(&forest, &top, &options)?;
                let written = plan.flows.iter().find(|f| f.from == top).map_or(&*top, |f| &f.into);
                let free = engine.free_space(written);
                Ok(Ready::new(plan, &top, free, ascii))
            });
            let _ = send.send(Answer::Plan { number, result: result.map_err(Refusal::from) });
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
            let result = caught(|| engine.verify(&views, &gate, &mut begin)).map_err(Refusal::from);
            let _ = send.send(Answer::Verified { number, result });
        });
    }

    fn start(&self, work: impl FnOnce(&dyn Engine, Sender<Answer>) + Send + 'static) {
        let (engine, send) = (self.engine.clone(), self.send.clone());
        thread::spawn(move || work(&*engine, send));
    }
}

fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let died = || Err(Error::new(Kind::Internal, "a worker died; nothing was changed"));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| died())
}
