//! How large a qcow2 file would become.

use super::super::{Bitmap, Measure, Units, Used};
use super::create::CreateOptions;
use super::layout::Layout;
use crate::units::{align_up, div_up};

impl CreateOptions {
    /// How an image made with these options maps its disk. They must be possible.
    pub fn units(&self) -> Units {
        Units { cluster: self.cluster_size, table: self.l2_coverage() }
    }
}

/// How large an image made with `options`, which must be possible, becomes when this much of its disk
/// is mapped.
///
/// With an external data file, of the file beside it.
///
/// That is what QEMU's own writer comes to as well, up to the last cluster, which it need not write in
/// full. Only when its refcounts outgrow the one cluster that a new image has for their table (behind
/// 8 MiB of clusters of 512 bytes; with larger ones hardly ever) does QEMU move the table, and leaves
/// the old place and spare room behind.
pub fn measure(options: &CreateOptions, used: Used) -> Measure {
    let bytes = |used: Used| {
        let inside = if options.data_file.is_some() { 0 } else { used.clusters };
        Layout::new(options, inside + used.tables).used() * options.cluster_size
    };
    Measure { required: bytes(used), fully_allocated: bytes(options.units().whole(options.virtual_size)) }
}

/// What these dirty bitmaps of a disk of `size` bytes would take in an image with clusters of
/// `cluster` bytes if they were copied too, as QEMU counts: all of each bitmap allocated. `None` where
/// one of them is not known.
pub fn measure_bitmaps(bitmaps: &[Bitmap], size: u64, cluster: u64) -> Option<u64> {
    let (mut total, mut directory) = (0u64, 0u64);
    for bitmap in bitmaps {
        let bits = size.div_ceil(bitmap.granularity?);
        if bitmap.in_use {
            continue;
        }
        let clusters = div_up(bits.div_ceil(8), cluster);
        total = total.checked_add(align_up(clusters.checked_mul(8)?, cluster))?;
        total = total.checked_add(clusters.checked_mul(cluster)?)?;
        directory += align_up(24 + bitmap.name.len() as u64, 8);
    }
    total.checked_add(align_up(directory, cluster))
}
