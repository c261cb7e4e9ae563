//! The fixed header ("Header"): 72 bytes in version 2, 104 or more in version 3, big endian.
//!
//! Bytes 8 to 71 hold every pointer of the image (backing name, size, L1, refcount table,
//! snapshots), so a write of sector 0 switches an image from one state to the next as a whole.

use zerocopy::byteorder::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::super::Encryption;
use crate::error::{Error, Result};
use crate::storage::{File, read_exact_or_zero};

pub(super) const MAGIC: u32 = 0x5146_49fb;
/// Sector 0: the unit that is written in one piece.
pub(super) const SECTOR: usize = 512;
pub(super) const V2_LENGTH: u32 = 72;
const V3_LENGTH: u32 = 104;
/// What we write: version 3 with the compression type and its padding.
pub(super) const OUR_V3_LENGTH: u32 = 112;

pub(super) const MIN_CLUSTER_BITS: u32 = 9;
pub(super) const MAX_CLUSTER_BITS: u32 = 21;
/// QEMU's limits; a larger claim is damage or malice.
pub(super) const MAX_L1_BYTES: u64 = 32 << 20;
const MAX_REFTABLE_BYTES: u64 = 8 << 20;
const MAX_BACKING_NAME: u32 = 1023;

pub(super) const INCOMPAT_DIRTY: u64 = 1;
pub(super) const INCOMPAT_CORRUPT: u64 = 1 << 1;
pub(super) const INCOMPAT_DATA_FILE: u64 = 1 << 2;
pub(super) const INCOMPAT_COMPRESSION: u64 = 1 << 3;
pub(super) const INCOMPAT_EXTENDED_L2: u64 = 1 << 4;
const INCOMPAT_KNOWN: u64 =
    INCOMPAT_DIRTY | INCOMPAT_CORRUPT | INCOMPAT_DATA_FILE | INCOMPAT_COMPRESSION | INCOMPAT_EXTENDED_L2;
pub(super) const COMPAT_LAZY_REFCOUNTS: u64 = 1;
/// The bitmaps extension describes the active state as it is.
pub(super) const AUTOCLEAR_BITMAPS: u64 = 1;
/// The external data file by itself reads as the active state.
pub(super) const AUTOCLEAR_RAW_DATA: u64 = 1 << 1;
/// Ours: a job is under way, and nobody else has opened the image for writing since it began.
pub(super) const AUTOCLEAR_JOB: u64 = 1 << 62;

/// Ours: a bit that nobody knows, so that nobody opens the image while what it reads through is in flight. Version
/// 2 has no such bits, and a version number that nobody knows does the same.
const INCOMPAT_FENCE: u64 = 1 << 62;
const VERSION_FENCE: u32 = 1 << 31;

/// Sector 0 with the fence up or down, and whether it was up.
pub(super) fn fenced(sector: &[u8; SECTOR], up: bool) -> ([u8; SECTOR], bool) {
    let mut sector = *sector;
    let Ok((raw, _)) = RawHeader::mut_from_prefix(&mut sector) else { return (sector, false) };
    if raw.magic.get() != MAGIC {
        return (sector, false);
    }
    let (version, bits) = (raw.version.get(), raw.incompatible.get());
    let is_old = version & !VERSION_FENCE == 2;
    let was = if is_old { version & VERSION_FENCE != 0 } else { bits & INCOMPAT_FENCE != 0 };
    match (is_old, up) {
        (true, true) => raw.version.set(version | VERSION_FENCE),
        (true, false) => raw.version.set(version & !VERSION_FENCE),
        (false, true) => raw.incompatible.set(bits | INCOMPAT_FENCE),
        (false, false) => raw.incompatible.set(bits & !INCOMPAT_FENCE),
    }
    (sector, was)
}

/// The header as it lies in the file.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct RawHeader {
    pub(super) magic: U32,
    pub(super) version: U32,
    pub(super) backing_offset: U64,
    pub(super) backing_size: U32,
    pub(super) cluster_bits: U32,
    pub(super) size: U64,
    pub(super) crypt_method: U32,
    pub(super) l1_size: U32,
    pub(super) l1_offset: U64,
    pub(super) reftable_offset: U64,
    pub(super) reftable_clusters: U32,
    pub(super) nb_snapshots: U32,
    pub(super) snapshots_offset: U64,
    // From here on only in version 3.
    pub(super) incompatible: U64,
    pub(super) compatible: U64,
    pub(super) autoclear: U64,
    pub(super) refcount_order: U32,
    pub(super) header_length: U32,
    pub(super) compression_type: u8,
    pub(super) padding: [u8; 7],
}

/// A checked header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) backing_offset: u64,
    pub(super) backing_size: u32,
    pub(super) cluster_bits: u32,
    pub(super) size: u64,
    pub(super) encryption: Option<Encryption>,
    pub(super) l1_size: u32,
    pub(super) l1_offset: u64,
    pub(super) reftable_offset: u64,
    pub(super) reftable_clusters: u32,
    pub(super) nb_snapshots: u32,
    pub(super) snapshots_offset: u64,
    pub(super) incompatible: u64,
    pub(super) compatible: u64,
    pub(super) autoclear: u64,
    pub(super) refcount_order: u32,
    pub(super) header_length: u32,
    pub(super) zstd: bool,
}

