//! Counting every reference and comparing with what the refcount blocks record.
//!
//! The verdict is meant to be QEMU's: a recorded count above the real one is a leak, one below is
//! corruption; in the active tree the COPIED flag must be set exactly where the count is 1.

use std::collections::HashMap;

use super::bitmaps;
use super::entry::{COPIED, Entry, l2_offset};
use super::extensions::CRYPTO_HEADER;
use super::image::Qcow2;
use super::refcounts::Refcounts;
use super::tables::read_l2;
use crate::error::Result;
use crate::image::{CheckReport, Severity, State};
use crate::units::div_up;

const CHUNK: u64 = 4096;

/// References per cluster, in chunks made when first touched: memory follows what is referenced,
/// not what a sparse file claims to be.
#[derive(Default)]
struct Counts(HashMap<u64, Box<[u32; CHUNK as usize]>>);

impl Counts {
    fn add(&mut self, cluster: u64) {
        let chunk = self.0.entry(cluster / CHUNK).or_insert_with(|| Box::new([0; CHUNK as usize]));
        let count = &mut chunk[(cluster % CHUNK) as usize];
        *count = count.saturating_add(1);
    }

    fn get(&self, cluster: u64) -> u32 {
        self.0.get(&(cluster / CHUNK)).map_or(0, |c| c[(cluster % CHUNK) as usize])
    }

    fn end(&self) -> u64 {
        self.0.keys().max().map_or(0, |last| (last + 1) * CHUNK)
    }
}

struct Checker<'a> {
    image: &'a Qcow2,
    file_len: u64,
    counts: Counts,
    report: CheckReport,
    next_contiguous: u64,
}

/// Checks an image.
pub(super) fn check(image: &Qcow2) -> Result<CheckReport> {
    let total = div_up(image.header.size, image.header.cluster_size());
    let mut checker = Checker {
        image,
        file_len: image.file.len()?,
        counts: Counts::default(),
        report: CheckReport { total_clusters: total, ..CheckReport::default() },
        next_contiguous: 0,
    };
    checker.count_fixed()?;
    for state in image.states() {
        checker.count_state(state)?;
    }
    let mut refcounts = Refcounts::open(&image.file, &image.header)?;
    checker.count_blocks(&refcounts)?;
    checker.compare(&mut refcounts)?;
    checker.check_copied(&mut refcounts)?;
    Ok(checker.report)
}

