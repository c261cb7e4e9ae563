//! The verdict: what is referred to against what the refcount blocks record.
//!
//! It is meant to be QEMU's: a recorded count above the real one is a leak, one below is
//! corruption; in the active tree the COPIED flag must be set exactly where the count is 1.

use std::collections::HashSet;

use super::entry::{COPIED, l2_offset};
use super::image::Qcow2;
use super::refcounts::{Block, Refcounts};
use super::walk::{Walked, walk};
use crate::error::Result;
use crate::image::{CheckReport, Severity, State};
use crate::units::div_up;

/// Counters looked at together; a power of two that divides every block and every chunk of counts.
const GROUP: u64 = 64;

/// Checks an image.
pub(super) fn check(image: &Qcow2) -> Result<CheckReport> {
    let (mut walked, mut refcounts) = walk(image)?;
    walked.report.total_clusters = div_up(image.header.size, image.header.cluster_size());
    compare(image, &mut walked, &refcounts)?;
    check_l1(image, &mut walked.report, &mut refcounts)?;
    Ok(walked.report)
}

/// Compares what blocks record, then what is counted where no block is: what a sparse file leaves
/// out costs nothing.
fn compare(image: &Qcow2, walked: &mut Walked, refcounts: &Refcounts) -> Result<()> {
    let (blocks, repeated) = blocks_with_data(image, refcounts)?;
    let mut block = Block::empty(&image.header);
    for index in &blocks {
        if refcounts.read_part(*index, 0, &mut block).unwrap_or(false) {
            compare_block(image, walked, &block, *index);
        }
    }
    let entries = image.header.block_entries();
    let has_block = |index: u64| blocks.binary_search(&index).is_ok() || repeated.contains(&index);
    let Walked { counts, report, .. } = walked;
    counts.each(
        |clusters| (clusters.start / entries..=(clusters.end - 1) / entries).any(|index| !has_block(index)),
        |cluster, real| {
            if !has_block(cluster / entries) {
                judge(image, report, cluster, 0, real);
            }
        },
    );
    Ok(())
}

/// The refcount blocks that hold data, by number and in order; and those that lie where an earlier
/// one does, which the walk has reported: a table of nothing but one block must not cost more.
fn blocks_with_data(image: &Qcow2, refcounts: &Refcounts) -> Result<(Vec<u64>, HashSet<u64>)> {
    let mut all: Vec<(u64, u64)> = (0..refcounts.table.len() as u64)
        .filter_map(|index| Some((refcounts.block_offset(index).ok()??, index)))
        .collect();
    all.sort_unstable();
    let mut repeated = HashSet::new();
    all.dedup_by(|next, kept| next.0 == kept.0 && repeated.insert(next.1));
    // By place, so that one look at the file settles all blocks in the same hole.
    let mut hole_end = 0;
    let mut found = Vec::new();
    for (offset, index) in all {
        let end = offset.saturating_add(image.header.cluster_size());
        if end > hole_end {
            hole_end = image.file.data_range(offset)?.map_or(u64::MAX, |data| data.start);
        }
        if end > hole_end {
            found.push(index);
        }
    }
    found.sort_unstable();
    Ok((found, repeated))
}

fn compare_block(image: &Qcow2, walked: &mut Walked, block: &Block, index: u64) {
    let entries = image.header.block_entries();
    let mut i = 0;
    while i < entries {
        let first = index.saturating_mul(entries) + i;
        // Whole groups that agree need no look at each cluster.
        if let Some(group) = walked.counts.group(first, GROUP)
            && block.matches(i, group)
        {
            if let Some(last) = group.last() {
                let end = (first + last as u64 + 1).saturating_mul(image.header.cluster_size());
                walked.report.image_end_offset = walked.report.image_end_offset.max(end);
            }
            i += GROUP;
            continue;
        }
        if !block.is_zero(i, GROUP) || !walked.counts.is_blank(first, GROUP) {
            for k in 0..GROUP {
                let cluster = first + k;
                let real = walked.counts.get(cluster);
                judge(image, &mut walked.report, cluster, block.get(i + k), real);
            }
        }
        i += GROUP;
    }
}

fn judge(image: &Qcow2, report: &mut CheckReport, cluster: u64, recorded: u64, real: u64) {
    let offset = cluster.saturating_mul(image.header.cluster_size());
    if recorded != 0 || real != 0 {
        let end = offset.saturating_add(image.header.cluster_size());
        report.image_end_offset = report.image_end_offset.max(end);
    }
    if recorded != real {
        let severity = if recorded < real { Severity::Corruption } else { Severity::Leak };
        report.add_with(severity, offset, || {
            format!("cluster {cluster}: refcount {recorded}, {real} references")
        });
    }
}

/// COPIED in the active L1 table. (Entries of L2 tables are judged while walking.)
fn check_l1(image: &Qcow2, report: &mut CheckReport, refcounts: &mut Refcounts) -> Result<()> {
    let header = &image.header;
    let Ok(l1) = image.l1(State::Active) else { return Ok(()) };
    for (i, entry) in l1.used() {
        let Ok(Some(offset)) = l2_offset(header, entry) else { continue };
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
