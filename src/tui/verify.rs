//! Two views side by side: a verification that runs in a worker, or its result.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::plan_screen::Refusal;
use crate::chain::{self, StateSpec, Strip, Verification, Verifying, View, ViewSpec};
use crate::error::Result;
use crate::text::Shown;
use crate::units::Guest;

/// Differences that are looked at closely.
const SAMPLES: usize = 8;
/// Bytes of each.
const SAMPLE: usize = 32;

/// What a worker tells as soon as both views are open.
#[derive(Debug)]
pub struct Begun {
    /// Where it is, and how it is stopped.
    pub watch: Arc<Verifying>,
    /// What each view reads, wherever it is stored: one layer.
    pub strips: [Strip; 2],
}

/// The result, and a look at the first differences.
#[derive(Debug)]
pub struct Verified {
    /// The result.
    pub outcome: Verification,
    /// The bytes of both views at the first differences.
    pub samples: Vec<Sample>,
    /// How long it took.
    pub took: Duration,
}

/// Bytes of both views at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Guest offset of the first byte.
    pub at: u64,
    /// What the first view has there; fewer bytes at its end.
    pub left: Vec<u8>,
    /// What the second view has there.
    pub right: Vec<u8>,
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

/// The screen.
#[derive(Debug)]
pub(super) struct VerifyScreen {
    pub(super) views: [ViewSpec; 2],
    /// Number of the answers that belong to it.
    pub(super) number: u64,
    pub(super) begun: Option<Begun>,
    pub(super) outcome: Option<std::result::Result<Verified, Refusal>>,
    pub(super) started: Instant,
    pub(super) scroll: usize,
    pub(super) scroll_max: usize,
    /// Bytes done at the last drawing.
    pub(super) drawn: u64,
    /// When somebody last asked how far it is.
    pub(super) looked: Option<Instant>,
}

impl VerifyScreen {
    pub(super) fn new(number: u64, views: [ViewSpec; 2]) -> Self {
        Self {
            views,
            number,
            begun: None,
            outcome: None,
            started: Instant::now(),
            scroll: 0,
            scroll_max: 0,
            drawn: 0,
            looked: None,
        }
    }

    /// Whether a worker is at it.
    pub(super) fn running(&self) -> bool {
        self.outcome.is_none()
    }

    /// Whether the progress on screen is not the newest.
    pub(super) fn moved(&self) -> bool {
        self.running() && self.begun.as_ref().is_some_and(|begun| begun.watch.progress().0 != self.drawn)
    }

    /// The same on the command line.
    pub(super) fn command(&self) -> String {
        let [a, b] = &self.views;
        format!("cowherd compare {} {}", quoted(a), quoted(b))
    }
}

impl Drop for VerifyScreen {
    /// Nobody looks at it any more: the worker ends, and with it the locks.
    fn drop(&mut self) {
        self.begun.iter().for_each(|begun| begun.watch.stop());
    }
}

/// A view as a shell takes it.
fn quoted(view: &ViewSpec) -> String {
    let state = match &view.state {
        StateSpec::Active => String::new(),
        StateSpec::Name(name) => format!("@{name}"),
        StateSpec::Id(id) | StateSpec::VmState(id) => format!("@#{id}"),
    };
    let word = format!("{}{}", Shown::path(&view.path), Shown::new(&state));
    format!("'{}'", word.replace('\'', r"'\''"))
}
