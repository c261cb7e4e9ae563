//! Bytes: the [`File`] trait and its implementations.
//!
//! The floor under everything. It knows nothing of formats; no other floor touches image bytes
//! except through it. Real files ([`RealFile`]), memory ([`MemFile`]), files as a plan will leave them
//! ([`Rehearsed`]) and a recorder for crash tests ([`Recorder`]) behave the same, so a test can cut the power
//! between any two writes.
//!
//! The only `unsafe` of the crate is in `sys.rs`: a few calls that no safe wrapper offers.

mod access;
mod copy;
mod disk;
mod locks;
mod mem;
mod names;
mod notify;
mod owner;
mod partial;
mod real;
mod recorder;
mod rehearsal;
mod rehearsed;
mod rehearsed_ranges;
mod small;
mod stamp;
mod sys;
mod trash;
mod trash_list;
mod trash_note;
mod unused;
mod watched;

use std::os::fd::BorrowedFd;
use std::path::Path;

pub use access::{adopt, owner_only};
pub use copy::{
    CopyBuffer, copy_data, copy_range, holes, is_hole, read_data_into_zeros, read_exact_or_zero, write_bulk,
};
pub use disk::{Disk, HostDisk};
pub use locks::{Access, Holder, Lock, LockState, has_locks, probe_locks};
pub use mem::MemFile;
pub use names::{is_ours, link, rename, unlink};
pub use notify::Watch;
pub use partial::{Partial, discard_partial};
pub use real::{RealFile, free_space};
pub use recorder::{Event, Recorder, RecorderDisk, Trace, apply_event};
pub use rehearsal::Rehearsal;
pub use rehearsed::Rehearsed;
pub use small::read_small;
pub use stamp::Stamp;
pub use trash::{TRASH, in_trash, trash};
pub use trash_list::{Trashed, discard, discard_notes, trash_contents, trash_folders, untrash};
pub use trash_note::{Below, Note};
pub use unused::Unused;
pub use watched::Watched;

use crate::error::Result;

/// Gives memory that was freed back to the system: a plan of a large image takes as much as the job after
/// it, on another thread, whose allocations would not use it again.
pub fn trim_memory() {
    sys::trim_memory();
}

/// Which file this is, whatever its name: device and inode, as two views of one file agree on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct FileId {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
}

/// One file's bytes. All calls are positional and may come from several threads.
///
/// Offsets and lengths are bytes. Nothing is durable before [`sync`](File::sync) returns.
pub trait File: Send + Sync {
    /// The name the file was opened under; for messages only.
    fn path(&self) -> &Path;

    /// Device and inode.
    fn id(&self) -> FileId;

    /// Current length in bytes.
    fn len(&self) -> Result<u64>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads up to `buf.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize>;

    /// Writes all of `buf`, growing the file when needed.
    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()>;

    /// Writes all of `buf` past the page cache, which costs memory and time where a range is new and
    /// large. `false` when this file, place or buffer does not allow it; nothing is written then.
    fn write_direct(&self, offset: u64, buf: &[u8]) -> Result<bool> {
        let _ = (offset, buf);
        Ok(false)
    }

    /// At a rehearsal, takes note that guest data will lie in the range and says so: it need not be
    /// written. `false` from every real file.
    fn rehearses(&self, offset: u64, len: u64) -> bool {
        let _ = (offset, len);
        false
    }

    /// Says that a range will not change again soon, so that writing it can begin before
    /// [`sync`](Self::sync) waits for it. It promises nothing.
    fn start_writeback(&self, offset: u64, len: u64) {
        let _ = (offset, len);
    }

    /// Whether its file system lets files share blocks, which beats every copy.
    fn shares_blocks(&self) -> bool {
        false
    }

    /// Whether it can become longer: a block device cannot.
    fn can_grow(&self) -> bool {
        true
    }

    /// Truncates, or extends with a hole. A block device keeps its length; making it longer fails.
    fn set_len(&self, len: u64) -> Result<()>;

    /// Gives the range back to the file system; it reads as zeros afterwards. The length of the
    /// file does not change. Where the file system cannot, zeros are written.
    fn punch(&self, offset: u64, len: u64) -> Result<()>;

    /// Takes space at the file system for the range, growing the file when needed; what is there
    /// reads as before, what is new as zeros. Where the file system cannot, holes remain.
    fn reserve(&self, offset: u64, len: u64) -> Result<()> {
        if self.len()? < offset.saturating_add(len) {
            self.set_len(offset.saturating_add(len))?;
        }
        Ok(())
    }

    /// Makes everything written so far durable, metadata included.
    fn sync(&self) -> Result<()>;

    /// The first range at or after `offset` that may hold data, `None` when only holes follow.
    /// A file system without holes reports the rest of the file.
    fn data_range(&self, offset: u64) -> Result<Option<std::ops::Range<u64>>>;

    /// Bytes the file occupies on its file system.
    fn disk_size(&self) -> Result<u64>;

    /// The descriptor, for calls that the kernel can do better than we (copy, reflink).
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
