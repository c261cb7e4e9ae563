//! The verdict: what is referred to against what the refcount blocks record.
//!
//! It is meant to be QEMU's: a recorded count above the real one is a leak, one below is
//! corruption; in the active tree the COPIED flag must be set exactly where the count is 1.

use std::collections::HashSet;

use super::block::Block;
use super::chunk::GROUP;
use super::counts::Counts;
use super::entry::{COPIED, l2_offset};
use super::image::Qcow2;
use super::refcounts::Refcounts;
use super::walk::Walked;
use crate::error::Result;
use crate::image::{CheckReport, Severity, State};
use crate::units::div_up;

/// Bytes that counting may take. A fully allocated image of 16 TiB at the usual cluster size needs
/// fewer; what does not fit is left to another pass.
const BUDGET: usize = 48 << 20;

/// Checks an image.
pub(super) fn check(image: &Qcow2) -> Result<CheckReport> {
    check_within(image, BUDGET)
}

fn check_within(image: &Qcow2, budget: usize) -> Result<CheckReport> {
    let mut refcounts = Refcounts::open(&image.file, &image.header)?;
    let mut walked = Walked::new(Counts::new(0, budget));
    walked.walk(image, &mut refcounts)?;
    walked.report.total_clusters = div_up(image.header.size, image.header.cluster_size());
    let blocks = Blocks::with_data(image, &refcounts)?;
    compare(image, &mut walked, &refcounts, &blocks);
    while walked.counts.window().end != u64::MAX {
        walked.again(budget);
        walked.walk(image, &mut refcounts)?;
        compare(image, &mut walked, &refcounts, &blocks);
    }
    check_l1(image, &mut walked.report, &mut refcounts)?;
    Ok(walked.report)
}

/// Compares what blocks record, then what is counted where no block is: what a sparse file leaves
/// out costs nothing.
fn compare(image: &Qcow2, walked: &mut Walked, refcounts: &Refcounts, blocks: &Blocks) {
    let entries = image.header.block_entries();
    let window = walked.counts.window();
    let mut block = Block::empty(&image.header);
    for index in &blocks.with_data {
        let first = index.saturating_mul(entries);
        if first < window.end
            && first.saturating_add(entries) > window.start
            && refcounts.read_part(*index, 0, &mut block).unwrap_or(false)
        {
            compare_block(image, walked, &block, *index);
        }
    }
    let has_block =
        |index: u64| blocks.with_data.binary_search(&index).is_ok() || blocks.repeated.contains(&index);
    let Walked { counts, report, .. } = walked;
    counts.each(
        |clusters| (clusters.start / entries..=(clusters.end - 1) / entries).any(|index| !has_block(index)),
        |cluster, real| {
            if !has_block(cluster / entries) {
                judge(image, report, cluster, 0, real);
            }
        },
    );
}

/// Refcount blocks by number.
struct Blocks {
    /// Those that hold data, in order.
    with_data: Vec<u64>,
    /// Those that lie where an earlier one does, which the walk has reported: a table of nothing but
    /// one block must not cost more.
    repeated: HashSet<u64>,
}

impl Blocks {
    fn with_data(image: &Qcow2, refcounts: &Refcounts) -> Result<Self> {
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
        Ok(Self { with_data: found, repeated })
    }
}

fn compare_block(image: &Qcow2, walked: &mut Walked, block: &Block, index: u64) {
    let entries = image.header.block_entries();
    let start = index.saturating_mul(entries);
    // The window begins and ends with a chunk, so with a group.
    let window = walked.counts.window();
    let part = window.start.max(start)..window.end.min(start.saturating_add(entries));
    for first in part.step_by(GROUP as usize) {
        let i = first - start;
        // Whole groups that agree need no look at each cluster.
        if let Some(group) = walked.counts.group(first)
            && block.matches(i, group)
        {
            if let Some(last) = group.last() {
                let end = (first + last as u64 + 1).saturating_mul(image.header.cluster_size());
                walked.report.image_end_offset = walked.report.image_end_offset.max(end);
            }
        } else if !block.is_zero(i, GROUP) || !walked.counts.is_blank(first) {
            for k in 0..GROUP {
                let cluster = first + k;
                let real = walked.counts.get(cluster);
                judge(image, &mut walked.report, cluster, block.get(i + k), real);
            }
        }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{CreateOptions, create};
    use super::*;
    use crate::storage::{File, MemFile};

    #[test]
    fn passes_find_what_one_does() {
        let file = Arc::new(MemFile::new("x", Vec::new()));
        let options = CreateOptions { cluster_size: 512, virtual_size: 64 << 20, ..CreateOptions::default() };
        create(&*file, &options).unwrap();
        let l1_offset = Qcow2::open(file.clone() as Arc<dyn File>).unwrap().header.l1_offset;
        for i in 0..300 {
            let entry = (1 << 20) + i * (100 << 10) + if i == 7 { 8 } else { 0 };
            file.write_at(l1_offset + i * 8, &(entry | COPIED).to_be_bytes()).unwrap();
        }
        // An L2 table among them, with a cluster far away and one in the refcount table.
        file.write_at(1 << 20, &((30 << 20) | COPIED).to_be_bytes()).unwrap();
        file.write_at((1 << 20) + 8, &(512u64 | COPIED).to_be_bytes()).unwrap();
        file.set_len(40 << 20).unwrap();
        let image = Qcow2::open(file as Arc<dyn File>).unwrap();
        let whole = check_within(&image, usize::MAX).unwrap();
        assert!(whole.corruptions > 600 && whole.corruptions < CheckReport::MAX_FINDINGS as u64);
        for budget in [100, 2000] {
            let mut passes = check_within(&image, budget).unwrap();
            let mut whole = whole.clone();
            for report in [&mut passes, &mut whole] {
                report.findings.sort_by_key(|f| (f.offset, f.message.clone()));
            }
            assert_eq!(passes, whole);
        }
    }
}
