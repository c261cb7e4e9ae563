//! Space taken when an image is made, instead of when a guest writes.

use crate::error::Result;
use crate::storage::File;

/// Bytes of zeros written at a time.
const CHUNK: usize = 64 << 10;

/// How much of a new image is allocated ahead, with QEMU's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preallocation {
    /// Nothing.
    Off,
    /// Tables that map everything to holes of the file.
    Metadata,
    /// Space is reserved at the file system.
    Falloc,
    /// Zeros are written, so that even their blocks are there.
    Full,
}

impl Preallocation {
    /// Puts this much into a range of `file` that holds nothing yet. It reads as zeros before and
    /// after.
    pub fn fill(self, file: &dyn File, offset: u64, len: u64) -> Result<()> {
        match self {
            Self::Off | Self::Metadata => Ok(()),
            Self::Falloc => file.reserve(offset, len),
            Self::Full => write_zeros(file, offset, len),
        }
    }
}

fn write_zeros(file: &dyn File, offset: u64, len: u64) -> Result<()> {
    let zeros = [0; CHUNK];
    let end = offset.saturating_add(len);
    let mut at = offset;
    while at < end {
        let n = (end - at).min(CHUNK as u64);
        file.write_at(at, &zeros[..n as usize])?;
        at += n;
    }
    Ok(())
}
