//! How large a QED file would become.

use super::super::{Measure, Units, Used};
use super::create::CreateOptions;
use crate::error::Result;

/// How an image made with `options` maps its disk.
///
/// Fails with [`crate::error::Kind::Usage`] when the options are impossible.
pub fn units(options: &CreateOptions) -> Result<Units> {
    let header = options.header()?;
    Ok(Units { cluster: header.cluster_size, table: header.l2_span() })
}

/// How large an image made with `options`, which must be possible, becomes when this much of its disk
/// is mapped. QEMU's own writer comes to the same.
pub fn measure(options: &CreateOptions, used: Used) -> Result<Measure> {
    let units = units(options)?;
    let table = u64::from(options.table_size);
    let bytes = |used: Used| (1 + table + table * used.tables + used.clusters) * options.cluster_size;
    Ok(Measure { required: bytes(used), fully_allocated: bytes(units.whole(options.virtual_size)) })
}
