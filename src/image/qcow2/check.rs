//! The verdict: what is referred to against what the refcount blocks record.
//!
//! It is meant to be QEMU's: a recorded count above the real one is a leak, one below is
//! corruption; in the active tree the COPIED flag must be set exactly where the count is 1.

use std::collections::HashSet;

use super::entry::{COPIED, l2_offset};
use super::image::Qcow2;
use super::refcounts::Refcounts;
use super::walk::{Walked, walk};
use crate::error::Result;
use crate::image::{CheckReport, Severity, State};
use crate::units::div_up;

/// Counters looked at together; a power of two that divides every block and every chunk.
const GROUP: u64 = 64;

/// Checks an image.
pub(super) fn check(image: &Qcow2) -> Result<CheckReport> {
    let mut walked = walk(image)?;
    walked.report.total_clusters = div_up(image.header.size, image.header.cluster_size());
    let mut refcounts = Refcounts::open(&image.file, &image.header)?;
    compare(image, &mut walked, &mut refcounts)?;
    check_l1(image, &mut walked.report, &mut refcounts)?;
    Ok(walked.report)
}

/// Compares block by block, where a block or a reference exists: what a sparse file leaves out
/// costs nothing.
fn compare(image: &Qcow2, walked: &mut Walked, refcounts: &mut Refcounts) -> Result<()> {
    let entries = image.header.block_entries();
    let mut seen = HashSet::new();
    let mut indexes: Vec<u64> = Vec::new();
    let mut repeated = HashSet::new();
    for index in 0..refcounts.table.len() as u64 {
        if let Ok(Some(offset)) = refcounts.block_offset(index) {
            // Found out while walking; a table of nothing but one block must not cost more than one.
            if seen.insert(offset) {
                indexes.push(index);
            } else {
                repeated.insert(index);
            }
        }
    }
    indexes.extend(walked.counts.blocks(entries).into_iter().filter(|index| !repeated.contains(index)));
    indexes.sort_unstable();
    indexes.dedup();
    for index in indexes {
        compare_block(image, walked, refcounts, index);
    }
    Ok(())
}

fn compare_block(image: &Qcow2, walked: &mut Walked, refcounts: &mut Refcounts, index: u64) {
    let header = &image.header;
    let entries = header.block_entries();
    let block = refcounts.block(index).ok().flatten();
    let mut i = 0;
    while i < entries {
        let first = index.saturating_mul(entries) + i;
        let group = GROUP.min(entries - i);
        let next = i + group;
        if !(block.is_none_or(|b| b.is_zero(i, group)) && walked.counts.is_blank(first)) {
            for i in i..next {
                let cluster = index.saturating_mul(entries) + i;
                let recorded = block.map_or(0, |b| b.get(i));
                let real = walked.counts.get(cluster);
                let offset = cluster.saturating_mul(header.cluster_size());
                if recorded != 0 || real != 0 {
                    let end = offset.saturating_add(header.cluster_size());
                    walked.report.image_end_offset = walked.report.image_end_offset.max(end);
                }
                if recorded != real {
                    let severity = if recorded < real { Severity::Corruption } else { Severity::Leak };
                    walked.report.add_with(severity, offset, || {
                        format!("cluster {cluster}: refcount {recorded}, {real} references")
                    });
                }
            }
        }
        i = next;
    }
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
