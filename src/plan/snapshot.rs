//! Internal snapshots: taking, applying, deleting, renaming.

use std::path::Path;

use super::draft::{Draft, quoted};
use super::{HazardKind, Plan, Scene, SnapshotChange, Step, ViewId};
use crate::chain::{Chain, Gate, StateSpec, ViewSpec};
use crate::error::{Error, Kind, Result};
use crate::forest::Node;
use crate::image::{Format, State};
use crate::text::{Shown, human_size};

/// What to do about a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotRequest {
    /// Take one.
    Create {
        /// Its name: new and not empty.
        name: String,
    },
    /// Make the active state what it holds.
    Apply(StateSpec),
    /// Remove it.
    Delete(StateSpec),
    /// Give it another name.
    Rename(StateSpec, String),
}

/// Plans a change of the internal snapshots of `image` (an absolute path in `forest`).
///
/// Fails with [`Kind::NotFound`] when the forest does not know the image or the image not the
/// snapshot, with [`Kind::Usage`] when a name is taken, empty or ambiguous.
pub fn snapshot<'a>(
    scene: impl Into<Scene<'a>>,
    image: &Path,
    request: &SnapshotRequest,
    gate: Gate,
) -> Result<Plan> {
    let opened = Opened::new(scene.into(), image, gate)?;
    let (file, quoted) = (Shown::new(&opened.node.name()).into_string(), quoted(image));
    let (change, title, line) = match request {
        SnapshotRequest::Create { name } => {
            let shown = Shown::new(name);
            let line = format!("qemu-img snapshot -c '{shown}' {quoted}");
            (SnapshotChange::Create { name: name.clone() }, format!("snapshot {file} as {shown}"), Some(line))
        }
        SnapshotRequest::Apply(spec) => {
            let line = by_name(spec, 'a', &quoted);
            (
                SnapshotChange::Apply { index: opened.index(spec)? },
                format!("apply snapshot {spec} to {file}"),
                line,
            )
        }
        SnapshotRequest::Delete(spec) => {
            let line = by_name(spec, 'd', &quoted);
            (
                SnapshotChange::Delete { indexes: vec![opened.index(spec)?] },
                format!("delete snapshot {spec} of {file}"),
                line,
            )
        }
        SnapshotRequest::Rename(spec, name) => {
            let change = SnapshotChange::Rename { index: opened.index(spec)?, name: name.clone() };
            (change, format!("rename snapshot {spec} of {file} to {}", Shown::new(name)), None)
        }
    };
    opened.plan(change, title, line.into_iter().collect())
}

/// Plans to delete several snapshots of `image`, all at one instant.
pub(super) fn delete_snapshots<'a>(
    scene: impl Into<Scene<'a>>,
    image: &Path,
    specs: &[StateSpec],
    gate: Gate,
) -> Result<Plan> {
    let opened = Opened::new(scene.into(), image, gate)?;
    let indexes = specs.iter().map(|spec| opened.index(spec)).collect::<Result<Vec<_>>>()?;
    let (file, gone) = (Shown::new(&opened.node.name()).into_string(), indexes.len());
    let lines = specs.iter().filter_map(|spec| by_name(spec, 'd', &quoted(image))).collect();
    opened.plan(SnapshotChange::Delete { indexes }, format!("delete {gone} snapshots of {file}"), lines)
}

/// An image whose snapshots are to change.
struct Opened<'a> {
    draft: Draft<'a>,
    chain: Chain,
    node: &'a Node,
}

impl<'a> Opened<'a> {
    fn new(scene: Scene<'a>, image: &Path, gate: Gate) -> Result<Self> {
        let forest = scene.forest;
        let unknown = || Error::new(Kind::NotFound, "is not part of the scanned folders").at(image);
        let node = forest.find(image).and_then(|id| forest.get(id)).ok_or_else(unknown)?;
        if node.format != Some(Format::Qcow2) {
            return Err(Error::unsupported("only qcow2 images have internal snapshots").at(image));
        }
        let draft = Draft::new("snapshot", scene, gate);
        let chain = draft.opener().open(image)?;
        Ok(Self { draft, chain, node })
    }

    fn index(&self, spec: &StateSpec) -> Result<usize> {
        match self.chain.find_state(spec)? {
            State::Snapshot(index) => Ok(index),
            _ => Err(Error::new(Kind::Usage, "name a snapshot").at(&self.node.path)),
        }
    }

    fn plan(self, change: SnapshotChange, title: String, lines: Vec<String>) -> Result<Plan> {
        let Self { mut draft, chain, node } = self;
        let (image, file) = (&*node.path, Shown::new(&node.name()).into_string());
        draft.file(image, true)?;
        draft.sound(image, Format::Qcow2);
        let known = ViewSpec { format: node.format, ..ViewSpec::active(image) };
        let mut undo = "delete the snapshot".to_owned();
        match &change {
            SnapshotChange::Create { name } => {
                let taken = ViewSpec { state: StateSpec::Name(name.clone()), ..known.clone() };
                draft.reads_as(taken, known, node.virtual_size);
            }
            SnapshotChange::Rename { .. } => undo = "rename it back".to_owned(),
            SnapshotChange::Delete { indexes } => {
                undo = "cannot be undone: what only the snapshot held is gone".to_owned();
                for index in indexes {
                    let id = node.snapshots.get(*index).map_or("", |s| s.id.as_str());
                    draft.hazard(HazardKind::NoUndo, format!("the view {file}@#{} is lost", Shown::new(id)));
                    draft.view_lost(&ViewId::snapshot(image, id));
                }
                draft.snapshots_gone(image, indexes);
            }
            SnapshotChange::Apply { index } => {
                undo = "cannot be undone: take a snapshot of the active state first".to_owned();
                let size = node.snapshots.get(*index).map_or(node.virtual_size, |s| s.virtual_size);
                if let Some(snapshot) = node.snapshots.get(*index) {
                    let state = StateSpec::Id(snapshot.id.clone());
                    draft.reads_as(known.clone(), ViewSpec { state, ..known }, size);
                }
                draft
                    .hazard(HazardKind::NoUndo, format!("what {file} holds now and no snapshot has is lost"));
                draft.view_changed(image);
                draft.resized(image, size);
                if size != node.virtual_size {
                    draft
                        .hazard(HazardKind::SizeDiffers, format!("{file} becomes {} long", human_size(size)));
                }
                for child in node.children.iter().filter_map(|id| draft.before.get(*id)) {
                    draft.hazard(
                        HazardKind::SnapshotsReadThrough,
                        format!("{} is based on {file} and would change with it", Shown::new(&child.name())),
                    );
                }
                if !chain.top().image.details().bitmaps().is_empty() {
                    draft.hazard(
                        HazardKind::BitmapsLost,
                        format!("{file} has dirty bitmaps, which do not see this"),
                    );
                }
            }
        }
        draft.step_that_only_counts(Step::Snapshot { image: image.to_path_buf(), change })?;
        draft.verify_image(image, Format::Qcow2);
        draft.finish(title, undo, lines)
    }
}

/// qemu-img takes an id for a name and a name for an id; only a name is what it seems.
fn by_name(spec: &StateSpec, option: char, quoted: &str) -> Option<String> {
    match spec {
        StateSpec::Name(name) => Some(format!("qemu-img snapshot -{option} '{}' {quoted}", Shown::new(name))),
        _ => None,
    }
}
