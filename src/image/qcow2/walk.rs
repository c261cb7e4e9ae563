//! Walking everything an image refers to, counting each reference once for every path to it.
//!
//! Each L2 table is read once however many states share it, so the work is bounded by the file
//! and not by what hostile tables claim. The tables are shared out among all cores.

use std::collections::{HashMap, HashSet};

use super::counts::Counts;
use super::entry::{COPIED, Entry, l2_offset};
use super::extensions::CRYPTO_HEADER;
use super::header::Header;
use super::image::Qcow2;
use super::refcounts::Refcounts;
use super::tables::{L2, read_l2};
use super::{bitmaps, external};
use crate::error::Result;
use crate::image::{CheckReport, Severity, State};
use crate::storage::is_hole;

/// Far more than any key material takes.
const MAX_CRYPTO_HEADER: u64 = 64 << 20;

/// An L2 table to visit.
#[derive(Clone, Copy)]
struct Visit {
    offset: u64,
    /// How many L1 entries, of all states, point at it.
    paths: u64,
    /// Whether the active state is one of them.
    active: bool,
    /// Where the first path puts it on the virtual disk.
    guest: u64,
}

/// What a walk found: the counts, and what was wrong on the way.
pub(super) struct Walked {
    pub(super) counts: Counts,
    pub(super) report: CheckReport,
    /// How many of the corruptions are COPIED flags that contradict the recorded refcounts.
    pub(super) copied: u64,
    /// Host cluster expected next, and first seen, for counting fragments across threads.
    first: Option<u64>,
    next: u64,
}

