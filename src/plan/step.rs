//! The steps of a plan: a small closed set, as plain data.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::image::qcow2::Writer;
use crate::image::{Format, Repair, Snapshot, Target};
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
    /// Makes a new, empty qcow2 image over another one.
    Create {
        /// The new file.
        #[serde(with = "wire::path")]
        image: PathBuf,
        /// Bytes a guest sees.
        size: u64,
        /// The name of the image below, as it is recorded.
        #[serde(with = "wire::path")]
        backing: PathBuf,
        /// The format of the image below.
        format: Format,
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
}

impl Step {
    /// The image that the step changes or looks at; none for a file that is no image any more.
    pub fn image(&self) -> Option<&Path> {
        match self {
            Self::Copy(copy) => Some(&copy.into),
            Self::Relink { image, .. }
            | Self::Empty { image, .. }
            | Self::Compact { image, .. }
            | Self::Snapshot { image, .. }
            | Self::Repair { image, .. }
            | Self::Resize { image, .. }
            | Self::Verify { image, .. } => Some(image),
            Self::Create { image, .. } => Some(image),
            Self::Trash { .. } | Self::Link { .. } | Self::Unlink { .. } => None,
        }
    }

    /// Whether it changes anything.
    pub fn changes(&self) -> bool {
        !matches!(self, Self::Verify { .. })
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
                paths.push(&copy.from);
                paths.extend(copy.ranges.paths());
            }
            Self::Verify { image, .. } => paths.push(image),
            _ => {}
        }
        paths
    }

    /// The files that it changes, or the names of.
    pub fn writes(&self) -> Vec<&Path> {
        match self {
            Self::Link { file, to } => vec![file, to],
            Self::Unlink { file } | Self::Trash { file } => vec![file],
            Self::Verify { .. } => Vec::new(),
            _ => self.image().into_iter().collect(),
        }
    }

    /// One line for people.
    pub fn describe(&self) -> String {
        use crate::text::{Shown, human_size};
        let name =
            |p: &PathBuf| Shown::new(&p.file_name().unwrap_or(p.as_os_str()).to_string_lossy()).into_string();
        match self {
            Self::Copy(c) => {
                let size = human_size(c.data_bytes);
                let grow = c.grow_to.map(|s| format!(", grown to {}", human_size(s))).unwrap_or_default();
                match (c.mode, &c.ranges) {
                    (CopyMode::Overwrite, Ranges::Committed { top, .. } | Ranges::BeyondEnd { top, .. }) => {
                        format!("copy {size} of {} into {}{grow}", name(top), name(&c.into))
                    }
                    (CopyMode::Fill, Ranges::Committed { top, .. }) => format!(
                        "protect {}: {size} of its own copy of what {} will change",
                        name(&c.into),
                        name(top)
                    ),
                    (CopyMode::Fill, Ranges::BeyondEnd { top, .. }) => {
                        format!("protect {}: zeros beyond the end of {}", name(&c.into), name(top))
                    }
                    (_, Ranges::Dropped { .. }) => {
                        format!("copy {size} into {}: what the layers below it hold", name(&c.into))
                    }
                    (_, Ranges::Differs { .. }) => {
                        format!("copy at most {size} into {}: what differs in the new base", name(&c.into))
                    }
                }
            }
            Self::Relink { image, backing: Some(backing), format, .. } => {
                let format = format.map_or_else(String::new, |f| format!(" ({f})"));
                format!("relink {} to {}{format}", name(image), Shown::path(backing))
            }
            Self::Relink { image, backing: None, .. } => format!("let {} stand alone", name(image)),
            Self::Empty { image, reverts: false, .. } => {
                format!("empty {}: everything in it is in its base now", name(image))
            }
            Self::Empty { image, reverts: true, .. } => {
                format!("empty {}: what it holds and no snapshot has is lost", name(image))
            }
            Self::Compact { image, .. } => format!("give what is free in {} back to the host", name(image)),
            Self::Snapshot { image, change } => match change {
                SnapshotChange::Create { name: new } => {
                    format!("snapshot {} as {}", name(image), Shown::new(new))
                }
                SnapshotChange::Apply { .. } => format!("switch {} to the snapshot", name(image)),
                SnapshotChange::Delete { .. } => format!("drop the snapshot from {}", name(image)),
                SnapshotChange::Rename { name: new, .. } => {
                    format!("rename the snapshot in {} to {}", name(image), Shown::new(new))
                }
            },
            Self::Repair { image, what, .. } => format!("repair {} ({})", name(image), what.name()),
            Self::Resize { image, to, .. } => {
                format!("make the disk of {} {} long", name(image), human_size(*to))
            }
            Self::Create { image, size, backing, .. } => {
                format!("create {} of {} over {}", name(image), human_size(*size), Shown::path(backing))
            }
            Self::Link { file, to } => format!("name {} {} as well", name(file), Shown::path(to)),
            Self::Unlink { file } => format!("take the name {} away", name(file)),
            Self::Trash { file } => format!("move {} to the trash", name(file)),
            Self::Verify { image, .. } => format!("verify the structure of {}", name(image)),
        }
    }
}

