//! A new, empty image: header and L1 table.

use std::os::unix::ffi::OsStrExt;

use super::header::{CLUSTER_SIZES, Header, LEN, MAX_BACKING_NAME};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::image::BackingRef;
use crate::storage::File;
use crate::units::{Host, align_up};

/// What may be chosen about a new image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateOptions {
    /// Bytes per cluster, a power of two from 4 KiB to 64 MiB.
    pub cluster_size: u64,
    /// Clusters per table, a power of two from 2 to 16. The format also has tables of one cluster,
    /// which QEMU takes for damage.
    pub table_size: u32,
    /// Bytes a guest sees.
    pub virtual_size: u64,
    /// The backing file to record. Its existence is the caller's concern. Of formats, QED can
    /// record only raw.
    pub backing: Option<BackingRef>,
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self { cluster_size: 64 << 10, table_size: 4, virtual_size: 0, backing: None }
    }
}

impl CreateOptions {
    /// The same with clusters of `cluster_size` bytes, and tables that are large enough for the disk then.
    ///
    /// Fails with [`Kind::Usage`] when there are none.
    pub fn with_clusters_of(self, cluster_size: u64) -> Result<Self> {
        let with = |table_size| Self { cluster_size, table_size, ..self.clone() };
        [4, 8, 16]
            .into_iter()
            .map(with)
            .find(|options| options.header().is_ok())
            .map_or_else(|| with(16).header().map(|_| with(16)), Ok)
    }

    /// The header of the empty image. Fails with [`Kind::Usage`] when the options are impossible, or
    /// make an image that no QEMU opens.
    pub(super) fn header(&self) -> Result<Header> {
        let usage = |what: String| Error::new(Kind::Usage, what);
        let (cluster, table) = (self.cluster_size, self.table_size);
        if !cluster.is_power_of_two() || !CLUSTER_SIZES.contains(&cluster) {
            return Err(usage(format!("cluster size {cluster} is not a power of two from 4k to 64M")));
        }
        if !table.is_power_of_two() || !(2..=16).contains(&table) {
            return Err(usage(format!("table size {table} is not a power of two from 2 to 16")));
        }
        let name = self.name();
        if self.backing.is_some() && (name.is_empty() || name.len() > MAX_BACKING_NAME as usize) {
            return Err(usage(format!("backing file name must have 1 to {MAX_BACKING_NAME} bytes")));
        }
        let place = if name.is_empty() { (0, 0) } else { (LEN as u32, name.len() as u32) };
        let header = Header {
            cluster_size: cluster,
            table_size: table,
            header_clusters: 1,
            l1: Host(cluster),
            image_size: align_up(self.virtual_size, 512),
            need_check: false,
            marked: false,
            fenced: false,
            backing: self.backing.clone(),
            backing_place: place,
            file_size: cluster * (1 + u64::from(table)),
        };
        // QEMU multiplies in 64 bits, so that sizes beyond them come out as none at all.
        let largest = header.table_entries().checked_mul(header.l2_span()).unwrap_or(0);
        if header.image_size > largest || largest == 0 {
            let what = "is too large for QEMU with clusters of";
            return Err(usage(format!(
                "{} bytes {what} {cluster} bytes and tables of {table}",
                header.image_size
            )));
        }
        Ok(header)
    }

    fn name(&self) -> &[u8] {
        self.backing.as_ref().map(|b| b.name.as_bytes()).unwrap_or_default()
    }
}

/// Writes an empty image into `file`, which must be empty, and syncs it. Gives how many bytes that took.
///
/// Fails with [`Kind::Usage`] when the options are impossible, or make an image that no QEMU opens.
pub fn create(file: &dyn File, options: &CreateOptions) -> Result<u64> {
    let (header, name) = (options.header()?, options.name());
    file.set_len(header.file_size)?;
    let mut sector = header.new_sector();
    let inside = name.len().min(sector.len() - LEN as usize);
    sector[LEN as usize..LEN as usize + inside].copy_from_slice(&name[..inside]);
    if inside < name.len() {
        file.write_at(sector.len() as u64, &name[inside..])?;
    }
    // Sector 0 last: until then the file is not an image, so a crash leaves nothing half-made.
    file.sync()?;
    file.write_at(0, &sector)?;
    file.sync()?;
    Ok((sector.len() + name.len() - inside) as u64)
}
