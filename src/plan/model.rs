//! A plan as plain data: the same value is printed by `--dry-run`, drawn by the plan screen and
//! run by a job.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::switch::made;
use super::{Hazard, Kept, Step};
use crate::chain::{Gate, ViewSpec};
use crate::forest::{DataFlow, Figure, Forest, change};
use crate::storage::Stamp;
use crate::wire;

/// What an operation will do, before it does it.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Name of the operation, as on the command line (`commit`).
    pub operation: &'static str,
    /// One line for people: `commit Snap-2.qcow2 into Snap-1.qcow2`.
    pub title: String,
    /// The views whose content changes, as the user would write them. Every other view is kept.
    pub views_changed: Vec<String>,
    /// The views that it makes or keeps, as far as it touches what they read, and what each must read as.
    pub kept: Vec<Kept>,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// What it costs.
    pub cost: Cost,
    /// Why it may need more consent, or cannot be done.
    pub hazards: Vec<Hazard>,
    /// How it can be undone, one sentence.
    pub undo: String,
    /// The nearest qemu-img commands, where such exist.
    pub qemu_img: Vec<String>,
    /// The forest as it is.
    pub before: Forest,
    /// The forest as it will be.
    pub after: Forest,
    /// Data flows to draw between the two figures.
    pub flows: Vec<Flow>,
    /// The files the plan was made for, so that a job can see that nothing changed meanwhile.
    pub files: Vec<FileState>,
    /// Which names in images the steps may follow.
    pub gate: Gate,
    /// The room that is needed meanwhile, on each file system that needs some.
    pub rooms: Vec<Room>,
}

/// Room that a plan needs on one file system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Room {
    /// A folder on it.
    pub folder: PathBuf,
    /// Bytes that it takes at most, at any moment.
    pub extra_bytes: u64,
    /// Bytes that are free there.
    pub free_bytes: u64,
}

impl Room {
    /// Bytes that are missing, if any are.
    #[must_use]
    pub fn missing(&self) -> Option<u64> {
        self.extra_bytes.checked_sub(self.free_bytes).filter(|missing| *missing > 0)
    }
}

impl Plan {
    /// A plan of no steps.
    #[must_use]
    pub fn blank(operation: &'static str, before: Forest, gate: Gate) -> Self {
        Self {
            operation,
            title: String::new(),
            views_changed: Vec::new(),
            kept: Vec::new(),
            steps: Vec::new(),
            cost: Cost::default(),
            hazards: Vec::new(),
            undo: String::new(),
            qemu_img: Vec::new(),
            before,
            after: Forest::default(),
            flows: Vec::new(),
            files: Vec::new(),
            gate,
            rooms: Vec::new(),
        }
    }

    /// What it is about, before and after, and the data that flows between.
    pub fn figure(&self, ascii: bool) -> Figure {
        change(&self.concerned(&self.before), &self.concerned(&self.after), &self.data_flows(), ascii)
    }

    /// Two views that read the same once all is done, and are stored apart: a copy and what it was made of, a base
    /// and the top that was merged into it and kept.
    pub fn twins(&self) -> Option<[ViewSpec; 2]> {
        let stays = |path: &Path| {
            let changes = self.files.iter().any(|file| file.path == path && file.changes);
            self.after.find(path).is_some() && !changes
        };
        let whole = |kept: &&Kept| {
            let node = self.after.find(&kept.view.path).and_then(|id| self.after.get(id));
            node.is_some_and(|node| node.virtual_size == kept.bytes)
        };
        let apart = |kept: &&Kept| kept.view.path != kept.was.path && stays(&kept.was.path);
        let Kept { view, was, .. } = self.kept.iter().filter(apart).rfind(whole)?;
        Some([was.clone(), view.clone()])
    }

    /// The flows as a figure takes them.
    pub fn data_flows(&self) -> Vec<DataFlow<'_>> {
        let flows = self.flows.iter();
        flows.map(|flow| DataFlow { from: &flow.from, into: &flow.into, label: flow.label }).collect()
    }

    /// The part of a forest that the plan is about: the rest of the folder is of no concern.
    #[must_use]
    pub fn concerned(&self, forest: &Forest) -> Forest {
        let made: Vec<_> = made(&self.steps).collect();
        forest.families(|node| {
            made.contains(&&*node.path) || self.files.iter().any(|file| file.path == node.path)
        })
    }
}

/// An arrow of the plan's figure: data of `from` goes into `into`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flow {
    /// Image whose data moves.
    pub from: PathBuf,
    /// Image it moves into.
    pub into: PathBuf,
    /// `commit data`, `protect`, `stream data`.
    pub label: &'static str,
}

/// A file the plan was made for, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    /// Absolute path.
    #[serde(with = "wire::path")]
    pub path: PathBuf,
    /// What it looked like.
    pub stamp: Stamp,
    /// Whether the plan changes it (otherwise it is only read).
    pub changes: bool,
    /// Whether nothing of it is read but internal snapshots, which do not change while a guest runs on it.
    #[serde(default)]
    pub live: bool,
    /// Its external data file, another file of the plan.
    #[serde(with = "wire::path_option")]
    pub data: Option<PathBuf>,
}

/// What a plan costs. Bytes as the storage floor will count them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Bytes read from images.
    pub read_bytes: u64,
    /// Bytes written to images, metadata included.
    pub write_bytes: u64,
    /// Bytes given back to the file system at once.
    pub freed_bytes: u64,
    /// Bytes given back when the trash is emptied as well.
    pub freed_after_trash_bytes: u64,
    /// The most extra space needed at any moment, on the fullest file system.
    pub peak_extra_bytes: u64,
    /// Whether the figures are exact; otherwise each is an upper bound.
    pub exact: bool,
}
