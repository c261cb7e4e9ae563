//! The QED header: 64 bytes, little endian (docs/interop/qed_spec, "Header").

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::{Error, Result};
use crate::image::BackingRef;
use crate::storage::File;
use crate::units::{Host, align_down, align_up};

/// The image has a backing file.
const BACKING_FILE: u64 = 1;
/// The image was not closed cleanly.
const NEED_CHECK: u64 = 2;
/// The backing file is raw and must not be probed.
const BACKING_IS_RAW: u64 = 4;
/// A feature of ours that nobody knows, so that nobody opens the image while what it reads through is in flight.
const FENCE: u64 = 1 << 62;
/// An autoclear feature of ours: a job is under way, and nobody else has opened the image for writing
/// since it began.
const AUTOCLEAR_JOB: u64 = 1 << 62;

pub(super) const CLUSTER_SIZES: std::ops::RangeInclusive<u64> = (4 << 10)..=(64 << 20);
const TABLE_SIZES: std::ops::RangeInclusive<u64> = 1..=16;
/// The same bound as for qcow2; longer names cannot be opened by QEMU.
pub(super) const MAX_BACKING_NAME: u32 = 1023;
/// Bytes of the header proper; the backing name lies somewhere behind them.
pub(super) const LEN: u64 = size_of::<Layout>() as u64;
/// What is written at once. The header changes in one write of its first sector.
pub(super) const SECTOR: usize = 512;
/// Larger tables, in bytes, make images that no QEMU opens; they are read but not written.
const MAX_TABLE_BYTES: u64 = 16 << 20;

/// The header as it lies on disk.
#[derive(Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Layout {
    magic: [u8; 4],
    cluster_size: U32,
    table_size: U32,
    header_size: U32,
    features: U64,
    compat_features: U64,
    autoclear_features: U64,
    l1_table_offset: U64,
    image_size: U64,
    backing_filename_offset: U32,
    backing_filename_size: U32,
}

/// A header whose every number was checked against the file and against the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) cluster_size: u64,
    /// Clusters per table.
    pub(super) table_size: u32,
    /// Clusters of the header.
    pub(super) header_clusters: u64,
    pub(super) l1: Host,
    pub(super) image_size: u64,
    pub(super) need_check: bool,
    /// The mark of a job.
    pub(super) marked: bool,
    /// Whether nobody is to open the image.
    pub(super) fenced: bool,
    pub(super) backing: Option<BackingRef>,
    /// Offset and length of the backing name.
    pub(super) backing_place: (u32, u32),
    /// Length of the file in whole clusters: QEMU counts nothing that lies in a partial one. It
    /// takes every file for whole sectors, though.
    pub(super) file_size: u64,
}

impl Header {
    /// Reads and checks the header of `file`.
    pub(super) fn read(file: &dyn File) -> Result<Self> {
        let header = Self::read_behind_fence(file)?;
        if header.fenced { Err(Error::fenced()) } else { Ok(header) }
    }

    /// The same, whether the fence is up or not.
    pub(super) fn read_behind_fence(file: &dyn File) -> Result<Self> {
        let len = file.len()?;
        let mut bytes = [0; size_of::<Layout>()];
        let n = file.read_at(0, &mut bytes)?;
        let layout = match Layout::read_from_bytes(&bytes) {
            Ok(layout) if n == bytes.len() => layout,
            _ => {
                let what = format!("file ends inside the QED header ({n} of {LEN} bytes)");
                return Err(Error::corrupt(what).offset(n as u64));
            }
        };
        if layout.magic != *b"QED\0" {
            return Err(Error::corrupt("magic is not that of a QED image").offset(0));
        }
        let header = layout.check(len)?;
        let backing = layout.backing(file, header.header_clusters * header.cluster_size)?;
        Ok(Self { backing, ..header })
    }

    /// Bytes of one table.
    pub(super) fn table_bytes(&self) -> u64 {
        u64::from(self.table_size) * self.cluster_size
    }

    /// Entries of one table.
    pub(super) fn table_entries(&self) -> u64 {
        self.table_bytes() / 8
    }

    /// Guest bytes that one L2 table maps. At most 2^53 for the largest clusters and tables.
    pub(super) fn l2_span(&self) -> u64 {
        self.table_entries() * self.cluster_size
    }

    /// The largest virtual size that the tables can map; saturates.
    pub(super) fn mappable(&self) -> u64 {
        self.table_entries().saturating_mul(self.l2_span())
    }

    /// Refuses what cowherd does not write: tables of a size that QEMU cannot open either.
    pub(super) fn writable(&self) -> Result<()> {
        if self.table_bytes() > MAX_TABLE_BYTES {
            let what = format!("tables of {} bytes are too large to be written", self.table_bytes());
            return Err(Error::unsupported(what).offset(8));
        }
        Ok(())
    }

    /// Sector 0 with what may change in it; `old` is the sector as it lies in the file. Autoclear
    /// features are cleared, because none is known but the mark.
    pub(super) fn store(&self, old: &[u8; SECTOR]) -> [u8; SECTOR] {
        let mut sector = *old;
        let (head, _) = sector.split_at_mut(LEN as usize);
        if let Ok(mut layout) = Layout::read_from_bytes(head) {
            let raw = self.backing.as_ref().is_some_and(|b| b.format.as_deref() == Some("raw"));
            let bits = [
                (BACKING_FILE, self.backing.is_some()),
                (NEED_CHECK, self.need_check),
                (BACKING_IS_RAW, raw),
                (FENCE, self.fenced),
            ];
            layout.features.set(bits.into_iter().filter(|(_, on)| *on).map(|(bit, _)| bit).sum());
            layout.autoclear_features.set(if self.marked { AUTOCLEAR_JOB } else { 0 });
            layout.l1_table_offset.set(self.l1.0);
            layout.image_size.set(self.image_size);
            layout.backing_filename_offset.set(self.backing_place.0);
            layout.backing_filename_size.set(self.backing_place.1);
            head.copy_from_slice(layout.as_bytes());
        }
        sector
    }

