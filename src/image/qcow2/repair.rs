//! Repair: refcounts from references, COPIED flags from refcounts; one flip, like every change.
//!
//! What refers to nothing sensible (a data offset outside the file) stays as it is and stays
//! reported: there is no telling what should be there.

use std::sync::Arc;

use super::header::{Header, INCOMPAT_CORRUPT, INCOMPAT_DIRTY, SECTOR};
use super::image::Qcow2;
use super::writer::Writer;
use crate::error::Result;
use crate::image::{Image, Repair, Target, Written};
use crate::storage::{File, read_exact_or_zero};

/// Repairs the image in `file`; with `dry` nothing is written, only counted.
pub(crate) fn repair(file: Arc<dyn File>, what: Repair, dry: bool) -> Result<Written> {
    let only_leaks = what == Repair::Leaks;
    let mut writer = Writer::recounted(Qcow2::open(file.clone())?, only_leaks, dry)?;
    if !only_leaks {
        writer.mark_copied()?;
    }
    let mut written = Box::new(writer).finish()?;
    if !dry {
        written.meta_bytes += clear_marks(&file)?;
    }
    Ok(written)
}

/// An image that is sound again is no longer marked dirty or corrupt.
fn clear_marks(file: &Arc<dyn File>) -> Result<u64> {
    let image = Qcow2::open(file.clone())?;
    let marks = INCOMPAT_DIRTY | INCOMPAT_CORRUPT;
    if image.header.incompatible & marks == 0 || image.check()?.corruptions > 0 {
        return Ok(0);
    }
    let mut sector = [0; SECTOR];
    read_exact_or_zero(&**file, 0, &mut sector)?;
    let header = Header { incompatible: image.header.incompatible & !marks, ..image.header };
    file.write_at(0, &header.store(&sector)?)?;
    file.sync()?;
    Ok(SECTOR as u64)
}
