//! Whole machines: a guest under QEMU that counts in its memory and writes to its disk, whose snapshots go on
//! as machines of their own.
//!
//! `tests/live/guest` makes what is started here. When some of it is missing the tests are reported as
//! ignored, with the reason; they never pass unrun.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod machine;
mod resume;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};

/// What must be there beside cowherd.
fn missing() -> Vec<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let programs = ["qemu-img", machine::QEMU].into_iter();
    let programs = programs.filter(|p| !std::env::split_paths(&path).any(|dir| dir.join(p).is_file()));
    let parts = ["kernel", "busybox", "initramfs"].into_iter();
    let parts = parts.filter(|part| !machine::guest().join(part).is_file());
    programs.chain(parts).map(str::to_owned).collect()
}

fn main() -> ExitCode {
    let trials = resume::TESTS.iter().map(|(name, run)| {
        Trial::ignorable_test(*name, || {
            let missing = missing();
            if !missing.is_empty() {
                let list = missing.join(", ");
                return Ok(Completion::ignored_with(format!("no {list}; run tests/live/guest")));
            }
            run();
            Ok(Completion::Completed)
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
