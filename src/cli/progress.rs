//! Watching a job on standard error, and stopping it when a signal asks.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::exit::Stopped;
use super::out::{Notes, Out};
use super::values::Watch;
use crate::error::{Kind, Result};
use crate::job::{Job, Phase, Report, Snapshot};
use crate::text::human_size;

/// How often a job is looked at, and how often that is shown.
const LOOK: Duration = Duration::from_millis(20);
const SHOW: Duration = Duration::from_millis(100);
const BAR: usize = 24;

/// Starts a job and waits for its end, showing how far it is. SIGINT and SIGTERM ask it to stop, from its first
/// moment on; it then ends with what it left.
pub(super) fn watch(start: impl FnOnce() -> Result<Job>, how: Watch, out: &Out) -> anyhow::Result<Report> {
    let signal = Arc::new(AtomicUsize::new(0));
    for number in [SIGINT, SIGTERM] {
        signal_hook::flag::register_usize(number, signal.clone(), number as usize)?;
    }
    let job = start()?;
    let mut show = Display::new(how, out.ascii);
    let mut stopping = false;
    while !job.is_finished() {
        if !stopping && signal.load(Ordering::Relaxed) != 0 {
            stopping = true;
            job.cancel();
        }
        show.tell(&job.take_notes(), out);
        show.update(&job.progress());
        job.wait_for(LOOK);
    }
    show.tell(&job.take_notes(), out);
    show.finish(&job.progress());
    job.wait().map_err(|error| {
        let number = signal.load(Ordering::Relaxed) as u8;
        if error.kind() != Kind::Cancelled || number == 0 {
            return error.into();
        }
        Stopped { signal: number, message: error.to_string() }.into()
    })
}

/// What is on standard error.
struct Display {
    how: Watch,
    ascii: bool,
    last: Option<(Instant, Phase)>,
}

impl Display {
    fn new(how: Watch, ascii: bool) -> Self {
        let how = match how {
            Watch::Auto if std::io::stderr().is_terminal() => Watch::Bar,
            Watch::Auto => Watch::None,
            how => how,
        };
        Self { how, ascii, last: None }
    }

    /// Above the bar, which is drawn again below it.
    fn tell(&mut self, notes: &[String], out: &Out) {
        if notes.is_empty() || out.notes == Notes::No {
            return;
        }
        if self.how == Watch::Bar {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
            self.last = None;
        }
        notes.iter().for_each(|note| out.note(note));
    }

    fn update(&mut self, now: &Snapshot) {
        let due = self.last.is_none_or(|(at, phase)| at.elapsed() >= SHOW || phase != now.phase);
        if due {
            self.last = Some((Instant::now(), now.phase));
            self.draw(now, "");
        }
    }

    fn finish(&mut self, now: &Snapshot) {
        self.draw(now, "\n");
    }

    /// Standard error may be closed; the job matters more.
    fn draw(&self, now: &Snapshot, end: &str) {
        let mut stderr = std::io::stderr();
        let _ = match self.how {
            Watch::Json => writeln!(stderr, "{}", as_json(now)),
            Watch::Bar => write!(stderr, "\r{}\x1b[K{end}", bar(now, self.ascii)),
            Watch::None | Watch::Auto => Ok(()),
        };
    }
}

/// The moment, with the fraction that a face would draw.
fn as_json(now: &Snapshot) -> serde_json::Value {
    let mut value = json!(now);
    if let Some(map) = value.as_object_mut() {
        map.insert("fraction".to_owned(), now.fraction().into());
    }
    value
}

/// One line: phase, bar, bytes, rate, time left.
fn bar(now: &Snapshot, ascii: bool) -> String {
    let full = (now.fraction() * BAR as f64) as usize;
    let (on, off) = if ascii { ("#", "-") } else { ("█", "░") };
    let bar = format!("{}{}", on.repeat(full), off.repeat(BAR.saturating_sub(full)));
    let mut line = format!(
        "{:10} {bar} {:3.0} %  {} of {}",
        now.phase.word(),
        (now.fraction() * 100.0).floor(),
        human_size(now.done),
        human_size(now.total)
    );
    if now.phase == Phase::Copying && now.rate() > 0.0 {
        line.push_str(&format!("  {}/s", human_size(now.rate() as u64)));
    }
    if let Some(left) = now.eta() {
        line.push_str(&format!("  {} s left", left.as_secs() + 1));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(phase: Phase, done: u64) -> Snapshot {
        Snapshot { phase, step: 0, steps: 2, done, total: 1 << 20, elapsed: Duration::from_secs(1) }
    }

    #[test]
    fn a_bar_is_full_only_at_the_end() {
        assert!(bar(&at(Phase::Syncing, 1 << 20), true).contains("-  99 %"));
        assert!(bar(&at(Phase::Done, 1 << 20), true).contains("# 100 %"));
    }

    #[test]
    fn json_lines_carry_the_counters() {
        let value = as_json(&at(Phase::Copying, 1 << 19));
        assert_eq!((value["phase"].as_str(), value["done"].as_u64()), (Some("copying"), Some(1 << 19)));
        assert_eq!(value["fraction"].as_f64(), Some(0.5));
    }
}
