//! Peak memory of a command.
//!
//! A process begins with the peak of the one it was forked from, and this one makes images. So it starts
//! itself again, small, as the parent of the command.

use std::env;
use std::process::{Command, ExitCode, Stdio};

/// Names the file for the report of the process between.
const REPORT: &str = "COWHERD_BENCH_PEAK";

/// Runs a command, which must succeed; its largest resident memory in bytes.
pub(crate) fn peak(command: &Command) -> u64 {
    let report = tempfile::NamedTempFile::new().unwrap();
    let mut between = Command::new(env::current_exe().unwrap());
    between.arg(command.get_program()).args(command.get_args()).env(REPORT, report.path());
    between.stdin(Stdio::null()).stdout(Stdio::null());
    if let Some(folder) = command.get_current_dir() {
        between.current_dir(folder);
    }
    assert!(between.status().unwrap().success());
    let said = std::fs::read_to_string(report.path()).unwrap();
    let (status, memory) = said.split_once(' ').unwrap();
    assert_eq!(status, "0", "{command:?}");
    memory.parse().unwrap()
}

/// In the process between: runs the command that its arguments are. `None` where this is the bench itself.
// The child is waited for by `wait4`, which also learns what it took.
#[allow(clippy::zombie_processes, unsafe_code)]
pub(crate) fn stand_between() -> Option<ExitCode> {
    let report = env::var_os(REPORT)?;
    let mut words = env::args_os().skip(1);
    let mut command = Command::new(words.next()?);
    let pid = command.args(words).env_remove(REPORT).spawn().unwrap().id() as libc::pid_t;
    let mut status = 0;
    // SAFETY: plain data that the kernel fills in.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for writing; the child is ours and nobody else waits for it.
    assert_eq!(unsafe { libc::wait4(pid, &mut status, 0, &mut usage) }, pid);
    std::fs::write(report, format!("{status} {}", usage.ru_maxrss * 1024)).unwrap();
    Some(ExitCode::SUCCESS)
}
