//! A new, empty image: header, refcount table, one refcount block, L1 table.

use serde::{Deserialize, Serialize};

use super::super::{BackingRef, DataFile};
use super::block::Block;
use super::compose::{Composed, compose};
use super::extensions::{BACKING_FORMAT, DATA_FILE, Extensions};
use super::header::{
    AUTOCLEAR_RAW_DATA, COMPAT_LAZY_REFCOUNTS, Header, INCOMPAT_COMPRESSION, INCOMPAT_DATA_FILE,
    INCOMPAT_EXTENDED_L2, MAX_CLUSTER_BITS, MAX_L1_BYTES, MIN_CLUSTER_BITS, SECTOR,
};
use super::layout::Layout;
use crate::error::{Error, Kind, Result};
use crate::storage::File;
use crate::units::{align_up, div_up};

use std::os::unix::ffi::OsStrExt;

/// What may be chosen about a new image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateOptions {
    /// 2 or 3.
    pub version: u32,
    /// Bytes per cluster, a power of two from 512 to 2 MiB.
    pub cluster_size: u64,
    /// Bits per refcount, a power of two from 1 to 64; 16 in version 2.
    pub refcount_bits: u32,
    /// Subclusters: 32 parts of each cluster are allocated on their own. Version 3, clusters of at
    /// least 16 KiB.
    pub extended_l2: bool,
    /// Compressed clusters use zstd instead of deflate. Version 3.
    pub zstd: bool,
    /// Refcounts may be written late. Version 3.
    pub lazy_refcounts: bool,
    /// Bytes a guest sees.
    pub virtual_size: u64,
    /// The backing file to record. Its existence is the caller's concern.
    pub backing: Option<BackingRef>,
    /// The external data file to record; the caller makes it. Version 3.
    pub data_file: Option<DataFile>,
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self {
            version: 3,
            cluster_size: 64 << 10,
            refcount_bits: 16,
            extended_l2: false,
            zstd: false,
            lazy_refcounts: false,
            virtual_size: 0,
            backing: None,
            data_file: None,
        }
    }
}

impl CreateOptions {
    /// The same with clusters of `cluster_size` bytes, or the largest there are.
    #[must_use]
    pub fn with_clusters_of(self, cluster_size: u64) -> Self {
        Self { cluster_size: cluster_size.min(1 << MAX_CLUSTER_BITS), ..self }
    }

    /// Fails with [`Kind::Usage`] when the options are impossible.
    pub fn validate(&self) -> Result<()> {
        let usage = |what: String| Error::new(Kind::Usage, what);
        let bits = self.cluster_size.trailing_zeros();
        if !self.cluster_size.is_power_of_two() || !(MIN_CLUSTER_BITS..=MAX_CLUSTER_BITS).contains(&bits) {
            return Err(usage(format!(
                "cluster size {} is not a power of two from 512 to 2M",
                self.cluster_size
            )));
        }
        if !self.refcount_bits.is_power_of_two() || self.refcount_bits > 64 {
            return Err(usage(format!(
                "refcount width {} is not a power of two up to 64",
                self.refcount_bits
            )));
        }
        match self.version {
            2 if self.refcount_bits != 16 => return Err(usage("version 2 has 16-bit refcounts only".into())),
            2 | 3 => {}
            other => return Err(usage(format!("version {other} is not 2 or 3"))),
        }
        let newer = self.extended_l2 || self.zstd || self.lazy_refcounts || self.data_file.is_some();
        if self.version == 2 && newer {
            return Err(usage("version 2 has no subclusters, zstd, lazy refcounts or data file".into()));
        }
        if self.backing.is_some() && self.data_file.as_ref().is_some_and(|data| data.raw) {
            return Err(usage("a data file that is a raw image by itself cannot show a backing file".into()));
        }
        if self.extended_l2 && bits < 14 {
            return Err(usage("subclusters need clusters of at least 16K".into()));
        }
        if self.l1_entries().saturating_mul(8) > MAX_L1_BYTES {
            return Err(usage(format!(
                "{} bytes are too many for clusters of {} bytes",
                self.virtual_size, self.cluster_size
            )));
        }
        Ok(())
    }

