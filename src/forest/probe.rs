//! One file: is it an image, and what does it say about itself.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use super::model::{Backing, DataRef, InUse, Node, Problem, ProblemKind, SnapshotNode};
use crate::chain::Gate;
use crate::error::{Error, Kind};
use crate::image::{self, BackingRef, DataFile, Format, Image, State};
use crate::storage::{File, FileId, LockState, RealFile, probe_locks};
use crate::text::Shown;

/// Why a file is looked at; decides what counts as an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It lies in a folder: only an image if its content or its name says so.
    Walked,
    /// The user named it: always an image.
    Named,
    /// An image names it, perhaps with a format.
    Backing(Option<Format>),
}

/// How files are looked at.
pub(super) struct Look {
    pub(super) gate: Gate,
    pub(super) space: bool,
}

/// An image and which file it is.
pub(super) struct Found {
    pub(super) node: Node,
    pub(super) id: Option<FileId>,
}

/// What a file's name promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    Nothing,
    /// Any content will do.
    Disk,
    /// An image with a header. Without one the file is damaged, or somebody's text file.
    Image,
}

impl Promise {
    // No `.iso`: an installation medium takes no part in a forest until an image names it.
    fn of(path: &Path) -> Self {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "img" | "raw" => Self::Disk,
            "qcow2" | "qcow" | "qed" => Self::Image,
            _ => Self::Nothing,
        }
    }
}

impl Look {
    /// Looks at one file; `None` when it is none of our business.
    pub(super) fn at(&self, path: &Path, why: Why) -> Option<Found> {
        let promise = match why {
            Why::Walked => Promise::of(path),
            Why::Named if Promise::of(path) == Promise::Image => Promise::Image,
            _ => Promise::Disk,
        };
        let unusable = |kind, e: &Error| {
            let node =
                Node { problems: vec![problem(kind, e, path)], disk_size: blocks(path), ..Node::blank(path) };
            (promise != Promise::Nothing).then_some(Found { node, id: None })
        };
        let file = match RealFile::open(path, false) {
            Ok(file) => Arc::new(file),
            Err(e) => return unusable(kind_of(&e), &e),
        };
        let format = match (why, image::probe(&*file)) {
            // A recorded `raw` is a promise of whoever made the overlay: never probed.
            (Why::Backing(Some(Format::Raw)), _) => Format::Raw,
            (_, Ok(format)) => format,
            (_, Err(e)) => return unusable(ProblemKind::Unreadable, &e),
        };
        if format == Format::Raw && promise == Promise::Nothing {
            return None;
        }
        let id = Some(file.id());
        let mut node = Node::blank(path);
        node.in_use = holder_mode(&*file).map(|mode| InUse { by: None, mode });
        match file.disk_size() {
            Ok(size) => node.disk_size = size,
            Err(e) => return unusable(ProblemKind::Unreadable, &e),
        }
        if format == Format::Raw && promise == Promise::Image {
            let empty = file.is_empty().unwrap_or(false);
            let what = if empty { "the file is empty" } else { "the content is not that of an image" };
            node.problems.push(Problem { kind: ProblemKind::NotAnImage, message: what.to_owned() });
            return Some(Found { node, id });
        }
        node.format = Some(format);
        match image::open(file, Some(format)) {
            Ok(image) => self.describe(&mut node, &*image),
            Err(e) => node.problems.push(problem(kind_of(&e), &e, path)),
        }
        Some(Found { node, id })
    }

