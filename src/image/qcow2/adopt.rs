//! A header and tables laid over a file that holds the data already.
//!
//! L2 tables are written one after the other behind the end, as the mappings come in guest order; then the L1
//! table, refcount blocks and their table. Memory follows the clusters in use, one bit each.

use std::sync::Arc;

use super::block::Block;
use super::compose::Composed;
use super::create::{CreateOptions, first_sector};
use super::entry::{ALL_ALLOCATED, COPIED, zeros};
use super::header::{Header, SECTOR};
use super::layout::Layout;
use super::tables::{Words, to_be_bytes};
use crate::error::{Error, Kind, Result};
use crate::image::Written;
use crate::image::convert::{ConversionTarget, Head, Mapping, MappingKind};
use crate::image::used::Used;
use crate::storage::File;
use crate::units::{Host, align_up, div_up};

/// Host offsets have 56 bits.
const MAX_OFFSET_BITS: u32 = 56;
const MAX_REFTABLE_BYTES: u64 = 8 << 20;

/// The target side of a conversion in place.
pub(in crate::image) struct Adopter {
    file: Arc<dyn File>,
    header: Header,
    sector: [u8; SECTOR],
    /// The rest of the backing name, and where it goes.
    name: Option<(u64, Vec<u8>)>,
    backed: bool,
    l1: Vec<u64>,
    open: Option<(u64, Words)>,
    used: Used,
    /// The first cluster behind everything.
    end: u64,
    written: Written,
}

impl Adopter {
    /// Over `file`, of which the first `taken` bytes belong to the header of the image that it is.
    pub(in crate::image) fn over(file: Arc<dyn File>, options: &CreateOptions, taken: u64) -> Result<Self> {
        options.validate()?;
        if options.extended_l2 || options.data_file.is_some() {
            return Err(Error::unsupported("subclusters and data files are for new images"));
        }
        let behind = align_up(taken.max(SECTOR as u64), 8);
        let Composed { header, sector, name } = first_sector(options, &Layout::new(options, 0), behind)?;
        let end = div_up(file.len()?, header.cluster_size()).max(1);
        let mut used = Used::default();
        used.mark(0)?;
        Ok(Self {
            l1: vec![0; options.l1_entries() as usize],
            backed: options.backing.is_some(),
            open: None,
            written: Written::default(),
            file,
            header,
            sector,
            name,
            used,
            end,
        })
    }

    /// The next clusters behind the end.
    fn take(&mut self, count: u64) -> Result<u64> {
        let at = self.end;
        self.end = self.end.saturating_add(count);
        if self.end >> (MAX_OFFSET_BITS - self.header.cluster_bits) != 0 {
            return Err(Error::new(Kind::NoSpace, "the image file would become too large for its format"));
        }
        Ok(at)
    }

    /// Counts clusters in use; two owners of one make no image.
    fn mark(&mut self, first: u64, count: u64) -> Result<()> {
        match self.used.mark_run(first, count)? {
            true => Ok(()),
            false => Err(Error::corrupt("two guest ranges lie at one place of the file")
                .offset(first << self.header.cluster_bits)),
        }
    }

    fn put(&mut self, cluster: u64, bytes: &[u8]) -> Result<()> {
        self.written.meta_bytes += bytes.len() as u64;
        self.file.write_at(cluster << self.header.cluster_bits, bytes)
    }

    fn close(&mut self) -> Result<()> {
        let Some((index, words)) = self.open.take() else { return Ok(()) };
        let at = self.take(1)?;
        self.mark(at, 1)?;
        self.put(at, &words.to_be_bytes())?;
        if let Some(entry) = self.l1.get_mut(index as usize) {
            *entry = at << self.header.cluster_bits | COPIED;
        }
        Ok(())
    }

    fn set(&mut self, cluster: u64, entry: (u64, u64)) -> Result<()> {
        let (index, place) = (cluster / self.header.l2_entries(), cluster % self.header.l2_entries());
        if self.open.as_ref().is_none_or(|(open, _)| *open != index) {
            self.close()?;
            if self.l1.get(index as usize) != Some(&0) {
                return Err(Error::new(Kind::Internal, "a mapping out of guest order, or beyond the disk"));
            }
            self.open = Some((index, Words::empty(&self.header)));
        }
        if let Some((_, words)) = &mut self.open {
            words.set(place, entry);
        }
        Ok(())
    }