/// Walks an image. The refcounts that come with the result are without blocks that cannot be.
pub(super) fn walk(image: &Qcow2) -> Result<(Walked, Refcounts)> {
    let mut out = Walked::new();
    let len = image.file.len()?;
    out.fixed(image, len)?;
    let visits = out.tables(image, len);
    let threads =
        std::thread::available_parallelism().map_or(1, usize::from).min(visits.len().div_ceil(64)).max(1);
    let share = visits.len().div_ceil(threads).max(1);
    let parts: Vec<Result<Walked>> = std::thread::scope(|scope| {
        if threads == 1 {
            return vec![walk_tables(image, len, &visits)];
        }
        let walkers: Vec<_> =
            visits.chunks(share).map(|part| scope.spawn(move || walk_tables(image, len, part))).collect();
        walkers
            .into_iter()
            .map(|w| w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    for part in parts {
        out.merge(part?);
    }
    let mut refcounts = Refcounts::open(&image.file, &image.header)?;
    out.blocks(image, len, &mut refcounts);
    Ok((out, refcounts))
}

fn walk_tables(image: &Qcow2, len: u64, visits: &[Visit]) -> Result<Walked> {
    let mut out = Walked::new();
    let mut refcounts = Refcounts::open(&image.file, &image.header)?;
    for visit in visits {
        out.table(image, len, *visit, &mut refcounts)?;
    }
    Ok(out)
}

impl Walked {
    fn new() -> Self {
        Self { counts: Counts::default(), report: CheckReport::default(), copied: 0, first: None, next: 0 }
    }

    fn corrupt(&mut self, offset: u64, message: impl Into<String>) {
        self.report.add(Severity::Corruption, offset, message);
    }

    /// Counts references to every cluster of a host range; `false` when it leaves the file.
    fn count(&mut self, image: &Qcow2, file_len: u64, offset: u64, len: u64, by: u64, what: &str) -> bool {
        let Some(last) = len.checked_sub(1).map(|n| offset.saturating_add(n)) else { return true };
        // The last cluster of a file need not be written out in full.
        if last.saturating_add(1).saturating_sub(file_len) >= image.header.cluster_size() {
            self.report.add_with(Severity::Corruption, offset, || {
                format!("{what} reaches beyond the end of the file")
            });
            return false;
        }
        let bits = image.header.cluster_bits;
        self.counts.add_run(offset >> bits, (last >> bits) - (offset >> bits) + 1, by);
        true
    }

    /// Header, refcount table, snapshot table, encryption header, bitmaps.
    fn fixed(&mut self, image: &Qcow2, len: u64) -> Result<()> {
        let header = &image.header;
        self.count(image, len, 0, header.cluster_size(), 1, "header");
        let reftable = u64::from(header.reftable_clusters) << header.cluster_bits;
        self.count(image, len, header.reftable_offset, reftable, 1, "refcount table");
        let snapshots: usize = image.table.iter().map(|s| s.raw.len()).sum();
        self.count(image, len, header.snapshots_offset, snapshots as u64, 1, "snapshot table");
        if let Some(ext) = image.extensions.get(CRYPTO_HEADER)
            && let (Some(offset), Some(bytes)) = (word(ext, 0), word(ext, 8))
        {
            if bytes > MAX_CRYPTO_HEADER {
                self.corrupt(offset, format!("encryption header of {bytes} bytes is impossible"));
            } else {
                self.count(image, len, offset, bytes, 1, "encryption header");
            }
        }
        let bitmaps = match bitmaps::read(image) {
            Ok(bitmaps) => bitmaps,
            Err(e) => {
                self.corrupt(0, e.sentence().to_owned());
                return Ok(());
            }
        };
        self.count(image, len, bitmaps.directory.0, bitmaps.directory.1, 1, "bitmap directory");
        let mut table_bytes: u64 = 0;
        for bitmap in &bitmaps.list {
            let (table, bytes) = bitmap.table;
            table_bytes = table_bytes.saturating_add(bytes);
            // Honest tables do not overlap, so together they fit into the file.
            if table_bytes > len.saturating_add(header.cluster_size()) {
                self.corrupt(table, "bitmap tables overlap");
                break;
            }
            self.count(image, len, table, bytes, 1, "bitmap table");
            for offset in bitmap.clusters(image)?.iter().filter_map(|e| bitmaps::cluster(*e)) {
                self.count(image, len, offset, header.cluster_size(), 1, "bitmap data");
            }
        }
        Ok(())
    }

    /// Counts the L1 tables and lists the L2 tables behind them: those of the active state first
    /// and in guest order.
    fn tables(&mut self, image: &Qcow2, len: u64) -> Vec<Visit> {
        let header = &image.header;
        let mut visits: Vec<Visit> = Vec::new();
        let mut known: HashMap<u64, usize> = HashMap::new();
        let mut l1_bytes: u64 = 0;
        let mut seen_l1 = HashSet::new();
        for state in image.states() {
            let place = image.l1_place(state);
            l1_bytes = l1_bytes.saturating_add(u64::from(place.entries) * 8);
            // Honest L1 tables do not overlap, so together they fit into the file.
            if l1_bytes > len.saturating_add(header.cluster_size())
                || !seen_l1.insert(place.offset) && place.entries > 0
            {
                self.corrupt(place.offset, "L1 tables overlap");
                continue;
            }
            let l1 = match image.l1(state) {
                Ok(l1) => l1,
                Err(e) => {
                    self.corrupt(place.offset, e.sentence().to_owned());
                    continue;
                }
            };
            self.count(image, len, place.offset, l1.len() as u64 * 8, 1, "L1 table");
            for (index, entry) in l1.used() {
                let offset = match l2_offset(header, entry) {
                    Ok(None) => continue,
                    Ok(Some(offset)) => offset,
                    Err(e) => {
                        self.corrupt(place.offset + index as u64 * 8, e.sentence().to_owned());
                        continue;
                    }
                };
                let active = state == State::Active;
                match known.get(&offset) {
                    Some(at) => {
                        visits[*at].paths += 1;
                        visits[*at].active |= active;
                    }
                    None => {
                        known.insert(offset, visits.len());
                        let guest = (index as u64).saturating_mul(header.l2_coverage());
                        visits.push(Visit { offset, paths: 1, active, guest });
                    }
                }
            }
        }
        visits
    }

    /// Counts one L2 table and what it points at, and judges its COPIED flags.
    fn table(&mut self, image: &Qcow2, len: u64, visit: Visit, refcounts: &mut Refcounts) -> Result<()> {
        let header = &image.header;
        if !self.count(image, len, visit.offset, header.cluster_size(), visit.paths, "L2 table") {
            return Ok(());
        }
        // A hole maps nothing.
        if is_hole(&*image.file, visit.offset, header.cluster_size())? {
            return Ok(());
        }
        let Ok(table) = read_l2(&*image.file, header, visit.offset) else {
            self.corrupt(visit.offset, "L2 table lies beyond the end of the file");
            return Ok(());
        };
        let mut index = 0;
        while index < header.l2_entries() {
            let run = data_run(&table, header, index);
            let (host, bytes) = (run.host, run.clusters << header.cluster_bits);
            if header.external_data() {
                self.external_entry(image, visit, (&table, index));
                index += 1;
            } else if run.clusters > 1 && host.saturating_add(bytes) <= len {
                self.run(image, len, visit, &run, refcounts);
                index += run.clusters;
            } else {
                self.entry(image, len, visit, (&table, index), refcounts);
                index += 1;
            }
        }
        Ok(())
    }

    /// Counts a run of neighbours at once, unless a COPIED flag among them is wrong.
    fn run(&mut self, image: &Qcow2, len: u64, visit: Visit, run: &DataRun, refcounts: &mut Refcounts) {
        let header = &image.header;
        let bytes = run.clusters << header.cluster_bits;
        self.count(image, len, run.host, bytes, visit.paths, "data clusters");
        if !visit.active {
            return;
        }
        self.fragments(false, run.host, bytes, run.clusters);
        let mut cluster = run.host >> header.cluster_bits;
        let end = cluster + run.clusters;
        while let Some(bad) =
            refcounts.first_unlike(cluster, end - cluster, run.copied).unwrap_or(Some(cluster))
        {
            self.copied += 1;
            let host = bad << header.cluster_bits;
            self.report.add_with(Severity::Corruption, host, || {
                format!(
                    "L2 table at {:#x}: COPIED flag contradicts the refcount of cluster {bad}",
                    visit.offset
                )
            });
            cluster = bad + 1;
            if cluster >= end {
                break;
            }
        }
    }

    /// Counts what one entry points at, and judges its COPIED flag.
    fn entry(
        &mut self,
        image: &Qcow2,
        len: u64,
        visit: Visit,
        (table, index): (&L2, u64),
        refcounts: &mut Refcounts,
    ) {
        let header = &image.header;
        let at = visit.offset + index * header.l2_entry_size();
        let entry = match table.entry(header, index) {
            Ok(Entry::Unallocated) => return,
            Ok(entry) => entry,
            Err(e) => return self.corrupt(at, e.sentence().to_owned()),
        };
        let Some((host, bytes)) = entry.counted(header) else { return };
        if !self.count(image, len, host, bytes, visit.paths, "data cluster") || !visit.active {
            return;
        }
        self.fragments(entry.is_compressed(), host, header.cluster_size(), 1);
        let (raw, _) = table.raw(header, index);
        if entry.is_compressed() {
            if raw & COPIED != 0 {
                self.corrupt(at, "compressed cluster with the COPIED flag");
            }
            return;
        }
        let count = refcounts.get(host >> header.cluster_bits).unwrap_or(0);
        if (count == 1) != (raw & COPIED != 0) {
            self.copied += 1;
            self.report.add_with(Severity::Corruption, at, || {
                format!("L2 entry {index}: COPIED flag contradicts refcount {count}")
            });
        }
    }

    /// Judges an entry of an image whose data lies in another file: nothing is counted there, and
    /// each cluster has one place only.
    fn external_entry(&mut self, image: &Qcow2, visit: Visit, (table, index): (&L2, u64)) {
        let header = &image.header;
        let at = visit.offset.saturating_add(index * header.l2_entry_size());
        let guest = visit.guest.saturating_add(index << header.cluster_bits);
        let entry = match table.entry(header, index).and_then(|e| external::belongs(header, &e, guest)) {
            Ok(entry) => entry,
            Err(e) => return self.corrupt(at, e.sentence().to_owned()),
        };
        let Some((host, bytes)) = entry.place(header) else { return };
        if visit.active {
            self.fragments(false, host, bytes, 1);
            if table.raw(header, index).0 & COPIED == 0 {
                self.copied += 1;
                self.corrupt(at, format!("L2 entry {index}: external data without the COPIED flag"));
            }
        }
    }

    fn fragments(&mut self, compressed: bool, host: u64, bytes: u64, clusters: u64) {
        self.report.allocated_clusters += clusters;
        if compressed {
            self.report.compressed_clusters += 1;
            self.report.fragmented_clusters += 1;
            return;
        }
        match self.first {
            None => self.first = Some(host),
            Some(_) if self.next != host => self.report.fragmented_clusters += 1,
            Some(_) => {}
        }
        self.next = host.saturating_add(bytes);
    }

    fn merge(&mut self, other: Self) {
        self.counts.merge(other.counts);
        if let Some(first) = other.first {
            if self.first.is_some() && self.next != first {
                self.report.fragmented_clusters += 1;
            }
            self.first = self.first.or(Some(first));
            self.next = other.next;
        }
        self.copied += other.copied;
        let (mine, theirs) = (&mut self.report, other.report);
        mine.leaks += theirs.leaks;
        mine.corruptions += theirs.corruptions;
        mine.allocated_clusters += theirs.allocated_clusters;
        mine.fragmented_clusters += theirs.fragmented_clusters;
        mine.compressed_clusters += theirs.compressed_clusters;
        mine.findings.extend(theirs.findings);
        mine.findings.truncate(CheckReport::MAX_FINDINGS);
    }

    /// Counts the refcount blocks; last, so that an overlap with anything else shows. A block that
    /// is listed twice or lies outside the file is no block.
    fn blocks(&mut self, image: &Qcow2, len: u64, refcounts: &mut Refcounts) {
        let header = &image.header;
        let mut seen = HashSet::new();
        for index in 0..refcounts.table.len() as u64 {
            let listed = header.reftable_offset + index * 8;
            let good = match refcounts.block_offset(index) {
                Ok(None) => continue,
                Ok(Some(offset)) if !seen.insert(offset) => {
                    self.report.add_with(Severity::Corruption, listed, || {
                        format!("refcount block {index} is listed twice")
                    });
                    false
                }
                Ok(Some(offset)) => {
                    if self.counts.get(offset >> header.cluster_bits) != 0 {
                        self.report.add_with(Severity::Corruption, offset, || {
                            format!("refcount block {index} overlaps something else")
                        });
                    }
                    self.count(image, len, offset, header.cluster_size(), 1, "refcount block")
                }
                Err(e) => {
                    self.corrupt(listed, e.sentence().to_owned());
                    false
                }
            };
            if !good {
                refcounts.forget_block(index);
            }
        }
    }
}

/// Neighbours in guest and file that an L2 table maps as plain data, all with the same flag.
struct DataRun {
    host: u64,
    clusters: u64,
    copied: bool,
}

/// The run of data clusters that starts at entry `index`; empty for anything else.
fn data_run(table: &L2, header: &Header, index: u64) -> DataRun {
    let (first, bitmap) = table.raw(header, index);
    let host = first & !COPIED;
    let mut run = DataRun { host, clusters: 0, copied: first & COPIED != 0 };
    // Any other bit, or an offset inside a cluster, is for the careful way.
    if bitmap != 0
        || host == 0
        || host >> 56 != 0
        || !host.is_multiple_of(header.cluster_size())
        || header.extended_l2()
    {
        return run;
    }
    let step = header.cluster_size();
    let rest = table.words().get(index as usize..).unwrap_or_default();
    run.clusters = (0..).zip(rest).take_while(|(i, word)| **word == first + i * step).count() as u64;
    run
}

fn word(b: &[u8], at: usize) -> Option<u64> {
    b.get(at..)?.first_chunk().map(|b| u64::from_be_bytes(*b))
}
