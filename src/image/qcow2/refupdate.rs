//! The refcounts a writer is about to make true.
//!
//! Changed blocks are kept in memory (1/32768 of the host bytes they describe at the usual 64 KiB
//! and 16 bits) and written, with a new refcount table, into free space. Moving a block changes
//! refcounts itself, so [`RefUpdate::settle`] goes round until nothing new is touched.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::alloc::Alloc;
use super::block::Block;
use super::header::Header;
use super::refcounts::max_refcount;
use crate::error::{Error, Result};
use crate::units::div_up;

const MAX_TABLE_BYTES: u64 = 8 << 20;

/// Changed blocks and where they will lie.
pub(super) struct RefUpdate {
    header: Header,
    changed: BTreeMap<u64, Block>,
    /// New cluster of each changed block; `None` for one that is empty and needs none.
    moved: BTreeMap<u64, Option<u64>>,
}

/// The refcount structures to write before the flip.
pub(super) struct Settled {
    /// First cluster of the new table, and its length in clusters.
    pub(super) table_at: u64,
    pub(super) table_clusters: u64,
    /// The table's entries.
    pub(super) table: Vec<u64>,
}

impl RefUpdate {
    pub(super) fn new(header: &Header) -> Self {
        Self { header: header.clone(), changed: BTreeMap::new(), moved: BTreeMap::new() }
    }

    /// Whether anything changes at all.
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// Blocks that are kept in memory.
    pub(super) fn in_hand(&self) -> u64 {
        self.changed.len() as u64
    }

    /// Moves all references of one cluster to another, which has none.
    pub(super) fn shift(&mut self, alloc: &mut Alloc, from: u64, to: u64) -> Result<()> {
        let count = i64::try_from(alloc.old().get(from)?).unwrap_or(i64::MAX);
        self.add(alloc, from, 1, -count)?;
        self.add(alloc, to, 1, count)
    }

