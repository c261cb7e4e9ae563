//! What one L1 or L2 entry means ("L1 table entry", "L2 table entry").

use super::header::Header;
use crate::error::{Error, Result};

/// The cluster has exactly one reference, so it may be written in place.
pub(super) const COPIED: u64 = 1 << 63;
const COMPRESSED: u64 = 1 << 62;
/// Plain zero flag, version 3 without subclusters.
const ZERO: u64 = 1;
/// Bits of an L1 or plain L2 entry that are an offset.
pub(super) const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;

/// Subcluster bitmap of a cluster that is wholly data.
pub(super) const ALL_ALLOCATED: u64 = u32::MAX as u64;

/// The entry (with its bitmap) of a cluster that is wholly zeros and needs no space.
pub(super) fn zeros(header: &Header) -> (u64, u64) {
    if header.extended_l2() { (0, ALL_ALLOCATED << 32) } else { (ZERO, 0) }
}

/// A decoded L2 entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Unallocated,
    /// Zeros, perhaps with a cluster kept for them.
    Zero {
        host: Option<u64>,
    },
    Data {
        host: u64,
    },
    Compressed {
        host: u64,
        bytes: u64,
    },
    /// A cluster whose 32 parts are allocated or zero on their own.
    Sub {
        host: Option<u64>,
        allocated: u32,
        zero: u32,
    },
}

/// The L2 table offset of an L1 entry; `None` when there is no table.
pub(super) fn l2_offset(header: &Header, entry: u64) -> Result<Option<u64>> {
    let offset = entry & OFFSET_MASK;
    if offset == 0 {
        return Ok(None);
    }
    if !offset.is_multiple_of(header.cluster_size()) {
        return Err(Error::corrupt(format!("L2 table offset {offset:#x} is not the start of a cluster")));
    }
    Ok(Some(offset))
}

/// Decodes an L2 entry; `bitmap` is the second half of an extended one, 0 otherwise.
pub(super) fn decode(header: &Header, entry: u64, bitmap: u64) -> Result<Entry> {
    if entry & COMPRESSED != 0 {
        return decode_compressed(header, entry);
    }
    let offset = entry & OFFSET_MASK;
    if !offset.is_multiple_of(header.cluster_size()) {
        return Err(Error::corrupt(format!("data offset {offset:#x} is not the start of a cluster")));
    }
    // The first cluster of an external data file lies at offset 0; then the flag tells.
    let placed = offset != 0 || header.external_data() && entry & COPIED != 0;
    if header.extended_l2() {
        let (allocated, zero) = (bitmap as u32, (bitmap >> 32) as u32);
        if allocated & zero != 0 || (allocated != 0 && !placed) {
            return Err(Error::corrupt(format!("subcluster bitmap {bitmap:#x} contradicts itself")));
        }
        return Ok(match (placed, allocated, zero) {
            (false, 0, 0) => Entry::Unallocated,
            (true, u32::MAX, 0) => Entry::Data { host: offset },
            _ => Entry::Sub { host: placed.then_some(offset), allocated, zero },
        });
    }
    if header.version >= 3 && entry & ZERO != 0 {
        return Ok(Entry::Zero { host: placed.then_some(offset) });
    }
    Ok(if placed { Entry::Data { host: offset } } else { Entry::Unallocated })
}

fn decode_compressed(header: &Header, entry: u64) -> Result<Entry> {
    if header.encryption.is_some() {
        return Err(Error::corrupt("a compressed cluster in an encrypted image"));
    }
    // Offset in bits 0 to x-1, additional sectors in bits x to 61; x = 62 - (cluster_bits - 8).
    let x = 62 - (header.cluster_bits - 8);
    let host = entry & ((1 << x) - 1);
    let sectors = ((entry & !(COPIED | COMPRESSED)) >> x) + 1;
    let bytes = sectors * 512 - (host & 511);
    Ok(Entry::Compressed { host, bytes })
}

/// The entry of a compressed cluster of `len` bytes at `host`; `None` when it lies too far out.
pub(super) fn compressed(header: &Header, host: u64, len: u64) -> Option<u64> {
    let x = 62 - (header.cluster_bits - 8);
    let more_sectors = (host + len - 1) / 512 - host / 512;
    (host >> x == 0).then_some(host | more_sectors << x | COMPRESSED)
}

impl Entry {
    /// Host bytes of this file that the entry holds a reference to: offset and length.
    pub(super) fn counted(&self, header: &Header) -> Option<(u64, u64)> {
        self.place(header).filter(|_| !header.external_data())
    }

    /// Host bytes the entry is about, in whichever file data lies: offset and length.
    pub(super) fn place(&self, header: &Header) -> Option<(u64, u64)> {
        match *self {
            Self::Unallocated | Self::Zero { host: None } | Self::Sub { host: None, .. } => None,
            Self::Zero { host: Some(host) } | Self::Data { host } | Self::Sub { host: Some(host), .. } => {
                Some((host, header.cluster_size()))
            }
            Self::Compressed { host, bytes } => Some((host, bytes)),
        }
    }

    pub(super) fn is_compressed(&self) -> bool {
        matches!(self, Self::Compressed { .. })
    }
}
