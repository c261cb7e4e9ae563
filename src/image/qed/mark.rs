//! The mark of a job: an autoclear feature of ours. Whoever else opens the image for writing must clear
//! features that it does not know, so a mark that is still there says that nobody did.

use super::header::{Header, SECTOR};
use crate::error::Result;
use crate::storage::{File, read_exact_or_zero};

/// Sets or clears the mark. Durable on return.
pub fn mark(file: &dyn File, on: bool) -> Result<()> {
    let header = Header::read(file)?;
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
    Ok(Header::read(file)?.marked)
}