    /// Takes the blocks that lie at or behind `cluster` in hand, so that they are placed anew. `false` when
    /// there are more than `most` of them.
    pub(super) fn touch_behind(&mut self, alloc: &mut Alloc, cluster: u64, most: u64) -> Result<bool> {
        for index in 0..alloc.old().table.len() as u64 {
            if alloc.old().block_offset(index)?.is_some_and(|at| at >> self.header.cluster_bits >= cluster) {
                self.add(alloc, index * self.header.block_entries(), 1, 0)?;
                if self.in_hand() > most {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Adds `by` (may be negative) to the refcounts of `count` clusters from `cluster`.
    pub(super) fn add(&mut self, alloc: &mut Alloc, cluster: u64, count: u64, by: i64) -> Result<()> {
        let (entries, most) = (self.header.block_entries(), max_refcount(&self.header));
        let (mut at, end) = (cluster, cluster.saturating_add(count));
        while at < end {
            let (index, first) = (at / entries, at % entries);
            let n = (entries - first).min(end - at);
            let block = match self.changed.entry(index) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let old = alloc.old().block(index)?.cloned();
                    new.insert(old.unwrap_or_else(|| Block::empty(&self.header)))
                }
            };
            block.add(first, n, by, most).map_err(|i| {
                let host = (index * entries + i) << self.header.cluster_bits;
                Error::corrupt("refcount leaves its range; check the image first").offset(host)
            })?;
            at += n;
        }
        Ok(())
    }

    /// Puts the counted references in place of the recorded ones; with `only_leaks` just where
    /// fewer were counted.
    pub(super) fn recount(&mut self, alloc: &mut Alloc, only_leaks: bool) -> Result<()> {
        let entries = self.header.block_entries();
        let mut blocks = alloc.real().map_or_else(BTreeSet::new, |counts| counts.blocks(entries));
        blocks.extend(
            (0..alloc.old().table.len() as u64)
                .filter(|i| matches!(alloc.old().block_offset(*i), Ok(Some(_)))),
        );
        for index in blocks {
            let mut block = alloc.old().block(index)?.cloned().unwrap_or_else(|| Block::empty(&self.header));
            let mut changed = false;
            for i in 0..entries {
                let (recorded, cluster) = (block.get(i), index * entries + i);
                let real = alloc.real().map_or(recorded, |counts| counts.get(cluster));
                if recorded > real || recorded < real && !only_leaks {
                    if real > max_refcount(&self.header) {
                        return Err(Error::unsupported(format!(
                            "cluster {cluster} has more references than a refcount holds"
                        )));
                    }
                    block.set(i, real);
                    changed = true;
                }
            }
            if changed {
                self.changed.insert(index, block);
            }
        }
        Ok(())
    }

    /// Block `index` as it will be, when it changes.
    pub(super) fn changed_block(&self, index: u64) -> Option<&Block> {
        self.changed.get(&index)
    }

    /// The refcount a cluster will have.
    pub(super) fn get(&self, alloc: &mut Alloc, cluster: u64) -> Result<u64> {
        let entries = self.header.block_entries();
        match self.changed.get(&(cluster / entries)) {
            Some(block) => Ok(block.get(cluster % entries)),
            None => alloc.old().get(cluster),
        }
    }

    /// Places every changed block and a new table in free space, and counts them.
    pub(super) fn settle(&mut self, alloc: &mut Alloc) -> Result<Settled> {
        let old_at = self.header.reftable_offset >> self.header.cluster_bits;
        let old_len = u64::from(self.header.reftable_clusters);
        self.add(alloc, old_at, old_len, -1)?;
        let mut table: Option<(u64, u64)> = None;
        loop {
            self.move_blocks(alloc)?;
            let last = self.changed.keys().next_back().copied().unwrap_or(0);
            let needed = div_up((last + 1) * 8, self.header.cluster_size()).max(old_len);
            match table {
                Some((_, len)) if len >= needed => {
                    if self.moved.len() == self.changed.len() {
                        break;
                    }
                }
                _ => {
                    if let Some((at, len)) = table {
                        self.add(alloc, at, len, -1)?;
                    }
                    if needed << self.header.cluster_bits > MAX_TABLE_BYTES {
                        return Err(Error::unsupported("the refcount table would become too large"));
                    }
                    let at = alloc.exact(needed)?;
                    self.add(alloc, at, needed, 1)?;
                    table = Some((at, needed));
                }
            }
        }
        let (table_at, table_clusters) = table.unwrap_or_default();
        let mut entries = alloc.old().table.clone();
        entries.resize(((table_clusters << self.header.cluster_bits) / 8) as usize, 0);
        for (index, at) in &self.moved {
            if let Some(entry) = entries.get_mut(*index as usize) {
                *entry = at.map_or(0, |at| at << self.header.cluster_bits);
            }
        }
        Ok(Settled { table_at, table_clusters, table: entries })
    }

    fn move_blocks(&mut self, alloc: &mut Alloc) -> Result<()> {
        loop {
            let unplaced = |index: &u64, block: &Block| match self.moved.get(index) {
                None => true,
                Some(None) => !block.is_empty(),
                Some(Some(_)) => false,
            };
            let todo: Vec<u64> =
                self.changed.iter().filter(|(i, b)| unplaced(i, b)).map(|(i, _)| *i).collect();
            if todo.is_empty() {
                return Ok(());
            }
            for index in todo {
                if !self.moved.contains_key(&index)
                    && let Some(old) = alloc.old().block_offset(index)?
                {
                    self.add(alloc, old >> self.header.cluster_bits, 1, -1)?;
                }
                let empty = self.changed.get(&index).is_none_or(Block::is_empty);
                let place = match empty {
                    true => None,
                    false => {
                        let at = alloc.exact(1)?;
                        self.add(alloc, at, 1, 1)?;
                        Some(at)
                    }
                };
                self.moved.insert(index, place);
            }
        }
    }

    /// Takes every block in hand, so that [`settle`](Self::settle) places all of them anew.
    pub(super) fn touch_all(&mut self, alloc: &mut Alloc) -> Result<()> {
        for index in 0..alloc.old().table.len() as u64 {
            if alloc.old().block_offset(index)?.is_some() {
                self.add(alloc, index * self.header.block_entries(), 1, 0)?;
            }
        }
        Ok(())
    }

    /// The changed blocks with their new clusters.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (u64, &Block)> {
        self.moved.iter().filter_map(|(index, at)| Some(((*at)?, self.changed.get(index)?)))
    }

    /// Runs of clusters that are in use now and will not be: first cluster and length.
    pub(super) fn freed(&self, alloc: &mut Alloc) -> Result<Vec<(u64, u64)>> {
        let entries = self.header.block_entries();
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for (index, new) in &self.changed {
            let Some(old) = alloc.old().block(*index)? else { continue };
            let mut next = new.first_zero(0);
            while let Some(i) = next {
                next = new.first_zero(i + 1);
                if old.get(i) == 0 {
                    continue;
                }
                let cluster = index * entries + i;
                match runs.last_mut() {
                    Some((start, len)) if *start + *len == cluster => *len += 1,
                    _ => runs.push((cluster, 1)),
                }
            }
        }
        Ok(runs)
    }

    /// Clusters before `end` that will not be in use.
    pub(super) fn free(&self, alloc: &mut Alloc, end: u64) -> Result<u64> {
        let entries = self.header.block_entries();
        let mut free = 0;
        for index in 0..div_up(end, entries) {
            let most = entries.min(end - index * entries);
            free += match self.changed.get(&index) {
                Some(block) => block.zeros_before(most),
                None => alloc.old().block(index)?.map_or(most, |block| block.zeros_before(most)),
            };
        }
        Ok(free)
    }

    /// The first cluster behind everything that will be in use.
    pub(super) fn end(&self, alloc: &mut Alloc) -> Result<u64> {
        let entries = self.header.block_entries();
        let last_old = alloc.old().table.iter().rposition(|e| *e != 0).map_or(0, |i| i as u64);
        let last = self.changed.keys().next_back().copied().unwrap_or(0).max(last_old);
        for index in (0..=last).rev() {
            let top = |b: &Block| (0..entries).rev().find(|i| b.get(*i) != 0);
            let found = match self.changed.get(&index) {
                Some(block) => top(block),
                None => alloc.old().block(index)?.and_then(top),
            };
            if let Some(i) = found {
                return Ok(index * entries + i + 1);
            }
        }
        Ok(1)
    }
}
