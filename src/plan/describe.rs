//! Steps in words.

use std::path::PathBuf;

use super::{CopyMode, Ranges, SnapshotChange, Step};
use crate::image::NewImage;
use crate::text::{Shown, human_size};

impl Step {
    /// One line for people.
    pub fn describe(&self) -> String {
        let name =
            |p: &PathBuf| Shown::new(&p.file_name().unwrap_or(p.as_os_str()).to_string_lossy()).into_string();
        match self {
            Self::Copy(c) => {
                let size = human_size(c.data_bytes);
                let grow = c.resize_to.map(|s| format!(", grown to {}", human_size(s))).unwrap_or_default();
                match (c.mode, &c.ranges) {
                    (
                        CopyMode::Overwrite | CopyMode::New,
                        Ranges::Committed { top, .. } | Ranges::BeyondEnd { top, .. },
                    ) => {
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
                    (_, Ranges::All) => {
                        format!("copy {size} into {}: all of {}", name(&c.into), c.from.name())
                    }
                    (_, Ranges::Delta { since, by_content }) => {
                        let most = if *by_content { "at most " } else { "" };
                        let (of, since) = (c.from.name(), since.name());
                        format!("copy {most}{size} into {}: what {of} is and {since} is not", name(&c.into))
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
            Self::Convert { image, from, to, .. } => {
                format!("convert {} in place, {}", name(image), conversion(from, to))
            }
            Self::Fence { image, .. } => {
                format!("keep everybody from {}, until it says what its base is", name(image))
            }
            Self::Snapshot { image, change } => match change {
                SnapshotChange::Create { name: new } => {
                    format!("snapshot {} as {}", name(image), Shown::new(new))
                }
                SnapshotChange::Apply { .. } => format!("switch {} to the snapshot", name(image)),
                SnapshotChange::Delete { indexes } => match indexes.len() {
                    1 => format!("drop the snapshot from {}", name(image)),
                    n => format!("drop {n} snapshots from {}", name(image)),
                },
                SnapshotChange::Rename { name: new, .. } => {
                    format!("rename the snapshot in {} to {}", name(image), Shown::new(new))
                }
            },
            Self::Repair { image, what, .. } => format!("repair {} ({})", name(image), what.name()),
            Self::Resize { image, to, .. } => {
                format!("make the disk of {} {} long", name(image), human_size(*to))
            }
            Self::Create { image, new, .. } => {
                let over =
                    new.backing().map(|below| format!(" over {}", Shown::new(&below.name.to_string_lossy())));
                let size = human_size(new.virtual_size());
                format!("create {} ({}) of {size}{}", name(image), new.format(), over.unwrap_or_default())
            }
            Self::Write { file, text, .. } => {
                format!("write {}, {}", name(file), human_size(text.len() as u64))
            }
            Self::Stream { file, of, since, .. } => {
                let since = since.as_ref().map(|since| format!(" since {}", since.name()));
                format!("write {} as a stream into {}", of.name() + &since.unwrap_or_default(), name(file))
            }
            Self::Link { file, to } => format!("name {} {} as well", name(file), Shown::path(to)),
            Self::Unlink { file } => format!("take the name {} away", name(file)),
            Self::Trash { file } => format!("move {} to the trash", name(file)),
            Self::Verify { image, .. } => format!("verify the structure of {}", name(image)),
            Self::Compare { view, was, .. } if view.path == was.path && view.state == was.state => {
                format!("compare {} with what it was", view.name())
            }
            Self::Compare { view, was, .. } => {
                format!("compare {} with what {} was", view.name(), was.name())
            }
        }
    }
}

/// What becomes of an image.
pub(super) fn conversion(from: &NewImage, to: &NewImage) -> String {
    match (from, to) {
        (NewImage::Qcow2(from), NewImage::Qcow2(to)) if from.version != to.version => {
            format!("from version {} to {}", from.version, to.version)
        }
        (NewImage::Qcow2(from), NewImage::Qcow2(to)) => {
            format!("from refcounts of {} bits to {}", from.refcount_bits, to.refcount_bits)
        }
        _ => format!("from {} to {}", from.format(), to.format()),
    }
}