    /// Blocks that count something, their own clusters and those of the table among it. Each block that is
    /// added may need another one.
    fn place_refcounts(&mut self) -> Result<(u64, Vec<(u64, u64)>)> {
        let per_block = self.header.block_entries();
        let first = self.end;
        let mut known: Vec<u64> = Vec::new();
        let (mut blocks, mut table) = (0, 0);
        loop {
            let end = first + blocks + table;
            known.clear();
            for (start, count) in self.used.runs(0).chain(std::iter::once((first, end - first))) {
                let last = (start + count.max(1) - 1) / per_block;
                let from = known.last().map_or(start / per_block, |k| (*k + 1).max(start / per_block));
                known.extend(from..=last);
            }
            let wanted = known.len() as u64;
            let length = div_up((known.last().map_or(0, |last| *last) + 1) * 8, self.header.cluster_size());
            if (wanted, length) == (blocks, table) {
                break;
            }
            (blocks, table) = (wanted.max(blocks), length.max(table));
        }
        if table << self.header.cluster_bits > MAX_REFTABLE_BYTES {
            return Err(Error::unsupported("the refcount table would become too large"));
        }
        let at = self.take(blocks + table)?;
        self.mark(at, blocks + table)?;
        self.header.reftable_offset = (at + blocks) << self.header.cluster_bits;
        self.header.reftable_clusters = table as u32;
        Ok((table, known.into_iter().zip(at..).collect()))
    }

    fn write_refcounts(&mut self) -> Result<()> {
        let (table, blocks) = self.place_refcounts()?;
        let per_block = self.header.block_entries();
        let mut entries = vec![0; ((table << self.header.cluster_bits) / 8) as usize];
        for (index, at) in blocks {
            let mut block = Block::empty(&self.header);
            let (first, behind) = (index * per_block, (index + 1) * per_block);
            for (start, count) in self.used.runs(first) {
                if start >= behind {
                    break;
                }
                (start..(start + count).min(behind)).for_each(|cluster| block.set(cluster - first, 1));
            }
            self.put(at, &block.bytes)?;
            if let Some(entry) = entries.get_mut(index as usize) {
                *entry = at << self.header.cluster_bits;
            }
        }
        self.put(self.header.reftable_offset >> self.header.cluster_bits, &to_be_bytes(&entries))
    }
}

impl ConversionTarget for Adopter {
    fn head(&self) -> u64 {
        self.header.cluster_size()
    }

    fn unit(&self) -> u64 {
        self.header.cluster_size()
    }

    fn place(&mut self, len: u64) -> Result<Host> {
        let at = self.take(div_up(len, self.header.cluster_size()))?;
        Ok(Host(at << self.header.cluster_bits))
    }

    fn map(&mut self, mapping: Mapping) -> Result<()> {
        let (size, bits) = (self.header.cluster_size(), self.header.cluster_bits);
        let count = div_up(mapping.len, size);
        let is_last = mapping.guest.0.checked_add(mapping.len) == Some(self.header.size);
        let aligned = mapping.guest.is_aligned(size)
            && (mapping.len.is_multiple_of(size) || is_last)
            && (mapping.kind == MappingKind::Zero || mapping.host.is_aligned(size));
        if !aligned {
            return Err(Error::new(Kind::Internal, "a mapping that is not aligned").offset(mapping.guest.0));
        }
        let first = mapping.guest.0 >> bits;
        match mapping.kind {
            MappingKind::Data => {
                self.mark(mapping.host.0 >> bits, count)?;
                for i in 0..count {
                    self.set(first + i, ((mapping.host.0 + (i << bits)) | COPIED, ALL_ALLOCATED))?;
                }
            }
            MappingKind::Zero if self.backed && self.header.version < 3 => {
                return Err(Error::unsupported("version 2 has no zeros over a backing file")
                    .offset(mapping.guest.0)
                    .remedy("convert to version 3"));
            }
            MappingKind::Zero if self.backed => {
                (0..count).try_for_each(|i| self.set(first + i, zeros(&self.header)))?;
            }
            // What nothing is mapped to reads as zeros.
            MappingKind::Zero => {}
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Head> {
        self.close()?;
        if !self.l1.is_empty() {
            let l1 = std::mem::take(&mut self.l1);
            let at = self.take(div_up(l1.len() as u64 * 8, self.header.cluster_size()))?;
            self.mark(at, self.end - at)?;
            self.put(at, &to_be_bytes(&l1))?;
            self.header.l1_offset = at << self.header.cluster_bits;
            self.header.l1_size = l1.len() as u32;
        }
        self.write_refcounts()?;
        if let Some((at, name)) = self.name.take() {
            self.written.meta_bytes += name.len() as u64;
            self.file.write_at(at, &name)?;
        }
        let sector = self.header.store(&self.sector)?;
        self.written.meta_bytes += SECTOR as u64;
        Ok(Head { sector, written: self.written, len: self.end << self.header.cluster_bits })
    }
}
