//! What of a plan a job needs, and a journal keeps.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::image::Format;
use crate::plan::{CopyMode, FileState, Plan, Step};

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

    /// Whether all of it becomes true at one instant, so that there is nothing to finish or to undo when
    /// it is cut off.
    pub(super) fn is_one_switch(&self) -> bool {
        let mut changing = self.steps.iter().filter(|step| step.changes());
        match (changing.next(), changing.next()) {
            (Some(step), None) => !self.in_place(step),
            (None, _) => true,
            _ => false,
        }
    }

    /// Whether the step overwrites what some view reads where it lies.
    pub(super) fn in_place(&self, step: &Step) -> bool {
        let Step::Copy(copy) = step else { return false };
        copy.mode == CopyMode::Overwrite && (copy.format == Format::Raw || self.data_of(&copy.into).is_some())
    }

    /// The external data file of the image at `path`.
    pub(super) fn data_of(&self, path: &Path) -> Option<&Path> {
        self.files.iter().find(|file| file.path == path)?.data.as_deref()
    }

    /// The images whose content or metadata a step writes, each once.
    pub(super) fn targets(&self) -> Vec<(&Path, Format)> {
        let mut targets: Vec<_> = self.steps.iter().filter_map(Step::target).collect();
        targets.sort_unstable_by_key(|(path, _)| *path);
        targets.dedup();
        targets
    }
}
