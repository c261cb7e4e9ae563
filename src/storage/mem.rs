//! A file in memory, for tests and fuzzing.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{File, FileId};
use crate::error::{Error, Kind, Result};

/// Bytes in memory that behave like a file.
#[derive(Debug)]
pub struct MemFile {
    path: PathBuf,
    id: FileId,
    bytes: Mutex<Vec<u8>>,
}

impl MemFile {
    /// A file called `name` with this content. Every one has an identity of its own.
    pub fn new(name: impl Into<PathBuf>, bytes: Vec<u8>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = FileId { dev: u64::MAX, ino: NEXT.fetch_add(1, Ordering::Relaxed) };
        Self { path: name.into(), id, bytes: Mutex::new(bytes) }
    }

    /// A copy of the content.
    pub fn to_vec(&self) -> Vec<u8> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn index(&self, offset: u64, len: usize) -> Result<(usize, usize)> {
        usize::try_from(offset)
            .ok()
            .and_then(|start| Some((start, start.checked_add(len)?)))
            .ok_or_else(|| Error::new(Kind::Io, "offset beyond memory").at(&self.path).offset(offset))
    }
}

impl File for MemFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn id(&self) -> FileId {
        self.id
    }

    fn len(&self) -> Result<u64> {
        Ok(self.lock().len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let bytes = self.lock();
        let (start, _) = self.index(offset, 0)?;
        let rest = bytes.get(start..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()> {
        let (start, end) = self.index(offset, buf.len())?;
        let mut bytes = self.lock();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[start..end].copy_from_slice(buf);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let (len, _) = self.index(len, 0)?;
        self.lock().resize(len, 0);
        Ok(())
    }

    fn punch(&self, offset: u64, len: u64) -> Result<()> {
        let mut bytes = self.lock();
        let end = offset.saturating_add(len).min(bytes.len() as u64) as usize;
        if let Some(range) = usize::try_from(offset).ok().and_then(|s| bytes.get_mut(s..end)) {
            range.fill(0);
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn data_range(&self, offset: u64) -> Result<Option<Range<u64>>> {
        let len = self.len()?;
        Ok((offset < len).then_some(offset..len))
    }

    fn disk_size(&self) -> Result<u64> {
        self.len()
    }
}
