//! The mark of a job: an autoclear feature of ours. Whoever else opens the image for writing must clear
//! features that it does not know, so a mark that is still there says that nobody did.
//!
//! And its fence: a feature that nobody knows, so that nobody opens the image, not even for reading.

use super::header::{Header, SECTOR};
use crate::error::Result;
use crate::storage::{File, read_exact_or_zero};

/// Sets or clears the mark. Durable on return.
pub fn mark(file: &dyn File, on: bool) -> Result<()> {
    change(file, |header| std::mem::replace(&mut header.marked, on) != on)
}

/// Whether the mark is set.
pub fn marked(file: &dyn File) -> Result<bool> {
    Ok(Header::read_behind_fence(file)?.marked)
}

/// Puts the fence up or down. Durable on return.
pub fn fence(file: &dyn File, up: bool) -> Result<()> {
    change(file, |header| std::mem::replace(&mut header.fenced, up) != up)
}

/// Whether the fence is up.
pub fn is_fenced(file: &dyn File) -> Result<bool> {
    Ok(Header::read_behind_fence(file)?.fenced)
}

/// Writes the header as `with` leaves it, if that says that it changed anything. Durable on return.
fn change(file: &dyn File, with: impl FnOnce(&mut Header) -> bool) -> Result<()> {
    let mut header = Header::read_behind_fence(file)?;
    if with(&mut header) {
        let mut sector = [0; SECTOR];
        read_exact_or_zero(file, 0, &mut sector)?;
        file.write_at(0, &header.store(&sector))?;
        file.sync()?;
    }
    Ok(())
}
