//! A new backing file, in one sector.
//!
//! The name goes to a place in cluster 0 that nothing refers to; then sector 0 switches to it,
//! together with the recorded format. Before the switch the image has its old backing file, after
//! it the new one; there is no instant with neither.

use std::os::unix::ffi::OsStrExt;

use super::super::BackingRef;
use super::extensions::{BACKING_FORMAT, Extensions, FEATURE_NAMES};
use super::header::{AUTOCLEAR_BITMAPS, AUTOCLEAR_JOB, AUTOCLEAR_RAW_DATA, Header, SECTOR, fenced};
use crate::error::{Error, Result};
use crate::storage::File;
use crate::units::align_up;

/// Records `backing`, or that there is none, in the image in `file`, and puts its fence up or down in the same
/// switch. The caller holds the write lock.
pub fn relink(file: &dyn File, backing: Option<&BackingRef>, up: bool) -> Result<u64> {
    let (header, mut sector, _) = Header::read_behind_fence(file)?;
    let extensions = Extensions::read(file, &header)?;
    let Link { header, name } = link(&header, &extensions, backing, &mut sector)?;
    let mut written = SECTOR as u64;
    if let Some((place, name)) = name {
        file.write_at(place, &name)?;
        file.sync()?;
        written += name.len() as u64;
    }
    file.write_at(0, &fenced(&header.store(&sector)?, up).0)?;
    file.sync()?;
    Ok(written)
}

/// What sector 0 will say.
pub(super) struct Link {
    /// The header with another backing file. The active state reads the same; what an unknown autoclear
    /// bit promises may not hold any more.
    pub(super) header: Header,
    /// What must be durable before: the name, where nothing refers to it yet. Nothing when it is in the
    /// sector.
    pub(super) name: Option<(u64, Vec<u8>)>,
}

/// Prepares `sector`, which is sector 0 as it is, for another backing file, or none.
pub(super) fn link(
    header: &Header,
    extensions: &Extensions,
    backing: Option<&BackingRef>,
    sector: &mut [u8; SECTOR],
) -> Result<Link> {
    let Some(backing) = backing else {
        // A format without a name means nothing, so it may stay where it cannot go; the name itself
        // stays where nothing points at it.
        extensions.without(BACKING_FORMAT).put(header, extensions, sector);
        let autoclear = header.autoclear & (AUTOCLEAR_BITMAPS | AUTOCLEAR_RAW_DATA | AUTOCLEAR_JOB);
        let header = Header { backing_offset: 0, backing_size: 0, autoclear, ..header.clone() };
        return Ok(Link { header, name: None });
    };
    if header.autoclear & AUTOCLEAR_RAW_DATA != 0 {
        return Err(Error::unsupported(
            "its data file is a raw image by itself, which cannot show a backing file",
        ));
    }
    let name = backing.name.as_bytes();
    if name.is_empty() || name.len() > 1023 {
        return Err(Error::unsupported("backing file name must have 1 to 1023 bytes"));
    }
    if header.header_length as usize > SECTOR {
        return Err(
            Error::unsupported("the header is longer than the one sector that can be changed").offset(100)
        );
    }
    let mut wanted = extensions.clone();
    if let Some(format) = &backing.format {
        wanted.set(BACKING_FORMAT, format.clone().into_bytes());
    }
    // The feature names are only words for people; they may go when room is short.
    let choices = [wanted.clone(), wanted.without(FEATURE_NAMES)];
    let chosen = choices
        .iter()
        .find(|list| list.put(header, extensions, sector))
        .ok_or_else(|| Error::unsupported("header extensions are too long to be changed in one sector"))?;

    let start = header.header_length as usize;
    let (area_len, old_len) = (chosen.to_bytes().len(), extensions.to_bytes().len());
    let area_end = start + area_len.max(old_len);
    let place = place_for_name(header, start + area_len, area_end, name.len())
        .ok_or_else(|| Error::unsupported("no room for the new backing file name in the first cluster"))?;
    let outside = match sector.get_mut(place..place + name.len()) {
        Some(inside) => {
            inside.copy_from_slice(name);
            None
        }
        None => Some((place as u64, name.to_vec())),
    };
    let autoclear = header.autoclear & (AUTOCLEAR_BITMAPS | AUTOCLEAR_JOB);
    let (backing_offset, backing_size) = (place as u64, name.len() as u32);
    let header = Header { backing_offset, backing_size, autoclear, ..header.clone() };
    Ok(Link { header, name: outside })
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
        assert_eq!(relink(&file, Some(&backing), false).map_err(|e| e.kind()), Err(Kind::Unsupported));
        assert_eq!(file.to_vec(), before);
        Ok(())
    }
}
