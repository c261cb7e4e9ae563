//! How many clusters a file has in which nothing is wasted.

use super::create::CreateOptions;
use crate::units::div_up;

/// Clusters of an image in file order: header, refcount table, refcount blocks, L1 table, and then
/// L2 tables and data in any order.
pub(super) struct Layout {
    pub(super) table: u64,
    pub(super) blocks: u64,
    pub(super) l1: u64,
    /// L2 tables and data.
    rest: u64,
    pub(super) per_block: u64,
}

impl Layout {
    /// The options must be possible.
    pub(super) fn new(options: &CreateOptions, rest: u64) -> Self {
        let per_block = options.cluster_size * 8 / u64::from(options.refcount_bits);
        let l1 = div_up(options.l1_entries() * 8, options.cluster_size);
        let mut layout = Self { table: 1, blocks: 1, l1, rest, per_block };
        // Blocks count themselves too; a few rounds settle it.
        while layout.used() > layout.blocks * per_block {
            layout.blocks = div_up(layout.used(), per_block);
            layout.table = div_up(layout.blocks * 8, options.cluster_size);
        }
        layout
    }

    pub(super) fn used(&self) -> u64 {
        1 + self.table + self.blocks + self.l1 + self.rest
    }
}
