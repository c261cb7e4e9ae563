//! Everything a key can ask for, by name.

use std::path::PathBuf;

use crate::chain::ViewSpec;
use crate::plan::{CommitOptions, HazardKind, Plan};

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
    GoFigure,
    GoLayers,
    GoInfo,
    GoHealth,
    GoJobs,
    Filter,
    NextMatch,
    PreviousMatch,
    Commit,
    Mark,
    Verify,
    Rescan,
    CopyPath,
    Help,
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
    NextField,
    PreviousField,
    Toggle,
    Activate,
    RunLine,
}

/// What the event loop must do outside the model.
#[derive(Debug)]
pub(super) enum Effect {
    /// Look through the folders again.
    Scan,
    /// Make a plan; the answer carries the number back.
    Plan { number: u64, top: PathBuf, options: CommitOptions },
    /// Compare two views; the answers carry the number back.
    Verify { number: u64, views: [ViewSpec; 2] },
    /// Start a job.
    Start { plan: Box<Plan>, accepted: Vec<HazardKind> },
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