    /// L1 entries of a disk of this size.
    pub(super) fn l1_entries(&self) -> u64 {
        div_up(align_up(self.virtual_size, 512), self.l2_coverage())
    }

    /// Guest bytes that one L2 table maps.
    pub(super) fn l2_coverage(&self) -> u64 {
        let entry = if self.extended_l2 { 16 } else { 8 };
        self.cluster_size / entry * self.cluster_size
    }
}

/// Writes an empty image into `file`, which must be empty, and syncs it. Gives how many bytes that took.
///
/// Fails with [`Kind::Usage`] when the options are impossible.
pub fn create(file: &dyn File, options: &CreateOptions) -> Result<u64> {
    options.validate()?;
    let bits = options.cluster_size.trailing_zeros();
    let layout = Layout::new(options, 0);
    let Composed { sector, name, .. } = first_sector(options, &layout, SECTOR as u64)?;
    let parsed = Header::parse(&sector)?;
    let cluster = |index: u64| index << bits;
    // Sector 0 last: until then the file is not an image, so a crash leaves nothing half-made.
    file.set_len(cluster(layout.used()))?;
    let mut written = SECTOR as u64;
    for index in 0..layout.blocks {
        let at = cluster(1 + layout.table + index);
        file.write_at(cluster(1) + index * 8, &at.to_be_bytes())?;
        let mut block = Block::empty(&parsed);
        let first = index * layout.per_block;
        for used in first..layout.used().clamp(first, first + layout.per_block) {
            block.set(used - first, 1);
        }
        file.write_at(at, &block.bytes)?;
        written += 8 + block.bytes.len() as u64;
    }
    if let Some((at, name)) = &name {
        file.write_at(*at, name)?;
        written += name.len() as u64;
    }
    file.sync()?;
    file.write_at(0, &sector)?;
    file.sync()?;
    Ok(written)
}

/// Sector 0 of the image with this layout; a name that it has no room for goes to `behind`.
pub(super) fn first_sector(options: &CreateOptions, layout: &Layout, behind: u64) -> Result<Composed> {
    let bit = |on: bool, bit: u64| if on { bit } else { 0 };
    let is_raw = options.data_file.as_ref().is_some_and(|data| data.raw);
    let header = Header {
        version: options.version,
        backing_offset: 0,
        backing_size: 0,
        cluster_bits: options.cluster_size.trailing_zeros(),
        size: align_up(options.virtual_size, 512),
        encryption: None,
        l1_size: options.l1_entries() as u32,
        // As in QEMU's, a disk without a byte has no table, and that lies nowhere.
        l1_offset: layout.l1.min(1) * (1 + layout.table + layout.blocks) * options.cluster_size,
        reftable_offset: options.cluster_size,
        reftable_clusters: layout.table as u32,
        nb_snapshots: 0,
        snapshots_offset: 0,
        incompatible: bit(options.extended_l2, INCOMPAT_EXTENDED_L2)
            | bit(options.zstd, INCOMPAT_COMPRESSION)
            | bit(options.data_file.is_some(), INCOMPAT_DATA_FILE),
        compatible: bit(options.lazy_refcounts, COMPAT_LAZY_REFCOUNTS),
        autoclear: bit(is_raw, AUTOCLEAR_RAW_DATA),
        refcount_order: options.refcount_bits.trailing_zeros(),
        header_length: 0,
        zstd: options.zstd,
    };
    let mut extensions = Extensions::default();
    if let Some(data) = &options.data_file {
        extensions.set(DATA_FILE, data.name.as_bytes().to_vec());
    }
    if let Some(format) = options.backing.as_ref().and_then(|backing| backing.format.clone()) {
        extensions.set(BACKING_FORMAT, format.into_bytes());
    }
    compose(&header, &extensions, options.backing.as_ref().map(|backing| backing.name.as_bytes()), behind)
}
