//! What of a plan a job needs, and a journal keeps.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::image::{BackingRef, Format};
use crate::plan::{self, Copy, FileState, Plan, Step};

/// What an image is to record as its backing file.
pub(super) fn reference(backing: Option<&Path>, format: Option<Format>) -> Option<BackingRef> {
    backing
        .map(|name| BackingRef { name: name.into(), format: format.map(|format| format.name().to_owned()) })
}

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

    /// Guest bytes that are moved, or looked at.
    pub(super) fn data_bytes(&self) -> u64 {
        let bytes = |step: &Step| match step {
            Step::Copy(copy) => copy.data_bytes,
            Step::Stream { bytes, .. } => *bytes,
            // Of both sides.
            Step::Compare { bytes, .. } => bytes.saturating_mul(2),
            _ => 0,
        };
        self.steps.iter().map(bytes).sum()
    }

    /// Whether there is nothing to finish or to undo when it is cut off.
    pub(super) fn is_one_switch(&self) -> bool {
        plan::is_one_switch(&self.steps, &self.files)
    }

    /// The copy and the new backing file that come true in one switch, when they are all there is to do:
    /// a rebase. Otherwise each is a step that can be undone.
    pub(super) fn linked_copy(&self) -> Option<(&Copy, Option<BackingRef>)> {
        let (copy, link) = plan::linked_copy(&self.steps, &self.files)?;
        let Step::Relink { backing, format, .. } = link else { return None };
        Some((copy, reference(backing.as_deref(), *format)))
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
