//! Walking everything an image refers to, counting each reference once for every path to it.
//!
//! Each L2 table is read once however many states share it, so the work is bounded by the file
//! and not by what hostile tables claim. The tables are shared out among all cores.

use std::collections::HashSet;
use std::ops::Range;

use super::counts::Counts;
use super::entry::{COPIED, Entry, l2_offset};
use super::extensions::CRYPTO_HEADER;
use super::image::Qcow2;
use super::refcounts::Refcounts;
use super::runs::{DataRun, data_run};
use super::singles::Singles;
use super::tables::L2;
use super::visits::{Batch, Visit};
use super::{bitmaps, external};
use crate::error::Result;
use crate::image::{CheckReport, Severity, State};
use crate::storage::File;

/// Far more than any key material takes.
const MAX_CRYPTO_HEADER: u64 = 64 << 20;

/// What a walk found: the counts, and what was wrong on the way.
pub(super) struct Walked {
    pub(super) counts: Counts,
    pub(super) report: CheckReport,
    /// How many of the corruptions are COPIED flags that contradict the recorded refcounts.
    pub(super) copied: u64,
    /// Where the next data cluster of this table is expected. QEMU counts fragments table by table.
    next: Option<u64>,
    /// Whether a walk before this one has said all but what needs the counts.
    silent: bool,
}

/// Walks an image and counts all of it, however much that is. The refcounts that come with the result
/// are without blocks that cannot be.
pub(super) fn walk_all(image: &Qcow2) -> Result<(Walked, Refcounts)> {
    let mut refcounts = Refcounts::open(&image.file, &image.header)?;
    let mut walked = Walked::new(Counts::new(0, usize::MAX));
    walked.walk(image, &mut refcounts)?;
    Ok((walked, refcounts))
}

/// How many threads are worth their start, and the memory that each may need to count all clusters of
/// a fragmented file. Two that have to go over it twice are as good as one.
fn threads(tables: usize, clusters: u64, budget: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let needed = usize::try_from(clusters / 8).unwrap_or(usize::MAX).max(1);
    cores.min(tables.div_ceil(64)).min((budget / needed).max(2)).max(1)
}

/// The refcounts in the file, and what one walker knows of them.
struct Recorded<'a> {
    refcounts: &'a Refcounts,
    singles: Singles,
}

impl Walked {
    pub(super) fn new(counts: Counts) -> Self {
        Self { counts, report: CheckReport::default(), copied: 0, next: None, silent: false }
    }

    /// Makes ready to count what the window was too small for.
    pub(super) fn again(&mut self, budget: usize) {
        self.counts = Counts::new(self.counts.window().end, budget);
        self.silent = true;
    }

    /// Walks an image. Blocks that cannot be are taken out of `refcounts`.
    pub(super) fn walk(&mut self, image: &Qcow2, refcounts: &mut Refcounts) -> Result<()> {
        let len = image.file.len()?;
        self.fixed(image, len)?;
        let mut batch = Some(Batch::default());
        while let Some(mut some) = batch {
            self.states(image, len, &mut some);
            self.tables(image, len, &some.take(), refcounts)?;
            batch = some.rest();
        }
        self.counts.settle();
        self.blocks(image, len, refcounts);
        self.counts.settle();
        Ok(())
    }

