//! Work that is no job of the floor below, done on a thread of its own: short, and not to be stopped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::engine::Running;
use crate::error::{Error, Kind, Result};
use crate::job::{Phase, Report, Snapshot};

/// Work under way.
pub(super) struct Errand {
    worker: JoinHandle<Result<Report>>,
    since: Instant,
}

impl Errand {
    pub(super) fn start(work: impl FnOnce() -> Result<Report> + Send + 'static) -> Result<Self> {
        let work = move || catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(died()));
        let thread = std::thread::Builder::new().name("errand".to_owned());
        let worker = thread.spawn(work).map_err(|e| Error::io("cannot start a thread", e))?;
        Ok(Self { worker, since: Instant::now() })
    }
}

impl Running for Errand {
    fn progress(&self) -> Snapshot {
        let phase = if self.worker.is_finished() { Phase::Done } else { Phase::Finishing };
        let elapsed = self.since.elapsed().max(Duration::from_millis(1));
        Snapshot { phase, step: 0, steps: 1, done: 0, total: 0, elapsed }
    }

    fn cancel(&self) {}

    fn pause(&self, _: bool) {}

    fn is_finished(&self) -> bool {
        self.worker.is_finished()
    }

    fn wait(self: Box<Self>) -> Result<Report> {
        self.worker.join().unwrap_or_else(|_| Err(died()))
    }
}

fn died() -> Error {
    Error::new(Kind::Internal, "cowherd met a defect and stopped where it was")
}
