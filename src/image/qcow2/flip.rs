//! Making a change true: the last tables, one barrier, sector 0, and only then giving back.

use super::extensions::BITMAPS;
use super::header::{AUTOCLEAR_BITMAPS, AUTOCLEAR_JOB, AUTOCLEAR_RAW_DATA, Header, SECTOR};
use super::tables::to_be_bytes;
use super::writer::Writer;
use crate::error::{Error, Result};
use crate::storage::read_exact_or_zero;
use crate::units::{align_up, div_up};

impl Writer {
    pub(super) fn write_l1(&mut self) -> Result<()> {
        let l1 = std::mem::take(&mut self.l1);
        self.drop_range(self.image.header.l1_offset, u64::from(self.image.header.l1_size) * 8)?;
        self.header.l1_offset = self.write_table(&l1)?;
        self.header.l1_size = l1.len() as u32;
        self.l1 = l1;
        Ok(())
    }

    /// Writes an L1 table into free space; gives its offset. A table without entries lies nowhere: a
    /// cluster for it would never be given back.
    pub(super) fn write_table(&mut self, words: &[u64]) -> Result<u64> {
        let bytes = to_be_bytes(words);
        if bytes.is_empty() {
            return Ok(0);
        }
        let at = self.take(div_up(bytes.len() as u64, self.cluster_size()), 1)?;
        self.put(at, &bytes)?;
        Ok(at << self.header.cluster_bits)
    }

    pub(super) fn write_refcounts(&mut self) -> Result<()> {
        let settled = self.refs.settle(&mut self.alloc)?;
        let blocks: Vec<_> = self.refs.blocks().map(|(at, block)| (at, block.bytes.clone())).collect();
        for (at, bytes) in blocks {
            self.put(at, &bytes)?;
        }
        self.put(settled.table_at, &to_be_bytes(&settled.table))?;
        self.header.reftable_offset = settled.table_at << self.header.cluster_bits;
        self.header.reftable_clusters = settled.table_clusters as u32;
        Ok(())
    }

    /// The autoclear bits that still hold afterwards: what an unknown one promises may not, and
    /// bitmaps are valid as long as the active state reads the same.
    pub(super) fn lasting_autoclear(&self) -> u64 {
        AUTOCLEAR_JOB | AUTOCLEAR_RAW_DATA | if self.content_changes { 0 } else { AUTOCLEAR_BITMAPS }
    }

    /// Sector 0 as it will be with `header`.
    pub(super) fn sector(&self, header: &Header) -> Result<[u8; SECTOR]> {
        let mut sector = [0; SECTOR];
        read_exact_or_zero(&*self.image.file, 0, &mut sector)?;
        if self.image.header.autoclear & !header.autoclear & AUTOCLEAR_BITMAPS != 0 {
            // Without the bit the extension means nothing, so it may stay where it cannot go.
            self.image.extensions.without(BITMAPS).put(header, &self.image.extensions, &mut sector);
        }
        if let Some(offset) = self.bitmaps_at
            && !self.image.extensions.with_bitmaps_at(offset).put(header, &self.image.extensions, &mut sector)
        {
            return Err(Error::unsupported("the bitmaps extension lies beyond the first sector"));
        }
        header.store(&sector)
    }

    pub(super) fn flip(&mut self) -> Result<()> {
        self.header.autoclear &= self.lasting_autoclear();
        let sector = self.sector(&self.header)?;
        self.done.meta_bytes += SECTOR as u64;
        if self.dry {
            return Ok(());
        }
        // What could not be read may have been taken for damage, or for nothing at all.
        self.image.watched.was_readable()?;
        let file = self.image.file.clone();
        // Readers take whole sectors and clusters; what is missing at the end is a hole.
        let len = file.len()?;
        if !len.is_multiple_of(self.cluster_size()) {
            file.set_len(align_up(len, self.cluster_size()))?;
        }
        file.sync()?;
        self.old_len = None;
        file.write_at(0, &sector)?;
        file.sync()
    }

    /// Gives back what the new image no longer uses.
    pub(super) fn give_back(&mut self, freed: &[(u64, u64)], end: u64) -> Result<()> {
        let bits = self.header.cluster_bits;
        let file = self.image.file.clone();
        self.done.freed_bytes += freed.iter().map(|(_, n)| n << bits).sum::<u64>();
        if self.dry {
            return Ok(());
        }
        let holes = freed.iter().filter(|(start, _)| *start < end && !self.leaves_room);
        for (start, len) in holes {
            file.punch(start << bits, (*len).min(end - start) << bits)?;
        }
        if file.len()? > end << bits {
            file.set_len(end << bits)?;
        }
        Ok(())
    }
}
