//! What every plan warns of, whatever the operation: from the files themselves, who uses them, and where
//! they lie.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::draft::Draft;
use super::{Copy, CopyMode, FileState, Hazard, HazardKind, HazardSeverity, States};
use crate::chain::View;
use crate::error::Result;
use crate::forest::ProblemKind;
use crate::image::{self, CheckReport, Format, State};
use crate::storage::{File, Holder, LockState, RealFile, Stamp, has_locks, probe_locks};
use crate::text::{Shown, human_size};

/// What a plan does with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Changes,
    Reads,
    /// Reads internal snapshots of it and nothing else.
    ReadsSnapshots,
}

impl Draft<'_> {
    pub(super) fn hazard(&mut self, kind: HazardKind, message: impl Into<String>) {
        self.hazard_of(kind, kind.severity(), message);
    }

    /// Notes a hazard of a kind that is not always as serious.
    pub(super) fn hazard_of(
        &mut self,
        kind: HazardKind,
        severity: HazardSeverity,
        message: impl Into<String>,
    ) {
        let hazard = Hazard::of(kind, severity, message);
        if !self.plan.hazards.contains(&hazard) {
            self.plan.hazards.push(hazard);
        }
    }

    /// Makes an image part of the plan, with its data file: their state is recorded, and who uses
    /// them is a hazard.
    pub(super) fn file(&mut self, path: &Path, changes: bool) -> Result<()> {
        self.image(path, if changes { Use::Changes } else { Use::Reads })
    }

    /// The same for the layers that `view` is read through. Of a snapshot's own image nothing is read that
    /// changes while a guest runs on it.
    pub(super) fn layers_of(&mut self, view: &View) -> Result<()> {
        for (depth, layer) in view.layers().iter().enumerate() {
            let is_active = depth > 0 || view.state() == State::Active;
            self.image(&layer.path, if is_active { Use::Reads } else { Use::ReadsSnapshots })?;
            if let Some(how) = layer.image.encryption() {
                let (path, how) = (Shown::path(&layer.path), format!("{how:?}").to_uppercase());
                self.hazard(
                    HazardKind::Unsupported,
                    format!("{path} is encrypted ({how}) and cannot be read"),
                );
            }
        }
        Ok(())
    }

    fn image(&mut self, path: &Path, how: Use) -> Result<()> {
        let changes = how == Use::Changes;
        let node = self.before.find(path).and_then(|id| self.before.get(id));
        let data = node.and_then(|node| node.data_file.as_ref()?.resolved.clone());
        let shared = node.and_then(|n| n.problems.iter().find(|p| p.kind == ProblemKind::DataFileShared));
        if let (true, Some(shared)) = (changes, shared) {
            self.hazard(HazardKind::Broken, format!("{}: {}", Shown::path(path), shared.message));
        }
        if let Some(data) = &data {
            self.one_file(data, how, None)?;
        }
        self.one_file(path, how, data)
    }

    fn one_file(&mut self, path: &Path, how: Use, data: Option<PathBuf>) -> Result<()> {
        let (changes, live) = (how == Use::Changes, how == Use::ReadsSnapshots);
        if let Some(known) = self.plan.files.iter_mut().find(|f| f.path == path) {
            known.changes |= changes;
            known.live &= live;
        } else {
            let stamp = Stamp::of(path)?;
            self.plan.files.push(FileState { path: path.to_path_buf(), stamp, changes, live, data });
        }
        let file = RealFile::open(path, false)?;
        if file.fd().is_some_and(|fd| !has_locks(fd)) {
            let folder = Shown::path(path.parent().unwrap_or(path)).into_string();
            let what = format!(
                "the file system of {folder} has no locks: whoever uses a file of it is neither seen nor kept away"
            );
            self.hazard(HazardKind::NoLocks, what);
        }
        let state = file.fd().map_or(LockState::Free, probe_locks);
        let conflict = match state {
            LockState::Free => false,
            LockState::Read => changes,
            LockState::Write => !live,
        };
        if conflict {
            let who = Holder::of(file.id()).map_or("another process".to_owned(), |h| h.to_string());
            self.hazard(HazardKind::InUse, format!("{} is in use by {who}", Shown::path(path)));
        }
        Ok(())
    }

    /// Refuses to change an image whose own references contradict each other: free space cannot be
    /// told from used. Gives what was counted.
    pub(super) fn sound(&mut self, path: &Path, format: Format) -> CheckReport {
        if format == Format::Raw {
            return CheckReport::default();
        }
        let check = RealFile::open(path, false)
            .and_then(|file| image::open(Arc::new(file), Some(format)))
            .and_then(|image| match image.details().dirty() {
                // Its refcounts are known to be stale; the writer counts references instead.
                true => {
                    let what = format!(
                        "{} was not closed cleanly; its references are counted first",
                        Shown::path(path)
                    );
                    self.hazard_of(HazardKind::Broken, HazardSeverity::Warning, what);
                    Ok(CheckReport::default())
                }
                false => image.check(),
            });
        let wrong = match &check {
            Ok(report) if report.corruptions == 0 => None,
            Ok(report) => {
                let count = report.corruptions;
                Some(format!("{} is damaged: the check finds {count} errors", Shown::path(path)))
            }
            Err(e) => Some(e.to_string()),
        };
        wrong.into_iter().for_each(|what| self.hazard(HazardKind::Broken, what));
        check.unwrap_or_default()
    }

    /// Internal snapshots that a copy is for as well.
    pub(super) fn flag_snapshots(&mut self, step: &Copy) {
        let fills = step.mode == CopyMode::Fill && step.states != States::Active;
        let node = self.before.find(&step.into).and_then(|id| self.before.get(id)).filter(|_| fills);
        let Some(count) = node.map(|node| node.snapshots.len()).filter(|count| *count > 0) else { return };
        let file = Shown::path(&step.into);
        let what = format!(
            "{count} internal snapshots of {file} read through its backing file; what they would lose is copied too"
        );
        self.hazard_of(HazardKind::SnapshotsReadThrough, HazardSeverity::Info, what);
    }

    /// What is known once all steps are.
    pub(super) fn flag_the_rest(&mut self) {
        if let Some((missing, folder)) = self.meter.missing_space() {
            let (missing, folder) = (human_size(missing), Shown::path(folder));
            let what = format!("{missing} more free space are needed on the file system of {folder}");
            self.hazard(HazardKind::NoSpace, what);
        }
        let links: Vec<_> = self
            .plan
            .files
            .iter()
            .filter(|f| f.changes && f.stamp.links > self.known_names(&f.path))
            .map(|f| f.path.clone())
            .collect();
        for path in links {
            let what = Shown::path(&path);
            self.hazard(
                HazardKind::HardLinks,
                format!("{what} has several names; images based on another one are not seen"),
            );
        }
        if self.plan.files.iter().any(|file| file.changes) {
            self.flag_other_folders();
        }
    }

    fn flag_other_folders(&mut self) {
        let folders: Vec<_> = self.before.roots.iter().map(|r| Shown::path(r).into_string()).collect();
        self.hazard(
            HazardKind::OtherFolders,
            format!("images outside {} are not seen, though they may depend on this too", folders.join(", ")),
        );
    }

    fn known_names(&self, path: &Path) -> u64 {
        if self.two_names.as_deref() == Some(path) { 2 } else { 1 }
    }
}
