//! A small, sound QED image, byte by byte: clusters of 4 KiB, tables of one cluster. Cluster 0 is the
//! header, 1 the L1 table, 2 the L2 table, 3 and 4 data for guest cluster 0 and 1; 2 is zero.

use crate::build::Bytes;

pub(crate) const CLUSTER: u64 = 4096;
pub(crate) const SIZE: u64 = 1 << 20;

/// A sound image.
pub(crate) fn qed() -> Bytes {
    header(0, b"")
        .le64(CLUSTER, 2 * CLUSTER)
        .le64(2 * CLUSTER, 3 * CLUSTER)
        .le64(2 * CLUSTER + 8, 4 * CLUSTER)
        .le64(2 * CLUSTER + 16, 1)
        .put(3 * CLUSTER, &vec![0x11; CLUSTER as usize])
        .put(4 * CLUSTER, &vec![0x22; CLUSTER as usize])
}

/// An image without data, over a backing file (with the bit that says it is raw, or not).
pub(crate) fn over(name: &[u8], raw: bool) -> Bytes {
    header(1 | u64::from(raw) << 2, name)
}

fn header(features: u64, name: &[u8]) -> Bytes {
    Bytes::new(vec![0; 2 * CLUSTER as usize])
        .put(0, b"QED\0")
        .le32(4, CLUSTER as u32)
        .le32(8, 1)
        .le32(12, 1)
        .le64(16, features)
        .le64(40, CLUSTER)
        .le64(48, SIZE)
        .le32(56, 64)
        .le32(60, name.len() as u32)
        .put(64, name)
}
