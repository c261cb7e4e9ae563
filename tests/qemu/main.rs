//! QEMU as the oracle: images made by qemu-img and qemu-io, read and changed by cowherd, read
//! again by QEMU.
//!
//! Each test names the programs it needs. When one is missing the test is reported as ignored,
//! with the reason; it never passes unrun.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod busy;
mod changing;
mod checking;
mod cleaning;
mod commit;
mod compacting;
mod converting;
mod creating;
mod damage;
mod data_file;
mod devices;
mod exporting;
mod full;
mod garbage;
mod guest;
mod interrupt;
mod keeping;
mod kill;
mod kill_trials;
mod lab;
mod losses;
mod matrix;
mod matrix_damage;
mod matrix_shape;
mod matrix_steps;
mod measuring;
mod moving;
mod naming;
mod qed;
mod qed_commit;
mod random;
mod reading;
mod reads;
mod refuse;
mod repairing;
mod served;
mod serving;
mod serving_tools;
mod streaming;
mod terminal;
mod tidying;
mod unlocked;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};

/// A test that needs these programs.
pub(crate) struct Case {
    name: String,
    needs: &'static [&'static str],
    /// Why it cannot run here.
    unless: fn() -> Option<String>,
    run: Box<dyn FnOnce() + Send>,
}

/// Makes images, or looks at them.
pub(crate) type OnLab = fn(&lab::Lab);

/// What nearly every test needs.
pub(crate) const QEMU: &[&str] = &["qemu-img", "qemu-io"];

/// A case that needs qemu-img and qemu-io.
pub(crate) fn case(name: impl Into<String>, run: impl FnOnce() + Send + 'static) -> Case {
    Case { name: name.into(), needs: QEMU, unless: || None, run: Box::new(run) }
}

impl Case {
    /// The same, needing other programs.
    pub(crate) fn needs(self, needs: &'static [&'static str]) -> Self {
        Self { needs, ..self }
    }

    /// The same, ignored for the reason that `unless` gives.
    pub(crate) fn unless(self, unless: fn() -> Option<String>) -> Self {
        Self { unless, ..self }
    }

    fn trial(self) -> Trial {
        let Self { name, needs, unless, run } = self;
        Trial::ignorable_test(name, move || {
            let missing: Vec<_> = needs.iter().copied().filter(|program| !lab::exists(program)).collect();
            if !missing.is_empty() {
                return Ok(Completion::ignored_with(format!("{} not installed", missing.join(", "))));
            }
            if let Some(reason) = unless() {
                return Ok(Completion::ignored_with(reason));
            }
            run();
            Ok(Completion::Completed)
        })
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let cases = [
        reading::cases(),
        reads::cases(),
        checking::cases(),
        cleaning::cases(),
        changing::cases(),
        repairing::cases(),
        creating::cases(),
        data_file::cases(),
        measuring::cases(),
        commit::cases(),
        moving::cases(),
        naming::cases(),
        losses::cases(),
        compacting::cases(),
        converting::cases(),
        tidying::cases(),
        refuse::cases(),
        busy::cases(),
        interrupt::cases(),
        kill::cases(),
        garbage::cases(),
        random::cases(),
        matrix::cases(),
        terminal::cases(),
        unlocked::cases(),
        full::cases(),
        keeping::cases(),
        qed::cases(),
        qed_commit::cases(),
        devices::cases(),
        exporting::cases(),
        streaming::cases(),
        serving::cases(),
        serving_tools::cases(),
    ];
    let trials = cases.into_iter().flatten().map(Case::trial).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
