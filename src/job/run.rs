//! From locks to the end of a plan.

use std::sync::Arc;

use super::files::Files;
use super::journal::Journal;
use super::steps::Run;
use super::task::Task;
use super::{Options, Progress, Report, marks};
use crate::chain::Gate;
use crate::error::Result;
use crate::storage::Disk;

/// Runs a plan that was not begun yet.
pub(super) fn new(
    disk: &Arc<dyn Disk>,
    task: &Task,
    gate: Gate,
    progress: &Progress,
    options: &Options,
) -> Result<Report> {
    let files = Files::lock(&**disk, &task.files, &options.accepted, progress)?;
    Files::are_as_planned(&**disk, &task.files)?;
    let mut run = Run::new(task, progress, disk.clone(), files, gate, options);
    if !task.is_one_switch() {
        let (marks, links) = (marks::to_set(task, &run.files)?, marks::links(task, &run.files)?);
        run.keep(Journal::begin(disk, task.clone(), marks, links)?);
    }
    finish(run)
}

/// Does what is left to be done of a run, or undoes it.
pub(super) fn finish(mut run: Run<'_>) -> Result<Report> {
    let outcome = run.mark().and_then(|()| run.go_on()).and_then(|()| run.close());
    match outcome {
        Ok(()) => Ok(run.report()),
        Err(e) => Err(run.give_up(e)),
    }
}
