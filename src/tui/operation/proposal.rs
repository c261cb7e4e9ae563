//! What the plan screen shows, whatever will run it.

use std::path::PathBuf;

use crate::chain::{Basis, Gate};
use crate::forest::Forest;
use crate::job::Recovery;
use crate::plan::{Hazard, HazardKind, Plan};

/// An operation that was planned: everything there is to see of it, and the work to start.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// What is shown. For work that is no plan it has no steps of its own.
    pub plan: Plan,
    /// What is done, in words, safe to print.
    pub steps: Vec<String>,
    /// What runs.
    pub work: Work,
}

/// What a job does with a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Work {
    /// Runs the plan.
    Plan,
    /// Takes up, or undoes, what was interrupted.
    Recover {
        /// Its journal.
        journal: PathBuf,
        /// Which way.
        how: Recovery,
    },
    /// Brings a file back from the trash.
    Restore {
        /// The file in the trash.
        file: PathBuf,
    },
    /// Deletes these files in the trash for good.
    Empty {
        /// The files.
        files: Vec<PathBuf>,
    },
}

impl From<Plan> for Proposal {
    fn from(plan: Plan) -> Self {
        let steps = plan.steps.iter().map(|step| step.describe()).collect();
        Self { plan, steps, work: Work::Plan }
    }
}

impl Proposal {
    /// What is no plan, in a plan's clothes.
    pub(super) fn of(work: Work, title: String, steps: Vec<String>, undo: &str, forest: &Forest) -> Self {
        let operation = match work {
            Work::Plan => "plan",
            Work::Recover { .. } => "recover",
            Work::Restore { .. } | Work::Empty { .. } => "trash",
        };
        let (before, after) = (forest.clone(), forest.clone());
        let blank = Plan::blank(operation, before, Gate::closed());
        let plan = Plan { title, undo: undo.to_owned(), after, ..blank };
        Self { plan, steps, work }
    }

    /// The same with a comparison, by content, of every view that it makes or keeps.
    pub(in crate::tui) fn compared(self) -> Self {
        match self.work {
            Work::Plan => self.plan.compared(Basis::Content).into(),
            _ => self,
        }
    }

    pub(super) fn hazard(&mut self, kind: HazardKind, message: impl Into<String>) {
        self.plan.hazards.push(Hazard::new(kind, message));
    }

    /// Whether anybody knows what it costs: what is left of an interrupted job was not counted.
    pub(in crate::tui) fn is_costed(&self) -> bool {
        matches!(self.work, Work::Plan | Work::Empty { .. })
    }

    /// How much consent it takes.
    pub(in crate::tui) fn tier(&self) -> Tier {
        if !self.plan.unaccepted(&[]).is_empty() {
            return Tier::Name;
        }
        let only_new = match self.work {
            Work::Plan => self.plan.files.iter().all(|file| !file.changes),
            Work::Restore { .. } => true,
            Work::Recover { .. } | Work::Empty { .. } => false,
        };
        if only_new { Tier::Enter } else { Tier::Yes }
    }
}

/// What consent grows to with what is at stake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::tui) enum Tier {
    /// Only new files: Enter.
    Enter,
    /// An image is rewritten: `y`, with Cancel in the focus.
    Yes,
    /// Irreversible, or what a view shows changes: its name, typed.
    Name,
}
