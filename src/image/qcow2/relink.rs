//! A new backing file, in one sector.
//!
//! The name goes to a place in cluster 0 that nothing refers to; then sector 0 switches to it,
//! together with the recorded format. Before the switch the image has its old backing file, after
//! it the new one; there is no instant with neither.

use std::os::unix::ffi::OsStrExt;

use super::super::BackingRef;
use super::extensions::{BACKING_FORMAT, Extensions, FEATURE_NAMES};
use super::header::{AUTOCLEAR_BITMAPS, AUTOCLEAR_JOB, AUTOCLEAR_RAW_DATA, Header, SECTOR};
use crate::error::{Error, Result};
use crate::storage::{File, read_exact_or_zero};
use crate::units::align_up;

/// Records `backing`, or that there is none, in the image in `file`. The caller holds the write lock.
pub fn relink(file: &dyn File, backing: Option<&BackingRef>) -> Result<u64> {
    let header = Header::read(file)?;
    let Some(backing) = backing else { return unlink(file, &header) };
    if header.autoclear & AUTOCLEAR_RAW_DATA != 0 {
        return Err(Error::unsupported(
            "its data file is a raw image by itself, which cannot show a backing file",
        ));
    }
    let extensions = Extensions::read(file, &header)?;
    let name = backing.name.as_bytes();
    if name.is_empty() || name.len() > 1023 {
        return Err(Error::unsupported("backing file name must have 1 to 1023 bytes"));
    }
    if header.header_length as usize > SECTOR {
        return Err(
            Error::unsupported("the header is longer than the one sector that can be changed").offset(100)
        );
    }
    let mut sector = [0; SECTOR];
    read_exact_or_zero(file, 0, &mut sector)?;

    let mut wanted = extensions.clone();
    if let Some(format) = &backing.format {
        wanted.set(BACKING_FORMAT, format.clone().into_bytes());
    }
    // The feature names are only words for people; they may go when room is short.
    let choices = [wanted.clone(), wanted.without(FEATURE_NAMES)];
    let chosen = choices
        .iter()
        .find(|list| list.put(&header, &extensions, &mut sector))
        .ok_or_else(|| Error::unsupported("header extensions are too long to be changed in one sector"))?;

    let start = header.header_length as usize;
    let (area_len, old_len) = (chosen.to_bytes().len(), extensions.to_bytes().len());
    let area_end = start + area_len.max(old_len);
    let place = place_for_name(&header, start + area_len, area_end, name.len())
        .ok_or_else(|| Error::unsupported("no room for the new backing file name in the first cluster"))?;
    if place < SECTOR {
        sector[place..place + name.len()].copy_from_slice(name);
    } else {
        file.write_at(place as u64, name)?;
        file.sync()?;
    }
    let (backing_offset, backing_size) = (place as u64, name.len() as u32);
    // The active state reads the same; what an unknown bit promises may not hold any more.
    let autoclear = header.autoclear & (AUTOCLEAR_BITMAPS | AUTOCLEAR_JOB);
    let flipped = Header { backing_offset, backing_size, autoclear, ..header };
    file.write_at(0, &flipped.store(&sector)?)?;
    file.sync()?;
    Ok(SECTOR as u64 + if place < SECTOR { 0 } else { name.len() as u64 })
}

/// Takes the reference out; the name itself stays where nothing points at it.
fn unlink(file: &dyn File, header: &Header) -> Result<u64> {
    let extensions = Extensions::read(file, header)?;
    let mut sector = [0; SECTOR];
    read_exact_or_zero(file, 0, &mut sector)?;
    // A format without a name means nothing, so it may stay where it cannot go.
    extensions.without(BACKING_FORMAT).put(header, &extensions, &mut sector);
    let autoclear = header.autoclear & (AUTOCLEAR_BITMAPS | AUTOCLEAR_RAW_DATA | AUTOCLEAR_JOB);
    let flipped = Header { backing_offset: 0, backing_size: 0, autoclear, ..header.clone() };
    file.write_at(0, &flipped.store(&sector)?)?;
    file.sync()?;
    Ok(SECTOR as u64)
}

/// Room for the name: whole inside sector 0, or whole behind it and clear of the old name.
fn place_for_name(header: &Header, area_end: usize, both_ends: usize, len: usize) -> Option<usize> {
    if area_end + len <= SECTOR {
        return Some(area_end);
    }
    let cluster = header.cluster_size() as usize;
    let old = header.backing_offset as usize..header.backing_offset as usize + header.backing_size as usize;
    let first = align_up(both_ends.max(SECTOR) as u64, 8) as usize;
    let behind_old = align_up(old.end.max(first) as u64, 8) as usize;
    let clear = |at: usize| at + len <= old.start || at >= old.end;
    [first, behind_old].into_iter().find(|at| clear(*at) && at + len <= cluster)
}

#[cfg(test)]
mod tests {
    use super::super::{CreateOptions, create};
    use super::*;
    use crate::error::Kind;
    use crate::storage::MemFile;

    #[test]
    fn a_header_longer_than_a_sector_is_left_alone() -> Result<()> {
        let file = MemFile::new("x", Vec::new());
        create(&file, &CreateOptions { virtual_size: 1 << 20, ..CreateOptions::default() })?;
        file.write_at(100, &1024u32.to_be_bytes())?;
        let backing = BackingRef { name: "base".into(), format: None };
        let before = file.to_vec();
        assert_eq!(relink(&file, Some(&backing)).map_err(|e| e.kind()), Err(Kind::Unsupported));
        assert_eq!(file.to_vec(), before);
        Ok(())
    }
}
