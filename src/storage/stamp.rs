//! What a file looked like at one moment, so that a later moment can tell whether it changed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use flate2::Crc;
use serde::{Deserialize, Serialize};

use super::{File, FileId, RealFile, read_exact_or_zero};
use crate::error::{Error, Result};

/// Identity, size, times and head of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Device and inode.
    pub id: FileId,
    /// Length in bytes.
    pub len: u64,
    /// When content was last written: seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
    /// When anything about the file last changed, which nobody can set.
    pub changed: (i64, i64),
    /// CRC-32 of sector 0: of a header, all that is switched at once.
    pub head: u32,
    /// Names the file has.
    pub links: u64,
}

impl Stamp {
    /// The file at `path` as it is now.
    pub fn of(path: &Path) -> Result<Self> {
        let file = RealFile::open(path, false)?;
        let meta = std::fs::metadata(path).map_err(|e| Error::io("cannot examine", e).at(path))?;
        Ok(Self {
            id: file.id(),
            len: file.len()?,
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            head: Self::head_of(&file)?,
            links: meta.nlink(),
        })
    }

    /// CRC-32 of sector 0 of `file`; what is missing counts as zeros.
    fn head_of(file: &dyn File) -> Result<u32> {
        let mut head = [0; 512];
        read_exact_or_zero(file, 0, &mut head)?;
        let mut crc = Crc::new();
        crc.update(&head);
        Ok(crc.sum())
    }

    /// The same without times, for files that are set up again.
    #[must_use]
    pub fn without_times(self) -> Self {
        Self { modified: (0, 0), changed: (0, 0), ..self }
    }

    /// Whether it is the file of `then` with that head, and nobody touched it later.
    pub fn is_not_newer(&self, then: &Self) -> bool {
        self.id == then.id && self.head == then.head && self.changed <= then.changed
    }

    /// Whether the content is the same, whatever happened to the names of the file.
    pub fn same_content(&self, other: &Self) -> bool {
        let content = |s: &Self| (s.id, s.len, s.modified, s.head);
        content(self) == content(other)
    }
}
