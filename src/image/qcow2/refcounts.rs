//! Reading refcounts ("Host cluster management"): a table of blocks of counters 1 to 64 bits wide.

use std::collections::HashMap;
use std::sync::Arc;

use super::chunk::Group;
use super::header::Header;
use super::tables::read_words;
use crate::error::{Error, Result};
use crate::storage::{File, is_hole, read_exact_or_zero};

const OFFSET_MASK: u64 = !511;
/// Blocks kept: those of 128 GiB at the usual widths.
const CACHE_BYTES: u64 = 4 << 20;
/// Bytes read for a single counter, and how many such pieces are kept.
const PIECE: u64 = 4096;
const PIECES: usize = 128;

/// 64 counters of 16 bits that are 1.
const ONES: [u8; 128] = {
    let mut ones = [0; 128];
    let mut i = 1;
    while i < ones.len() {
        ones[i] = 1;
        i += 2;
    }
    ones
};

/// One refcount block in file order, read and changed counter by counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    order: u32,
}

impl Block {
    /// A block of zeros.
    pub(super) fn empty(header: &Header) -> Self {
        Self::zeros(header.cluster_size(), header)
    }

    /// `bytes` of a block, all zeros.
    pub(super) fn zeros(bytes: u64, header: &Header) -> Self {
        Self { bytes: vec![0; bytes as usize], order: header.refcount_order }
    }

    /// The counter at `index`; 0 beyond the block.
    pub(super) fn get(&self, index: u64) -> u64 {
        let i = index as usize;
        if self.order < 3 {
            // Narrow counters fill a byte from its least significant bit.
            let per_byte = 8 >> self.order;
            let bits = 1u32 << self.order;
            let byte = self.bytes.get(i / per_byte).copied().unwrap_or(0);
            return u64::from(byte >> ((i % per_byte) as u32 * bits)) & ((1 << bits) - 1);
        }
        let width = 1usize << (self.order - 3);
        let bytes = self.bytes.get(i * width..(i + 1) * width).unwrap_or_default();
        bytes.iter().fold(0, |value, b| value << 8 | u64::from(*b))
    }

    /// Whether the counters from `first` on are exactly these (none of them [`u16::MAX`]).
    pub(super) fn matches(&self, first: u64, counts: Group<'_>) -> bool {
        match counts {
            Group::Bits(u64::MAX) if self.order == 4 => {
                self.bytes.get(first as usize * 2..).is_some_and(|rest| rest.starts_with(&ONES))
            }
            Group::Bits(bits) => {
                self.are(first, &std::array::from_fn::<u8, 64, _>(|i| (bits >> i & 1) as u8))
            }
            Group::Small(counts) => self.are(first, counts),
            Group::Large(counts) => !counts.contains(&u16::MAX) && self.are(first, counts),
        }
    }

    fn are<T: Copy + Into<u16>>(&self, first: u64, counts: &[T]) -> bool {
        if self.order != 4 {
            return (first..).zip(counts).all(|(i, count)| self.get(i) == u64::from((*count).into()));
        }
        let (recorded, _) = self.bytes.get(first as usize * 2..).unwrap_or_default().as_chunks();
        // Without a way out in the middle, many are looked at in one step.
        let differ = |bad, (b, count): (&[u8; 2], &T)| bad | (u16::from_be_bytes(*b) ^ (*count).into());
        recorded.len() >= counts.len() && recorded.iter().zip(counts).fold(0, differ) == 0
    }

    /// A bit for each counter that is 1; `bits` must have room for all.
    pub(super) fn singles(&self, bits: &mut [u64]) {
        let counters = (self.bytes.len() as u64 * 8) >> self.order;
        for (first, word) in (0..counters).step_by(64).zip(bits) {
            let ones = self.bytes.get(first as usize * 2..).and_then(|rest| rest.first_chunk::<128>());
            *word = match ones {
                Some(ones) if self.order == 4 && *ones == ONES => u64::MAX,
                _ => (0..64).fold(0, |word, i| word | u64::from(self.get(first + i) == 1) << i),
            };
        }
    }

    /// Sets the counter at `index`; the value must fit the width.
    pub(super) fn set(&mut self, index: u64, value: u64) {
        let i = index as usize;
        if self.order < 3 {
            let per_byte = 8 >> self.order;
            let bits = 1u32 << self.order;
            let shift = (i % per_byte) as u32 * bits;
            let mask = (((1u32 << bits) - 1) << shift) as u8;
            if let Some(byte) = self.bytes.get_mut(i / per_byte) {
                *byte = *byte & !mask | ((value as u8) << shift) & mask;
            }
            return;
        }
        let width = 1usize << (self.order - 3);
        if let Some(bytes) = self.bytes.get_mut(i * width..(i + 1) * width) {
            bytes.copy_from_slice(&value.to_be_bytes()[8 - width..]);
        }
    }

