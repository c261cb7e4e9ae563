//! What of a plan a job needs, and a journal keeps.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::plan::{self, FileState, Plan, Step};

/// Steps, and the files they are about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) operation: String,
    pub(super) title: String,
    pub(super) steps: Vec<Step>,
    pub(super) files: Vec<FileState>,
}

impl Task {
    pub(super) fn of(plan: &Plan) -> Self {
        Self {
            operation: plan.operation.to_owned(),
            title: plan.title.clone(),
            steps: plan.steps.clone(),
            files: plan.files.clone(),
        }
    }

    /// Guest bytes that are moved.
    pub(super) fn data_bytes(&self) -> u64 {
        self.steps.iter().map(|s| if let Step::Copy(copy) = s { copy.data_bytes } else { 0 }).sum()
    }

    /// Whether there is nothing to finish or to undo when it is cut off.
    pub(super) fn is_one_switch(&self) -> bool {
        plan::is_one_switch(&self.steps, &self.files)
    }

    /// Whether the step overwrites what some view reads where it lies.
    pub(super) fn in_place(&self, step: &Step) -> bool {
        plan::is_in_place(step, &self.files)
    }

    /// The external data file of the image at `path`.
    pub(super) fn data_of(&self, path: &Path) -> Option<&Path> {
        plan::data_of(&self.files, path)
    }
}
