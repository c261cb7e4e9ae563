//! Data in a file of its own ("External data file"): each guest cluster lies at its guest offset,
//! without a refcount; no snapshots, no compression.
//!
//! There is no free space to write to first, so a cluster that is there already is overwritten in
//! place: the image's own view is a mixture until the change is complete. New clusters show with the
//! flip, as everywhere.

use std::ops::Range;

use super::entry::Entry;
use super::header::Header;
use super::writer::Writer;
use crate::error::{Error, Place, Result};
use crate::image::{DataFile, Image};
use crate::storage::holes;
use crate::text::Shown;
use crate::units::{Guest, Host, align_up};

use std::os::unix::ffi::OsStrExt;

/// The entry of the guest cluster at `guest`, unless it points at the place of another one.
pub(super) fn belongs(header: &Header, entry: &Entry, guest: u64) -> Result<Entry> {
    if !header.external_data() {
        return Ok(*entry);
    }
    if entry.is_compressed() {
        return Err(Error::corrupt("a compressed cluster in an image with an external data file"));
    }
    match entry.place(header) {
        Some((host, _)) if host != guest => Err(Error::corrupt(format!(
            "the guest cluster at {guest:#x} points at {host:#x} of the external data file"
        ))),
        _ => Ok(*entry),
    }
}

/// Why content cannot be had from an image that was opened without its data file.
pub(super) fn missing(data_file: &DataFile) -> Error {
    let name = Shown::bytes(data_file.name.as_bytes());
    Error::unsupported(format!("the data lies in another file, \"{name}\", which is not open"))
}

impl Writer {
    /// Where a range goes: there is one place only.
    pub(super) fn external_place(&mut self, at: Guest, len: u64) -> Result<(Host, u64)> {
        self.external_begin()?;
        let data = self.image.data().at(self.image.file.path())?;
        let bytes = align_up(len, self.cluster_size());
        self.done.data_bytes += bytes;
        self.done.extra_bytes += holes(&**data, at.0, bytes)?;
        Ok((Host(at.0), bytes))
    }

    /// Notes that nothing of the data file's range is used any more.
    pub(super) fn external_freed(&mut self, range: Range<u64>) -> Result<()> {
        self.image.data().at(self.image.file.path())?;
        match self.external_freed.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.external_freed.push(range),
        }
        Ok(())
    }

    /// Before the first byte is overwritten, the header must not promise what will no longer hold:
    /// nothing is switched at once here.
    fn external_begin(&mut self) -> Result<()> {
        let lasting = self.image.header.autoclear & self.lasting_autoclear();
        if !std::mem::replace(&mut self.external_begun, true)
            && !self.dry
            && lasting != self.image.header.autoclear
        {
            let header = Header { autoclear: lasting, ..self.image.header.clone() };
            self.image.file.write_at(0, &self.sector(&header)?)?;
            self.image.file.sync()?;
        }
        Ok(())
    }

    /// Before the flip: everything that it will make visible is durable. A data file that is an image
    /// by itself must then read like the new state.
    pub(super) fn external_settle(&mut self) -> Result<()> {
        let Some(data) = self.image.data.clone() else { return Ok(()) };
        for range in &self.external_freed {
            let len = range.end.min(data.len()?).saturating_sub(range.start);
            self.done.freed_bytes += len - holes(&*data, range.start, len)?;
        }
        if self.dry {
            return Ok(());
        }
        if self.is_raw_data() {
            self.external_begin()?;
            self.external_punch()?;
            if data.can_grow() && data.len()? < self.header.size {
                data.set_len(self.header.size)?;
            }
        }
        data.sync()
    }

    /// After the flip: what the new state no longer uses goes back to the file system.
    pub(super) fn external_give_back(&mut self) -> Result<()> {
        let Some(data) = self.image.data.clone().filter(|_| !self.dry) else { return Ok(()) };
        self.external_punch()?;
        // Whole clusters were written; an image by itself ends with the disk.
        if self.is_raw_data() && data.can_grow() && data.len()? > self.header.size {
            data.set_len(self.header.size)?;
        }
        Ok(())
    }

    fn is_raw_data(&self) -> bool {
        self.image.data_file().is_some_and(|d| d.raw)
    }

    fn external_punch(&mut self) -> Result<()> {
        let Some(data) = &self.image.data else { return Ok(()) };
        let len = data.len()?;
        for range in std::mem::take(&mut self.external_freed) {
            let end = range.end.min(len);
            if range.start < end {
                data.punch(range.start, end - range.start)?;
            }
        }
        Ok(())
    }
}
