//! The smallest valid images, byte by byte.

/// A QED image of 1 MiB without data: header, then an empty L1 table.
pub(crate) fn qed(backing: Option<&str>, backing_is_raw: bool) -> Vec<u8> {
    let name = backing.unwrap_or_default();
    let features = u64::from(backing.is_some()) | u64::from(backing_is_raw) << 2;
    let mut bytes = b"QED\0".to_vec();
    for value in [4096_u32, 1, 1] {
        bytes.extend(value.to_le_bytes());
    }
    for value in [features, 0, 0, 4096, 1 << 20] {
        bytes.extend(value.to_le_bytes());
    }
    for value in [64, name.len() as u32] {
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(name.as_bytes());
    bytes.resize(2 * 4096, 0);
    bytes
}

/// A qcow2 image (version 3) of 1 MiB without data: header, refcount table and block, L1 table.
pub(crate) fn qcow2(backing: Option<&str>, format: Option<&str>) -> Vec<u8> {
    const CLUSTER: u64 = 65536;
    let mut extensions = Vec::new();
    if let Some(format) = format {
        extensions.extend(0xe279_2aca_u32.to_be_bytes());
        extensions.extend((format.len() as u32).to_be_bytes());
        extensions.extend(format.as_bytes());
        extensions.resize(extensions.len().next_multiple_of(8), 0);
    }
    extensions.extend([0; 8]);
    let name = backing.unwrap_or_default().as_bytes();
    let name_at = if backing.is_some() { 104 + extensions.len() as u64 } else { 0 };
    let mut bytes = b"QFI\xfb\0\0\0\x03".to_vec();
    bytes.extend(name_at.to_be_bytes());
    for value in [name.len() as u32, 16] {
        bytes.extend(value.to_be_bytes());
    }
    bytes.extend((1_u64 << 20).to_be_bytes());
    for value in [0_u32, 1] {
        bytes.extend(value.to_be_bytes());
    }
    for value in [3 * CLUSTER, CLUSTER] {
        bytes.extend(value.to_be_bytes());
    }
    for value in [1_u32, 0] {
        bytes.extend(value.to_be_bytes());
    }
    for value in [0_u64, 0, 0, 0] {
        bytes.extend(value.to_be_bytes());
    }
    for value in [4_u32, 104] {
        bytes.extend(value.to_be_bytes());
    }
    bytes.extend(extensions);
    bytes.extend(name);
    bytes.resize(CLUSTER as usize, 0);
    bytes.extend((2 * CLUSTER).to_be_bytes());
    bytes.resize(2 * CLUSTER as usize, 0);
    for _ in 0..4 {
        bytes.extend([0, 1]);
    }
    bytes.resize(4 * CLUSTER as usize, 0);
    bytes
}
