//! The steps of a plan: a small closed set, as plain data.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Copy, CopyMode};
use crate::chain::{Basis, ViewSpec};
use crate::error::Result;
use crate::image::qcow2::Writer;
use crate::image::{Format, NewImage, Repair, Snapshot, Target};
use crate::wire;

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// Copies guest ranges of a view into an image.
    Copy(Copy),
    /// Changes the backing file (and its recorded format) of an image: one sector.
    Relink {
        /// The image whose header changes.
        #[serde(with = "wire::path")]
        image: PathBuf,
        /// The name to record, relative or absolute; nothing for an image that stands alone.
        #[serde(with = "wire::path_option")]
        backing: Option<PathBuf>,
        /// The format to record.
        format: Option<Format>,
        /// The format of the image itself.
        of: Format,
    },
    /// Drops everything the active state of an image holds, so that it reads through to its backing
    /// file, and gives the space back. Internal snapshots keep theirs.
    Empty {
        /// The image.
        #[serde(with = "wire::path")]
        image: PathBuf,
        /// Its format.
        format: Format,
        /// Whether the active state reads something else afterwards; otherwise its base has it all.
        reverts: bool,
    },
    /// Moves what lies at the end of the file into free space further down, cuts the file, and gives
    /// what is free back to the file system.
    Compact {
        /// The image.
        #[serde(with = "wire::path")]
        image: PathBuf,
        /// Its format.
        format: Format,
    },
    /// Swaps the metadata of a file in place: another format, another version, or refcounts of another width.
    /// Data stays where it is, but for raw, where it moves to its guest offset.
    Convert {
        /// The image.
        #[serde(with = "wire::path")]
        image: PathBuf,
        /// What it is.
        from: NewImage,
        /// What it is to be.
        to: NewImage,
        /// Bytes of data that move, at most.
        data_bytes: u64,
    },
    /// Keeps everybody from opening an image, until its reference is changed: what it reads through is about to
    /// become something else than it says.
    Fence {
        /// The image.
        #[serde(with = "wire::path")]
        image: PathBuf,
        /// Its format.
        of: Format,
    },
    /// Takes, applies, deletes or renames an internal snapshot.
    Snapshot {
        /// The image, a qcow2.
        #[serde(with = "wire::path")]
        image: PathBuf,
        /// What is done.
        change: SnapshotChange,
    },
    /// Mends metadata: refcounts from references.
    Repair {
        /// The image.
        #[serde(with = "wire::path")]
        image: PathBuf,
        /// Its format.
        format: Format,
        /// What is mended.
        what: Repair,
    },
    /// Makes the virtual disk longer or shorter.
    Resize {
        /// The image.
        #[serde(with = "wire::path")]
        image: PathBuf,
        /// Its format.
        format: Format,
        /// Bytes now.
        from: u64,
        /// Bytes afterwards.
        to: u64,
    },
    /// Makes a new, empty image. It gets its name when all that is written into it is.
    Create {
        /// The new file.
        #[serde(with = "wire::path")]
        image: PathBuf,
        /// What it is to be.
        new: NewImage,
        /// The file whose owner, mode and labels it gets.
        #[serde(with = "wire::path")]
        like: PathBuf,
    },
    /// Makes a new, small file of text. It gets its name after all other new files.
    Write {
        /// The new file.
        #[serde(with = "wire::path")]
        file: PathBuf,
        /// What is in it.
        text: String,
        /// The file whose owner, mode and labels it gets.
        #[serde(with = "wire::path")]
        like: PathBuf,
    },
    /// Writes a view, or what differs between two, into a new file as a stream for `rbd import-diff`.
    Stream {
        /// The new file.
        #[serde(with = "wire::path")]
        file: PathBuf,
        /// The view.
        of: ViewSpec,
        /// The view that the target shows already.
        since: Option<ViewSpec>,
        /// The snapshots that the stream names.
        names: SnapNames,
        /// Bytes that it has at most.
        bytes: u64,
    },
    /// Gives a file a second name.
    Link {
        /// The file.
        #[serde(with = "wire::path")]
        file: PathBuf,
        /// The name that is added.
        #[serde(with = "wire::path")]
        to: PathBuf,
    },
    /// Takes a name away from a file that has another one.
    Unlink {
        /// The name.
        #[serde(with = "wire::path")]
        file: PathBuf,
    },
    /// Moves a file that nothing names any more to the trash beside it.
    Trash {
        /// The file.
        #[serde(with = "wire::path")]
        file: PathBuf,
    },
    /// Counts every reference of an image that was written.
    Verify {
        /// The image.
        #[serde(with = "wire::path")]
        image: PathBuf,
        /// Its format.
        format: Format,
    },
    /// Makes sure that a view reads as one did before the first step.
    Compare {
        /// The view, as it is named by then.
        view: ViewSpec,
        /// The one that it must read as, as it was named then.
        was: ViewSpec,
        /// Bytes of that.
        bytes: u64,
        /// What is compared, when the old view is not there any more.
        basis: Basis,
    },
}

