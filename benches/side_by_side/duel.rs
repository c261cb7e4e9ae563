//! Two sides taking turns, the clock, the report.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Processor time below this is too coarse for a ratio: the system counts it in hundredths.
const MIN_BUSY: Duration = Duration::from_millis(100);

/// Whether there is anybody to compare with.
pub(crate) fn has_qemu() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN
        .get_or_init(|| Command::new("qemu-img").arg("--version").output().is_ok_and(|o| o.status.success()))
}

/// Our command line: words, then files.
pub(crate) fn cowherd<S: AsRef<OsStr>>(words: &str, files: &[S]) -> Command {
    command(env!("CARGO_BIN_EXE_cowherd"), words, files)
}

/// Their command line.
pub(crate) fn qemu_img<S: AsRef<OsStr>>(words: &str, files: &[S]) -> Command {
    command("qemu-img", words, files)
}

fn command<S: AsRef<OsStr>>(program: &str, words: &str, files: &[S]) -> Command {
    let mut command = Command::new(program);
    let words = words.split_whitespace().map(|word| if word == "''" { "" } else { word });
    command.args(words).args(files);
    command
}

/// The same question to both, `rounds` times. `same` judges both answers once.
pub(crate) fn duel(
    what: &str,
    rounds: usize,
    mut ours: Command,
    mut theirs: Command,
    same: impl FnOnce(&Output, &Output),
) {
    let answer = output(&mut ours);
    if has_qemu() {
        same(&answer, &output(&mut theirs));
    }
    let names = [name(&ours), name(&theirs)];
    let mut pair = Pair::default();
    for _ in 0..rounds {
        pair.ours.measure(|| run(&mut ours));
        if has_qemu() {
            pair.theirs.measure(|| run(&mut theirs));
        }
    }
    pair.report(what, &names[0], &names[1]);
}

/// Program and subcommand.
pub(crate) fn name(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program()).file_name().unwrap();
    let verb = command.get_args().next().unwrap_or_default();
    format!("{} {}", program.to_string_lossy(), verb.to_string_lossy())
}

/// What a command says, whether it succeeds or not.
pub(crate) fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
}

/// Runs a command that must succeed.
pub(crate) fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).status();
    assert!(status.as_ref().is_ok_and(|s| s.success()), "{command:?} failed: {status:?}");
}

/// More memory than this is too much, whatever the image.
const MOST_MEMORY: u64 = 64 << 20;

/// The times of both sides.
#[derive(Default)]
pub(crate) struct Pair {
    pub(crate) ours: Times,
    pub(crate) theirs: Times,
    /// How many times faster we want to be.
    pub(crate) target: Option<f64>,
}

/// A line for each report, to be shown together at the end.
static TABLE: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Shows all reports of measured changes together.
pub(crate) fn summary() {
    let table = TABLE.lock().unwrap();
    if !table.is_empty() {
        let (what, ours, theirs) = ("what", "cowherd ms", "qemu-img ms");
        println!("\n{what:66} {ours:>10} {theirs:>11} {:>6} {:>6} {:>13}", "ratio", "target", "peak MiB");
        table.iter().for_each(|line| println!("{line}"));
    }
}

impl Pair {
    pub(crate) fn report(&self, what: &str, our_name: &str, their_name: &str) {
        println!("\n{what}");
        for (name, times) in [(our_name, &self.ours), (their_name, &self.theirs)] {
            if let (Some(low), Some(high)) = (times.sorted().first(), times.sorted().last()) {
                println!(
                    "  {name:28}{:9.1} ms   ({:.1} to {:.1} in {} rounds)",
                    times.median() * 1e3,
                    low * 1e3,
                    high * 1e3,
                    times.walls.len()
                );
            }
        }
        if self.theirs.walls.is_empty() {
            return;
        }
        let busy = match self.ours.busy.min(self.theirs.busy) >= MIN_BUSY {
            true => format!(
                "   (of processor time {:.1})",
                self.theirs.busy.as_secs_f64() / self.ours.busy.as_secs_f64()
            ),
            false => String::new(),
        };
        let (ours, theirs) = (self.ours.median() * 1e3, self.theirs.median() * 1e3);
        let ratio = theirs / ours;
        println!("  ratio of the medians        {ratio:9.1}{busy}");
        if self.ours.peak == 0 {
            return;
        }
        let mib = |bytes: u64| bytes >> 20;
        println!(
            "  peak memory                 {:9} MiB, theirs {} MiB",
            mib(self.ours.peak),
            mib(self.theirs.peak)
        );
        let target = self.target.unwrap_or(1.0);
        let missed = if ratio < target || self.ours.peak >= MOST_MEMORY { " missed" } else { "" };
        TABLE.lock().unwrap().push(format!(
            "{what:66} {ours:10.1} {theirs:11.1} {ratio:6.1} {target:6.1} {:5} / {:5}{missed}",
            mib(self.ours.peak),
            mib(self.theirs.peak)
        ));
    }
}

/// Measured rounds of one side.
#[derive(Default)]
pub(crate) struct Times {
    walls: Vec<Duration>,
    /// Processor time of all rounds together: what a busy machine changes least.
    busy: Duration,
    /// Largest resident memory in bytes, where it was measured.
    pub(crate) peak: u64,
}

impl Times {
    /// Nothing measured but memory.
    pub(crate) fn with_peak(peak: u64) -> Self {
        Self { peak, ..Self::default() }
    }

    /// Measures one round of processes.
    pub(crate) fn measure(&mut self, round: impl FnOnce()) {
        let (busy, start) = (busy(), Instant::now());
        round();
        self.walls.push(start.elapsed());
        self.busy += self::busy().saturating_sub(busy);
    }

    fn sorted(&self) -> Vec<f64> {
        let mut seconds: Vec<_> = self.walls.iter().map(Duration::as_secs_f64).collect();
        seconds.sort_unstable_by(f64::total_cmp);
        seconds
    }

    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        sorted[sorted.len() / 2]
    }
}

/// Processor time of all children that have ended: fields 16 and 17 of `/proc/self/stat`.
fn busy() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name may contain spaces, but nothing behind it does.
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = behind_name.split_whitespace().skip(13).take(2).filter_map(|t| t.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}
