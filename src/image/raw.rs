//! Raw images: no metadata, guest offset is host offset, holes read as zeros.

use std::sync::Arc;

use super::{
    BackingRef, CheckReport, Details, Extent, ExtentKind, Format, Image, Snapshot, Space, State, Target,
    Written,
};
use crate::error::{Error, Result};
use crate::storage::{File, holes};
use crate::units::{Guest, Host, align_up};

/// A raw image.
pub struct Raw {
    len: u64,
    file: Arc<dyn File>,
}

impl Raw {
    /// Any file is a raw image. A size that is not a multiple of 512 is rounded up, as QEMU does.
    pub fn open(file: Arc<dyn File>) -> Result<Self> {
        Ok(Self { len: align_up(file.len()?, 512), file })
    }
}

impl Image for Raw {
    fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    fn format(&self) -> Format {
        Format::Raw
    }

    fn cluster_size(&self) -> u64 {
        512
    }

    fn backing(&self) -> Option<&BackingRef> {
        None
    }

    fn snapshots(&self) -> &[Snapshot] {
        &[]
    }

    fn virtual_size(&self, _: State) -> u64 {
        self.len
    }

    fn extent_at(&self, _: State, at: Guest, max: u64) -> Result<Extent> {
        let end = at.0.saturating_add(max).min(self.len);
        let data = self.file.data_range(at.0)?;
        let host = Host(at.0);
        let (stop, kind) = match data {
            Some(run) if run.start <= at.0 => (run.end, ExtentKind::Data { host }),
            Some(run) => (run.start, ExtentKind::Zero { host: Some(host) }),
            None => (end, ExtentKind::Zero { host: Some(host) }),
        };
        // The last sector may reach beyond the file: it belongs to the run before it.
        let stop = if stop >= self.file.len()? { end } else { stop.min(end) };
        Ok(Extent { start: at, len: stop - at.0, kind })
    }

    fn details(&self) -> Details {
        Details::Raw
    }

    fn check(&self) -> Result<CheckReport> {
        Err(Error::unsupported("a raw image has no metadata to check").at(self.file.path()))
    }

    fn space(&self) -> Result<Space> {
        Ok(Space { active: self.file.disk_size()?, snapshots: Vec::new() })
    }
}

/// A change to a raw image. There is no metadata to switch, so bytes change in place and at once.
pub struct RawTarget {
    file: Arc<dyn File>,
    size: u64,
    dry: bool,
    done: Written,
}

impl RawTarget {
    /// Starts a change; with `dry` nothing is ever written.
    pub fn open(file: Arc<dyn File>, dry: bool) -> Result<Self> {
        Ok(Self { size: align_up(file.len()?, 512), file, dry, done: Written::default() })
    }
}

impl Target for RawTarget {
    fn in_place(&self) -> bool {
        true
    }

    fn unit(&self) -> u64 {
        512
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn grow(&mut self, size: u64) -> Result<()> {
        if size > self.size {
            if !self.file.can_grow() {
                let what = format!("a block device of {} bytes cannot grow to {size}", self.size);
                return Err(Error::unsupported(what).at(self.file.path()));
            }
            self.size = align_up(size, 512);
            if !self.dry {
                self.file.set_len(self.size)?;
            }
        }
        Ok(())
    }

    fn shrink(&mut self, size: u64) -> Result<()> {
        self.size = align_up(size, 512);
        if !self.dry {
            self.file.set_len(self.size)?;
        }
        Ok(())
    }

    fn allocate(&mut self, at: Guest, len: u64) -> Result<(Host, u64)> {
        let len = align_up(len, 512);
        self.done.data_bytes += len;
        self.done.extra_bytes += holes(&*self.file, at.0, len)?;
        Ok((Host(at.0), len))
    }

    fn map(&mut self, _: Guest, _: Host, _: u64) -> Result<()> {
        Ok(())
    }

    fn zero(&mut self, at: Guest, len: u64) -> Result<bool> {
        if !self.dry {
            self.file.punch(at.0, len.min(self.size.saturating_sub(at.0)))?;
        }
        Ok(true)
    }

    fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    fn is_dry(&self) -> bool {
        self.dry
    }

    fn finish(self: Box<Self>) -> Result<Written> {
        if !self.dry {
            self.file.sync()?;
        }
        Ok(self.done)
    }
}
