//! Exit codes, and the one or two lines that explain a failure.

use std::io::Write;
use std::process::ExitCode;

use crate::error::{Error, Kind};
use crate::text::Shown;
use crate::tui;

/// Done; identical; clean.
pub(super) const DONE: u8 = 0;
/// Failed; different; could not check.
pub(super) const FAILED: u8 = 1;
/// Bad usage; could not compare; corrupt.
pub(super) const USAGE: u8 = 2;
/// A check found leaks and nothing worse.
pub(super) const LEAKS: u8 = 3;
const CONSENT: u8 = 10;
const IN_USE: u8 = 11;
const NO_SPACE: u8 = 12;
const REFUSED: u8 = 13;
const INTERRUPTED: u8 = 14;

/// The codes with their meaning, for `help exit-codes`.
pub(super) const TABLE: &[(&str, &str)] = &[
    ("0", "done; compare: identical; check: clean"),
    ("1", "compare: different; check: could not check; else: failed"),
    ("2", "usage error; compare: could not open; check: corrupt"),
    ("3", "check: leaks only"),
    ("10", "needs consent: a hazard, or no terminal to ask on and no --yes"),
    ("11", "in use by another process, or on a file system without locks"),
    ("12", "not enough space"),
    ("13", "refused: hostile, corrupt or unsupported image; a name outside the gate"),
    ("14", "a job on an image that would change was interrupted: run recover"),
    ("130, 143", "stopped by SIGINT, SIGTERM; the message says what is left"),
];

/// The commands whose codes differ: these two keep qemu-img's, except for an image in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Check,
    Compare,
    Other,
}

/// A job that was stopped by a signal, with what it left.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Stopped {
    pub(super) signal: u8,
    pub(super) message: String,
}

/// The code for a failure of `kind`.
fn code(verb: Verb, kind: Kind) -> u8 {
    match (verb, kind) {
        (_, Kind::InUse | Kind::NoLocks) => IN_USE,
        (_, Kind::Consent) => CONSENT,
        (_, Kind::NoSpace) => NO_SPACE,
        (_, Kind::Interrupted) => INTERRUPTED,
        (Verb::Check, Kind::Usage) => USAGE,
        (Verb::Check, _) => FAILED,
        (Verb::Compare, _) => USAGE,
        (_, Kind::Usage) => USAGE,
        (_, Kind::Corrupt | Kind::Unsupported | Kind::Gate) => REFUSED,
        _ => FAILED,
    }
}

/// Explains arguments that make no sense, or prints the help that was asked for.
pub(super) fn usage(message: &clap::Error) -> ExitCode {
    // A closed pipe is no error; there is nobody left to tell about any other failure to print.
    let _ = message.print();
    ExitCode::from(if message.use_stderr() { USAGE } else { DONE })
}

/// Explains a failure and gives its code. A closed pipe on standard output is not a failure.
pub(super) fn failure(verb: Verb, failure: &anyhow::Error) -> ExitCode {
    if let Some(io) = failure.downcast_ref::<std::io::Error>()
        && io.kind() == std::io::ErrorKind::BrokenPipe
    {
        return ExitCode::from(DONE);
    }
    if let Some(stopped) = failure.downcast_ref::<Stopped>() {
        say(&stopped.message);
        return ExitCode::from(128 + stopped.signal);
    }
    if let Some(stopped) = failure.downcast_ref::<tui::Stopped>() {
        say(&stopped.to_string());
        return ExitCode::from(u8::try_from(128 + stopped.signal).unwrap_or(FAILED));
    }
    match failure.downcast_ref::<Error>() {
        Some(error) => {
            say(&error.to_string());
            if let Some(remedy) = error.what_to_do() {
                say_raw(&Shown::new(remedy).into_string());
            }
            ExitCode::from(code(verb, error.kind()))
        }
        None => {
            say(&Shown::new(&format!("{failure:#}")).into_string());
            ExitCode::from(code(verb, Kind::Io))
        }
    }
}

fn say(line: &str) {
    say_raw(&format!("cowherd: {line}"));
}

/// One line on standard error, which may be closed.
pub(super) fn say_raw(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_documented_ones() {
        let all = [
            (Kind::Io, 1),
            (Kind::NotFound, 1),
            (Kind::Changed, 1),
            (Kind::Usage, 2),
            (Kind::Consent, 10),
            (Kind::InUse, 11),
            (Kind::NoLocks, 11),
            (Kind::NoSpace, 12),
            (Kind::Corrupt, 13),
            (Kind::Unsupported, 13),
            (Kind::Gate, 13),
            (Kind::Interrupted, 14),
        ];
        for (kind, expected) in all {
            assert_eq!(code(Verb::Other, kind), expected, "{kind:?}");
        }
    }

    #[test]
    fn check_and_compare_keep_the_codes_of_qemu_img() {
        assert_eq!(code(Verb::Compare, Kind::NotFound), 2);
        assert_eq!(code(Verb::Compare, Kind::InUse), 11);
        assert_eq!(code(Verb::Check, Kind::Corrupt), 1);
        assert_eq!(code(Verb::Check, Kind::InUse), 11);
        assert_eq!(code(Verb::Check, Kind::Consent), 10);
    }
}
