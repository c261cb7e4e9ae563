//! The mark of a job: an autoclear bit of ours ("Feature name table", autoclear features). Whoever else
//! opens the image for writing must clear bits that it does not know, so a mark that is still there says
//! that nobody did. Version 2 has no such bits.
//!
//! And its fence: a feature that nobody knows, so that nobody opens the image, not even for reading.

use super::header::{AUTOCLEAR_JOB, Header, SECTOR, fenced};
use crate::error::Result;
use crate::storage::{File, read_exact_or_zero};

/// Sets or clears the mark; `false` when the image has no place for one. Durable on return.
pub fn mark(file: &dyn File, on: bool) -> Result<bool> {
    let (header, sector, up) = Header::read_behind_fence(file)?;
    if header.version < 3 {
        return Ok(false);
    }
    let autoclear = if on { header.autoclear | AUTOCLEAR_JOB } else { header.autoclear & !AUTOCLEAR_JOB };
    if autoclear != header.autoclear {
        file.write_at(0, &fenced(&Header { autoclear, ..header }.store(&sector)?, up).0)?;
        file.sync()?;
    }
    Ok(true)
}

/// Whether the mark is set; nothing when the image has no place for one.
pub fn marked(file: &dyn File) -> Result<Option<bool>> {
    let (header, ..) = Header::read_behind_fence(file)?;
    Ok((header.version >= 3).then_some(header.autoclear & AUTOCLEAR_JOB != 0))
}

/// Puts the fence up or down, whatever else the header says by now. Durable on return.
pub fn fence(file: &dyn File, up: bool) -> Result<()> {
    let mut sector = [0; SECTOR];
    read_exact_or_zero(file, 0, &mut sector)?;
    let (fenced, was) = fenced(&sector, up);
    if was != up {
        file.write_at(0, &fenced)?;
        file.sync()?;
    }
    Ok(())
}

/// Whether the fence is up.
pub fn is_fenced(file: &dyn File) -> Result<bool> {
    let mut sector = [0; SECTOR];
    read_exact_or_zero(file, 0, &mut sector)?;
    Ok(fenced(&sector, false).1)
}
