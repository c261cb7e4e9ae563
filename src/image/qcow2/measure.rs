//! How large a qcow2 file would become: the arithmetic of its metadata, without making it.

use super::create::CreateOptions;
use crate::units::{align_up, div_up};

/// Bytes a file would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// With the data there is now. The tables are those of a full disk, as QEMU counts.
    pub required: u64,
    /// With every cluster allocated.
    pub fully_allocated: u64,
}

/// How large an image made with `options` becomes when `data` bytes of it, in whole clusters, are
/// allocated. The options must be possible.
pub fn measure(options: &CreateOptions, data: u64) -> Measure {
    let cluster = options.cluster_size;
    let size = align_up(options.virtual_size, cluster);
    let l2_entry = if options.extended_l2 { 16 } else { 8 };
    let l2_entries = align_up(size / cluster, cluster / l2_entry);
    let l2_bytes = l2_entries.saturating_mul(l2_entry);
    let l1_bytes = align_up(l2_bytes / cluster, cluster / 8).saturating_mul(8);
    let tables = cluster.saturating_add(l2_bytes).saturating_add(l1_bytes);
    let counted = tables.saturating_add(size) / cluster;
    let refcounts = refcount_clusters(counted, cluster, options.refcount_bits).saturating_mul(cluster);
    let metadata = tables.saturating_add(refcounts);
    Measure { required: metadata.saturating_add(data), fully_allocated: metadata.saturating_add(size) }
}

/// Clusters of refcount table and blocks that count `clusters`, and themselves.
fn refcount_clusters(clusters: u64, cluster_size: u64, bits: u32) -> u64 {
    let per_block = cluster_size.saturating_mul(8) / u64::from(bits);
    let mut own = 0;
    loop {
        let blocks = div_up(clusters.saturating_add(own), per_block);
        let now = blocks + div_up(blocks, cluster_size / 8);
        if now == own {
            return own;
        }
        own = now;
    }
}
