//! How far a job is: a small value that faces poll, never more often than they draw.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::{Error, Kind, Result};

/// Longest sleep between two looks at cancel.
pub(super) const NAP: Duration = Duration::from_millis(50);

/// What a job is doing right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Taking locks and checking that nothing changed since planning.
    Preparing,
    /// Moving data.
    Copying,
    /// Waiting for the disk.
    Syncing,
    /// Changing references and emptying or trashing what is no longer needed.
    Finishing,
    /// Counting references of what was written.
    Verifying,
    /// Waiting to be told to go on.
    Paused,
    /// Asked to stop; on its way to a safe point.
    Cancelling,
    /// Over.
    Done,
}

impl Phase {
    /// One word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Copying => "copying",
            Self::Syncing => "syncing",
            Self::Finishing => "finishing",
            Self::Verifying => "verifying",
            Self::Paused => "paused",
            Self::Cancelling => "cancelling",
            Self::Done => "done",
        }
    }
}

/// A moment of a job.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Snapshot {
    /// What it is doing.
    pub phase: Phase,
    /// Step it is at, from 0.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// Guest bytes done.
    pub done: u64,
    /// Guest bytes in all.
    pub total: u64,
    /// Time since the start.
    #[serde(serialize_with = "as_seconds")]
    pub elapsed: Duration,
}

fn as_seconds<S: serde::Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64(d.as_secs_f64())
}

impl Snapshot {
    /// Part done, 0 to 1; below 1 until the last sync is over.
    pub fn fraction(&self) -> f64 {
        if self.phase == Phase::Done {
            return 1.0;
        }
        let part = if self.total == 0 { 0.0 } else { self.done as f64 / self.total as f64 };
        part.min(0.999)
    }

    /// Mean bytes a second so far.
    pub fn rate(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.done as f64 / seconds } else { 0.0 }
    }

    /// Time left, once three seconds of experience allow a guess.
    pub fn eta(&self) -> Option<Duration> {
        if self.elapsed < Duration::from_secs(3) || self.done == 0 || self.phase == Phase::Done {
            return None;
        }
        let left = self.total.saturating_sub(self.done) as f64;
        Duration::try_from_secs_f64(left / self.rate()).ok()
    }
}

/// Shared between the worker, which reports, and the faces, which look and may ask to stop.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    phase: Mutex<Phase>,
    step: AtomicUsize,
    steps: usize,
    done: AtomicU64,
    total: u64,
    cancel: AtomicBool,
    pause: AtomicBool,
    over: Mutex<Option<Duration>>,
    /// What was done since somebody last asked; a few lines a job.
    notes: Mutex<Vec<String>>,
}

impl Progress {
    /// Nothing done of `steps` steps and `total` guest bytes.
    pub fn new(steps: usize, total: u64) -> Self {
        Self {
            started: Instant::now(),
            phase: Mutex::new(Phase::Preparing),
            step: AtomicUsize::new(0),
            steps,
            done: AtomicU64::new(0),
            total,
            cancel: AtomicBool::new(false),
            pause: AtomicBool::new(false),
            over: Mutex::new(None),
            notes: Mutex::new(Vec::new()),
        }
    }

    /// Where it is now.
    pub fn snapshot(&self) -> Snapshot {
        let phase = *self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let over = *self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let cancelling = self.cancelled() && phase != Phase::Done;
        Snapshot {
            phase: match phase {
                Phase::Done => phase,
                _ if cancelling => Phase::Cancelling,
                _ if self.paused() => Phase::Paused,
                _ => phase,
            },
            step: self.step.load(Ordering::Relaxed),
            steps: self.steps,
            done: self.done.load(Ordering::Relaxed).min(self.total),
            total: self.total,
            elapsed: over.unwrap_or_else(|| self.started.elapsed()),
        }
    }

    /// Asks the worker to stop at the next safe point. Idempotent.
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    /// Has the worker wait at the next safe point, or go on.
    pub fn pause(&self, on: bool) {
        self.pause.store(on, Ordering::Relaxed);
    }

    /// Whether the worker is to wait.
    pub fn paused(&self) -> bool {
        self.pause.load(Ordering::Relaxed)
    }

    /// Whether a stop was asked for.
    pub fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// A safe point: waits while the worker is to wait. Fails with [`Kind::Cancelled`] when a stop was asked for.
    pub(super) fn checkpoint(&self) -> Result<()> {
        while self.paused() && !self.cancelled() {
            std::thread::sleep(NAP);
        }
        match self.cancelled() {
            true => Err(Error::new(Kind::Cancelled, "stopped")),
            false => Ok(()),
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
        if phase == Phase::Done {
            self.over.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(self.started.elapsed());
        }
    }

    /// What was done since the last call, a line each, safe to print.
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn note(&self, line: String) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    pub(crate) fn at_step(&self, step: usize) {
        self.step.store(step, Ordering::Relaxed);
    }

    pub(crate) fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }
}