    /// The sector 0 of a new image with these facts.
    pub(super) fn new_sector(&self) -> [u8; SECTOR] {
        let mut layout = Layout::new_zeroed();
        layout.magic = *b"QED\0";
        // Both are at most 2^26.
        layout.cluster_size.set(self.cluster_size as u32);
        layout.header_size.set(self.header_clusters as u32);
        layout.table_size.set(self.table_size);
        let mut sector = [0; SECTOR];
        sector[..LEN as usize].copy_from_slice(layout.as_bytes());
        self.store(&sector)
    }

    /// Whether a cluster may lie at `offset`: aligned, behind the header, wholly in the file.
    pub(super) fn is_cluster(&self, offset: u64) -> bool {
        Host(offset).is_aligned(self.cluster_size)
            && offset >= self.header_clusters * self.cluster_size
            && offset < self.file_size
    }

    /// Whether a table may lie at `offset`.
    pub(super) fn is_table(&self, offset: u64) -> bool {
        let end = offset.checked_add(self.table_bytes());
        self.is_cluster(offset) && end.is_some_and(|end| end <= self.file_size)
    }
}

impl Layout {
    /// Everything but the backing name.
    fn check(&self, file_len: u64) -> Result<Header> {
        let cluster_size = u64::from(self.cluster_size.get());
        if !cluster_size.is_power_of_two() || !CLUSTER_SIZES.contains(&cluster_size) {
            let what = format!("cluster_size {cluster_size} is not a power of two from 4096 to 67108864");
            return Err(Error::corrupt(what).offset(4));
        }
        let table_size = u64::from(self.table_size.get());
        if !table_size.is_power_of_two() || !TABLE_SIZES.contains(&table_size) {
            let what = format!("table_size {table_size} is not a power of two from 1 to 16");
            return Err(Error::corrupt(what).offset(8));
        }
        let header_clusters = u64::from(self.header_size.get());
        // Cannot overflow: 2^32 clusters of 2^26 bytes.
        if header_clusters == 0 || header_clusters * cluster_size > file_len {
            let what =
                format!("header_size of {header_clusters} clusters does not fit a file of {file_len} bytes");
            return Err(Error::corrupt(what).offset(12));
        }
        let features = self.features.get();
        let unknown = features & !(BACKING_FILE | NEED_CHECK | BACKING_IS_RAW | FENCE);
        if unknown != 0 {
            let bits: Vec<_> =
                (0..64).filter(|b| unknown >> b & 1 == 1).map(|b: u32| b.to_string()).collect();
            let what = format!("unknown QED feature bit {}", bits.join(", "));
            return Err(Error::unsupported(what).offset(16));
        }
        let header = Header {
            cluster_size,
            table_size: self.table_size.get(),
            header_clusters,
            l1: Host(self.l1_table_offset.get()),
            image_size: self.image_size.get(),
            need_check: features & NEED_CHECK != 0,
            marked: self.autoclear_features.get() & AUTOCLEAR_JOB != 0,
            fenced: features & FENCE != 0,
            backing: None,
            backing_place: (self.backing_filename_offset.get(), self.backing_filename_size.get()),
            file_size: align_down(align_up(file_len, SECTOR as u64), cluster_size),
        };
        if !header.is_table(header.l1.0) {
            let what = format!("l1_table_offset {} is misaligned or outside the file", header.l1);
            return Err(Error::corrupt(what).offset(40));
        }
        // At most 2^27 entries that map 2^53 bytes each: saturates at most.
        let mappable = header.mappable();
        if !header.image_size.is_multiple_of(512) || header.image_size > mappable {
            let what = format!("image_size {} is not a multiple of 512 up to {mappable}", header.image_size);
            return Err(Error::corrupt(what).offset(48));
        }
        Ok(header)
    }

    fn backing(&self, file: &dyn File, header_bytes: u64) -> Result<Option<BackingRef>> {
        let features = self.features.get();
        if features & BACKING_FILE == 0 {
            return Ok(None);
        }
        let size = self.backing_filename_size.get();
        if size == 0 || size > MAX_BACKING_NAME {
            let what = format!("backing_filename_size {size} is not between 1 and {MAX_BACKING_NAME}");
            return Err(Error::corrupt(what).offset(60));
        }
        let start = u64::from(self.backing_filename_offset.get());
        if start < LEN || start + u64::from(size) > header_bytes {
            let what = format!("backing_filename_offset {start} leads outside the header");
            return Err(Error::corrupt(what).offset(56));
        }
        let mut name = vec![0; size as usize];
        let n = file.read_at(start, &mut name)?;
        if n < name.len() || name.contains(&0) {
            return Err(Error::corrupt("backing file name contains a NUL byte").offset(start));
        }
        let format = (features & BACKING_IS_RAW != 0).then(|| "raw".to_owned());
        Ok(Some(BackingRef { name: OsString::from_vec(name), format }))
    }
}