    /// Adds `by` to `count` counters from `first` on, none of which may leave 0 to `most`; otherwise gives
    /// the first that would.
    pub(super) fn add(&mut self, first: u64, count: u64, by: i64, most: u64) -> std::result::Result<(), u64> {
        if self.order == 4
            && let Ok(by) = i16::try_from(by)
        {
            let range = first as usize * 2..(first + count) as usize * 2;
            let (counters, _) = self.bytes.get_mut(range).unwrap_or_default().as_chunks_mut::<2>();
            for (i, counter) in (first..).zip(counters) {
                let value = u16::from_be_bytes(*counter).checked_add_signed(by).ok_or(i)?;
                *counter = value.to_be_bytes();
            }
            return Ok(());
        }
        for i in first..first + count {
            let value = self.get(i).checked_add_signed(by).filter(|value| *value <= most).ok_or(i)?;
            self.set(i, value);
        }
        Ok(())
    }

    /// The first counter from `first` on that is 0.
    pub(super) fn first_zero(&self, first: u64) -> Option<u64> {
        if self.order == 4 {
            let (counters, _) = self.bytes.get(first as usize * 2..)?.as_chunks::<2>();
            return Some(first + counters.iter().position(|c| *c == [0, 0])? as u64);
        }
        let counters = (self.bytes.len() as u64 * 8) >> self.order;
        (first..counters).find(|i| self.get(*i) == 0)
    }

    /// How many of the first `count` counters are 0.
    pub(super) fn zeros_before(&self, count: u64) -> u64 {
        if self.order == 4 {
            let (counters, _) = self.bytes.as_chunks::<2>();
            return counters.iter().take(count as usize).filter(|c| **c == [0, 0]).count() as u64;
        }
        (0..count).filter(|i| self.get(*i) == 0).count() as u64
    }

    /// Whether `count` counters from `index` on (whole bytes of them) are 0.
    pub(super) fn is_zero(&self, index: u64, count: u64) -> bool {
        let byte = |i: u64| ((i << self.order) / 8) as usize;
        let range = byte(index)..byte(index + count).min(self.bytes.len());
        self.bytes.get(range).unwrap_or_default().iter().all(|b| *b == 0)
    }

    /// Whether all counters are 0.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.iter().all(|b| *b == 0)
    }
}

/// The largest value a counter can hold.
pub(super) fn max_refcount(header: &Header) -> u64 {
    match header.refcount_order {
        6 => u64::MAX,
        order => (1 << (1 << order)) - 1,
    }
}

/// The refcount structures of a file as they are on disk. Blocks are read when needed.
pub(super) struct Refcounts {
    file: Arc<dyn File>,
    header: Header,
    pub(super) table: Vec<u64>,
    cache: HashMap<u64, Option<Block>>,
    /// Pieces of blocks for single counters, by where they lie; one for each place.
    pieces: Vec<Option<(u64, Block)>>,
}

impl Refcounts {
    /// Reads the table (at most 8 MiB; the header check made sure of that).
    pub(super) fn open(file: &Arc<dyn File>, header: &Header) -> Result<Self> {
        Ok(Self {
            table: read_table(&**file, header)?,
            file: file.clone(),
            header: header.clone(),
            cache: HashMap::new(),
            pieces: vec![None; PIECES],
        })
    }

    /// Where block `index` lies; `None` when there is none.
    pub(super) fn block_offset(&self, index: u64) -> Result<Option<u64>> {
        block_offset(&self.header, &self.table, index)
    }

    /// Block `index`; `None` when all its counters are 0 for want of a block.
    pub(super) fn block(&mut self, index: u64) -> Result<Option<&Block>> {
        if !self.cache.contains_key(&index) {
            let room = (CACHE_BYTES / self.header.cluster_size()).max(2) as usize;
            if self.cache.len() >= room {
                self.cache.clear();
            }
            let block = read_block(&*self.file, &self.header, &self.table, index)?;
            self.cache.insert(index, block);
        }
        Ok(self.cache.get(&index).and_then(Option::as_ref))
    }

    /// Treats block `index` as if it were not there.
    pub(super) fn forget_block(&mut self, index: u64) {
        if let Some(entry) = usize::try_from(index).ok().and_then(|i| self.table.get_mut(i)) {
            *entry = 0;
        }
        self.cache.remove(&index);
    }

