//! Counting references: QED records none, so each cluster must be referenced exactly once.

use super::Qed;
use super::survey::{Fault, Survey, each_entry};
use super::tables::Entry;
use crate::error::{Error, Result};
use crate::image::{CheckReport, Severity};
use crate::units::{Host, div_up};

/// Walks all tables; findings mean what they mean to `qemu-img check`.
pub(super) fn check(image: &Qed) -> Result<CheckReport> {
    let header = &image.header;
    let mut report = CheckReport {
        total_clusters: div_up(header.image_size, header.cluster_size),
        ..CheckReport::default()
    };
    let survey = Survey::of(&*image.file, header, &mut |fault, at, to| {
        report.add(Severity::Corruption, at.0, sentence(fault, to));
        Ok(())
    })?;
    report.allocated_clusters = survey.allocated;
    report.fragmented_clusters = survey.fragmented;
    report.image_end_offset = survey.used.end() * header.cluster_size;
    count_leaks(image, &survey, &mut report);
    Ok(report)
}

/// A wrong reference to `to`, in words.
pub(super) fn sentence(fault: Fault, to: Host) -> String {
    match fault {
        Fault::ZeroInL1 => "L1 entry holds the zero marker".to_owned(),
        Fault::BadTable => format!("L1 entry leads to {to}, misaligned or outside the file"),
        Fault::TableOverlap => format!("L2 table at {to} overlaps another table"),
        Fault::BadCluster => format!("L2 entry leads to {to}, misaligned or outside the file"),
        Fault::Shared => format!("cluster at {to} is referenced twice"),
    }
}

fn count_leaks(image: &Qed, survey: &Survey, report: &mut CheckReport) {
    let header = &image.header;
    let clusters = header.file_size / header.cluster_size;
    let room = CheckReport::MAX_FINDINGS.saturating_sub(report.findings.len());
    let unused = survey.used.holes(header.header_clusters, clusters);
    for cluster in unused.flat_map(|(first, count)| first..first + count).take(room) {
        report.add(Severity::Leak, cluster * header.cluster_size, "cluster is not referenced");
    }
    report.leaks = (clusters - header.header_clusters).saturating_sub(survey.used.count());
}

/// L2 tables that overlap one another or the L1 table, in order. Fails when the L1 table has more
/// entries than the file has room for tables.
pub(super) fn overlapping_tables(image: &Qed) -> Result<Vec<u64>> {
    let header = &image.header;
    let room = header.file_size / header.table_bytes() + 1;
    let mut tables = vec![header.l1.0];
    each_entry(&*image.file, header, header.l1, |at, entry| match entry {
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
