//! An operation with everything it needs, from being asked for to being started.
//!
//! | file | concern |
//! |---|---|
//! | this one | which operations there are, as plain data |
//! | `propose` | from an operation to a plan, by the floors below |
//! | `proposal` | what the plan screen shows and a job runs |
//! | `ways` | other ways to the same end |
//! | `command` | the same on the command line |
//!
//! Adding an operation: a variant here, how it is planned in `propose`, its words in `command`, and a verb in
//! [`super::request`] that asks for what it needs.

mod command;
mod proposal;
mod propose;
mod ways;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(super) use command::command;
pub(super) use proposal::Tier;
pub use proposal::{Proposal, Work};
pub(super) use propose::propose;
pub(super) use ways::{Way, safest, ways};

use crate::chain::{StateSpec, ViewSpec};
use crate::image::{Format, Repair};
use crate::plan::{SnapshotRequest, ViewId};

/// Something that can be planned and then done. Paths of images are absolute; names of new files may be
/// relative to the image's folder until it is planned.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// Merges `top`, and the layers between, down into a layer below.
    Commit {
        /// The image that is merged.
        top: PathBuf,
        /// The layer it is merged into; its parent by default.
        base: Option<PathBuf>,
        /// Keep the file although nothing needs it any more.
        keep: bool,
        /// Move the file to the trash although nothing is based on it.
        remove: bool,
        /// Let other views that read what changes change too.
        no_protect: bool,
    },
    /// Merges the layers below up into an image.
    Pull {
        /// The image.
        image: PathBuf,
        /// What it is based on afterwards.
        base: Option<PathBuf>,
    },
    /// Bases an image on another one, or on nothing.
    Rebase {
        /// The image.
        image: PathBuf,
        /// What it is based on afterwards.
        base: Option<PathBuf>,
        /// Change the reference only.
        is_unsafe: bool,
    },
    /// External snapshot: a new image on top.
    Overlay {
        /// What it is based on.
        image: PathBuf,
        /// The new image.
        new: PathBuf,
    },
    /// Internal snapshots.
    Snapshot {
        /// Their image.
        image: PathBuf,
        /// What is done.
        request: SnapshotRequest,
    },
    /// Takes one layer out of its chain.
    Delete {
        /// The layer.
        image: PathBuf,
        /// Let the views that read it change.
        no_protect: bool,
    },
    /// Another name for a file, and the references to it.
    Rename {
        /// The image.
        image: PathBuf,
        /// Its new name.
        new: PathBuf,
    },
    /// A longer or shorter disk.
    Resize {
        /// The image.
        image: PathBuf,
        /// Bytes a guest will see.
        size: u64,
        /// Although what lies beyond the new end is lost.
        shrink: bool,
    },
    /// Throws an overlay's changes away.
    Revert {
        /// The overlay.
        image: PathBuf,
    },
    /// Gives free space back to the host.
    Compact {
        /// The image.
        image: PathBuf,
    },
    /// Another format, in place.
    Convert {
        /// The image.
        image: PathBuf,
        /// What it becomes; a qcow2 that becomes one is brought up to date.
        to: Format,
        /// Leave new metadata at the end of the file.
        no_compact: bool,
    },
    /// Mends metadata.
    Repair {
        /// The image.
        image: PathBuf,
        /// How much of it.
        what: Repair,
    },
    /// A view, or what differs from an older one, as an image of its own.
    Export {
        /// The view.
        view: ViewSpec,
        /// The new image.
        out: PathBuf,
        /// Its format.
        format: Format,
        /// The older view, and the image that holds it and becomes the backing file.
        since: Option<(ViewSpec, PathBuf)>,
        /// Compress clusters.
        compress: bool,
        /// Leave out what was written twice alike.
        by_content: bool,
    },
    /// Every view of a chain as a linear chain of files.
    ExportChain {
        /// The image on top.
        image: PathBuf,
        /// The folder for the files.
        out: PathBuf,
        /// Their format.
        format: Format,
        /// Compress clusters.
        compress: bool,
        /// Leave out what was written twice alike.
        by_content: bool,
    },
    /// A chain of files as internal snapshots of one new image.
    Import {
        /// The image on top of the chain.
        top: PathBuf,
        /// The new image.
        out: PathBuf,
        /// Compress clusters.
        compress: bool,
    },
    /// Takes views out of the herd by the cheapest safe way.
    CleanUp {
        /// The views that go.
        goes: BTreeSet<ViewId>,
    },
    /// Finishes or undoes a job that was interrupted.
    Recover {
        /// Its journal.
        journal: PathBuf,
        /// Undo it.
        roll_back: bool,
    },
    /// Brings a file back from the trash.
    Restore {
        /// The file in the trash.
        file: PathBuf,
    },
    /// Deletes what is in the trash, for good.
    Empty {
        /// The folders (with everything below) whose trash it is.
        folders: Vec<PathBuf>,
    },
}

impl Operation {
    /// The image it is about.
    pub fn subject(&self) -> Option<&Path> {
        Some(match self {
            Self::Commit { top: image, .. }
            | Self::Pull { image, .. }
            | Self::Rebase { image, .. }
            | Self::Overlay { image, .. }
            | Self::Snapshot { image, .. }
            | Self::Delete { image, .. }
            | Self::Rename { image, .. }
            | Self::Resize { image, .. }
            | Self::Revert { image }
            | Self::Compact { image }
            | Self::Convert { image, .. }
            | Self::Repair { image, .. }
            | Self::ExportChain { image, .. }
            | Self::Import { top: image, .. } => image,
            Self::Export { view, .. } => &view.path,
            Self::CleanUp { .. } | Self::Recover { .. } | Self::Restore { .. } | Self::Empty { .. } => {
                return None;
            }
        })
    }

    /// What is typed to consent to the worst of it: the name of what is lost or changed. Raw, as it is stored.
    pub(super) fn name(&self) -> String {
        let file = |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        match self {
            Self::Snapshot { image, request } => match request {
                SnapshotRequest::Delete(StateSpec::Name(name)) => name.clone(),
                SnapshotRequest::Delete(StateSpec::Id(id)) => format!("#{id}"),
                _ => file(image),
            },
            Self::CleanUp { .. } => "clean up".to_owned(),
            Self::Recover { .. } => "recover".to_owned(),
            Self::Restore { file: path } => file(path),
            Self::Empty { .. } => "trash".to_owned(),
            _ => self.subject().map(file).unwrap_or_default(),
        }
    }
}
