//! A host on which one call fails, or that one and all that follow.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use cowherd::error::{Error, Result};
use cowherd::storage::{Disk, File, FileId, HostDisk, Stamp};

/// Which call fails, and how. Counts all of them.
#[derive(Debug)]
pub(crate) struct Fuse {
    calls: AtomicU64,
    /// The first call that fails, from 0; none when there are not so many.
    first: u64,
    for_ever: bool,
    errno: i32,
    /// Of each call, whether it takes room: others cannot fail for want of it.
    takes_room: Mutex<Vec<bool>>,
}

impl Fuse {
    pub(crate) fn new(first: u64, for_ever: bool, errno: i32) -> Arc<Self> {
        Arc::new(Self { calls: AtomicU64::new(0), first, for_ever, errno, takes_room: Mutex::default() })
    }

    /// The calls so far, and whether each takes room.
    pub(crate) fn calls(&self) -> Vec<bool> {
        self.takes_room.lock().unwrap().clone()
    }

    /// A call that takes no room.
    fn look(&self, path: &Path) -> Result<()> {
        self.takes_room.lock().unwrap().push(false);
        self.call(path)
    }

    /// A call that may find no room.
    fn take(&self, path: &Path) -> Result<()> {
        self.takes_room.lock().unwrap().push(true);
        self.call(path)
    }

    fn call(&self, path: &Path) -> Result<()> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        match number == self.first || self.for_ever && number > self.first {
            true => Err(Error::io("cannot do it", io::Error::from_raw_os_error(self.errno)).at(path)),
            false => Ok(()),
        }
    }
}

pub(crate) struct FaultyDisk(pub(crate) Arc<Fuse>);

struct FaultyFile {
    inner: Arc<dyn File>,
    fuse: Arc<Fuse>,
}

impl FaultyDisk {
    fn wrap(&self, inner: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(FaultyFile { inner, fuse: self.0.clone() })
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, write: bool) -> Result<Arc<dyn File>> {
        self.0.look(path)?;
        Ok(self.wrap(HostDisk.open(path, write)?))
    }

    fn create(&self, path: &Path, private: bool) -> Result<Arc<dyn File>> {
        self.0.take(path)?;
        Ok(self.wrap(HostDisk.create(path, private)?))
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        self.0.take(path)?;
        HostDisk.create_dir(path)
    }

    fn link(&self, file: &Path, to: &Path) -> Result<()> {
        self.0.take(to)?;
        HostDisk.link(file, to)
    }

    fn rename(&self, file: &Path, to: &Path) -> Result<()> {
        self.0.take(to)?;
        HostDisk.rename(file, to)
    }

    fn unlink(&self, file: &Path) -> Result<()> {
        self.0.look(file)?;
        HostDisk.unlink(file)
    }

    fn sync_dir(&self, folder: &Path) -> Result<()> {
        self.0.take(folder)
    }

    fn stamp(&self, path: &Path) -> Result<Stamp> {
        self.0.look(path)?;
        HostDisk.stamp(path)
    }
}

impl File for FaultyFile {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn id(&self) -> FileId {
        self.inner.id()
    }

    fn len(&self) -> Result<u64> {
        self.fuse.look(self.path())?;
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.fuse.look(self.path())?;
        self.inner.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()> {
        self.fuse.take(self.path())?;
        self.inner.write_at(offset, buf)
    }

    fn can_grow(&self) -> bool {
        self.inner.can_grow()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.fuse.take(self.path())?;
        self.inner.set_len(len)
    }

    fn punch(&self, offset: u64, len: u64) -> Result<()> {
        self.fuse.take(self.path())?;
        self.inner.punch(offset, len)
    }

    fn reserve(&self, offset: u64, len: u64) -> Result<()> {
        self.fuse.take(self.path())?;
        self.inner.reserve(offset, len)
    }

    fn sync(&self) -> Result<()> {
        self.fuse.take(self.path())
    }

    fn data_range(&self, offset: u64) -> Result<Option<Range<u64>>> {
        self.fuse.look(self.path())?;
        self.inner.data_range(offset)
    }

    fn disk_size(&self) -> Result<u64> {
        self.fuse.look(self.path())?;
        self.inner.disk_size()
    }
}