    /// Shares out L2 tables among threads.
    fn tables(&mut self, image: &Qcow2, len: u64, visits: &[Visit], refcounts: &Refcounts) -> Result<()> {
        let budget = self.counts.budget();
        let threads = threads(visits.len(), len >> image.header.cluster_bits, budget);
        let start = self.counts.window().start;
        let some = |visits: &[Visit]| {
            let mut part = Self::new(Counts::new(start, budget / threads));
            part.silent = self.silent;
            part.some_tables(image, len, visits, refcounts)?;
            Ok(part)
        };
        let parts: Vec<Result<Self>> = std::thread::scope(|scope| {
            let share = visits.len().div_ceil(threads).max(1);
            if threads == 1 {
                return vec![some(visits)];
            }
            let walkers: Vec<_> = visits.chunks(share).map(|part| scope.spawn(|| some(part))).collect();
            walkers
                .into_iter()
                .map(|w| w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        for part in parts {
            self.merge(part?);
        }
        Ok(())
    }

    fn some_tables(
        &mut self,
        image: &Qcow2,
        len: u64,
        visits: &[Visit],
        refcounts: &Refcounts,
    ) -> Result<()> {
        let mut recorded = Recorded { refcounts, singles: Singles::new(&image.header) };
        let mut table = L2::empty(&image.header);
        let mut holes = Holes::default();
        for visit in visits {
            let bytes = image.header.cluster_size();
            if self.count(image, len, visit.offset, bytes, visit.paths, "L2 table")
                // A hole maps nothing.
                && !holes.have(&*image.file, visit.offset, bytes)?
            {
                self.table(image, len, *visit, &mut table, &mut recorded);
            }
        }
        self.counts.settle();
        Ok(())
    }

    /// Reports what is wrong whatever is counted.
    fn corrupt(&mut self, offset: u64, message: impl Into<String>) {
        self.corrupt_with(offset, || message.into());
    }

    fn corrupt_with(&mut self, offset: u64, message: impl FnOnce() -> String) {
        if !self.silent {
            self.report.add_with(Severity::Corruption, offset, message);
        }
    }

    /// Counts references to every cluster of a host range; `false` when it leaves the file.
    fn count(&mut self, image: &Qcow2, file_len: u64, offset: u64, len: u64, by: u64, what: &str) -> bool {
        let Some(last) = len.checked_sub(1).map(|n| offset.saturating_add(n)) else { return true };
        // The last cluster of a file need not be written out in full.
        if last.saturating_add(1).saturating_sub(file_len) >= image.header.cluster_size() {
            self.corrupt_with(offset, || format!("{what} reaches beyond the end of the file"));
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
            bitmap.each_cluster(image, |offset| {
                self.count(image, len, offset, header.cluster_size(), 1, "bitmap data");
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Lists the L2 tables behind all L1 tables; counts those with the first batch.
    fn states(&mut self, image: &Qcow2, len: u64, batch: &mut Batch) {
        let header = &image.header;
        let first = batch.is_first();
        let mut l1_bytes: u64 = 0;
        let mut seen_l1 = HashSet::new();
        for state in image.states() {
            let place = image.l1_place(state);
            l1_bytes = l1_bytes.saturating_add(u64::from(place.entries) * 8);
            // Honest L1 tables do not overlap, so together they fit into the file.
            if l1_bytes > len.saturating_add(header.cluster_size())
                || !seen_l1.insert(place.offset) && place.entries > 0
            {
                if first {
                    self.corrupt(place.offset, "L1 tables overlap");
                }
                continue;
            }
            let l1 = match image.l1(state) {
                Ok(l1) => l1,
                Err(e) => {
                    if first {
                        self.corrupt(place.offset, e.sentence().to_owned());
                    }
                    continue;
                }
            };
            if first {
                self.count(image, len, place.offset, l1.len() as u64 * 8, 1, "L1 table");
            }
            for (index, entry) in l1.used() {
                match l2_offset(header, entry) {
                    Ok(Some(offset)) => batch.add(offset, index, state == State::Active),
                    Err(e) if first => {
                        self.corrupt(place.offset + index as u64 * 8, e.sentence().to_owned());
                    }
                    _ => {}
                }
            }
        }
    }

    /// Counts what one L2 table points at, and judges its COPIED flags.
    fn table(&mut self, image: &Qcow2, len: u64, visit: Visit, table: &mut L2, recorded: &mut Recorded<'_>) {
        let header = &image.header;
        if table.read(&*image.file, visit.offset).is_err() {
            return self.corrupt(visit.offset, "L2 table lies beyond the end of the file");
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
    }

    /// Counts a run of neighbours at once, unless a COPIED flag among them is wrong.
    fn run(&mut self, image: &Qcow2, len: u64, visit: Visit, run: &DataRun, recorded: &mut Recorded<'_>) {
        let header = &image.header;
        let bytes = run.clusters << header.cluster_bits;
        self.count(image, len, run.host, bytes, visit.paths, "data clusters");
        if !visit.active || self.silent {
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
        if !self.count(image, len, host, bytes, visit.paths, "data cluster") || !visit.active || self.silent {
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
        let guest = visit.guest(header).0.saturating_add(index << header.cluster_bits);
        let entry = match table.entry(header, index).and_then(|e| external::belongs(header, &e, guest)) {
            Ok(entry) => entry,
            Err(e) => return self.corrupt(at, e.sentence().to_owned()),
        };
        let Some((host, bytes)) = entry.place(header) else { return };
        if visit.active && !self.silent {
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
        let (mut seen, mut good) = (HashSet::new(), Vec::new());
        for index in 0..refcounts.table.len() as u64 {
            let listed = header.reftable_offset + index * 8;
            match refcounts.block_offset(index) {
                Ok(None) => {}
                Ok(Some(offset)) if !seen.insert(offset) => {
                    self.corrupt_with(listed, || format!("refcount block {index} is listed twice"));
                    refcounts.forget_block(index);
                }
                Ok(Some(offset)) => {
                    // Different blocks do not overlap each other: both begin with a cluster.
                    if self.counts.get(offset >> header.cluster_bits) != 0 {
                        self.report.add_with(Severity::Corruption, offset, || {
                            format!("refcount block {index} overlaps something else")
                        });
                    }
                    good.push((index, offset));
                }
                Err(e) => {
                    self.corrupt(listed, e.sentence().to_owned());
                    refcounts.forget_block(index);
                }
            }
        }
        for (index, offset) in good {
            if !self.count(image, len, offset, header.cluster_size(), 1, "refcount block") {
                refcounts.forget_block(index);
            }
        }
    }
}

/// The last hole that was looked at, so that one look settles all tables in it.
#[derive(Default)]
struct Holes(Range<u64>);

impl Holes {
    /// Whether a range of the file holds no data.
    fn have(&mut self, file: &dyn File, offset: u64, len: u64) -> Result<bool> {
        if !self.0.contains(&offset) {
            let end = file.data_range(offset)?.map_or(u64::MAX, |data| data.start);
            self.0 = offset..end.max(offset);
        }
        Ok(offset.saturating_add(len) <= self.0.end)
    }
}

fn word(b: &[u8], at: usize) -> Option<u64> {
    b.get(at..)?.first_chunk().map(|b| u64::from_be_bytes(*b))
}
