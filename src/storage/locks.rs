//! QEMU's image locks: shared locks on single bytes that say "I use" and "I do not share".
//!
//! QEMU takes open-file-description *read* locks: byte 100+n means "permission n is in use", byte
//! 200+n "permission n is not shared", with n = 0 consistent read, 1 write, 2 write unchanged,
//! 3 resize. Taking one's own bytes and then asking for the opposite ones finds every conflict.
//! We speak the same protocol, so QEMU refuses what we hold and we refuse what QEMU holds.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use rustix::io::Errno;

use super::owner;
use super::sys::{ByteRange, LockOp, held_by_other, set_lock};
use super::{File, FileId};
use crate::error::{Error, Kind, Result};
use crate::text::Shown;

const IN_USE: u64 = 100;
const NOT_SHARED: u64 = 200;
const READ: u64 = 0;
const WRITE: u64 = 1;
const RESIZE: u64 = 3;

/// What a lock is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading a consistent image: nobody may write meanwhile.
    Read,
    /// Changing the image: nobody else may read or write it.
    Write,
}

impl Access {
    fn uses(self) -> &'static [u64] {
        match self {
            Self::Read => &[READ],
            Self::Write => &[READ, WRITE, RESIZE],
        }
    }

    fn denies(self) -> &'static [u64] {
        match self {
            Self::Read => &[WRITE, RESIZE],
            Self::Write => &[READ, WRITE, RESIZE],
        }
    }
}

/// The process that holds an image, where the system lets us see it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// The program's short name.
    pub program: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, pid {}", Shown::new(&self.program), self.pid)
    }
}

/// Who uses an image right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockState {
    /// Nobody.
    Free,
    /// Somebody reads it and relies on it not changing (a backing file in use).
    Read,
    /// Somebody may write it (a running guest).
    Write,
}

fn byte(start: u64) -> ByteRange {
    ByteRange { start, len: 1 }
}

/// Asks who holds the image behind `fd`, without taking any lock. Microseconds.
///
/// A file system without locks reports [`LockState::Free`]; see [`has_locks`].
pub fn probe_locks(fd: BorrowedFd<'_>) -> LockState {
    let held = |start, len| held_by_other(fd, ByteRange { start, len }).unwrap_or(false);
    if !held(IN_USE, NOT_SHARED - IN_USE + 4) {
        LockState::Free
    } else if held(IN_USE + WRITE, 1) {
        LockState::Write
    } else {
        LockState::Read
    }
}

/// Whether the file system behind `fd` knows locks at all. Without them nobody can be seen or kept away.
pub fn has_locks(fd: BorrowedFd<'_>) -> bool {
    !held_by_other(fd, byte(IN_USE)).is_err_and(|e| means_none(&e))
}

/// Whether a lock call failed because there are no locks: a network file system without a lock service,
/// a server that knows none. (A kernel without locks of this sort says so with `EINVAL`.)
fn means_none(e: &io::Error) -> bool {
    let none = [Errno::NOLCK, Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL];
    e.raw_os_error().is_some_and(|number| none.contains(&Errno::from_raw_os_error(number)))
}

/// A held lock; released when dropped.
pub struct Lock {
    file: Arc<dyn File>,
    access: Access,
}

impl Lock {
    /// Takes the bytes for `access` on `file`, or says who is in the way ([`Kind::InUse`]).
    ///
    /// Files in memory have no locks and always succeed. A file system without locks is refused
    /// ([`Kind::NoLocks`]).
    pub fn acquire(file: Arc<dyn File>, access: Access) -> Result<Self> {
        let lock = Self { file, access };
        if let Some(fd) = lock.file.fd() {
            lock.take(fd)?;
        }
        Ok(lock)
    }

    /// Like [`acquire`](Self::acquire); nothing on a file system without locks.
    pub fn acquire_if_any(file: Arc<dyn File>, access: Access) -> Result<Option<Self>> {
        match Self::acquire(file, access) {
            Err(e) if e.kind() == Kind::NoLocks => Ok(None),
            taken => taken.map(Some),
        }
    }

    /// Which file is locked.
    pub fn file_id(&self) -> FileId {
        self.file.id()
    }

    fn take(&self, fd: BorrowedFd<'_>) -> Result<()> {
        let fail = |e: io::Error| match () {
            () if means_none(&e) => {
                let what =
                    "its file system has no locks, so a process that writes to it would not be noticed";
                Error::new(Kind::NoLocks, what).at(self.file.path())
            }
            // Somebody holds the byte in a way that QEMU never does.
            () if e.kind() == io::ErrorKind::WouldBlock => self.in_use(),
            () => Error::io("cannot lock the image", e).at(self.file.path()),
        };
        for start in self.bytes() {
            set_lock(fd, LockOp::Shared, byte(start)).map_err(fail)?;
        }
        let opposite = self.access.uses().iter().map(|n| NOT_SHARED + n);
        for start in opposite.chain(self.access.denies().iter().map(|n| IN_USE + n)) {
            if held_by_other(fd, byte(start)).map_err(fail)? {
                return Err(self.in_use());
            }
        }
        Ok(())
    }

    fn in_use(&self) -> Error {
        let holder = Holder::of(self.file.id());
        let who = holder.map_or_else(|| "another process".to_owned(), |h| h.to_string());
        Error::new(Kind::InUse, format!("in use by {who}"))
            .at(self.file.path())
            .remedy("stop that process first, or work on the running guest through it")
    }

    fn bytes(&self) -> impl Iterator<Item = u64> {
        let uses = self.access.uses().iter().map(|n| IN_USE + n);
        uses.chain(self.access.denies().iter().map(|n| NOT_SHARED + n))
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} lock on {}", self.access, self.file.path().display())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(fd) = self.file.fd() {
            for start in self.bytes() {
                // Nothing to do when it fails: closing the file drops the lock as well.
                let _ = set_lock(fd, LockOp::Unlock, byte(start));
            }
        }
    }
}

impl Holder {
    /// The process that holds a lock on the file with this identity, if the system shows it.
    pub fn of(id: FileId) -> Option<Self> {
        owner::find(&[id]).remove(&id)
    }

    /// The same for many files in one look at all processes; files without a visible holder are
    /// missing.
    pub fn of_all(ids: &[FileId]) -> HashMap<FileId, Self> {
        owner::find(ids)
    }
}
