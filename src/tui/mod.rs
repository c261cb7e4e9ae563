//! The terminal face.
//!
//! A loop in Elm's manner: an event is looked up in the one table of bindings, names an action,
//! changes the model, and asks for effects (a scan, a plan, a job); what changed is drawn. Nothing
//! here touches bytes of images: the floors below are reached through [`Engine`] alone.

mod action;
mod app;
mod cleaning;
mod engine;
mod errand;
mod event;
mod figure;
mod filter;
mod form;
mod fuzzy;
mod help;
mod jobs;
mod keymap;
mod keys;
mod layers;
mod model;
mod mouse;
mod operation;
mod palette;
mod pane;
mod plan_screen;
mod reasons;
mod remap;
mod remedy;
mod request;
mod rows;
mod terminal;
mod text_fit;
mod theme;
mod update;
mod update_cleaning;
mod update_form;
mod update_plan;
mod update_verify;
mod verify;
mod view;
mod words;
mod worker;

use std::fmt;
use std::io::{IsTerminal, stdin, stdout};
use std::path::PathBuf;
use std::sync::Arc;

pub use app::App;
pub use engine::{Engine, Floors, Running};
pub use event::Input;
pub use keymap::key_table;
pub use keys::key;
pub use operation::{Operation, Proposal, Work};
pub use remap::{Keymap, actions};
pub use terminal::Host;
pub use theme::Colours;
pub use verify::{Begun, Sample, Verified, verify_views};

use crate::chain::Gate;
use crate::forest;

/// How the UI looks and what it may do.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Plans may be looked at, and none can be run.
    pub read_only: bool,
    /// Draw without line and block characters.
    pub ascii: bool,
    /// Use colour; without it, bold, dim and reverse stay.
    pub color: bool,
    /// What the roles look like.
    pub colours: Colours,
    /// Which backing names may be followed.
    pub gate: Gate,
    /// A few words for the header instead of the folder's name.
    pub banner: Option<String>,
    /// Other keys than those of the table.
    pub keymap: Arc<Keymap>,
}

/// The UI was ended by a signal; the terminal is restored and no job runs any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// The signal's number.
    pub signal: i32,
    /// What became of the job that ran, one line; empty when none did.
    pub job: String,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stopped by signal {}", self.signal)?;
        if self.job.is_empty() { Ok(()) } else { write!(f, "; {}", self.job) }
    }
}

impl std::error::Error for Stopped {}

/// Whether a full-screen interface can work here: input and output are a terminal that can move
/// its cursor. Otherwise print the tree.
pub fn usable() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    !dumb && stdin().is_terminal() && stdout().is_terminal()
}

/// Shows `paths` (folders or images) until the user quits.
///
/// Fails when a path does not exist, or the terminal cannot be taken over or drawn on. Ended by a signal, the error is a [`Stopped`] (downcast for the exit code).
pub fn run(paths: Vec<PathBuf>, options: Options) -> anyhow::Result<()> {
    // A path that does not exist is told on the shell's screen, where it was typed.
    for path in &paths {
        forest::absolute(path)?;
    }
    let inputs = event::listen()?;
    let (session, terminal) = terminal::Session::take()?;
    let mut app = App::new(terminal, session, Floors::shared(), paths, &options);
    match app.run(&inputs)? {
        None => Ok(()),
        Some(signal) => Err(Stopped { signal, job: app.last_outcome() }.into()),
    }
}
