//! The command line face: one file per subcommand.
//!
//! A command opens views through the chain floor, asks the forest floor for a forest, or makes a
//! plan and lets a job run it; it never touches image bytes itself. What is the same for all
//! commands lies beside them: [`args`], [`args_change`] and [`args_serve`] (the options), [`exit`] (the codes),
//! [`out`] (standard output and the terminal), [`opening`] (gates and locks), [`change`] (plan,
//! consent, job).

mod args;
mod args_change;
mod args_serve;
mod cat;
mod change;
mod check;
mod cleanup;
mod commit;
mod compact;
mod compare;
mod convert;
mod create;
mod delete;
mod demo;
mod diff;
mod exit;
mod export;
mod figure;
mod help;
mod info;
mod map;
mod measure;
mod names;
mod open;
mod opening;
mod options;
mod out;
mod plan_json;
mod plan_text;
mod progress;
mod rebase;
mod recover;
mod resize;
mod revert;
mod serve;
mod snapshot;
mod snapshots;
mod table;
mod trash;
mod tree;
mod values;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use out::Out;

use crate::config::Config;

/// Runs the program with these arguments (the first is its name) and says how it ended.
///
/// Whatever goes wrong is one line on standard error, and one more with what can be done.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(message) => return exit::usage(&message),
    };
    let verb = cli.verb();
    let config = match cli.no_stray_paths().and_then(|()| Config::load()) {
        Ok(config) => config,
        Err(e) => return exit::failure(verb, &e.into()),
    };
    cli.global.ascii |= config.ascii;
    if let Some(allow) = cli.allow() {
        allow.allow.extend(config.allow.iter().cloned());
    }
    let mut out = Out::new(&cli.global);
    let done = run(cli, &config, &mut out).and_then(|code| {
        out.flush()?;
        Ok(code)
    });
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failure) => exit::failure(verb, &failure),
    }
}

/// All commands and their options, for the man page and the completions.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// The exit codes with their meaning.
#[must_use]
pub fn exit_codes() -> &'static [(&'static str, &'static str)] {
    exit::TABLE
}

/// Runs one command; gives its exit code.
fn run(cli: Cli, config: &Config, out: &mut Out) -> anyhow::Result<u8> {
    match cli.command {
        None => open::run(&cli.paths, cli.read_only, &cli.opening, config, out),
        Some(Command::Tree(args)) => tree::run(&args, out),
        Some(Command::Figure(args)) => figure::run(&args, out),
        Some(Command::Info(args)) => info::run(&args, out),
        Some(Command::Map(args)) => map::run(&args, out),
        Some(Command::Check(args)) => check::run(&args, out),
        Some(Command::Compare(args)) => compare::run(&args, out),
        Some(Command::Diff(args)) => diff::run(&args, out),
        Some(Command::Cat(args)) => cat::run(&args, out),
        Some(Command::Serve(args)) => serve::run(&args, out),
        Some(Command::Create(args)) => create::run(&args, out),
        Some(Command::Measure(args)) => measure::run(&args, out),
        Some(Command::Resize(args)) => resize::run(&args, out),
        Some(Command::Recover(args)) => recover::run(&args, out),
        Some(Command::Commit(args)) => commit::run(&args, out),
        Some(Command::Pull(args)) => rebase::pull(&args, out),
        Some(Command::Rebase(args)) => rebase::run(&args, out),
        Some(Command::Overlay(args)) => names::overlay(&args, out),
        Some(Command::Rename(args)) => names::rename(&args, out),
        Some(Command::Delete(args)) => delete::run(&args, out),
        Some(Command::Revert(args)) => revert::run(&args, out),
        Some(Command::Compact(args)) => compact::run(&args, out),
        Some(Command::Convert(args)) => convert::run(&args, out),
        Some(Command::Export(args)) => export::run(&args, out),
        Some(Command::Import(args)) => export::import(&args, out),
        Some(Command::Snapshot(args)) => snapshot::run(&args, out),
        Some(Command::Cleanup(args)) => cleanup::run(&args, out),
        Some(Command::Trash(args)) => trash::run(&args, out),
        Some(Command::Demo(args)) => demo::run(&args, config, out),
        Some(Command::Help(args)) => help::run(&args, out),
    }
}
