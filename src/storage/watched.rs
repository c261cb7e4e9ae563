//! A file that remembers whether all of it could be read that was asked for.
//!
//! Who looks for damage takes what makes no sense for a finding. What could not be read at all is none:
//! nobody may be told that an image is corrupt, or repair it, because a disk did not answer.

use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::{File, FileId};
use crate::error::{Error, Result};

/// A file, and the first failure to read from it.
pub struct Watched {
    inner: Arc<dyn File>,
    failure: OnceLock<String>,
}

impl Watched {
    /// Watches `inner`.
    pub fn new(inner: Arc<dyn File>) -> Self {
        Self { inner, failure: OnceLock::new() }
    }

    /// Fails when something could not be read so far, however that was taken.
    pub fn was_readable(&self) -> Result<()> {
        match self.failure.get() {
            Some(failure) => {
                Err(Error::io("cannot be judged", std::io::Error::other(failure.clone()))
                    .at(self.inner.path()))
            }
            None => Ok(()),
        }
    }

    fn seen<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.inspect_err(|e| {
            self.failure.get_or_init(|| e.to_string());
        })
    }
}

impl File for Watched {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn id(&self) -> FileId {
        self.inner.id()
    }

    fn len(&self) -> Result<u64> {
        self.seen(self.inner.len())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.seen(self.inner.read_at(offset, buf))
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()> {
        self.inner.write_at(offset, buf)
    }

    fn write_direct(&self, offset: u64, buf: &[u8]) -> Result<bool> {
        self.inner.write_direct(offset, buf)
    }

    fn rehearses(&self, offset: u64, len: u64) -> bool {
        self.inner.rehearses(offset, len)
    }

    fn start_writeback(&self, offset: u64, len: u64) {
        self.inner.start_writeback(offset, len);
    }

    fn shares_blocks(&self) -> bool {
        self.inner.shares_blocks()
    }

    fn can_grow(&self) -> bool {
        self.inner.can_grow()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.inner.set_len(len)
    }

    fn punch(&self, offset: u64, len: u64) -> Result<()> {
        self.inner.punch(offset, len)
    }

    fn reserve(&self, offset: u64, len: u64) -> Result<()> {
        self.inner.reserve(offset, len)
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }

    fn data_range(&self, offset: u64) -> Result<Option<Range<u64>>> {
        self.seen(self.inner.data_range(offset))
    }

    fn disk_size(&self) -> Result<u64> {
        self.inner.disk_size()
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.inner.fd()
    }
}
