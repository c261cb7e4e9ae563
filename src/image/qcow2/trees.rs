//! References of whole trees: an L1 table, its L2 tables, and everything they point at.

use super::block::Block;
use super::entry::{COPIED, decode, l2_offset};
use super::tables::read_l2;
use super::writer::Writer;
use crate::error::Result;

/// Host bytes in a row, so that a table in file order is counted in one go.
#[derive(Default)]
struct Run {
    start: u64,
    len: u64,
}

impl Run {
    /// Takes one more place. What it does not continue is complete, and given back. Places that begin
    /// inside a cluster never continue anything: the cluster has a reference for each.
    fn add(&mut self, (host, len): (u64, u64), cluster: u64) -> Option<(u64, u64)> {
        if host.is_multiple_of(cluster) && self.start.saturating_add(self.len) == host && self.len > 0 {
            self.len = self.len.saturating_add(len);
            return None;
        }
        let before = std::mem::replace(self, Self { start: host, len });
        (before.len > 0).then_some((before.start, before.len))
    }
}

impl Writer {
    /// Drops one reference to everything below `l1` (not the table itself).
    pub(super) fn drop_tree(&mut self, l1: &[u64]) -> Result<()> {
        for entry in l1 {
            let Some(offset) = l2_offset(&self.header, *entry)? else { continue };
            let table = read_l2(&*self.image.file, &self.header, offset)?;
            let mut run = Run::default();
            for index in 0..self.header.l2_entries() {
                if let Some(place) = table.entry(&self.header, index)?.counted(&self.header)
                    && let Some((host, len)) = run.add(place, self.cluster_size())
                {
                    self.drop_range(host, len)?;
                }
            }
            self.drop_range(run.start, run.len)?;
            self.drop_range(offset, self.cluster_size())?;
        }
        Ok(())
    }

    /// Adds one reference to everything below `l1`, so that two states can share it, and gives the
    /// entries for both. COPIED must be clear in shared tables; where it is set the table is
    /// written anew, and `replaces` says whether the old one loses its reference from `l1`.
    pub(super) fn share_tree(&mut self, l1: &[u64], replaces: bool) -> Result<Vec<u64>> {
        l1.iter().map(|entry| self.share_table(*entry, replaces)).collect()
    }

    fn share_table(&mut self, entry: u64, replaces: bool) -> Result<u64> {
        let Some(offset) = l2_offset(&self.header, entry)? else { return Ok(0) };
        let mut table = read_l2(&*self.image.file, &self.header, offset)?.to_words(&self.header);
        let (mut changed, mut run) = (false, Run::default());
        for index in 0..table.len() {
            let (word, bitmap) = table.get(index);
            if let Some(place) = decode(&self.header, word, bitmap)?.counted(&self.header)
                && let Some((host, len)) = run.add(place, self.cluster_size())
            {
                self.add_range(host, len, 1)?;
            }
            if word & COPIED != 0 {
                changed = true;
                table.set(index, (word & !COPIED, bitmap));
            }
        }
        self.add_range(run.start, run.len, 1)?;
        if !changed {
            self.add_range(offset, self.cluster_size(), 1)?;
            return Ok(offset);
        }
        let at = self.take(1, if replaces { 2 } else { 1 })?;
        self.put(at, &table.to_be_bytes())?;
        if replaces {
            self.drop_range(offset, self.cluster_size())?;
        }
        // Its own table from now on, though everything in it is shared.
        Ok(at << self.header.cluster_bits | if replaces { 0 } else { COPIED })
    }

    /// Sets COPIED in the active tree exactly where the refcount will be 1. Tables that change are
    /// written anew. Entries that mean nothing stay as they are.
    pub(super) fn mark_copied(&mut self) -> Result<()> {
        let (bits, entries) = (self.header.cluster_bits, self.header.block_entries());
        for index in 0..self.l1.len() {
            let entry = self.l1[index];
            let Ok(Some(offset)) = l2_offset(&self.header, entry) else { continue };
            if self.refs.get(&mut self.alloc, offset >> self.header.cluster_bits)? != 1 {
                // Another state reads this table too, so its clusters are shared as well.
                self.l1[index] = entry & !COPIED;
                continue;
            }
            let Ok(table) = read_l2(&*self.image.file, &self.header, offset) else { continue };
            let mut table = table.to_words(&self.header);
            let (mut changed, mut known) = (false, None);
            for i in 0..table.len() {
                let (word, bitmap) = table.get(i);
                let Ok(entry) = decode(&self.header, word, bitmap) else { continue };
                let Some((host, _)) = entry.place(&self.header) else { continue };
                let (block, index) = ((host >> bits) / entries, (host >> bits) % entries);
                let single = match known {
                    _ if entry.is_compressed() => false,
                    _ if self.header.external_data() => true,
                    Some((at, Some(counts))) if at == block => Block::get(counts, index) == 1,
                    _ => {
                        known = Some((block, self.refs.changed_block(block)));
                        self.refs.get(&mut self.alloc, host >> bits)? == 1
                    }
                };
                if single != (word & COPIED != 0) {
                    changed = true;
                    table.set(i, (if single { word | COPIED } else { word & !COPIED }, bitmap));
                }
            }
            self.l1[index] = offset | COPIED;
            if changed {
                let at = self.take(1, 1)?;
                self.put(at, &table.to_be_bytes())?;
                self.drop_range(offset, self.cluster_size())?;
                self.l1[index] = at << self.header.cluster_bits | COPIED;
            }
        }
        self.l2_next = self.l1.len();
        Ok(())
    }
}
