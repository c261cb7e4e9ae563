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
mod trace;
mod truncated;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

fn main() -> ExitCode {
    if let Some(code) = child::stand_between() {
        return code;
    }
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
    let cases: Vec<_> = cases.into_iter().flatten().map(Arc::new).collect();
    let judged = cases
        .clone()
        .into_iter()
        .map(|case| Trial::test(case.name.clone(), move || verdict(&judge::judge(&case))));
    let unavailable = trace::unavailable();
    let traced = cases.into_iter().map(|case| {
        let unavailable = unavailable.clone();
        Trial::ignorable_test(format!("opens/{}", case.name), move || match unavailable {
            Some(reason) => Ok(Completion::ignored_with(reason)),
            None => verdict(&judge::trace(&case)).map(|()| Completion::Completed),
        })
    });
    let reading = Trial::test("opens::reads_a_trace", || {
        trace::reads_its_lines();
        Ok(())
    });
    libtest_mimic::run(&arguments, judged.chain(traced).chain([reading]).collect()).exit_code()
}

fn verdict(wrong: &[String]) -> Result<(), Failed> {
    if wrong.is_empty() { Ok(()) } else { Err(Failed::from(wrong.join("\n"))) }
}
