//! How large a file would become, without making it.

/// How a format maps a disk: by tables of clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    /// Guest bytes of a cluster, a power of two.
    pub cluster: u64,
    /// Guest bytes that one table maps, a power of two.
    pub table: u64,
}

/// What of a disk is mapped to data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Clusters in which any byte is data.
    pub clusters: u64,
    /// Tables that map any of them.
    pub tables: u64,
}

/// Length in bytes of a file, up to the end of its last cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// With the data there is now, and the metadata that it needs; nothing in between.
    pub required: u64,
    /// With every cluster of the disk.
    pub fully_allocated: u64,
}

impl Units {
    /// A disk of `size` bytes, all of it.
    pub(super) fn whole(self, size: u64) -> Used {
        Used { clusters: size.div_ceil(self.cluster), tables: size.div_ceil(self.table) }
    }
}
