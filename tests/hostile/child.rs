//! Running the program under observation: how it ended, what it said, what it took.
//!
//! A process begins with the peak memory of the one it was forked from, and this one holds all the
//! images. So it starts itself again, small, as the parent of the program: see [`stand_between`].

use std::env;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::NamedTempFile;

/// Nobody waits longer, whatever a busy machine does to the clock.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of output read before the pipe is closed, as `head` would.
const ENOUGH: u64 = 4 << 20;
/// Names the file for the report of the process between.
const REPORT: &str = "COWHERD_HOSTILE_REPORT";

/// How a run ended.
pub(crate) struct Answer {
    pub(crate) status: ExitStatus,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
    /// Seconds of processor time.
    pub(crate) seconds: f64,
    /// Largest resident memory in bytes.
    pub(crate) memory: u64,
}

/// Runs cowherd in `dir`.
pub(crate) fn cowherd(dir: &Path, args: &[&str]) -> Answer {
    let report = NamedTempFile::new().unwrap();
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(args).current_dir(dir).env(REPORT, report.path()).process_group(0);
    let (out, err) = observe(command);
    let report = std::fs::read_to_string(report.path()).unwrap();
    let mut words = report.split_whitespace();
    let mut word = || words.next().unwrap_or_else(|| panic!("no end of {args:?} within {PATIENCE:?}"));
    Answer {
        status: ExitStatus::from_raw(word().parse().unwrap()),
        out,
        err,
        seconds: word().parse().unwrap(),
        memory: word().parse().unwrap(),
    }
}

/// What a group of processes wrote until its leader ended, or all of it was killed.
fn observe(mut command: Command) -> (Vec<u8>, String) {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut leader = command.spawn().unwrap();
    let (mut stdout, mut stderr) = (leader.stdout.take().unwrap(), leader.stderr.take().unwrap());
    let words = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stderr.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let output = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        (&mut stdout).take(ENOUGH).read_to_end(&mut bytes).unwrap();
        bytes
    });
    let group = Pid::from_child(&leader);
    let (done, ended) = mpsc::channel();
    let waiter = std::thread::spawn(move || {
        leader.wait().unwrap();
        let _ = done.send(());
    });
    if ended.recv_timeout(PATIENCE).is_err() {
        let _ = kill_process_group(group, Signal::KILL);
    }
    waiter.join().unwrap();
    (output.join().unwrap(), words.join().unwrap())
}

/// In the process between: runs cowherd with these arguments and reports what that took. `None`
/// where this is the test itself.
// The child is waited for by `wait`, which also learns what it took.
#[allow(clippy::zombie_processes)]
pub(crate) fn stand_between() -> Option<ExitCode> {
    let report = env::var_os(REPORT)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_cowherd"));
    command.env("COWHERD_LIBVIRT_DIRS", "");
    let pid = command.args(env::args_os().skip(1)).env_remove(REPORT).spawn().unwrap().id();
    let (status, seconds, memory) = wait(pid);
    std::fs::write(report, format!("{status} {seconds} {memory}")).unwrap();
    Some(ExitCode::SUCCESS)
}

/// Waits for a child; its status, processor time and peak memory.
#[allow(unsafe_code)]
fn wait(pid: u32) -> (i32, f64, u64) {
    let mut status = 0;
    // SAFETY: plain data that the kernel fills in.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for writing; the child is ours and nobody else waits for it.
    let waited = unsafe { libc::wait4(pid as libc::pid_t, &mut status, 0, &mut usage) };
    assert_eq!(waited, pid as libc::pid_t);
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    let memory = usage.ru_maxrss as u64 * 1024;
    (status, seconds(usage.ru_utime) + seconds(usage.ru_stime), memory)
}