/// A header as it is found: what lies in the first sector when the fence is down.
struct Found {
    header: Header,
    sector: [u8; SECTOR],
    up: bool,
    /// Bytes of the file.
    len: u64,
}

impl Header {
    /// Reads and checks the header at the start of `file`.
    pub(super) fn read(file: &dyn File) -> Result<Self> {
        let Found { header, up, len, .. } = Self::find(file)?;
        if up {
            // Where the tables lie may make no sense behind it; what the header asks for does.
            return Err(Error::fenced());
        }
        header.check_placement(len)?;
        Ok(header)
    }

    /// The same, whether the fence is up or not; with sector 0 as it is when it is down, and whether it is up.
    pub(super) fn read_behind_fence(file: &dyn File) -> Result<(Self, [u8; SECTOR], bool)> {
        let Found { header, sector, up, len } = Self::find(file)?;
        header.check_placement(len)?;
        Ok((header, sector, up))
    }

    fn find(file: &dyn File) -> Result<Found> {
        let len = file.len()?;
        if len < u64::from(V2_LENGTH) {
            return Err(Error::corrupt(format!("file of {len} bytes is too short for a qcow2 header")));
        }
        let mut sector = [0; SECTOR];
        read_exact_or_zero(file, 0, &mut sector)?;
        let (sector, up) = fenced(&sector, false);
        Ok(Found { header: Self::parse(&sector)?, sector, up, len })
    }

    /// Checks what can be judged without knowing the file.
    pub(super) fn parse(sector: &[u8; SECTOR]) -> Result<Self> {
        let Ok((raw, _)) = RawHeader::read_from_prefix(sector) else {
            return Err(Error::corrupt("file too short for a qcow2 header"));
        };
        let field = |name: &str, value: u64, offset: u64| {
            Error::corrupt(format!("qcow2 header field {name} has the impossible value {value}"))
                .offset(offset)
        };
        if raw.magic.get() != MAGIC {
            return Err(Error::corrupt("not a qcow2 image: wrong magic").offset(0));
        }
        let version = raw.version.get();
        if version != 2 && version != 3 {
            return Err(Error::unsupported(format!("qcow2 version {version} is not 2 or 3")).offset(4));
        }
        let v3 = version == 3;
        let cluster_bits = raw.cluster_bits.get();
        if !(MIN_CLUSTER_BITS..=MAX_CLUSTER_BITS).contains(&cluster_bits) {
            return Err(field("cluster_bits", cluster_bits.into(), 20));
        }
        let header_length = if v3 { raw.header_length.get() } else { V2_LENGTH };
        if header_length < if v3 { V3_LENGTH } else { V2_LENGTH }
            || !header_length.is_multiple_of(8)
            || u64::from(header_length) > 1 << cluster_bits
        {
            return Err(field("header_length", header_length.into(), 100));
        }
        let incompatible = if v3 { raw.incompatible.get() } else { 0 };
        let unknown = incompatible & !INCOMPAT_KNOWN;
        if unknown != 0 {
            let bits: Vec<_> = (0..64).filter(|b| unknown >> b & 1 == 1).map(|b| b.to_string()).collect();
            return Err(Error::unsupported(format!("unknown incompatible feature bit {}", bits.join(", ")))
                .offset(72));
        }
        let has_type = v3 && header_length > V3_LENGTH;
        let compression_type = if has_type { raw.compression_type } else { 0 };
        if compression_type > 1 || (compression_type != 0) != (incompatible & INCOMPAT_COMPRESSION != 0) {
            return Err(field("compression_type", compression_type.into(), 104));
        }
        if incompatible & INCOMPAT_EXTENDED_L2 != 0 && cluster_bits < 14 {
            return Err(field("cluster_bits (with extended L2 entries)", cluster_bits.into(), 20));
        }
        let refcount_order = if v3 { raw.refcount_order.get() } else { 4 };
        if refcount_order > 6 {
            return Err(field("refcount_order", refcount_order.into(), 96));
        }
        let backing_size = raw.backing_size.get();
        if raw.backing_offset.get() != 0 && (backing_size == 0 || backing_size > MAX_BACKING_NAME) {
            return Err(field("backing_file_size", backing_size.into(), 16));
        }
        let encryption = match raw.crypt_method.get() {
            0 => None,
            1 => Some(Encryption::Aes),
            2 => Some(Encryption::Luks),
            other => return Err(Error::unsupported(format!("unknown encryption method {other}")).offset(32)),
        };
        let header = Self {
            version,
            backing_offset: raw.backing_offset.get(),
            backing_size,
            cluster_bits,
            size: raw.size.get(),
            encryption,
            l1_size: raw.l1_size.get(),
            l1_offset: raw.l1_offset.get(),
            reftable_offset: raw.reftable_offset.get(),
            reftable_clusters: raw.reftable_clusters.get(),
            nb_snapshots: raw.nb_snapshots.get(),
            snapshots_offset: raw.snapshots_offset.get(),
            incompatible,
            compatible: if v3 { raw.compatible.get() } else { 0 },
            autoclear: if v3 { raw.autoclear.get() } else { 0 },
            refcount_order,
            header_length,
            zstd: compression_type == 1,
        };
        header.check_limits()?;
        Ok(header)
    }

