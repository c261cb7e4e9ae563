//! Where in the file an image has something: how far down its end can come in one go.
//!
//! Counted by stretches of clusters, of one each unless the file is large, so that memory has a bound.

use super::bitmaps;
use super::block::Block;
use super::entry::l2_offset;
use super::extensions::CRYPTO_HEADER;
use super::image::Qcow2;
use super::refcounts::Refcounts;
use super::tables::L2;
use super::visits::{Batch, Visit};
use crate::error::Result;
use crate::image::{Encryption, State};
use crate::storage::is_hole;
use crate::units::div_up;

/// Stretches at most.
const STRETCHES: u64 = 1 << 16;

/// What lies where.
pub(super) struct Map {
    /// Clusters per stretch, as a power of two.
    bits: u32,
    /// Clusters in use, by stretch.
    live: Vec<u64>,
    /// L2 tables by the highest stretch of what they need: themselves, or what they refer to.
    needs: Vec<u64>,
    /// L2 tables by the stretch they lie in.
    tables: Vec<u64>,
    /// Clusters the file has.
    clusters: u64,
    /// Clusters in use.
    pub(super) used: u64,
    /// First cluster behind everything in use.
    pub(super) end: u64,
    /// First cluster behind everything that has to stay where it is.
    pinned: u64,
    /// Clusters of metadata that any round writes, but for refcount blocks.
    fixed: u64,
    block_entries: u64,
}

/// What one round can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Aim {
    /// The end to come, in clusters: whatever lies at or behind it has to move.
    pub(super) end: u64,
    /// Clusters of metadata that this takes, at most.
    pub(super) meta: u64,
}

/// Visits the L2 tables of all states, each once, in order of place.
pub(super) fn each_table(image: &Qcow2, mut visit: impl FnMut(Visit) -> Result<()>) -> Result<()> {
    let mut batch = Some(Batch::default());
    while let Some(mut some) = batch {
        for state in image.states() {
            for (index, entry) in image.l1(state)?.used() {
                if let Some(offset) = l2_offset(&image.header, entry)? {
                    some.add(offset, index, state == State::Active);
                }
            }
        }
        some.take().into_iter().try_for_each(&mut visit)?;
        batch = some.rest();
    }
    Ok(())
}

/// The clusters of guest data that the L2 table at `offset` refers to: first, how many, and whether
/// they can move.
pub(super) fn each_place(
    image: &Qcow2,
    offset: u64,
    table: &mut L2,
    mut visit: impl FnMut(u64, u64, bool),
) -> Result<()> {
    let header = &image.header;
    if is_hole(&*image.file, offset, header.cluster_size())? {
        return Ok(());
    }
    table.read(&*image.file, offset)?;
    for index in 0..header.l2_entries() {
        let entry = table.entry(header, index)?;
        let Some((host, bytes)) = entry.counted(header) else { continue };
        let (first, last) = (host >> header.cluster_bits, (host + bytes - 1) >> header.cluster_bits);
        visit(first, last - first + 1, !entry.is_compressed() && movable(image));
    }
    Ok(())
}

/// LUKS takes the place of a cluster in the file into account.
fn movable(image: &Qcow2) -> bool {
    image.header.encryption != Some(Encryption::Luks)
}

impl Map {
    /// Looks at all metadata of an image that is sound.
    pub(super) fn of(image: &Qcow2) -> Result<Self> {
        let header = &image.header;
        let mut map = Self::blank(image)?;
        map.count(image)?;
        let mut table = L2::empty(header);
        each_table(image, |visit| {
            let own = visit.offset >> header.cluster_bits;
            let (mut highest, mut pinned) = (own, 0);
            each_place(image, visit.offset, &mut table, |first, count, moves| match moves {
                true => highest = highest.max(first + count - 1),
                false => pinned = pinned.max(first + count),
            })?;
            map.pinned = map.pinned.max(pinned);
            let (at, needs) = (map.stretch(own), map.stretch(highest));
            map.tables[at] += 1;
            map.needs[needs] += 1;
            Ok(())
        })?;
        map.others(image)?;
        Ok(map)
    }

    /// The first cluster behind everything in use.
    pub(super) fn end(image: &Qcow2) -> Result<u64> {
        let mut map = Self::blank(image)?;
        map.count(image)?;
        Ok(map.end)
    }

    fn blank(image: &Qcow2) -> Result<Self> {
        let clusters = div_up(image.file.len()?, image.header.cluster_size()).max(1);
        let bits = (0..64).find(|bits| clusters >> bits < STRETCHES).unwrap_or(63);
        let stretches = vec![0; (clusters >> bits) as usize + 1];
        Ok(Self {
            bits,
            live: stretches.clone(),
            needs: stretches.clone(),
            tables: stretches,
            clusters,
            used: 0,
            end: 1,
            pinned: 1,
            fixed: 0,
            block_entries: image.header.block_entries(),
        })
    }

    fn stretch(&self, cluster: u64) -> usize {
        ((cluster >> self.bits) as usize).min(self.live.len() - 1)
    }

