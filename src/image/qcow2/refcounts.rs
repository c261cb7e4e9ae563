//! Reading refcounts ("Host cluster management"): a table of blocks of counters 1 to 64 bits wide.

use std::collections::HashMap;
use std::sync::Arc;

use super::block::Block;
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
