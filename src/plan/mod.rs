//! What will happen: one file per operation, each making a [`Plan`] and writing nothing.
//!
//! A plan is plain data: steps from a small closed set, exact cost, hazards, how to undo it, the
//! qemu-img equivalent, and the forest before and after. The same value is printed by `--dry-run`,
//! drawn by the TUI's plan screen, and run by a job. Planning reads metadata only.

mod model;

use std::path::Path;

pub use model::{
    Consent, Copy, CopyMode, Cost, FileState, Flow, Hazard, HazardKind, HazardSeverity, Plan, Step,
};

use crate::chain::Gate;
use crate::error::{Error, Result};
use crate::forest::Forest;

/// What may be chosen about a commit.
#[derive(Debug, Clone, Default)]
pub struct CommitOptions {
    /// Move the top to the trash even when nothing is based on it (a leaf normally stays, emptied).
    pub remove: bool,
    /// Keep the top's file even when it is a middle layer that nothing names any more.
    pub keep: bool,
    /// Which backing names may be followed.
    pub gate: Gate,
}

/// Plans to merge `top` (an absolute path in `forest`) down into its parent.
pub fn commit(_forest: &Forest, _top: &Path, _options: &CommitOptions) -> Result<Plan> {
    Err(Error::unsupported("commit"))
}