    fn check_limits(&self) -> Result<()> {
        let l1_bytes = u64::from(self.l1_size) * 8;
        if l1_bytes > MAX_L1_BYTES {
            return Err(Error::corrupt(format!(
                "L1 table of {l1_bytes} bytes is larger than {MAX_L1_BYTES}"
            ))
            .offset(36));
        }
        if u64::from(self.l1_size) < self.l1_entries_for(self.size) {
            return Err(Error::corrupt(format!(
                "L1 table of {} entries is too small for a disk of {} bytes",
                self.l1_size, self.size
            ))
            .offset(36));
        }
        let reftable_bytes = u64::from(self.reftable_clusters) << self.cluster_bits;
        if reftable_bytes > MAX_REFTABLE_BYTES || self.reftable_clusters == 0 {
            return Err(
                Error::corrupt(format!("refcount table of {reftable_bytes} bytes is impossible")).offset(56)
            );
        }
        let name_end = self.backing_offset.saturating_add(self.backing_size.into());
        if self.backing_offset != 0
            && (self.backing_offset < self.header_length.into() || name_end > self.cluster_size())
        {
            return Err(Error::corrupt("backing file name lies outside the first cluster").offset(8));
        }
        Ok(())
    }

    fn check_placement(&self, file_len: u64) -> Result<()> {
        let tables = [
            ("L1 table", self.l1_offset, u64::from(self.l1_size) * 8, 40),
            (
                "refcount table",
                self.reftable_offset,
                u64::from(self.reftable_clusters) << self.cluster_bits,
                48,
            ),
        ];
        for (what, offset, bytes, field) in tables {
            if bytes == 0 {
                continue;
            }
            if offset < self.cluster_size() || !offset.is_multiple_of(self.cluster_size()) {
                return Err(Error::corrupt(format!(
                    "{what} offset {offset:#x} is not the start of a cluster"
                ))
                .offset(field));
            }
            // The last cluster of a file need not be written out in full.
            if offset.saturating_add(bytes) >= file_len.saturating_add(self.cluster_size()) {
                return Err(Error::corrupt(format!("{what} at {offset:#x} lies beyond the end of the file"))
                    .offset(field));
            }
        }
        Ok(())
    }

    /// Sector 0 with this header's fields in place of those in `old` (which keeps unknown bytes).
    pub(super) fn store(&self, old: &[u8; SECTOR]) -> Result<[u8; SECTOR]> {
        let mut sector = *old;
        let Ok((raw, _)) = RawHeader::mut_from_prefix(&mut sector) else {
            return Err(Error::corrupt("file too short for a qcow2 header"));
        };
        raw.backing_offset.set(self.backing_offset);
        raw.backing_size.set(self.backing_size);
        raw.size.set(self.size);
        raw.l1_size.set(self.l1_size);
        raw.l1_offset.set(self.l1_offset);
        raw.reftable_offset.set(self.reftable_offset);
        raw.reftable_clusters.set(self.reftable_clusters);
        raw.nb_snapshots.set(self.nb_snapshots);
        raw.snapshots_offset.set(self.snapshots_offset);
        if self.version == 3 {
            raw.incompatible.set(self.incompatible);
            raw.autoclear.set(self.autoclear);
        }
        Ok(sector)
    }

    /// Bytes per cluster.
    pub(super) fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Bytes per L2 entry: 16 with subclusters.
    pub(super) fn l2_entry_size(&self) -> u64 {
        if self.extended_l2() { 16 } else { 8 }
    }

    /// Entries per L2 table.
    pub(super) fn l2_entries(&self) -> u64 {
        self.cluster_size() / self.l2_entry_size()
    }

    /// Guest bytes that one L2 table covers.
    pub(super) fn l2_coverage(&self) -> u64 {
        self.l2_entries() << self.cluster_bits
    }

    /// L1 entries that a disk of `size` bytes needs.
    pub(super) fn l1_entries_for(&self, size: u64) -> u64 {
        crate::units::div_up(size, self.l2_coverage())
    }

    /// Refcounts per refcount block.
    pub(super) fn block_entries(&self) -> u64 {
        (self.cluster_size() * 8) >> self.refcount_order
    }

    pub(super) fn extended_l2(&self) -> bool {
        self.incompatible & INCOMPAT_EXTENDED_L2 != 0
    }

    /// Guest clusters lie in another file, each at its guest offset and without a refcount.
    pub(super) fn external_data(&self) -> bool {
        self.incompatible & INCOMPAT_DATA_FILE != 0
    }
}
