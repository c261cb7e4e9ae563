//! The one place with `unsafe`: open-file-description locks, early writeback and returning memory, for
//! which our tree has no safe wrapper.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A byte range to lock or to ask about.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByteRange {
    pub(super) start: u64,
    pub(super) len: u64,
}

/// What to do with a byte range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LockOp {
    Shared,
    Unlock,
}

fn flock(kind: libc::c_int, range: ByteRange) -> io::Result<libc::flock> {
    let offset = |v: u64| libc::off_t::try_from(v).map_err(|_| io::ErrorKind::InvalidInput);
    // SAFETY: `flock` is a plain C struct of integers, for which all-zero is a valid value; the
    // OFD calls require l_pid to be 0.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = offset(range.start)?;
    lock.l_len = offset(range.len)?;
    Ok(lock)
}

/// Takes or drops an open-file-description lock; never waits.
pub(super) fn set_lock(fd: BorrowedFd<'_>, op: LockOp, range: ByteRange) -> io::Result<()> {
    let kind = match op {
        LockOp::Shared => libc::F_RDLCK,
        LockOp::Unlock => libc::F_UNLCK,
    };
    let lock = flock(kind, range)?;
    // SAFETY: `fd` is open for the whole call (it is borrowed), and `lock` is a valid, initialised
    // flock that outlives it; F_OFD_SETLK only reads it.
    let rc = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
    if rc == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Whether another open file description holds any lock inside `range`.
pub(super) fn held_by_other(fd: BorrowedFd<'_>, range: ByteRange) -> io::Result<bool> {
    let mut lock = flock(libc::F_WRLCK, range)?;
    // SAFETY: as above; F_OFD_GETLK writes only into `lock`, which we own exclusively.
    let rc = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) };
    if rc == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(libc::c_int::from(lock.l_type) != libc::F_UNLCK)
}

/// Has the kernel begin to write what is dirty in a range, without waiting for it.
///
/// For pacing only: nothing is durable, and what goes wrong is told by the sync that follows.
pub(super) fn start_writeback(fd: BorrowedFd<'_>, offset: u64, len: u64) {
    let (Ok(offset), Ok(len)) = (libc::off64_t::try_from(offset), libc::off64_t::try_from(len)) else {
        return;
    };
    // SAFETY: `fd` is open for the whole call (it is borrowed); the call takes plain integers and touches
    // no memory of ours.
    unsafe { libc::sync_file_range(fd.as_raw_fd(), offset, len, libc::SYNC_FILE_RANGE_WRITE) };
}

/// Gives memory that was freed back to the system.
pub(super) fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call takes no pointer and only touches what the allocator knows to be free; it locks the
    // allocator as any other call of it does.
    unsafe {
        libc::malloc_trim(0);
    }
}
