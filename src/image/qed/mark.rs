//! The mark of a job: an autoclear feature of ours. Whoever else opens the image for writing must clear
//! features that it does not know, so a mark that is still there says that nobody did.
//!
//! And its fence: a feature that nobody knows, so that nobody opens the image, not even for reading.

use super::header::{Header, SECTOR};
use crate::error::Result;
use crate::storage::{File, read_exact_or_zero};

/// Sets or clears the mark. Durable on return.
pub fn mark(file: &dyn File, on: bool) -> Result<()> {
    let header = Header::read_behind_fence(file)?;
    if header.marked != on {
        let mut sector = [0; SECTOR];
        read_exact_or_zero(file, 0, &mut sector)?;
        file.write_at(0, &Header { marked: on, ..header }.store(&sector))?;
        file.sync()?;
    }
    Ok(())
}

/// Whether the mark is set.
pub fn marked(file: &dyn File) -> Result<bool> {
    Ok(Header::read_behind_fence(file)?.marked)
}

/// Puts the fence up or down. Durable on return.
pub fn fence(file: &dyn File, up: bool) -> Result<()> {
    let header = Header::read_behind_fence(file)?;
    if header.fenced != up {
        let mut sector = [0; SECTOR];
        read_exact_or_zero(file, 0, &mut sector)?;
        file.write_at(0, &Header { fenced: up, ..header }.store(&sector))?;
        file.sync()?;
    }
    Ok(())
}

/// Whether the fence is up.
pub fn is_fenced(file: &dyn File) -> Result<bool> {
    Ok(Header::read_behind_fence(file)?.fenced)
}
