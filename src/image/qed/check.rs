//! Counting references: QED records none, so each cluster must be referenced exactly once.

use std::collections::HashMap;

use super::Qed;
use super::tables::{self, Entry, PIECE};
use crate::error::{Error, Result};
use crate::image::{CheckReport, Severity};
use crate::units::{Host, div_up};

/// Clusters per word group of the used map: small, so that scattered references take little.
const GROUP: u64 = 512;

/// Which clusters are referenced. Memory follows what is used, not what the file length claims.
#[derive(Default)]
struct Used {
    groups: HashMap<u64, Box<[u64; (GROUP / 64) as usize]>>,
    count: u64,
    /// One after the highest.
    end: u64,
}

impl Used {
    /// Marks a cluster; `false` when it was marked before.
    fn mark(&mut self, cluster: u64) -> bool {
        let group =
            self.groups.entry(cluster / GROUP).or_insert_with(|| Box::new([0; (GROUP / 64) as usize]));
        let (word, bit) = ((cluster % GROUP / 64) as usize, 1 << (cluster % 64));
        let fresh = group[word] & bit == 0;
        group[word] |= bit;
        self.count += u64::from(fresh);
        self.end = self.end.max(cluster + 1);
        fresh
    }

    fn is_marked(&self, cluster: u64) -> bool {
        let bit = 1 << (cluster % 64);
        self.groups.get(&(cluster / GROUP)).is_some_and(|g| g[(cluster % GROUP / 64) as usize] & bit != 0)
    }
}

/// Walks all tables; findings mean what they mean to `qemu-img check`.
pub(super) fn check(image: &Qed) -> Result<CheckReport> {
    let header = &image.header;
    let mut report = CheckReport {
        total_clusters: div_up(header.image_size, header.cluster_size),
        ..CheckReport::default()
    };
    let mut used = Used::default();
    mark_table(image, &mut used, header.l1);
    each_entry(image, header.l1, |at, l2| {
        let Entry::Cluster(table) = l2 else {
            if l2 == Entry::Zero {
                report.add(Severity::Corruption, at.0, "L1 entry holds the zero marker");
            }
            return Ok(());
        };
        if !header.is_table(table.0) {
            let what = format!("L1 entry leads to {table}, misaligned or outside the file");
            report.add(Severity::Corruption, at.0, what);
            return Ok(());
        }
        if mark_table(image, &mut used, table) {
            return check_l2(image, table, &mut used, &mut report);
        }
        report.add(
            Severity::Corruption,
            at.0,
            format!("L2 table at {table} overlaps other metadata or data"),
        );
        Ok(())
    })?;
    report.image_end_offset = used.end * header.cluster_size;
    count_leaks(image, &used, &mut report);
    Ok(report)
}

fn check_l2(image: &Qed, table: Host, used: &mut Used, report: &mut CheckReport) -> Result<()> {
    let header = &image.header;
    let mut last = None;
    each_entry(image, table, |at, entry| {
        let Entry::Cluster(data) = entry else { return Ok(()) };
        report.allocated_clusters += 1;
        if last.is_some_and(|last: Host| last.checked_add(header.cluster_size) != Some(data)) {
            report.fragmented_clusters += 1;
        }
        last = Some(data);
        if !header.is_cluster(data.0) {
            let what = format!("L2 entry leads to {data}, misaligned or outside the file");
            report.add(Severity::Corruption, at.0, what);
        } else if !used.mark(data.0 / header.cluster_size) {
            report.add(Severity::Corruption, at.0, format!("cluster at {data} is referenced twice"));
        }
        Ok(())
    })
}

/// Marks the clusters of a table; `false` when one of them was marked before.
fn mark_table(image: &Qed, used: &mut Used, table: Host) -> bool {
    let first = table.0 / image.header.cluster_size;
    let mut fresh = true;
    for cluster in first..first + u64::from(image.header.table_size) {
        fresh &= used.mark(cluster);
    }
    fresh
}

fn count_leaks(image: &Qed, used: &Used, report: &mut CheckReport) {
    let header = &image.header;
    let clusters = header.file_size / header.cluster_size;
    let leaks = (clusters - header.header_clusters).saturating_sub(used.count);
    let room = CheckReport::MAX_FINDINGS.saturating_sub(report.findings.len());
    let unused = (header.header_clusters..clusters).filter(|c| !used.is_marked(*c));
    for cluster in unused.take(room.min(usize::try_from(leaks).unwrap_or(room))) {
        report.add(Severity::Leak, cluster * header.cluster_size, "cluster is not referenced");
    }
    report.leaks = leaks;
}

/// Calls `visit` with the place and meaning of every entry of a table that is in use.
fn each_entry(image: &Qed, table: Host, mut visit: impl FnMut(Host, Entry) -> Result<()>) -> Result<()> {
    let entries = image.header.table_entries();
    let mut first = 0;
    while first < entries {
        first = tables::skip_hole(&**image.file_ref(), table, entries, first)?;
        if first == entries {
            break;
        }
        let at = Host(table.0 + first * 8);
        let piece = tables::read(&**image.file_ref(), at, PIECE.min(entries - first))?;
        for (i, value) in piece.iter().enumerate().filter(|(_, v)| v.get() != 0) {
            visit(Host(at.0 + i as u64 * 8), Entry::of(*value))?;
        }
        first += PIECE;
    }
    Ok(())
}

/// L2 tables that overlap one another or the L1 table, in order. Fails when the L1 table has more
/// entries than the file has room for tables.
pub(super) fn overlapping_tables(image: &Qed) -> Result<Vec<u64>> {
    let header = &image.header;
    let room = header.file_size / header.table_bytes() + 1;
    let mut tables = vec![header.l1.0];
    each_entry(image, header.l1, |at, entry| match entry {
        Entry::Cluster(table) if !header.is_table(table.0) => Ok(()),
        Entry::Cluster(table) if tables.len() as u64 > room => {
            let what = format!("L1 entry leads to {table}, but the file has no room for so many tables");
            Err(Error::corrupt(what).offset(at.0))
        }
        Entry::Cluster(table) => {
            tables.push(table.0);
            Ok(())
        }
        _ => Ok(()),
    })?;
    tables.sort_unstable();
    let close = |pair: &[u64]| pair[1] - pair[0] < header.table_bytes();
    let mut bad: Vec<u64> = tables.windows(2).filter(|pair| close(pair)).flatten().copied().collect();
    bad.dedup();
    Ok(bad)
}

/// Clusters of data that the image maps, valid or not.
pub(super) fn data_clusters(image: &Qed) -> Result<u64> {
    Ok(check(image)?.allocated_clusters)
}
