//! A file that remembers what was done to it, so that tests can cut the power anywhere.
//!
//! Every change of every recorded file goes into one [`Trace`] in global order. A test replays any
//! prefix (or any subset between two syncs) on the old content with [`apply_event`] and asks
//! whether all views are still right.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::{File, FileId};
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
}

impl Event {
    /// The file it happened to.
    pub fn file(&self) -> FileId {
        match self {
            Self::Write { file, .. }
            | Self::SetLen { file, .. }
            | Self::Punch { file, .. }
            | Self::Sync { file } => *file,
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
}

impl Recorder {
    /// Records what happens to `inner` in `trace`.
    pub fn new(inner: Arc<dyn File>, trace: Trace) -> Self {
        Self { inner, trace }
    }
}

impl File for Recorder {
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
        self.trace.push(Event::Write { file: self.id(), offset, bytes: buf.to_vec() });
        Ok(())
    }

    fn can_grow(&self) -> bool {
        self.inner.can_grow()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.inner.set_len(len)?;
        self.trace.push(Event::SetLen { file: self.id(), len });
        Ok(())
    }

    fn punch(&self, offset: u64, len: u64) -> Result<()> {
        self.inner.punch(offset, len)?;
        self.trace.push(Event::Punch { file: self.id(), offset, len });
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()?;
        self.trace.push(Event::Sync { file: self.id() });
        Ok(())
    }

    fn data_range(&self, offset: u64) -> Result<Option<Range<u64>>> {
        self.inner.data_range(offset)
    }

    fn disk_size(&self) -> Result<u64> {
        self.inner.disk_size()
    }
}

/// Does `event` to `file`: replays one step of a trace.
pub fn apply_event(file: &dyn File, event: &Event) -> Result<()> {
    match event {
        Event::Write { offset, bytes, .. } => file.write_at(*offset, bytes),
        Event::SetLen { len, .. } => file.set_len(*len),
        Event::Punch { offset, len, .. } => file.punch(*offset, *len),
        Event::Sync { .. } => Ok(()),
    }
}
