//! Images that somebody made to hurt us. Each is made here, byte by byte, and has a fixed verdict for
//! every command: an exit code and the words that name the place.
//!
//! Whatever the image: no panic, no signal, at most 2 seconds of processor time and 256 MiB of
//! memory, not one byte written, no file opened but those that were named, and nothing on the
//! terminal that steers it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bombs;
mod build;
mod case;
mod chains;
mod child;
mod compressed;
mod extensions;
mod headers;
mod judge;
mod names;
mod qcow2;
mod qed;
mod qed_cases;
mod refcounts;
mod snapshots;
mod stage;
mod tables;
mod truncated;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let cases = [
        headers::cases(),
        tables::cases(),
        refcounts::cases(),
        snapshots::cases(),
        extensions::cases(),
        compressed::cases(),
        names::cases(),
        chains::cases(),
        qed_cases::cases(),
        truncated::cases(),
        bombs::cases(),
    ];
    let trials = cases.into_iter().flatten().map(|case| {
        Trial::test(case.name.clone(), move || match judge::judge(&case).as_slice() {
            [] => Ok(()),
            wrong => Err(Failed::from(wrong.join("\n"))),
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
