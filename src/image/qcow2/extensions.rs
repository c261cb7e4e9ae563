//! Header extensions ("Header extensions") and the backing name that follows them in cluster 0.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::super::BackingRef;
use super::header::{Header, SECTOR};
use crate::error::{Error, Result};
use crate::storage::{File, read_exact_or_zero};
use crate::units::align_up;

pub(super) const BACKING_FORMAT: u32 = 0xe279_2aca;
pub(super) const FEATURE_NAMES: u32 = 0x6803_f857;
pub(super) const BITMAPS: u32 = 0x2385_2875;
pub(super) const CRYPTO_HEADER: u32 = 0x0537_be77;
pub(super) const DATA_FILE: u32 = 0x4441_5441;
const END: u32 = 0;
/// An extension list longer than this is damage: cluster 0 holds them all.
const MAX_AREA: u64 = 64 << 10;

/// One extension, unpadded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extension {
    pub(super) kind: u32,
    pub(super) data: Vec<u8>,
}

/// All extensions, in file order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Extensions(pub(super) Vec<Extension>);

impl Extensions {
    /// Reads the list that follows the header.
    pub(super) fn read(file: &dyn File, header: &Header) -> Result<Self> {
        let start = u64::from(header.header_length);
        let end = if header.backing_offset != 0 { header.backing_offset } else { header.cluster_size() };
        let mut area = vec![0; end.min(MAX_AREA).saturating_sub(start) as usize];
        read_exact_or_zero(file, start, &mut area)?;
        let mut list = Vec::new();
        let mut at = 0;
        while let Some(head) = area.get(at..at + 8) {
            let (kind, len) = (be32(head), be32(&head[4..]) as usize);
            let data = at.checked_add(8).and_then(|s| area.get(s..s.checked_add(len)?)).ok_or_else(|| {
                Error::corrupt(format!("header extension {kind:#x} of {len} bytes does not fit"))
                    .offset(start + at as u64)
            })?;
            // QEMU wants the end marker's length to fit as well.
            if kind == END {
                break;
            }
            list.push(Extension { kind, data: data.to_vec() });
            at += 8 + align_up(len as u64, 8) as usize;
        }
        Ok(Self(list))
    }

    /// The list as bytes, end marker included.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for ext in &self.0 {
            out.extend(ext.kind.to_be_bytes());
            out.extend((ext.data.len() as u32).to_be_bytes());
            out.extend(&ext.data);
            out.resize(align_up(out.len() as u64, 8) as usize, 0);
        }
        out.extend([0; 8]);
        out
    }

    pub(super) fn get(&self, kind: u32) -> Option<&[u8]> {
        self.0.iter().find(|e| e.kind == kind).map(|e| e.data.as_slice())
    }

    pub(super) fn text(&self, kind: u32) -> Option<String> {
        self.get(kind).map(|d| String::from_utf8_lossy(d).into_owned())
    }

    /// Replaces an extension in its place, or puts it first.
    pub(super) fn set(&mut self, kind: u32, data: Vec<u8>) {
        match self.0.iter_mut().find(|e| e.kind == kind) {
            Some(ext) => ext.data = data,
            None => self.0.insert(0, Extension { kind, data }),
        }
    }

    /// Puts the list into sector 0 where `old` is. `false` when that takes more than the sector: what
    /// would have to change lies behind it.
    pub(super) fn put(&self, header: &Header, old: &Self, sector: &mut [u8; SECTOR]) -> bool {
        let start = header.header_length as usize;
        let Some(room) = sector.get_mut(start..) else { return false };
        let (area, old) = (self.to_bytes(), old.to_bytes());
        if area.len() > room.len() && area.get(room.len()..) != old.get(room.len()..) {
            return false;
        }
        let inside = area.len().min(room.len());
        room[..inside].copy_from_slice(&area[..inside]);
        true
    }

    /// The same list with another place of the bitmap directory.
    pub(super) fn with_bitmaps_at(&self, offset: u64) -> Self {
        let mut list = self.clone();
        let place = list.0.iter_mut().find(|e| e.kind == BITMAPS).and_then(|e| e.data.get_mut(16..24));
        if let Some(place) = place {
            place.copy_from_slice(&offset.to_be_bytes());
        }
        list
    }

    /// Whether the place of the bitmap directory can change with sector 0.
    pub(super) fn can_move_bitmaps(&self, header: &Header) -> bool {
        let other = u64::from_be_bytes(
            self.get(BITMAPS).and_then(|data| data.get(16..24)?.first_chunk().copied()).unwrap_or([0; 8]),
        );
        self.with_bitmaps_at(!other).put(header, self, &mut [0; SECTOR])
    }

    /// The same list without `kind`.
    pub(super) fn without(&self, kind: u32) -> Self {
        Self(self.0.iter().filter(|e| e.kind != kind).cloned().collect())
    }
}

/// The backing file that header and extensions name.
pub(super) fn backing(file: &dyn File, header: &Header, ext: &Extensions) -> Result<Option<BackingRef>> {
    if header.backing_offset == 0 {
        return Ok(None);
    }
    let mut name = vec![0; header.backing_size as usize];
    read_exact_or_zero(file, header.backing_offset, &mut name)?;
    if name.contains(&0) {
        return Err(Error::corrupt("backing file name contains a NUL byte").offset(header.backing_offset));
    }
    Ok(Some(BackingRef { name: OsString::from_vec(name), format: ext.text(BACKING_FORMAT) }))
}

fn be32(bytes: &[u8]) -> u32 {
    bytes.first_chunk::<4>().map_or(0, |b| u32::from_be_bytes(*b))
}