/// A copy of guest data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// How the target treats what it already has.
    pub mode: CopyMode,
    /// The image whose view is read.
    #[serde(with = "wire::path")]
    pub from: PathBuf,
    /// The image that is written.
    #[serde(with = "wire::path")]
    pub into: PathBuf,
    /// Its format.
    pub format: Format,
    /// For which of its states.
    pub states: States,
    /// Which guest ranges.
    pub ranges: Ranges,
    /// Virtual size the target must have before the copy.
    pub grow_to: Option<u64>,
    /// Guest bytes moved, in whole clusters of the target.
    pub data_bytes: u64,
    /// Guest bytes that become zeros without data being written.
    pub zero_bytes: u64,
}

impl Copy {
    /// A copy that changes no view: `states` of the image at `path` get what they leave to the layers
    /// below within `ranges`.
    pub(super) fn fill(path: &Path, format: Format, states: States, ranges: Ranges) -> Self {
        Self {
            mode: CopyMode::Fill,
            from: path.to_path_buf(),
            into: path.to_path_buf(),
            format,
            states,
            ranges,
            grow_to: None,
            data_bytes: 0,
            zero_bytes: 0,
        }
    }
}

/// Which guest ranges a copy is about. A rule, not a list: it is worked out from metadata when
/// planning and again, with the same result, when doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
pub enum Ranges {
    /// What committing `top` changes in `base`: all that the layers above the base hold, and what
    /// lies beyond the end of the base.
    Committed {
        /// The image that is committed.
        #[serde(with = "wire::path")]
        top: PathBuf,
        /// The image it is committed into.
        #[serde(with = "wire::path")]
        base: PathBuf,
        /// Widened to whole units of so many bytes: those of a layer between that stays, and that holds
        /// its own copy of such units by the time the base changes.
        unit: u64,
    },
    /// What `base` shows beyond the end of `top`, which has shown zeros there so far.
    BeyondEnd {
        /// The shorter image.
        #[serde(with = "wire::path")]
        top: PathBuf,
        /// The image that takes its place.
        #[serde(with = "wire::path")]
        base: PathBuf,
    },
    /// What the layers between `image` and `base` hold: those that `image` will not read any more.
    Dropped {
        /// The image that will be based on `base`.
        #[serde(with = "wire::path")]
        image: PathBuf,
        /// A layer below it; nothing for an image that will stand alone.
        #[serde(with = "wire::path_option")]
        base: Option<PathBuf>,
    },
    /// Where what `image` reads from below now differs from what `base` shows.
    Differs {
        /// The image that will be based on `base`.
        #[serde(with = "wire::path")]
        image: PathBuf,
        /// Any other image, or nothing.
        #[serde(with = "wire::path_option")]
        base: Option<PathBuf>,
        /// The format of that image.
        format: Option<Format>,
    },
}

impl Ranges {
    fn paths(&self) -> Vec<&Path> {
        match self {
            Self::Committed { top, base, .. } | Self::BeyondEnd { top, base } => vec![top, base],
            Self::Dropped { image, base } | Self::Differs { image, base, .. } => {
                std::iter::once(&**image).chain(base.as_deref()).collect()
            }
        }
    }
}

/// Which states of an image a copy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum States {
    /// The active one.
    Active,
    /// Its internal snapshots.
    Snapshots,
    /// All of them.
    All,
}

/// How a copy treats what the target already has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyMode {
    /// Only what the target leaves unallocated; changes no view.
    Fill,
    /// Replaces what is there; the target's view is named by the plan.
    Overwrite,
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
    /// Removes it.
    Delete {
        /// Which.
        index: usize,
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
            Self::Delete { index } => writer.delete_snapshot(*index),
            Self::Rename { index, name } => writer.rename_snapshot(*index, name),
        }
    }
}
