//! What a file looked like at one moment, so that a later moment can tell whether it changed.

use std::hash::{DefaultHasher, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{File, FileId, RealFile, read_exact_or_zero};
use crate::error::{Error, Result};

/// Identity, size, time and head of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Device and inode.
    pub id: FileId,
    /// Length in bytes.
    pub len: u64,
    /// Modification time: seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
    /// Hash of the first 4 KiB. Equal within one run of the program only.
    pub head: u64,
    /// Names the file has.
    pub links: u64,
}

impl Stamp {
    /// The file at `path` as it is now.
    pub fn of(path: &Path) -> Result<Self> {
        let file = RealFile::open(path, false)?;
        let meta = std::fs::metadata(path).map_err(|e| Error::io("cannot examine", e).at(path))?;
        let mut head = [0; 4096];
        read_exact_or_zero(&file, 0, &mut head)?;
        let mut hasher = DefaultHasher::new();
        hasher.write(&head);
        Ok(Self {
            id: file.id(),
            len: file.len()?,
            modified: (meta.mtime(), meta.mtime_nsec()),
            head: hasher.finish(),
            links: meta.nlink(),
        })
    }
}
