//! A file of the operating system: regular files and block devices, nothing else.

use std::fs;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{FallocateFlags, SeekFrom, fallocate};
use rustix::io::Errno;

use super::{File, FileId, sys};
use crate::error::{Error, Kind, Result};

/// Enough for every disk: direct writes are in whole blocks.
const DIRECT_ALIGNMENT: u64 = 4096;

/// An open file.
#[derive(Debug)]
pub struct RealFile {
    path: PathBuf,
    file: fs::File,
    id: FileId,
    block_device: bool,
    /// The same file past the page cache, opened when first asked for; `None` where it cannot be.
    direct: OnceLock<Option<fs::File>>,
    /// Whether the file system shares blocks, once it was asked.
    shares: OnceLock<bool>,
}

impl RealFile {
    /// Opens an existing regular file or block device. Never blocks on a FIFO, never opens a
    /// socket, a terminal or a directory.
    pub fn open(path: &Path, write: bool) -> Result<Self> {
        let flags = rustix::fs::OFlags::NONBLOCK.union(rustix::fs::OFlags::NOCTTY);
        let file = fs::OpenOptions::new()
            .read(true)
            .write(write)
            .custom_flags(flags.bits() as i32)
            .open(path)
            .map_err(|e| Error::io("cannot open", e).at(path))?;
        Self::from_file(path, file)
    }

    /// Creates a file that must not exist yet, readable and writable.
    pub fn create_new(path: &Path) -> Result<Self> {
        Self::create(path, false)
    }

    /// The same; a `private` one can be read by its owner alone. [`Kind::Exists`] when the name is taken.
    pub fn create(path: &Path, private: bool) -> Result<Self> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create_new(true);
        if private {
            options.mode(0o600);
        }
        let file = options.open(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Error::new(Kind::Exists, "cannot create: the name is taken").at(path)
            }
            _ => Error::io("cannot create", e).at(path),
        })?;
        Self::from_file(path, file)
    }

    /// A file in memory, as sparse as a real one, that calls itself `path`: for rehearsals.
    pub fn scratch(path: &Path) -> Result<Self> {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        let file = rustix::fs::memfd_create("cowherd", flags)
            .map_err(|e| Error::io("cannot make a file in memory", e.into()))?;
        Self::from_file(path, file.into())
    }

    fn from_file(path: &Path, file: fs::File) -> Result<Self> {
        let meta = file.metadata().map_err(|e| Error::io("cannot examine", e).at(path))?;
        let kind = meta.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(Error::unsupported("neither a regular file nor a block device").at(path));
        }
        Ok(Self {
            path: path.to_path_buf(),
            file,
            id: FileId { dev: meta.dev(), ino: meta.ino() },
            block_device: kind.is_block_device(),
            direct: OnceLock::new(),
            shares: OnceLock::new(),
        })
    }

    fn fail(&self, what: &str, offset: u64) -> impl FnOnce(std::io::Error) -> Error {
        let error = (what.to_owned(), self.path.clone());
        move |e| Error::io(error.0, e).at(&error.1).offset(offset)
    }

    fn reopen_direct(&self) -> Option<fs::File> {
        // By descriptor, not by name: the name may lead elsewhere by now.
        let same = format!("/proc/self/fd/{}", self.file.as_fd().as_raw_fd());
        let flags = rustix::fs::OFlags::DIRECT.bits() as i32;
        fs::OpenOptions::new().write(true).custom_flags(flags).open(same).ok()
    }

    fn write_zeros(&self, mut offset: u64, len: u64) -> Result<()> {
        let zeros = [0; 64 << 10];
        let end = offset.saturating_add(len).min(self.len()?);
        while offset < end {
            let n = (end - offset).min(zeros.len() as u64) as usize;
            self.write_at(offset, &zeros[..n])?;
            offset += n as u64;
        }
        Ok(())
    }
}