    /// Clusters in use, as the refcounts have it.
    fn count(&mut self, image: &Qcow2) -> Result<()> {
        let refcounts = Refcounts::open(&image.file, &image.header)?;
        let mut block = Block::empty(&image.header);
        for index in 0..refcounts.table.len() as u64 {
            let Some(offset) = refcounts.block_offset(index)? else { continue };
            if is_hole(&*image.file, offset, image.header.cluster_size())? {
                continue;
            }
            refcounts.read_part(index, 0, &mut block)?;
            for cluster in (0..self.block_entries).filter(|i| block.get(*i) != 0) {
                let cluster = index * self.block_entries + cluster;
                let stretch = self.stretch(cluster);
                self.live[stretch] += 1;
                self.used += 1;
                // What leaks may be counted anywhere.
                self.end = self.end.max(cluster + 1).min(self.clusters);
            }
        }
        Ok(())
    }

    /// Everything but L2 tables, data and refcount blocks.
    fn others(&mut self, image: &Qcow2) -> Result<()> {
        self.fixed = pieces(image)?.iter().sum();
        let bits = image.header.cluster_bits;
        let mut pin = |offset: u64, bytes: u64| {
            let end = div_up(offset.saturating_add(bytes), 1 << bits);
            self.pinned = self.pinned.max(end);
        };
        if let Some(ext) = image.extensions.get(CRYPTO_HEADER) {
            let word = |at: usize| ext.get(at..)?.first_chunk().map(|b| u64::from_be_bytes(*b));
            pin(word(0).unwrap_or(0), word(8).unwrap_or(0));
        }
        if !image.extensions.can_move_bitmaps(&image.header) {
            let bitmaps = bitmaps::read(image)?;
            pin(bitmaps.directory.0, bitmaps.directory.1);
            for bitmap in &bitmaps.list {
                pin(bitmap.table.0, bitmap.table.1);
                bitmap.each_cluster(image, |offset| {
                    pin(offset, 1);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    fn blocks(&self, end: u64) -> u64 {
        div_up(end, self.block_entries) + 1
    }

    /// The lowest end that a round can reach which moves at most `most` clusters of data and rewrites at
    /// most `most` tables, and not below `least`: everything behind it, and everything that is written
    /// anew, must fit into what is free in front of it.
    pub(super) fn aim(&self, most: u64, least: u64) -> Option<Aim> {
        let (mut live, mut needs, mut tables) = (0, 0, 0);
        let mut best = None;
        let fixed = self.fixed + self.blocks(self.end);
        for stretch in (0..self.live.len()).rev() {
            live += self.live[stretch];
            needs += self.needs[stretch];
            tables += self.tables[stretch];
            let end = (stretch as u64) << self.bits;
            let free = end.checked_sub(self.used - live);
            let meta = needs + fixed;
            if end < self.pinned.max(least)
                || live > most
                || needs > most
                || free.is_none_or(|free| free < live.saturating_sub(tables) + meta)
            {
                break;
            }
            best = Some(Aim { end, meta });
        }
        best.filter(|aim| aim.end < self.end && self.is_worth_it(self.end - aim.end, aim.meta, most))
    }

    /// Whether it is worth the tables that are written: else the next time would always find a little
    /// to do.
    fn is_worth_it(&self, gain: u64, meta: u64, most: u64) -> bool {
        gain > meta && gain >= Self::threshold(self.end, most)
    }

    fn threshold(end: u64, most: u64) -> u64 {
        (end / 256).min(most / 2)
    }

    /// Clusters that a round gains at least, as long as the end does not come further down than this.
    pub(super) fn least_gain(&self, end: u64, most: u64) -> u64 {
        Self::threshold(end, most).max(self.fixed + 1)
    }

    /// Clusters of metadata that a round can write at most.
    pub(super) fn metadata(&self, end: u64) -> u64 {
        self.tables.iter().sum::<u64>() + self.fixed + self.blocks(end)
    }

    /// Whether another round could follow when the file has this end and so many free clusters in front
    /// of it.
    pub(super) fn may_go_on(&self, end: u64, free: u64, most: u64) -> bool {
        Self { end, live: Vec::new(), needs: Vec::new(), tables: Vec::new(), ..*self }.is_worth_it(
            free,
            self.fixed + self.blocks(end),
            most,
        )
    }
}

/// Lengths in clusters of the tables that a round writes anew, but for L2 tables and refcount blocks.
pub(super) fn pieces(image: &Qcow2) -> Result<Vec<u64>> {
    let header = &image.header;
    let clusters = |bytes: u64| div_up(bytes, header.cluster_size());
    let mut all: Vec<u64> =
        image.states().map(|state| clusters(u64::from(image.l1_place(state).entries) * 8)).collect();
    all.push(clusters(image.table.iter().map(|s| s.len() as u64).sum()));
    all.push(u64::from(header.reftable_clusters));
    if image.extensions.can_move_bitmaps(header) {
        let bitmaps = bitmaps::read(image)?;
        all.push(clusters(bitmaps.directory.1));
        all.extend(bitmaps.list.iter().map(|bitmap| clusters(bitmap.table.1)));
    }
    Ok(all)
}
