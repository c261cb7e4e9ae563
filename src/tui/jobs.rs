//! Jobs as the strip shows them: where they are, how fast, and how they ended.

use std::time::Duration;

use crate::chain::ViewSpec;
use crate::error::{Error, Kind};
use crate::job::{Phase, Report, Snapshot};

/// Time over which the shown rate forgets half of what it knew.
const HALF_LIFE: f64 = 2.0;

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Done,
    Stopped,
    Failed,
}

/// How a job ended, in words.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) end: End,
    /// What was done, or why not.
    pub(super) line: String,
    /// What was compared, or what can be done about it.
    pub(super) more: Option<String>,
}

impl Outcome {
    pub(super) fn of(result: Result<Report, Error>) -> Self {
        match result {
            Ok(report) => {
                let more = report.compared.map(|compared| format!("compared: {compared}"));
                Self { end: End::Done, line: report.summary, more }
            }
            Err(e) if e.kind() == Kind::Cancelled => {
                Self { end: End::Stopped, line: e.to_string(), more: None }
            }
            Err(e) => {
                let more = e.what_to_do().map(str::to_owned);
                Self { end: End::Failed, line: e.to_string(), more }
            }
        }
    }
}

/// A job that runs, or ran and was not dismissed yet.
#[derive(Debug, Clone)]
pub(super) struct JobEntry {
    pub(super) title: String,
    pub(super) now: Snapshot,
    pub(super) outcome: Option<Outcome>,
    /// Two views that must read the same once it is done.
    pub(super) twins: Option<[ViewSpec; 2]>,
    rate: Option<f64>,
}

impl JobEntry {
    pub(super) fn new(title: String, now: Snapshot) -> Self {
        Self { title, now, outcome: None, twins: None, rate: None }
    }

    /// The views that can be compared now.
    pub(super) fn comparable(&self) -> Option<&[ViewSpec; 2]> {
        self.twins.as_ref().filter(|_| self.outcome.as_ref().is_some_and(|outcome| outcome.end == End::Done))
    }

    /// Takes over a newer moment. Says whether anything visible changed.
    pub(super) fn advance(&mut self, now: Snapshot) -> bool {
        let time = now.elapsed.saturating_sub(self.now.elapsed).as_secs_f64();
        if time > 0.0 && now.phase == Phase::Copying && now.done >= self.now.done {
            let fresh = (now.done - self.now.done) as f64 / time;
            let keep = 0.5_f64.powf(time / HALF_LIFE);
            self.rate = Some(self.rate.map_or(now.rate(), |old| old * keep + fresh * (1.0 - keep)));
        }
        let changed = now != self.now;
        self.now = now;
        changed
    }

    /// Bytes a second, smoothed; `None` while nothing is copied.
    pub(super) fn rate(&self) -> Option<f64> {
        let rate = self.rate.unwrap_or_else(|| self.now.rate());
        (self.now.phase == Phase::Copying && rate >= 1.0).then_some(rate)
    }

    /// Time left at the smoothed rate, once three seconds of experience allow a guess.
    pub(super) fn eta(&self) -> Option<Duration> {
        self.now.eta()?;
        let left = self.now.total.saturating_sub(self.now.done) as f64;
        Duration::try_from_secs_f64(left / self.rate()?).ok()
    }

    /// Whole per cent; 100 only when it is over.
    pub(super) fn percent(&self) -> u64 {
        (self.now.fraction() * 100.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, done: u64, phase: Phase) -> Snapshot {
        Snapshot { phase, step: 0, steps: 1, done, total: 1000, elapsed: Duration::from_secs(seconds) }
    }

    #[test]
    fn never_a_hundred_before_the_end() {
        let mut job = JobEntry::new(String::new(), at(0, 0, Phase::Preparing));
        job.advance(at(9, 1000, Phase::Syncing));
        assert_eq!(job.percent(), 99);
        job.advance(at(9, 1000, Phase::Done));
        assert_eq!(job.percent(), 100);
    }

    #[test]
    fn a_guess_comes_after_three_seconds_and_is_smoothed() {
        let mut job = JobEntry::new(String::new(), at(0, 0, Phase::Copying));
        job.advance(at(2, 200, Phase::Copying));
        assert_eq!(job.eta(), None);
        job.advance(at(4, 400, Phase::Copying));
        assert_eq!(job.eta(), Some(Duration::from_secs(6)));
        job.advance(at(6, 400, Phase::Copying));
        assert_eq!(job.rate(), Some(50.0), "a pause halves the rate in two seconds");
    }
}
