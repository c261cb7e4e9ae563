//! Every operation on every format, with the power cut after every write: no view that the plan does not
//! name ever reads differently, before recovery, after it, and when recovery is cut off as well.
//!
//! And with every call to the host failing: the failure is told, and nothing is lost.
//!
//! `COWHERD_STATES` is how many distinct states each operation and format is taken through (a tenth of
//! the long run by default), `COWHERD_FAULTS` how many calls of each fail (a few by default, or `all`),
//! `COWHERD_SEED` which herd is first. A failure prints its seed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod acts;
mod faults;
mod faulty;
mod herds;
mod judge;
mod qemu;
mod world;

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use libtest_mimic::{Arguments, Completion, Trial};

/// States judged so far, of all cases.
static STATES: AtomicUsize = AtomicUsize::new(0);
/// Of these, how many were cut off in the middle of a recovery.
static SECOND: AtomicUsize = AtomicUsize::new(0);
/// Runs in which calls failed.
static FAULTS: AtomicU64 = AtomicU64::new(0);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let (wanted, seed) = (number("COWHERD_STATES", 120) as usize, number("COWHERD_SEED", 1));
    let calls = match std::env::var("COWHERD_FAULTS").as_deref() {
        Ok("all") => u64::MAX,
        _ => number("COWHERD_FAULTS", 10),
    };
    let mut trials = Vec::new();
    for kind in herds::ALL {
        for act in acts::ALL.iter().filter(|act| act.fits(*kind)) {
            let name = format!("{}::{}", act.name, kind.name());
            trials.push(Trial::ignorable_test(name.clone(), move || {
                let (states, second) = judge::trial(*kind, act, wanted, seed);
                println!("{name}: {states} distinct states, {second} of them in recovery");
                STATES.fetch_add(states, Ordering::Relaxed);
                SECOND.fetch_add(second, Ordering::Relaxed);
                Ok(Completion::Completed)
            }));
            let name = format!("fault::{}::{}", act.name, kind.name());
            trials.push(Trial::ignorable_test(name.clone(), move || {
                let runs = faults::trial(*kind, act, calls, seed);
                println!("{name}: {runs} runs in which calls failed");
                FAULTS.fetch_add(runs, Ordering::Relaxed);
                Ok(Completion::Completed)
            }));
        }
    }
    // So that a run without it does not look like one with it.
    trials.push(Trial::ignorable_test("some_states_are_read_by_qemu_too", || match qemu::installed() {
        true => Ok(Completion::Completed),
        false => Ok(Completion::ignored_with("qemu-img not installed")),
    }));
    let conclusion = libtest_mimic::run(&arguments, trials);
    let (states, second) = (STATES.load(Ordering::Relaxed), SECOND.load(Ordering::Relaxed));
    println!("{states} distinct states in all, {second} of them of a recovery that was cut off");
    println!("{} runs in which calls to the host failed", FAULTS.load(Ordering::Relaxed));
    conclusion.exit_code()
}