impl Checker<'_> {
    fn corrupt(&mut self, offset: u64, message: impl Into<String>) {
        self.report.add(Severity::Corruption, offset, message);
    }

    /// Counts one reference to every cluster of a host range.
    fn count(&mut self, offset: u64, len: u64, what: &str) {
        if len == 0 {
            return;
        }
        let header = &self.image.header;
        let beyond = offset.saturating_add(len).saturating_sub(self.file_len);
        // The last cluster of a file need not be written out in full.
        if beyond >= header.cluster_size() {
            return self.corrupt(offset, format!("{what} reaches beyond the end of the file"));
        }
        for cluster in offset >> header.cluster_bits..=(offset + len - 1) >> header.cluster_bits {
            self.counts.add(cluster);
        }
    }

    fn count_fixed(&mut self) -> Result<()> {
        let image = self.image;
        let header = &image.header;
        self.count(0, header.cluster_size(), "header");
        let reftable = u64::from(header.reftable_clusters) << header.cluster_bits;
        self.count(header.reftable_offset, reftable, "refcount table");
        let snapshots: usize = image.table.iter().map(|s| s.raw.len()).sum();
        self.count(header.snapshots_offset, snapshots as u64, "snapshot table");
        if let Some(ext) = image.extensions.get(CRYPTO_HEADER)
            && let (Some(offset), Some(len)) = (word(ext, 0), word(ext, 8))
        {
            self.count(offset, len, "encryption header");
        }
        let bitmaps = bitmaps::read(image)?;
        self.count(bitmaps.directory.0, bitmaps.directory.1, "bitmap directory");
        for bitmap in &bitmaps.list {
            self.count(bitmap.table.0, bitmap.table.1, "bitmap table");
            for offset in bitmap.clusters(image)? {
                self.count(offset, header.cluster_size(), "bitmap data");
            }
        }
        Ok(())
    }

    fn count_state(&mut self, state: State) -> Result<()> {
        let image = self.image;
        let header = &image.header;
        let offset = match state {
            State::Active => header.l1_offset,
            State::Snapshot(i) => image.table.get(i).map_or(0, |s| s.l1_offset),
        };
        let l1 = match image.l1(state) {
            Ok(l1) => l1,
            Err(e) => {
                self.corrupt(offset, e.sentence().to_owned());
                return Ok(());
            }
        };
        self.count(offset, l1.len() as u64 * 8, "L1 table");
        for entry in l1 {
            match l2_offset(header, *entry) {
                Ok(None) => {}
                Ok(Some(l2)) => self.count_l2(state, l2)?,
                Err(e) => self.corrupt(*entry, e.sentence().to_owned()),
            }
        }
        Ok(())
    }

    fn count_l2(&mut self, state: State, offset: u64) -> Result<()> {
        let header = &self.image.header;
        self.count(offset, header.cluster_size(), "L2 table");
        let Ok(table) = read_l2(&*self.image.file, header, offset) else {
            return Ok(()); // count() has reported it
        };
        for index in 0..header.l2_entries() {
            let entry = match table.entry(header, index) {
                Ok(Entry::Unallocated) => continue,
                Ok(entry) => entry,
                Err(e) => {
                    self.corrupt(offset + index * header.l2_entry_size(), e.sentence().to_owned());
                    continue;
                }
            };
            if let Some((host, len)) = entry.host_range(header) {
                self.count(host, len, "data cluster");
                if state == State::Active {
                    self.fragments(&entry, host);
                }
            }
        }
        Ok(())
    }

    fn fragments(&mut self, entry: &Entry, host: u64) {
        self.report.allocated_clusters += 1;
        if entry.is_compressed() {
            self.report.compressed_clusters += 1;
            self.report.fragmented_clusters += 1;
            return;
        }
        if self.next_contiguous != 0 && self.next_contiguous != host {
            self.report.fragmented_clusters += 1;
        }
        self.next_contiguous = host + self.image.header.cluster_size();
    }

    fn count_blocks(&mut self, refcounts: &Refcounts) -> Result<()> {
        for index in 0..refcounts.table.len() as u64 {
            match refcounts.block_offset(index) {
                Ok(None) => {}
                Ok(Some(offset)) => {
                    let before = self.counts.get(offset >> self.image.header.cluster_bits);
                    if before != 0 {
                        self.corrupt(offset, format!("refcount block {index} overlaps something else"));
                    }
                    self.count(offset, self.image.header.cluster_size(), "refcount block");
                }
                Err(e) => {
                    self.corrupt(self.image.header.reftable_offset + index * 8, e.sentence().to_owned())
                }
            }
        }
        Ok(())
    }

    fn compare(&mut self, refcounts: &mut Refcounts) -> Result<()> {
        let header = &self.image.header;
        let entries = header.block_entries();
        let blocks = div_up(self.counts.end(), entries).max(refcounts.table.len() as u64);
        for index in 0..blocks {
            let block = refcounts.block(index).ok().flatten().cloned();
            if block.as_ref().is_none_or(|b| b.is_empty()) && index * entries >= self.counts.end() {
                continue;
            }
            for i in 0..entries {
                let cluster = index * entries + i;
                let recorded = block.as_ref().map_or(0, |b| b.get(i));
                let real = u64::from(self.counts.get(cluster));
                if recorded != 0 || real != 0 {
                    self.report.image_end_offset = (cluster + 1).saturating_mul(header.cluster_size());
                }
                if recorded != real {
                    let severity = if recorded < real { Severity::Corruption } else { Severity::Leak };
                    let message = format!("cluster {cluster}: refcount {recorded}, {real} references");
                    self.report.add(severity, cluster.saturating_mul(header.cluster_size()), message);
                }
            }
        }
        Ok(())
    }

    /// COPIED must be set exactly where the recorded refcount is 1, in the active tree.
    fn check_copied(&mut self, refcounts: &mut Refcounts) -> Result<()> {
        let image = self.image;
        let header = &image.header;
        let Ok(l1) = image.l1(State::Active) else { return Ok(()) };
        for (i, l1_entry) in l1.iter().enumerate() {
            let Ok(Some(offset)) = l2_offset(header, *l1_entry) else { continue };
            let count = refcounts.get(offset >> header.cluster_bits)?;
            if (count == 1) != (l1_entry & COPIED != 0) {
                self.corrupt(
                    header.l1_offset + i as u64 * 8,
                    format!("L1 entry {i}: COPIED flag contradicts refcount {count}"),
                );
            }
            let Ok(table) = read_l2(&*image.file, header, offset) else { continue };
            for index in 0..header.l2_entries() {
                let (raw, _) = table.raw(header, index);
                let Ok(entry) = table.entry(header, index) else { continue };
                let Some((host, _)) = entry.host_range(header) else { continue };
                let at = offset + index * header.l2_entry_size();
                if entry.is_compressed() {
                    if raw & COPIED != 0 {
                        self.corrupt(at, "compressed cluster with the COPIED flag");
                    }
                    continue;
                }
                let count = refcounts.get(host >> header.cluster_bits)?;
                if (count == 1) != (raw & COPIED != 0) {
                    self.corrupt(at, format!("L2 entry {index}: COPIED flag contradicts refcount {count}"));
                }
            }
        }
        Ok(())
    }
}

fn word(b: &[u8], at: usize) -> Option<u64> {
    b.get(at..)?.first_chunk().map(|b| u64::from_be_bytes(*b))
}
