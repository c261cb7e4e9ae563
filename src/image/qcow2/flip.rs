//! Making a change true: the last tables, one barrier, sector 0, and only then giving back.

use super::extensions::BITMAPS;
use super::header::{AUTOCLEAR_BITMAPS, AUTOCLEAR_JOB, AUTOCLEAR_RAW_DATA, Header, SECTOR};
use super::refupdate::RefUpdate;
use super::relink::{Link, link};
use super::tables::to_be_bytes;
use super::writer::Writer;
use crate::error::{Error, Kind, Result};
use crate::image::BackingRef;
use crate::storage::{Unused, read_exact_or_zero};
use crate::units::{align_up, div_up};

/// Room for a few tables stays with the file: the next change needs as much, and a hole costs more time
/// than so little is worth.
const LEFT: u64 = 1 << 20;
/// So does room of data that other data took the place of, as a part of the file. Thousands of holes of a
/// cluster each took longer than the commit that left them; what is written next goes there first, whoever
/// writes it.
const LEFT_OF: u64 = 4;

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
        // Not copied first: together they may be most of the memory that this takes.
        let refs = std::mem::replace(&mut self.refs, RefUpdate::new(&self.header));
        let put = refs.blocks().try_for_each(|(at, block)| self.put(at, &block.bytes));
        self.refs = refs;
        put?;
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

    /// Sector 0 as it is, but with another backing file, and what else that takes.
    pub(super) fn with_link(&self, backing: &Option<BackingRef>) -> Result<(Link, [u8; SECTOR])> {
        if self.content_changes {
            // The bitmaps may have to leave the same sector; no operation needs both.
            return Err(Error::new(Kind::Internal, "another backing file and other content at once"));
        }
        let mut sector = [0; SECTOR];
        read_exact_or_zero(&*self.image.file, 0, &mut sector)?;
        let link = link(&self.image.header, &self.image.extensions, backing.as_ref(), &mut sector)?;
        Ok((link, sector))
    }

    pub(super) fn flip(&mut self) -> Result<()> {
        self.header.autoclear &= self.lasting_autoclear();
        let (sector, name) = match self.link.take() {
            None => (self.sector(&self.header)?, None),
            Some(backing) => {
                let (Link { header, name }, sector) = self.with_link(&backing)?;
                self.header.autoclear &= header.autoclear;
                self.header.backing_offset = header.backing_offset;
                self.header.backing_size = header.backing_size;
                (self.header.store(&sector)?, name)
            }
        };
        self.done.meta_bytes += SECTOR as u64 + name.as_ref().map_or(0, |(_, name)| name.len() as u64);
        if self.dry {
            return Ok(());
        }
        // What could not be read may have been taken for damage, or for nothing at all.
        self.image.watched.was_readable()?;
        let file = self.image.file.clone();
        if let Some((place, name)) = name {
            file.write_at(place, &name)?;
        }
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

    /// Clusters before `end` that will be free.
    fn free(&mut self, end: u64) -> Result<u64> {
        self.refs.free(&mut self.alloc, end)
    }

    /// Cuts off what the new image no longer uses; what of it lies in the middle remains to be given back.
    pub(super) fn cut_off(&mut self, freed: &[(u64, u64)], end: u64) -> Result<Unused> {
        let bits = self.header.cluster_bits;
        let file = self.image.file.clone();
        let inside = freed.iter().filter(|(start, _)| *start < end);
        let mut holes: Vec<_> =
            inside.map(|(start, n)| (start << bits, (*n).min(end - start) << bits)).collect();
        let room: u64 = holes.iter().map(|(_, len)| len).sum();
        self.done.freed_bytes += freed.iter().map(|(_, n)| n << bits).sum::<u64>();
        if self.leaves_room {
            holes.clear();
        } else if room <= LEFT || room <= self.done.data_bytes && self.free(end)? <= end / LEFT_OF {
            self.done.freed_bytes -= room;
            holes.clear();
        }
        if self.dry {
            return Ok(Unused::new(file, Vec::new()));
        }
        if file.len()? > end << bits {
            file.set_len(end << bits)?;
        }
        Ok(Unused::new(file, holes))
    }
}
