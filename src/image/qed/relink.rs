//! A new backing file, in one sector.
//!
//! The name goes to a place in the header's clusters that nothing refers to, or into sector 0
//! itself; then sector 0 switches to it. Before the switch the image has its old backing file,
//! after it the new one; there is no instant with neither.

use std::os::unix::ffi::OsStrExt;

use super::header::{Header, LEN, MAX_BACKING_NAME, SECTOR};
use crate::error::{Error, Result};
use crate::image::BackingRef;
use crate::storage::{File, read_exact_or_zero};

/// Records `backing` in the image in `file`; returns how many bytes that took. Of formats, only raw
/// can be recorded; any other is left for the reader to find out. Without `backing` the image has none
/// any more. The fence goes up or down in the same switch. The caller holds the write lock.
pub fn relink(file: &dyn File, backing: Option<&BackingRef>, up: bool) -> Result<u64> {
    let header = Header { fenced: up, ..Header::read_behind_fence(file)? };
    let Some(backing) = backing else { return unlink(file, header) };
    let name = backing.name.as_bytes();
    if name.is_empty() || name.len() > MAX_BACKING_NAME as usize || name.contains(&0) {
        return Err(Error::unsupported(format!(
            "backing file name must have 1 to {MAX_BACKING_NAME} bytes, none of them NUL"
        )));
    }
    let place = place_for_name(&header, name.len());
    let mut sector = [0; SECTOR];
    read_exact_or_zero(file, 0, &mut sector)?;
    let mut written = SECTOR as u64;
    match sector.get_mut(place..place + name.len()) {
        Some(inside) => inside.copy_from_slice(name),
        None => {
            file.write_at(place as u64, name)?;
            file.sync()?;
            written += name.len() as u64;
        }
    }
    // Both are at most 4096.
    let backing_place = (place as u32, name.len() as u32);
    let flipped = Header { backing: Some(backing.clone()), backing_place, ..header };
    file.write_at(0, &flipped.store(&sector))?;
    file.sync()?;
    Ok(written)
}

fn unlink(file: &dyn File, header: Header) -> Result<u64> {
    let mut sector = [0; SECTOR];
    read_exact_or_zero(file, 0, &mut sector)?;
    let flipped = Header { backing: None, backing_place: (0, 0), ..header };
    file.write_at(0, &flipped.store(&sector))?;
    file.sync()?;
    Ok(SECTOR as u64)
}

/// Room for the name: in sector 0, which changes as a whole, or behind it and clear of the old name.
/// The smallest header has 4096 bytes, the longest name 1023, so there always is some.
fn place_for_name(header: &Header, len: usize) -> usize {
    if LEN as usize + len <= SECTOR {
        return LEN as usize;
    }
    let (start, size) = header.backing_place;
    let old = start as usize..start as usize + size as usize;
    let clear = header.backing.is_none() || SECTOR + len <= old.start || old.end <= SECTOR;
    if clear { SECTOR } else { old.end }
}
