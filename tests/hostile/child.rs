//! Running the program under observation: how it ended, what it said, what it took.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Nobody waits longer, whatever a busy machine does to the clock.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of output read before the pipe is closed, as `head` would.
const ENOUGH: u64 = 4 << 20;

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
    let mut command = Command::new(env!("CARGO_BIN_EXE_cowherd"));
    command.args(args).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    observe(command)
}

// Its own waiter thread waits for the child, with wait4, for the sake of the usage.
#[allow(clippy::zombie_processes)]
fn observe(mut command: Command) -> Answer {
    let mut child = command.spawn().unwrap();
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
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
    let pid = child.id();
    let (done, ended) = mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let end = wait(pid);
        let _ = done.send(());
        end
    });
    if ended.recv_timeout(PATIENCE).is_err() {
        let _ = child.kill();
    }
    let (status, seconds, memory) = waiter.join().unwrap();
    Answer { status, out: output.join().unwrap(), err: words.join().unwrap(), seconds, memory }
}

/// Waits for a child; its status, processor time and peak memory.
#[allow(unsafe_code)]
fn wait(pid: u32) -> (ExitStatus, f64, u64) {
    let mut status = 0;
    // SAFETY: plain data that the kernel fills in.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for writing; the child is ours and nobody else waits for it.
    let waited = unsafe { libc::wait4(pid as libc::pid_t, &mut status, 0, &mut usage) };
    assert_eq!(waited, pid as libc::pid_t);
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    let memory = usage.ru_maxrss as u64 * 1024;
    (ExitStatus::from_raw(status), seconds(usage.ru_utime) + seconds(usage.ru_stime), memory)
}
