//! Walking everything an image refers to, counting each reference once for every path to it.
//!
//! Each L2 table is read once however many states share it, so the work is bounded by the file
//! and not by what hostile tables claim. The tables are shared out among all cores.

use std::collections::{HashMap, HashSet};

use super::counts::Counts;
use super::entry::{COPIED, Entry, l2_offset};
use super::extensions::CRYPTO_HEADER;
use super::image::Qcow2;
use super::refcounts::Refcounts;
use super::runs::{DataRun, data_run};
use super::singles::Singles;
use super::tables::L2;
use super::{bitmaps, external};
use crate::error::Result;
use crate::image::{CheckReport, Severity, State};
use crate::storage::is_hole;

/// Far more than any key material takes.
const MAX_CRYPTO_HEADER: u64 = 64 << 20;

/// Counters, of a byte at least, that all threads together may have.
const MAX_COUNTS: u64 = 48 << 20;

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
    /// Where the next data cluster of this table is expected. QEMU counts fragments table by table.
    next: Option<u64>,
}

/// Walks an image. The refcounts that come with the result are without blocks that cannot be.
pub(super) fn walk(image: &Qcow2) -> Result<(Walked, Refcounts)> {
    let mut out = Walked::new();
    let len = image.file.len()?;
    out.fixed(image, len)?;
    let visits = out.tables(image, len);
    let mut refcounts = Refcounts::open(&image.file, &image.header)?;
    let threads = threads(visits.len(), len >> image.header.cluster_bits);
    let share = visits.len().div_ceil(threads).max(1);
    let parts: Vec<Result<Walked>> = std::thread::scope(|scope| {
        if threads == 1 {
            return vec![walk_tables(image, len, &visits, &refcounts)];
        }
        let walkers: Vec<_> = visits
            .chunks(share)
            .map(|part| scope.spawn(|| walk_tables(image, len, part, &refcounts)))
            .collect();
        walkers
            .into_iter()
            .map(|w| w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    for part in parts {
        out.merge(part?);
    }
    out.blocks(image, len, &mut refcounts);
    Ok((out, refcounts))
}

/// How many threads are worth their start, and the memory that all of them may need to count all
/// clusters of a fragmented file.
fn threads(tables: usize, clusters: u64) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let affordable = usize::try_from(MAX_COUNTS / clusters.max(1)).unwrap_or(usize::MAX);
    cores.min(tables.div_ceil(64)).min(affordable).max(1)
}

fn walk_tables(image: &Qcow2, len: u64, visits: &[Visit], refcounts: &Refcounts) -> Result<Walked> {
    let mut out = Walked::new();
    let mut recorded = Recorded { refcounts, singles: Singles::new(&image.header) };
    let mut table = L2::empty(&image.header);
    for visit in visits {
        out.table(image, len, *visit, &mut table, &mut recorded)?;
    }
    Ok(out)
}

/// The refcounts in the file, and what one walker knows of them.
struct Recorded<'a> {
    refcounts: &'a Refcounts,
    singles: Singles,
}

impl Walked {
    fn new() -> Self {
        Self { counts: Counts::default(), report: CheckReport::default(), copied: 0, next: None }
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
        let snapshots: usize = image.table.iter().map(|s| s.len()).sum();
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
    fn table(
        &mut self,
        image: &Qcow2,
        len: u64,
        visit: Visit,
        table: &mut L2,
        recorded: &mut Recorded<'_>,
    ) -> Result<()> {
        let header = &image.header;
        if !self.count(image, len, visit.offset, header.cluster_size(), visit.paths, "L2 table") {
            return Ok(());
        }
        // A hole maps nothing.
        if is_hole(&*image.file, visit.offset, header.cluster_size())? {
            return Ok(());
        }
        if table.read(&*image.file, visit.offset).is_err() {
            self.corrupt(visit.offset, "L2 table lies beyond the end of the file");
            return Ok(());
        }
        self.next = None;
        let mut index = 0;
        while index < header.l2_entries() {
            let run = data_run(table, header, index, u64::MAX);
            let (host, bytes) = (run.host, run.clusters << header.cluster_bits);
            if header.external_data() {
                self.external_entry(image, visit, (table, index));
                index += 1;
            } else if run.clusters > 1 && host.saturating_add(bytes) <= len {
                self.run(image, len, visit, &run, recorded);
                index += run.clusters;
            } else {
                self.entry(image, len, visit, (table, index), recorded);
                index += 1;
            }
        }
        Ok(())
    }

    /// Counts a run of neighbours at once, unless a COPIED flag among them is wrong.
    fn run(&mut self, image: &Qcow2, len: u64, visit: Visit, run: &DataRun, recorded: &mut Recorded<'_>) {
        let header = &image.header;
        let bytes = run.clusters << header.cluster_bits;
        self.count(image, len, run.host, bytes, visit.paths, "data clusters");
        if !visit.active {
            return;
        }
        self.fragments(false, run.host, bytes, run.clusters);
        let mut cluster = run.host >> header.cluster_bits;
        let end = cluster + run.clusters;
        let Recorded { refcounts, singles } = recorded;
        while let Some(bad) =
            singles.first_unlike(refcounts, cluster, end - cluster, run.copied).unwrap_or(Some(cluster))
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
        recorded: &mut Recorded<'_>,
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
        let cluster = host >> header.cluster_bits;
        let single = recorded.singles.has(recorded.refcounts, cluster).unwrap_or(false);
        if single != (raw & COPIED != 0) {
            self.copied += 1;
            self.report.add_with(Severity::Corruption, at, || {
                let count = recorded.refcounts.look(cluster).unwrap_or(0);
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
        if self.next.is_some_and(|next| next != host) {
            self.report.fragmented_clusters += 1;
        }
        self.next = Some(host.saturating_add(bytes));
    }

    fn merge(&mut self, other: Self) {
        self.counts.merge(other.counts);
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

fn word(b: &[u8], at: usize) -> Option<u64> {
    b.get(at..)?.first_chunk().map(|b| u64::from_be_bytes(*b))
}
