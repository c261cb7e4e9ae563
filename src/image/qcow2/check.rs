//! The verdict: what is referred to against what the refcount blocks record.
//!
//! It is meant to be QEMU's: a recorded count above the real one is a leak, one below is
//! corruption; in the active tree the COPIED flag must be set exactly where the count is 1.

use super::entry::{COPIED, l2_offset};
use super::image::Qcow2;
use super::refcounts::Refcounts;
use super::walk::{Walked, walk};
use crate::error::Result;
use crate::image::{CheckReport, Severity, State};
use crate::units::div_up;

/// Checks an image.
pub(super) fn check(image: &Qcow2) -> Result<CheckReport> {
    let (mut walked, mut refcounts) = walk(image)?;
    walked.report.total_clusters = div_up(image.header.size, image.header.cluster_size());
    compare(image, &mut walked, &mut refcounts)?;
    check_l1(image, &mut walked.report, &mut refcounts)?;
    Ok(walked.report)
}

fn compare(image: &Qcow2, walked: &mut Walked, refcounts: &mut Refcounts) -> Result<()> {
    let header = &image.header;
    let entries = header.block_entries();
    let end = walked.counts.end();
    let blocks = div_up(end, entries).max(refcounts.table.len() as u64);
    for index in 0..blocks {
        let block = refcounts.block(index).ok().flatten();
        if block.is_none_or(|b| b.is_empty()) && index.saturating_mul(entries) >= end {
            continue;
        }
        for i in 0..entries {
            let cluster = index * entries + i;
            let recorded = block.map_or(0, |b| b.get(i));
            let real = walked.counts.get(cluster);
            if recorded != 0 || real != 0 {
                walked.report.image_end_offset = (cluster + 1).saturating_mul(header.cluster_size());
            }
            if recorded != real {
                let severity = if recorded < real { Severity::Corruption } else { Severity::Leak };
                let message = format!("cluster {cluster}: refcount {recorded}, {real} references");
                walked.report.add(severity, cluster.saturating_mul(header.cluster_size()), message);
            }
        }
    }
    Ok(())
}

/// COPIED in the active L1 table. (Entries of L2 tables are judged while walking.)
fn check_l1(image: &Qcow2, report: &mut CheckReport, refcounts: &mut Refcounts) -> Result<()> {
    let header = &image.header;
    let Ok(l1) = image.l1(State::Active) else { return Ok(()) };
    for (i, entry) in l1.iter().enumerate() {
        let Ok(Some(offset)) = l2_offset(header, *entry) else { continue };
        let count = refcounts.get(offset >> header.cluster_bits).unwrap_or(0);
        if (count == 1) != (entry & COPIED != 0) {
            let at = header.l1_offset + i as u64 * 8;
            report.add(
                Severity::Corruption,
                at,
                format!("L1 entry {i}: COPIED flag contradicts refcount {count}"),
            );
        }
    }
    Ok(())
}
