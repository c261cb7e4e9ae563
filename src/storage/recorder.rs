//! Files and folders that remember what was done to them, so that tests can cut the power anywhere.
//!
//! Every change of every recorded file and name goes into one [`Trace`] in global order. A test replays any
//! prefix (or any subset between two syncs) on the old content with [`apply_event`] and asks
//! whether all views are still right.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Disk, File, FileId, HostDisk, Stamp};
use crate::error::Result;

/// One change to one recorded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Bytes were written.
    Write {
        /// Which file.
        file: FileId,
        /// Where.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// The length was set.
    SetLen {
        /// Which file.
        file: FileId,
        /// The new length.
        len: u64,
    },
    /// A range was given back.
    Punch {
        /// Which file.
        file: FileId,
        /// Where it starts.
        offset: u64,
        /// How long it is.
        len: u64,
    },
    /// Everything before this, on this file, is durable.
    Sync {
        /// Which file.
        file: FileId,
    },
    /// A file was made.
    Create {
        /// Which file.
        file: FileId,
        /// Its name.
        path: PathBuf,
    },
    /// A folder was made, or was there.
    CreateDir {
        /// Its name.
        path: PathBuf,
    },
    /// A file got a second name.
    Link {
        /// A name it had.
        from: PathBuf,
        /// The new one.
        to: PathBuf,
    },
    /// A file got another name.
    Rename {
        /// The old one.
        from: PathBuf,
        /// The new one.
        to: PathBuf,
    },
    /// A name was taken away.
    Unlink {
        /// Which.
        path: PathBuf,
    },
    /// The names in a folder are durable.
    SyncDir {
        /// Which folder.
        path: PathBuf,
    },
}

impl Event {
    /// The file whose bytes it happened to; nothing for what happened to names.
    pub fn file(&self) -> Option<FileId> {
        match self {
            Self::Write { file, .. }
            | Self::SetLen { file, .. }
            | Self::Punch { file, .. }
            | Self::Sync { file } => Some(*file),
            _ => None,
        }
    }
}

/// The changes of all recorded files, in the order they were made.
#[derive(Debug, Clone, Default)]
pub struct Trace(Arc<Mutex<Vec<Event>>>);

impl Trace {
    /// The events so far.
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn push(&self, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

/// A file whose changes are recorded and passed on.
pub struct Recorder {
    inner: Arc<dyn File>,
    trace: Trace,
    /// Under which identity.
    known_as: FileId,
    /// Whether its file system is to look as if it shared blocks.
    shares: bool,
}

impl Recorder {
    /// Records what happens to `inner` in `trace`.
    pub fn new(inner: Arc<dyn File>, trace: Trace) -> Self {
        let known_as = inner.id();
        Self { inner, trace, known_as, shares: false }
    }
}

impl File for Recorder {
    fn shares_blocks(&self) -> bool {
        self.shares
    }

    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn id(&self) -> FileId {
        self.inner.id()
    }

    fn len(&self) -> Result<u64> {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.inner.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()> {
        self.inner.write_at(offset, buf)?;
        self.trace.push(Event::Write { file: self.known_as, offset, bytes: buf.to_vec() });
        Ok(())
    }

    fn can_grow(&self) -> bool {
        self.inner.can_grow()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.inner.set_len(len)?;
        self.trace.push(Event::SetLen { file: self.known_as, len });
        Ok(())
    }

    fn punch(&self, offset: u64, len: u64) -> Result<()> {
        self.inner.punch(offset, len)?;
        self.trace.push(Event::Punch { file: self.known_as, offset, len });
        Ok(())
    }

    // What is durable the trace says; waiting for a disk would add nothing.
    fn sync(&self) -> Result<()> {
        self.trace.push(Event::Sync { file: self.known_as });
        Ok(())
    }

    fn data_range(&self, offset: u64) -> Result<Option<Range<u64>>> {
        self.inner.data_range(offset)
    }

    fn disk_size(&self) -> Result<u64> {
        self.inner.disk_size()
    }
}

/// A host whose files and names are recorded. Stamps are without times, and files keep the identities that
/// they had in an earlier recording, so that a state can be set up again and still be the same.
pub struct RecorderDisk {
    trace: Trace,
    known_as: Mutex<HashMap<FileId, FileId>>,
    shares: bool,
}

impl RecorderDisk {
    /// Records in `trace`. `known_as` says under which identity each file is known.
    pub fn new(trace: Trace, known_as: HashMap<FileId, FileId>) -> Self {
        Self { trace, known_as: Mutex::new(known_as), shares: false }
    }

    /// The same on a file system that looks as if it shared blocks, so that data takes the way it takes there.
    #[must_use]
    pub fn sharing(self, shares: bool) -> Self {
        Self { shares, ..self }
    }

    fn known_as(&self, id: FileId) -> FileId {
        *self.known_as.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_insert(id)
    }

    /// A new file may have the number of one that is gone, so it is known under one of its own.
    fn is_new(&self, id: FileId) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let new = FileId { dev: u64::MAX, ino: NEXT.fetch_add(1, Ordering::Relaxed) };
        self.known_as.lock().unwrap_or_else(PoisonError::into_inner).insert(id, new);
    }

    fn recorded(&self, inner: Arc<dyn File>) -> Arc<dyn File> {
        let known_as = self.known_as(inner.id());
        Arc::new(Recorder { inner, trace: self.trace.clone(), known_as, shares: self.shares })
    }
}

impl Disk for RecorderDisk {
    fn open(&self, path: &Path, write: bool) -> Result<Arc<dyn File>> {
        Ok(self.recorded(HostDisk.open(path, write)?))
    }

    fn create(&self, path: &Path, private: bool) -> Result<Arc<dyn File>> {
        let file = HostDisk.create(path, private)?;
        self.is_new(file.id());
        self.trace.push(Event::Create { file: self.known_as(file.id()), path: path.to_path_buf() });
        Ok(self.recorded(file))
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        HostDisk.create_dir(path)?;
        self.trace.push(Event::CreateDir { path: path.to_path_buf() });
        Ok(())
    }

    fn link(&self, file: &Path, to: &Path) -> Result<()> {
        HostDisk.link(file, to)?;
        self.trace.push(Event::Link { from: file.to_path_buf(), to: to.to_path_buf() });
        Ok(())
    }

    fn rename(&self, file: &Path, to: &Path) -> Result<()> {
        HostDisk.rename(file, to)?;
        self.trace.push(Event::Rename { from: file.to_path_buf(), to: to.to_path_buf() });
        Ok(())
    }

    fn unlink(&self, file: &Path) -> Result<()> {
        HostDisk.unlink(file)?;
        self.trace.push(Event::Unlink { path: file.to_path_buf() });
        Ok(())
    }

    fn sync_dir(&self, folder: &Path) -> Result<()> {
        self.trace.push(Event::SyncDir { path: folder.to_path_buf() });
        Ok(())
    }

    fn stamp(&self, path: &Path) -> Result<Stamp> {
        let stamp = HostDisk.stamp(path)?.without_times();
        Ok(Stamp { id: self.known_as(stamp.id), ..stamp })
    }
}

/// Does `event` to `file`: replays one step of a trace.
pub fn apply_event(file: &dyn File, event: &Event) -> Result<()> {
    match event {
        Event::Write { offset, bytes, .. } => file.write_at(*offset, bytes),
        Event::SetLen { len, .. } => file.set_len(*len),
        Event::Punch { offset, len, .. } => file.punch(*offset, *len),
        _ => Ok(()),
    }
}