impl File for RealFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn id(&self) -> FileId {
        self.id
    }

    fn len(&self) -> Result<u64> {
        if self.block_device {
            return rustix::fs::seek(&self.file, SeekFrom::End(0))
                .map_err(|e| self.fail("cannot find the size", 0)(e.into()));
        }
        Ok(self.file.metadata().map_err(self.fail("cannot examine", 0))?.len())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        // The system calls such an offset invalid; it is beyond the end of any file.
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > i64::MAX as u64) {
            return Ok(0);
        }
        let mut done = 0;
        while done < buf.len() {
            match self.file.read_at(&mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.fail("cannot read", offset + done as u64)(e)),
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()> {
        self.file.write_all_at(buf, offset).map_err(self.fail("cannot write", offset))
    }

    fn write_direct(&self, offset: u64, buf: &[u8]) -> Result<bool> {
        let aligned = |n: u64| n.is_multiple_of(DIRECT_ALIGNMENT);
        if !aligned(offset) || !aligned(buf.len() as u64) || !aligned(buf.as_ptr().addr() as u64) {
            return Ok(false);
        }
        let Some(file) = self.direct.get_or_init(|| self.reopen_direct()) else { return Ok(false) };
        match file.write_all_at(buf, offset) {
            Ok(()) => Ok(true),
            // Some file systems accept the flag and refuse the writes.
            Err(e) if e.kind() == std::io::ErrorKind::InvalidInput => Ok(false),
            Err(e) => Err(self.fail("cannot write", offset)(e)),
        }
    }

    fn start_writeback(&self, offset: u64, len: u64) {
        sys::start_writeback(self.file.as_fd(), offset, len);
    }

    fn shares_blocks(&self) -> bool {
        // XFS, btrfs and bcachefs. One small copy cannot tell, so the question is asked by file system.
        const SHARING: [u64; 3] = [0x5846_5342, 0x9123_683e, 0xca45_1a4e];
        let kind = || rustix::fs::fstatfs(&self.file).ok().map(|s| s.f_type as u64);
        *self.shares.get_or_init(|| kind().is_some_and(|kind| SHARING.contains(&kind)))
    }

    fn can_grow(&self) -> bool {
        !self.block_device
    }

    fn set_len(&self, len: u64) -> Result<()> {
        if self.block_device {
            if len > self.len()? {
                return Err(Error::new(Kind::NoSpace, "a block device cannot grow")
                    .at(&self.path)
                    .offset(len));
            }
            return Ok(());
        }
        self.file.set_len(len).map_err(self.fail("cannot set the length", len))
    }

    fn punch(&self, offset: u64, len: u64) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::io::retry_on_intr(|| fallocate(&self.file, flags, offset, len)) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::NODEV) => self.write_zeros(offset, len),
            // A device with sectors larger than the range.
            Err(Errno::INVAL) if self.block_device => self.write_zeros(offset, len),
            Err(e) => Err(self.fail("cannot punch a hole", offset)(e.into())),
        }
    }

    fn reserve(&self, offset: u64, len: u64) -> Result<()> {
        if len == 0 || self.block_device {
            return Ok(());
        }
        match rustix::io::retry_on_intr(|| fallocate(&self.file, FallocateFlags::empty(), offset, len)) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                let end = offset.saturating_add(len);
                if self.len()? < end { self.set_len(end) } else { Ok(()) }
            }
            Err(e) => Err(self.fail("cannot reserve space", offset)(e.into())),
        }
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(self.fail("cannot sync", 0))
    }

    fn data_range(&self, offset: u64) -> Result<Option<Range<u64>>> {
        let len = self.len()?;
        if offset >= len {
            return Ok(None);
        }
        if self.block_device {
            return Ok(Some(offset..len));
        }
        let start = match rustix::fs::seek(&self.file, SeekFrom::Data(offset)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(None),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some(offset..len)),
            Err(e) => return Err(self.fail("cannot find data", offset)(e.into())),
        };
        let end = rustix::fs::seek(&self.file, SeekFrom::Hole(start)).unwrap_or(len);
        Ok(Some(start..end.max(start).min(len)))
    }

    fn disk_size(&self) -> Result<u64> {
        if self.block_device {
            return self.len();
        }
        Ok(self.file.metadata().map_err(self.fail("cannot examine", 0))?.blocks() * 512)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }
}

/// Bytes an ordinary user can still write on the file system that holds `path`.
pub fn free_space(path: &Path) -> Result<u64> {
    let stat =
        rustix::fs::statvfs(path).map_err(|e| Error::io("cannot ask for free space", e.into()).at(path))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Makes renames and new names in `dir` durable.
pub(super) fn sync_dir(dir: &Path) -> Result<()> {
    fs::File::open(dir).and_then(|d| d.sync_all()).map_err(|e| Error::io("cannot sync the folder", e).at(dir))
}