    fn describe(&self, node: &mut Node, image: &dyn Image) {
        let details = image.details();
        node.virtual_size = image.virtual_size(State::Active);
        node.cluster_size = if node.format == Some(Format::Raw) { 0 } else { image.cluster_size() };
        node.dirty = details.dirty();
        node.corrupt = details.corrupt();
        node.encrypted = details.encryption().is_some();
        node.snapshots = Arc::new(image.snapshots().iter().map(snapshot).collect());
        if node.corrupt {
            node.flag(ProblemKind::Corrupt, "the image is marked corrupt");
        }
        // A running guest may keep the mark set; it is a problem only when nobody holds the image.
        if node.dirty && node.in_use.is_none() {
            node.flag(ProblemKind::Dirty, "the image was not closed cleanly");
        }
        if let Some(reference) = image.backing() {
            self.backing(node, reference);
        }
        if let Some(data) = image.data_file() {
            self.data_file(node, data);
        }
        if self.space {
            match image.space() {
                Ok(space) => {
                    node.exclusive_bytes = Some(space.active);
                    for (snapshot, bytes) in
                        Arc::make_mut(&mut node.snapshots).iter_mut().zip(space.snapshots)
                    {
                        snapshot.exclusive_bytes = Some(bytes);
                    }
                }
                Err(e) => {
                    let problem = problem(kind_of(&e), &e, &node.path);
                    node.problems.push(problem);
                }
            }
        }
    }

    fn backing(&self, node: &mut Node, reference: &BackingRef) {
        let mut backing = Backing {
            name: super::json::lossless_or_escaped(&reference.name),
            format: reference.format.clone(),
            resolved: None,
            node: None,
        };
        match self.gate.resolve(&node.path, &reference.name) {
            Ok(path) => backing.resolved = Some(path),
            Err(e) => {
                let kind = referrer_kind(&e, ProblemKind::BackingMissing, ProblemKind::BackingRefused);
                let problem = problem(kind, &e, &node.path);
                node.problems.push(problem);
            }
        }
        node.backing = Some(backing);
    }

    fn data_file(&self, node: &mut Node, data: &DataFile) {
        let resolved = match self.gate.resolve_data(&node.path, data) {
            Ok(path) => {
                node.disk_size += blocks(&path);
                Some(path)
            }
            Err(e) => {
                let kind = referrer_kind(&e, ProblemKind::DataFileMissing, ProblemKind::DataFileRefused);
                let problem = problem(kind, &e, &node.path);
                node.problems.push(problem);
                None
            }
        };
        node.data_file = Some(DataRef { name: super::json::lossless_or_escaped(&data.name), resolved });
    }
}

fn referrer_kind(e: &Error, missing: ProblemKind, refused: ProblemKind) -> ProblemKind {
    match e.kind() {
        Kind::Gate => refused,
        Kind::NotFound => missing,
        _ => ProblemKind::Unreadable,
    }
}

/// Bytes a file takes, as far as the system tells without opening it.
fn blocks(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.blocks().saturating_mul(512))
}

fn holder_mode(file: &dyn File) -> Option<LockState> {
    let state = probe_locks(file.fd()?);
    (state != LockState::Free).then_some(state)
}

fn snapshot(s: &image::Snapshot) -> SnapshotNode {
    let nanos = i32::try_from(s.date_nsec).unwrap_or_default();
    let date = jiff::Timestamp::new(i64::from(s.date_sec), nanos)
        .or_else(|_| jiff::Timestamp::from_second(i64::from(s.date_sec)))
        .unwrap_or_default();
    SnapshotNode {
        id: s.id.clone(),
        name: s.name.clone(),
        date: date.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        virtual_size: s.virtual_size,
        vm_state_size: s.vm_state_size,
        exclusive_bytes: None,
    }
}

fn kind_of(e: &Error) -> ProblemKind {
    match e.kind() {
        Kind::Io | Kind::NotFound | Kind::InUse | Kind::Interrupted => ProblemKind::Unreadable,
        Kind::Unsupported => ProblemKind::Unsupported,
        _ => ProblemKind::Corrupt,
    }
}

/// An error as a problem of the image it is about: without the path, with the remedy.
fn problem(kind: ProblemKind, e: &Error, path: &Path) -> Problem {
    let line = e.to_string();
    let mut message = line.strip_prefix(&format!("{}: ", Shown::path(path))).unwrap_or(&line).to_owned();
    if let Some(remedy) = e.what_to_do() {
        message.push_str("; ");
        message.push_str(Shown::new(remedy).as_str());
    }
    Problem { kind, message }
}