impl Step {
    /// The image that the step changes or looks at; none for a file that is no image any more.
    pub fn image(&self) -> Option<&Path> {
        match self {
            Self::Copy(copy) => Some(&copy.into),
            Self::Relink { image, .. }
            | Self::Empty { image, .. }
            | Self::Compact { image, .. }
            | Self::Convert { image, .. }
            | Self::Fence { image, .. }
            | Self::Snapshot { image, .. }
            | Self::Repair { image, .. }
            | Self::Resize { image, .. }
            | Self::Verify { image, .. } => Some(image),
            Self::Create { image, .. } => Some(image),
            Self::Trash { .. }
            | Self::Link { .. }
            | Self::Unlink { .. }
            | Self::Write { .. }
            | Self::Stream { .. }
            | Self::Compare { .. } => None,
        }
    }

    /// Whether it changes anything.
    pub fn changes(&self) -> bool {
        !matches!(self, Self::Verify { .. } | Self::Compare { .. })
    }

    /// Whether a view reads differently afterwards that the plan names for it.
    pub fn changes_view(&self) -> bool {
        match self {
            Self::Copy(copy) => copy.mode == CopyMode::Overwrite,
            Self::Empty { .. } | Self::Snapshot { .. } | Self::Resize { .. } => true,
            _ => false,
        }
    }

    /// The image whose content or tables the step writes, with its format. A change of the backing file
    /// is one of the header alone.
    pub fn target(&self) -> Option<(&Path, Format)> {
        match self {
            Self::Copy(copy) => Some((&copy.into, copy.format)),
            Self::Empty { image, format, .. }
            | Self::Compact { image, format }
            | Self::Repair { image, format, .. }
            | Self::Resize { image, format, .. } => Some((image, *format)),
            Self::Snapshot { image, .. } => Some((image, Format::Qcow2)),
            _ => None,
        }
    }

    /// Every file that the step names.
    pub fn paths(&self) -> Vec<&Path> {
        let mut paths = self.writes();
        match self {
            Self::Copy(copy) => {
                paths.push(&copy.from.path);
                paths.extend(copy.ranges.paths());
            }
            Self::Verify { image, .. } => paths.push(image),
            Self::Compare { view, was, .. } => paths.extend([&*view.path, &was.path]),
            Self::Stream { of, since, .. } => {
                paths.extend(std::iter::once(of).chain(since).map(|view| &*view.path));
            }
            _ => {}
        }
        paths
    }

    /// The files that it changes, or the names of.
    pub fn writes(&self) -> Vec<&Path> {
        match self {
            Self::Link { file, to } => vec![file, to],
            Self::Unlink { file }
            | Self::Trash { file }
            | Self::Write { file, .. }
            | Self::Stream { file, .. } => {
                vec![file]
            }
            Self::Verify { .. } | Self::Compare { .. } => Vec::new(),
            _ => self.image().into_iter().collect(),
        }
    }
}

/// The snapshots between which a stream lies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapNames {
    /// The one that it goes on.
    pub from: Option<String>,
    /// The one that is taken at its end.
    pub to: Option<String>,
}

/// A change of an image's internal snapshots. An index is a place in the snapshot table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum SnapshotChange {
    /// Takes one of the active state.
    Create {
        /// Its name.
        name: String,
    },
    /// Makes the active state what it holds.
    Apply {
        /// Which.
        index: usize,
    },
    /// Removes some, all in one switch.
    Delete {
        /// Which.
        indexes: Vec<usize>,
    },
    /// Gives it another name.
    Rename {
        /// Which.
        index: usize,
        /// The new name.
        name: String,
    },
}

impl SnapshotChange {
    /// Asks `writer` for it. A new snapshot is dated now.
    pub fn request(&self, writer: &mut Writer) -> Result<()> {
        match self {
            Self::Create { name } => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                let shown = Snapshot {
                    id: writer.next_snapshot_id(),
                    name: name.clone(),
                    virtual_size: writer.size(),
                    vm_state_size: 0,
                    date_sec: u32::try_from(now.as_secs()).unwrap_or(u32::MAX),
                    date_nsec: now.subsec_nanos(),
                    vm_clock_nsec: 0,
                    icount: None,
                };
                writer.snapshot(shown)
            }
            Self::Apply { index } => {
                writer.content_changes();
                writer.apply_snapshot(*index)
            }
            Self::Delete { indexes } => writer.delete_snapshots(indexes),
            Self::Rename { index, name } => writer.rename_snapshot(*index, name),
        }
    }
}
