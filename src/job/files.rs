//! The files of a plan, locked for as long as the job runs and checked against what was planned.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::plan::Plan;
use crate::storage::{Access, File, Lock, RealFile, Stamp};

/// Open files by path.
pub(super) struct Files {
    open: HashMap<PathBuf, Arc<dyn File>>,
    _locks: Vec<Lock>,
}

impl Files {
    /// Opens and locks every file, those that change for writing, then makes sure that each is
    /// still what the plan was made for. On failure everything is let go again.
    pub(super) fn lock(plan: &Plan) -> Result<Self> {
        let mut open: HashMap<PathBuf, Arc<dyn File>> = HashMap::new();
        let mut locks = Vec::new();
        for state in &plan.files {
            let file: Arc<dyn File> = Arc::new(RealFile::open(&state.path, state.changes)?);
            let access = if state.changes { Access::Write } else { Access::Read };
            locks.push(Lock::acquire(file.clone(), access)?);
            open.insert(state.path.clone(), file);
        }
        for state in &plan.files {
            if Stamp::of(&state.path)? != state.stamp {
                return Err(Error::new(Kind::Changed, "changed since the plan was made; nothing was done")
                    .at(&state.path)
                    .remedy("plan again"));
            }
        }
        Ok(Self { open, _locks: locks })
    }

    /// The open file at `path`, one that the plan said it changes.
    pub(super) fn get(&self, path: &Path) -> Result<Arc<dyn File>> {
        let unknown =
            || Error::new(Kind::Internal, "a step changes a file that the plan does not name").at(path);
        self.open.get(path).cloned().ok_or_else(unknown)
    }
}
