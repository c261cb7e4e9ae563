//! The mark of a job: an autoclear bit of ours ("Feature name table", autoclear features). Whoever else
//! opens the image for writing must clear bits that it does not know, so a mark that is still there says
//! that nobody did. Version 2 has no such bits.

use super::header::{AUTOCLEAR_JOB, Header, SECTOR};
use crate::error::Result;
use crate::storage::{File, read_exact_or_zero};

/// Sets or clears the mark; `false` when the image has no place for one. Durable on return.
pub fn mark(file: &dyn File, on: bool) -> Result<bool> {
    let header = Header::read(file)?;
    if header.version < 3 {
        return Ok(false);
    }
    let autoclear = if on { header.autoclear | AUTOCLEAR_JOB } else { header.autoclear & !AUTOCLEAR_JOB };
    if autoclear != header.autoclear {
        let mut sector = [0; SECTOR];
        read_exact_or_zero(file, 0, &mut sector)?;
        file.write_at(0, &Header { autoclear, ..header }.store(&sector)?)?;
        file.sync()?;
    }
    Ok(true)
}

/// Whether the mark is set; nothing when the image has no place for one.
pub fn marked(file: &dyn File) -> Result<Option<bool>> {
    let header = Header::read(file)?;
    Ok((header.version >= 3).then_some(header.autoclear & AUTOCLEAR_JOB != 0))
}
