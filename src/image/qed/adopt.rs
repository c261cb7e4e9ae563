//! A header and tables laid over a file that holds the data already.
//!
//! Tables go behind the end, L2 tables as they are filled and the L1 table last. What nothing refers to
//! afterwards is a leak that QEMU never reclaims; compacting closes such holes.

use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use zerocopy::IntoBytes;
use zerocopy::little_endian::U64;

use super::create::CreateOptions;
use super::header::{Header, LEN, SECTOR};
use crate::error::{Error, Kind, Result};
use crate::image::Written;
use crate::image::convert::{ConversionTarget, Head, Mapping, MappingKind};
use crate::image::used::Used;
use crate::storage::File;
use crate::units::{Host, align_up, div_up};

/// What an L2 entry says of zeros.
const ZERO: u64 = 1;

/// The target side of a conversion in place.
pub(in crate::image) struct Adopter {
    file: Arc<dyn File>,
    header: Header,
    /// The backing name, and where in the file it goes.
    name: Option<(u64, Vec<u8>)>,
    l1: Vec<U64>,
    open: Option<(u64, Vec<U64>)>,
    used: Used,
    /// The first cluster behind everything.
    end: u64,
    written: Written,
}

impl Adopter {
    /// Over `file`, of which the first `taken` bytes belong to the header of the image that it is.
    pub(in crate::image) fn over(file: Arc<dyn File>, options: &CreateOptions, taken: u64) -> Result<Self> {
        let mut header = options.header()?;
        header.writable()?;
        let mut name = None;
        if let Some(backing) = &options.backing {
            let bytes = backing.name.as_bytes().to_vec();
            let behind = align_up(taken.max(SECTOR as u64), 8);
            let place = if LEN as usize + bytes.len() <= SECTOR { LEN } else { behind };
            if place + bytes.len() as u64 > header.cluster_size {
                return Err(Error::unsupported("no room for the backing file name in the first cluster"));
            }
            // Within a cluster of at most 64 MiB.
            header.backing_place = (place as u32, bytes.len() as u32);
            name = Some((place, bytes));
        }
        let end = div_up(file.len()?, header.cluster_size).max(1);
        let mut used = Used::default();
        used.mark(0)?;
        let l1 = vec![U64::ZERO; header.table_entries() as usize];
        Ok(Self { file, header, name, l1, open: None, used, end, written: Written::default() })
    }

    fn take(&mut self, count: u64) -> Result<u64> {
        let at = self.end;
        let end = at.checked_add(count).filter(|end| end.checked_mul(self.header.cluster_size).is_some());
        self.end = end.ok_or_else(|| Error::new(Kind::NoSpace, "the image file would become too large"))?;
        Ok(at)
    }

    fn mark(&mut self, first: u64, count: u64) -> Result<()> {
        match self.used.mark_run(first, count)? {
            true => Ok(()),
            false => Err(Error::corrupt("two guest ranges lie at one place of the file")
                .offset(first.saturating_mul(self.header.cluster_size))),
        }
    }

    /// Writes a table behind the end; gives its offset.
    fn put(&mut self, words: &[U64]) -> Result<u64> {
        let count = u64::from(self.header.table_size);
        let at = self.take(count)?;
        self.mark(at, count)?;
        self.written.meta_bytes += self.header.table_bytes();
        let host = at * self.header.cluster_size;
        self.file.write_at(host, words.as_bytes())?;
        Ok(host)
    }

    fn close(&mut self) -> Result<()> {
        let Some((index, words)) = self.open.take() else { return Ok(()) };
        let host = self.put(&words)?;
        if let Some(entry) = self.l1.get_mut(index as usize) {
            entry.set(host);
        }
        Ok(())
    }

    fn set(&mut self, cluster: u64, value: u64) -> Result<()> {
        let entries = self.header.table_entries();
        let (index, place) = (cluster / entries, (cluster % entries) as usize);
        if self.open.as_ref().is_none_or(|(open, _)| *open != index) {
            self.close()?;
            if self.l1.get(index as usize) != Some(&U64::ZERO) {
                return Err(Error::new(Kind::Internal, "a mapping out of guest order, or beyond the disk"));
            }
            self.open = Some((index, vec![U64::ZERO; entries as usize]));
        }
        if let Some(entry) = self.open.as_mut().and_then(|(_, words)| words.get_mut(place)) {
            entry.set(value);
        }
        Ok(())
    }
}

impl ConversionTarget for Adopter {
    fn head(&self) -> u64 {
        self.header.cluster_size
    }

    fn unit(&self) -> u64 {
        self.header.cluster_size
    }

    fn leaks_what_is_not_mapped(&self) -> bool {
        true
    }

    fn place(&mut self, len: u64) -> Result<Host> {
        let at = self.take(div_up(len, self.header.cluster_size))?;
        Ok(Host(at * self.header.cluster_size))
    }

    fn map(&mut self, mapping: Mapping) -> Result<()> {
        let size = self.header.cluster_size;
        let count = div_up(mapping.len, size);
        let is_last = mapping.guest.0.checked_add(mapping.len) == Some(self.header.image_size);
        let aligned = mapping.guest.is_aligned(size)
            && (mapping.len.is_multiple_of(size) || is_last)
            && (mapping.kind == MappingKind::Zero || mapping.host.is_aligned(size));
        if !aligned {
            return Err(Error::new(Kind::Internal, "a mapping that is not aligned").offset(mapping.guest.0));
        }
        if mapping.kind == MappingKind::Data {
            self.mark(mapping.host.0 / size, count)?;
        }
        for i in 0..count {
            let value = match mapping.kind {
                MappingKind::Data => mapping.host.0 + i * size,
                MappingKind::Zero => ZERO,
            };
            self.set(mapping.guest.0 / size + i, value)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Head> {
        self.close()?;
        let l1 = std::mem::take(&mut self.l1);
        self.header.l1 = Host(self.put(&l1)?);
        let mut sector = self.header.new_sector();
        if let Some((at, name)) = self.name.take() {
            match sector.get_mut(at as usize..at as usize + name.len()) {
                Some(inside) => inside.copy_from_slice(&name),
                None => {
                    self.written.meta_bytes += name.len() as u64;
                    self.file.write_at(at, &name)?;
                }
            }
        }
        self.written.meta_bytes += SECTOR as u64;
        Ok(Head { sector, written: self.written, len: self.end * self.header.cluster_size })
    }
}
