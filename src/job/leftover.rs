//! Jobs that were cut off: finding their journals.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::journal::{self, Log, is_name};
use crate::error::{Error, Kind, Result};
use crate::storage::{Access, File, Holder, Lock, RealFile};
use crate::text::Shown;

/// A job that was cut off, or still runs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Leftover {
    /// Its journal.
    pub journal: PathBuf,
    /// One line for people, of the plan.
    pub title: String,
    /// Steps that are done.
    pub done: usize,
    /// Steps in all.
    pub steps: usize,
    /// Whether it was being rolled back.
    pub rolling_back: bool,
    /// Whether it can be rolled back; otherwise it can only be finished.
    pub can_roll_back: bool,
    /// Whether its process is still at work.
    pub running: bool,
    /// The files that it changes.
    pub files: Vec<PathBuf>,
    /// What remains to be done, a line each.
    pub remaining: Vec<String>,
}

impl Leftover {
    fn of(journal: PathBuf, log: &Log) -> Self {
        let file = RealFile::open(&journal, false).map(Arc::new);
        let running =
            file.is_ok_and(|file| Lock::acquire(file, Access::Read).is_err_and(|e| e.kind() == Kind::InUse));
        let (done, steps) = log.reached();
        let changed = log.task().files.iter().filter(|file| file.changes);
        let next = log.next();
        let remaining = log.task().steps.iter().enumerate().filter(|(i, _)| *i >= next);
        Self {
            journal,
            title: log.task().title.clone(),
            done,
            steps,
            rolling_back: log.back,
            can_roll_back: log.back || super::undo::possible(log).is_ok(),
            running,
            files: changed.map(|file| file.path.clone()).collect(),
            remaining: remaining.map(|(_, step)| step.describe()).collect(),
        }
    }

    /// Why a file that this job changes cannot be changed now.
    fn in_the_way(&self, path: &Path) -> Error {
        let title = Shown::new(&self.title);
        if self.running {
            let holder = RealFile::open(&self.journal, false).ok().and_then(|file| Holder::of(file.id()));
            let who = holder.map_or_else(|| "another process".to_owned(), |holder| holder.to_string());
            return Error::new(Kind::InUse, format!("in use by {who}, a job: {title}")).at(path);
        }
        let folder = Shown::path(self.journal.parent().unwrap_or(Path::new("/"))).into_string();
        Error::new(Kind::Interrupted, format!("a job on it was interrupted: {title}"))
            .at(path)
            .remedy(format!("run `cowherd recover {folder}` to finish it, or with --roll-back to undo it"))
    }
}

/// The jobs whose journals lie in these folders themselves.
pub fn leftovers(folders: &[PathBuf]) -> Result<Vec<Leftover>> {
    let mut found: Vec<Leftover> = Vec::new();
    for folder in folders {
        for path in journals_in(folder) {
            let Some((journal, log)) = journal::look(&path)? else { continue };
            if !found.iter().any(|known| known.journal == journal) {
                found.push(Leftover::of(journal, &log));
            }
        }
    }
    Ok(found)
}

/// The same for `paths`: folders with everything below, and the folders of images. Jobs on block devices
/// are among them.
pub fn leftovers_below(paths: &[PathBuf]) -> Result<Vec<Leftover>> {
    let mut folders = vec![journal::of_devices()];
    for path in paths {
        match path.is_dir() {
            true => folders.extend(folders_with_journals(path)),
            false => folders.extend(path.parent().map(Path::to_path_buf)),
        }
    }
    leftovers(&folders)
}

fn folders_with_journals(top: &Path) -> Vec<PathBuf> {
    let walk = ignore::WalkBuilder::new(top).standard_filters(false).follow_links(false).build();
    let names = walk.flatten().filter(|entry| is_name(entry.path()));
    let mut folders: Vec<_> = names.filter_map(|entry| Some(entry.path().parent()?.to_path_buf())).collect();
    folders.sort();
    folders.dedup();
    folders
}

/// Journals in a folder that were written by this user, or by root: nobody else's word is taken.
pub(super) fn journals_in(folder: &Path) -> Vec<PathBuf> {
    let me = rustix::process::geteuid().as_raw();
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_journal = |path: &PathBuf| {
        is_name(path)
            && path.symlink_metadata().is_ok_and(|meta| meta.is_file() && [0, me].contains(&meta.uid()))
    };
    let mut found: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(is_journal).collect();
    found.sort();
    found
}

/// Fails when a job that changes one of `files` was cut off or still runs.
pub fn none_in_the_way<'a>(files: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    let files: Vec<&Path> = files.into_iter().collect();
    let mut folders: Vec<PathBuf> = files.iter().filter_map(|f| Some(f.parent()?.to_path_buf())).collect();
    if files.iter().any(|file| journal::is_device(file)) {
        folders.push(journal::of_devices());
    }
    folders.sort();
    folders.dedup();
    for leftover in leftovers(&folders)? {
        if let Some(path) = files.iter().find(|file| leftover.files.iter().any(|known| known == *file)) {
            return Err(leftover.in_the_way(path));
        }
    }
    Ok(())
}
