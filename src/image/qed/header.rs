//! The QED header: 64 bytes, little endian (docs/interop/qed_spec, "Header").

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::error::{Error, Result};
use crate::image::BackingRef;
use crate::storage::File;
use crate::units::{Host, align_down};

/// The image has a backing file.
const BACKING_FILE: u64 = 1;
/// The image was not closed cleanly.
const NEED_CHECK: u64 = 2;
/// The backing file is raw and must not be probed.
const BACKING_IS_RAW: u64 = 4;

const CLUSTER_SIZES: std::ops::RangeInclusive<u64> = (4 << 10)..=(64 << 20);
const TABLE_SIZES: std::ops::RangeInclusive<u64> = 1..=16;
/// The same bound as for qcow2; longer names cannot be opened by QEMU.
const MAX_BACKING_NAME: u32 = 1023;
const LEN: u64 = size_of::<Layout>() as u64;

/// The header as it lies on disk.
#[derive(Debug, FromBytes, KnownLayout, Immutable, Unaligned)]
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
#[derive(Debug)]
pub(super) struct Header {
    pub(super) cluster_size: u64,
    /// Clusters per table.
    pub(super) table_size: u32,
    /// Clusters of the header.
    pub(super) header_clusters: u64,
    pub(super) l1: Host,
    pub(super) image_size: u64,
    pub(super) need_check: bool,
    pub(super) backing: Option<BackingRef>,
    /// Length of the file in whole clusters: QEMU counts nothing that lies in a partial one.
    pub(super) file_size: u64,
}

impl Header {
    /// Reads and checks the header of `file`.
    pub(super) fn read(file: &dyn File) -> Result<Self> {
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
        let unknown = features & !(BACKING_FILE | NEED_CHECK | BACKING_IS_RAW);
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
            backing: None,
            file_size: align_down(file_len, cluster_size),
        };
        if !header.is_table(header.l1.0) {
            let what = format!("l1_table_offset {} is misaligned or outside the file", header.l1);
            return Err(Error::corrupt(what).offset(40));
        }
        // At most 2^27 entries that map 2^53 bytes each: saturates at most.
        let mappable = header.table_entries().saturating_mul(header.l2_span());
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