    /// The recorded refcount of a cluster.
    pub(super) fn get(&mut self, cluster: u64) -> Result<u64> {
        let entries = self.header.block_entries();
        let Some(block) = self.block_offset(cluster / entries)? else { return Ok(0) };
        // Not the whole block: hostile tables would have us read 2 MiB for every counter.
        let bytes = PIECE.min(self.header.cluster_size());
        let counters = (bytes * 8) >> self.header.refcount_order;
        let index = cluster % entries;
        let at = block + index / counters * bytes;
        let slot = &mut self.pieces[(at / bytes) as usize % PIECES];
        if slot.as_ref().is_none_or(|(offset, _)| *offset != at) {
            let mut piece = Block::zeros(bytes, &self.header);
            read_exact_or_zero(&*self.file, at, &mut piece.bytes)?;
            *slot = Some((at, piece));
        }
        Ok(slot.as_ref().map_or(0, |(_, piece)| piece.get(index % counters)))
    }

    /// Reads a part of block `index`, from counter `first` on; `false` when there is no such block.
    pub(super) fn read_part(&self, index: u64, first: u64, part: &mut Block) -> Result<bool> {
        let Some(block) = self.block_offset(index)? else { return Ok(false) };
        let at = block.saturating_add((first << self.header.refcount_order) / 8);
        read_exact_or_zero(&*self.file, at, &mut part.bytes)?;
        Ok(true)
    }

    /// The recorded refcount of a cluster, past what is kept.
    pub(super) fn look(&self, cluster: u64) -> Result<u64> {
        let entries = self.header.block_entries();
        let mut eight = Block::zeros(8, &self.header);
        let per_part = 64 >> self.header.refcount_order;
        let index = cluster % entries;
        self.read_part(cluster / entries, index - index % per_part, &mut eight)?;
        Ok(eight.get(index % per_part))
    }

    /// Clusters the table can speak about at all.
    pub(super) fn coverage(&self) -> u64 {
        (self.table.len() as u64).saturating_mul(self.header.block_entries())
    }
}

/// Reads the refcount table.
fn read_table(file: &dyn File, header: &Header) -> Result<Vec<u64>> {
    let entries = (u64::from(header.reftable_clusters) << header.cluster_bits) / 8;
    read_words(file, header.reftable_offset, entries as usize)
}

fn block_offset(header: &Header, table: &[u64], index: u64) -> Result<Option<u64>> {
    let entry = usize::try_from(index).ok().and_then(|i| table.get(i)).copied().unwrap_or(0);
    let offset = entry & OFFSET_MASK;
    if offset == 0 {
        return Ok(None);
    }
    if !offset.is_multiple_of(header.cluster_size()) {
        return Err(Error::corrupt(format!(
            "refcount block offset {offset:#x} is not the start of a cluster"
        )));
    }
    Ok(Some(offset))
}

/// Reads one refcount block.
fn read_block(file: &dyn File, header: &Header, table: &[u64], index: u64) -> Result<Option<Block>> {
    let Some(offset) = block_offset(header, table, index)? else { return Ok(None) };
    if is_hole(file, offset, header.cluster_size())? {
        return Ok(None);
    }
    let mut block = Block::empty(header);
    read_exact_or_zero(file, offset, &mut block.bytes)?;
    Ok(Some(block))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_keeps_its_neighbours() {
        for order in 0..=6 {
            let mut block = Block { bytes: vec![0; 64], order };
            let max = if order == 6 { u64::MAX } else { (1 << (1 << order)) - 1 };
            let count = (64 * 8) >> order;
            for i in 0..count {
                block.set(i, if i % 2 == 0 { max } else { 0 });
            }
            for i in 0..count {
                assert_eq!(block.get(i), if i % 2 == 0 { max } else { 0 }, "order {order} index {i}");
            }
            block.set(1, 1);
            assert_eq!((block.get(0), block.get(1), block.get(2)), (max, 1, max));
        }
    }

    #[test]
    fn singles_are_the_counters_that_are_1() {
        for order in 0..=6 {
            let mut block = Block { bytes: vec![0; 512], order };
            let count = (512 * 8) >> order;
            (64..count).for_each(|i| block.set(i, 1));
            let changed = [3, 70, count - 1];
            changed.iter().for_each(|i| block.set(*i, 1 - block.get(*i)));
            let mut bits = vec![0; count.div_ceil(64) as usize];
            block.singles(&mut bits);
            for i in 0..count {
                let single = bits[(i / 64) as usize] >> (i % 64) & 1;
                assert_eq!(single, block.get(i), "order {order} index {i}");
            }
        }
    }

    #[test]
    fn layout_is_the_one_of_the_specification() {
        let mut nibbles = Block { bytes: vec![0; 8], order: 2 };
        nibbles.set(0, 0x1);
        nibbles.set(1, 0x2);
        assert_eq!(nibbles.bytes[0], 0x21);
        let mut words = Block { bytes: vec![0; 8], order: 4 };
        words.set(1, 0x0102);
        assert_eq!(words.bytes[2..4], [1, 2]);
    }
}
