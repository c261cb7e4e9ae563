//! Raw images: no metadata, guest offset is host offset, holes read as zeros.

use std::sync::Arc;

use super::{BackingRef, CheckReport, Details, Extent, ExtentKind, Format, Image, Snapshot, Space, State};
use crate::error::{Error, Result};
use crate::storage::File;
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
