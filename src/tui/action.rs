//! Everything a key can ask for, by name.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::operation::{Operation, Proposal};
use super::request::Verb;
use crate::chain::ViewSpec;
use crate::forest::Forest;
use crate::plan::{HazardKind, ViewId};

/// What a key, a click or a line of the help asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Action {
    Up,
    Down,
    HalfUp,
    HalfDown,
    PageUp,
    PageDown,
    First,
    Last,
    Out,
    Into,
    Open,
    PanLeft,
    PanRight,
    PanUp,
    PanDown,
    NextPane,
    PreviousPane,
    NextTab,
    PreviousTab,
    GoForest,
    GoFigure,
    GoLayers,
    GoInfo,
    GoHealth,
    GoJobs,
    Filter,
    NextMatch,
    PreviousMatch,
    Mark,
    Remedy,
    Verify,
    /// Something that is planned first.
    Operate(Verb),
    Rescan,
    CopyPath,
    CopyCommand,
    Help,
    Palette,
    Mouse,
    Suspend,
    Quit,
    Close,
    Accept,
    PauseJob,
    CancelJob,
    StopJob,
    QuitWait,
    QuitStop,
    PlanRun,
    NextWay,
    NextField,
    PreviousField,
    Toggle,
    Activate,
    RunLine,
    KeepMore,
    KeepFewer,
    NextAge,
    Pin,
    Propose,
}

impl Action {
    /// Its name in the palette and in the configuration.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::HalfUp => "half-page-up",
            Self::HalfDown => "half-page-down",
            Self::PageUp => "page-up",
            Self::PageDown => "page-down",
            Self::First => "first",
            Self::Last => "last",
            Self::Out => "out",
            Self::Into => "into",
            Self::Open => "open",
            Self::PanLeft => "pan-left",
            Self::PanRight => "pan-right",
            Self::PanUp => "pan-up",
            Self::PanDown => "pan-down",
            Self::NextPane => "next-pane",
            Self::PreviousPane => "previous-pane",
            Self::NextTab => "next-tab",
            Self::PreviousTab => "previous-tab",
            Self::GoForest => "forest",
            Self::GoFigure => "figure",
            Self::GoLayers => "layers",
            Self::GoInfo => "info",
            Self::GoHealth => "health",
            Self::GoJobs => "jobs",
            Self::Filter => "filter",
            Self::NextMatch => "next-match",
            Self::PreviousMatch => "previous-match",
            Self::Operate(verb) => verb.name(),
            Self::Mark => "mark",
            Self::Remedy => "remedy",
            Self::Verify => "verify",
            Self::Rescan => "rescan",
            Self::CopyPath => "copy-path",
            Self::CopyCommand => "copy-command",
            Self::Help => "help",
            Self::Palette => "palette",
            Self::Mouse => "mouse",
            Self::Suspend => "suspend",
            Self::Quit => "quit",
            Self::Close => "close",
            Self::Accept => "accept",
            Self::PauseJob => "pause-job",
            Self::CancelJob => "stop-job",
            Self::StopJob => "stop-job-now",
            Self::QuitWait => "quit-when-done",
            Self::QuitStop => "quit-and-stop",
            Self::PlanRun => "run-plan",
            Self::NextWay => "another-way",
            Self::NextField => "next-field",
            Self::PreviousField => "previous-field",
            Self::Toggle => "change-option",
            Self::Activate => "activate",
            Self::RunLine => "run-line",
            Self::KeepMore => "keep-more",
            Self::KeepFewer => "keep-fewer",
            Self::NextAge => "next-age",
            Self::Pin => "pin",
            Self::Propose => "mark-proposed",
        }
    }

    /// What the command line calls it, and other words that lead to it.
    pub(super) fn other_words(self) -> &'static str {
        match self {
            Self::GoForest => "tree list",
            Self::GoInfo => "facts snapshot list measure",
            Self::GoLayers => "map allocation strips",
            Self::GoHealth => "check problems",
            Self::Verify => "compare diff",
            Self::GoJobs => "progress results",
            Self::Rescan => "refresh reload",
            Self::Operate(verb) => verb.other_words(),
            _ => "",
        }
    }
}

/// What the event loop must do outside the model.
#[derive(Debug)]
pub(super) enum Effect {
    /// Look through the folders again.
    Scan,
    /// Compare two views; the answers carry the number back.
    Verify { number: u64, views: [ViewSpec; 2] },
    /// Plan each of the ways to something, with a comparison in the end or without; the answer carries the number back.
    Plan { number: u64, operations: Vec<Operation>, verify: bool },
    /// Find out how every image stands.
    Judge { forest: Arc<Forest> },
    /// Find out what it comes to when these views go.
    Sum { goes: BTreeSet<ViewId> },
    /// Start a job.
    Start { proposal: Box<Proposal>, accepted: Vec<HazardKind> },
    /// Have the running job wait, or go on.
    PauseJob,
    /// Ask the running job to stop.
    StopJob,
    /// Hand text to the terminal's clipboard.
    Copy(String),
    /// Take or release the mouse.
    Mouse(bool),
    /// Go to the background until the shell calls back.
    Suspend,
}
