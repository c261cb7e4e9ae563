//! Persistent dirty bitmaps ("Bitmaps"): listed and counted, not interpreted.

use std::ops::RangeInclusive;

use super::super::Bitmap as Shown;
use super::entry::OFFSET_MASK;
use super::extensions::BITMAPS;
use super::header::AUTOCLEAR_BITMAPS;
use super::image::Qcow2;
use super::tables::read_words;
use super::writer::Writer;
use crate::error::{Error, Result};
use crate::storage::read_exact_or_zero;
use crate::units::{align_up, div_up};

const MAX_BITMAPS: u32 = 65535;
const MAX_DIRECTORY: u64 = 64 << 20;
/// QEMU's limit for the data of one bitmap, were all of it there.
const MAX_DATA: u64 = 512 << 20;
/// Bytes of a table that are read at once.
const PIECE: u64 = 1 << 20;
/// QEMU's limit.
const MAX_NAME: usize = 1023;
const FIXED: usize = 24;
/// Bitmaps listed by name.
const MAX_LISTED: usize = 1000;
/// Bits of the granularities that QEMU has.
const GRANULARITIES: RangeInclusive<u8> = 9..=31;

/// Where the bitmap structures lie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bitmaps {
    pub(super) directory: (u64, u64),
    pub(super) list: Vec<Bitmap>,
    /// The first of them as people see them: there can be 65535 names of 1023 bytes.
    pub(super) shown: Vec<Shown>,
}

/// One bitmap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bitmap {
    /// Offset and length in bytes of its table.
    pub(super) table: (u64, u64),
    /// Where its entry begins in the directory.
    entry_at: usize,
}

/// Reads the bitmap directory; empty when the image has none. Whoever writes without knowing bitmaps
/// clears the autoclear bit; then there are none any more, whatever the extension says.
pub(super) fn read(image: &Qcow2) -> Result<Bitmaps> {
    if image.header.autoclear & AUTOCLEAR_BITMAPS == 0 {
        return Ok(Bitmaps::default());
    }
    let Some(ext) = image.extensions.get(BITMAPS) else { return Ok(Bitmaps::default()) };
    let (Some(count), Some(size), Some(offset)) = (be32(ext, 0), be64(ext, 8), be64(ext, 16)) else {
        return Err(Error::corrupt("bitmaps extension is too short"));
    };
    let len = image.file.len()?;
    if count > MAX_BITMAPS || size > MAX_DIRECTORY || offset.saturating_add(size) > len {
        return Err(Error::corrupt(format!("bitmap directory of {size} bytes is impossible")).offset(offset));
    }
    let mut raw = vec![0; size as usize];
    read_exact_or_zero(&*image.file, offset, &mut raw)?;
    let (mut list, mut shown) = (Vec::new(), Vec::new());
    let mut at = 0;
    for index in 0..count {
        let bad = || {
            Error::corrupt(format!("bitmap directory entry {index} does not fit")).offset(offset + at as u64)
        };
        let entry = raw.get(at..).unwrap_or_default();
        let (Some(table), Some(entries), Some(name_len), Some(extra)) =
            (be64(entry, 0), be32(entry, 8), entry.get(18..20), be32(entry, 20))
        else {
            return Err(bad());
        };
        let (flags, granularity) = (be32(entry, 12).unwrap_or(0), entry.get(17).copied().unwrap_or(0));
        let name_len = usize::from(u16::from_be_bytes([name_len[0], name_len[1]]));
        let name_at = FIXED + extra as usize;
        let name = entry.get(name_at..name_at + name_len).filter(|_| name_len <= MAX_NAME);
        let name = name.ok_or_else(bad)?;
        let bytes = u64::from(entries) * 8;
        if u64::from(entries) > MAX_DATA >> image.header.cluster_bits
            || table.saturating_add(bytes) > len.saturating_add(image.header.cluster_size())
        {
            return Err(bad());
        }
        list.push(Bitmap { table: (table, bytes), entry_at: at });
        if shown.len() < MAX_LISTED {
            shown.push(Shown {
                name: String::from_utf8_lossy(name).into_owned(),
                granularity: GRANULARITIES.contains(&granularity).then(|| 1 << granularity),
                in_use: flags & 1 != 0,
                auto: flags & 2 != 0,
            });
        }
        at += align_up((name_at + name_len) as u64, 8) as usize;
    }
    Ok(Bitmaps { directory: (offset, size), list, shown })
}

impl Bitmap {
    /// Visits the host clusters that its table refers to. What lies in holes costs nothing.
    pub(super) fn each_cluster(&self, image: &Qcow2, mut visit: impl FnMut(u64) -> Result<()>) -> Result<()> {
        let (mut at, end) = (self.table.0, self.table.0.saturating_add(self.table.1));
        while at < end {
            let Some(data) = image.file.data_range(at)? else { break };
            // A word may begin in front of the data.
            let start = data.start.max(at);
            at = start - (start - self.table.0) % 8;
            if at >= end {
                break;
            }
            let words = PIECE.min(data.end.min(end).saturating_sub(at)).div_ceil(8);
            for entry in read_words(&*image.file, at, words as usize)? {
                // Bits 9 to 55 are the offset; bit 0 alone means all ones or all zeros.
                match entry & OFFSET_MASK {
                    0 => {}
                    offset => visit(offset)?,
                }
            }
            at += words * 8;
        }
        Ok(())
    }
}

impl Writer {
    /// Gives up what tracks changes that it did not see.
    pub(super) fn drop_bitmaps(&mut self) -> Result<()> {
        let bitmaps = read(&self.image)?;
        for bitmap in &bitmaps.list {
            let mut clusters = Vec::new();
            bitmap.each_cluster(&self.image, |offset| {
                clusters.push(offset);
                Ok(())
            })?;
            for offset in clusters {
                self.drop_range(offset, self.cluster_size())?;
            }
            self.drop_range(bitmap.table.0, bitmap.table.1)?;
        }
        self.drop_range(bitmaps.directory.0, bitmaps.directory.1)
    }
}

impl Writer {
    /// Writes the directory and all tables anew; data clusters lie where `place` says.
    pub(super) fn move_bitmaps(&mut self, place: impl Fn(u64) -> u64) -> Result<()> {
        let bitmaps = read(&self.image)?;
        let (offset, size) = bitmaps.directory;
        if bitmaps.list.is_empty() {
            return Ok(());
        }
        let mut directory = vec![0; size as usize];
        read_exact_or_zero(&*self.image.file, offset, &mut directory)?;
        for bitmap in &bitmaps.list {
            let (table, bytes) = bitmap.table;
            if bytes == 0 {
                continue;
            }
            let mut words = read_words(&*self.image.file, table, (bytes / 8) as usize)?;
            for word in words.iter_mut().filter(|word| **word & OFFSET_MASK != 0) {
                *word = *word & !OFFSET_MASK | place(*word & OFFSET_MASK);
            }
            self.drop_range(table, bytes)?;
            let at = self.write_table(&words)?;
            let entry = directory.get_mut(bitmap.entry_at..bitmap.entry_at + 8);
            entry
                .ok_or_else(|| Error::corrupt("bitmap directory entry does not fit"))?
                .copy_from_slice(&at.to_be_bytes());
        }
        self.drop_range(offset, size)?;
        let at = self.take(div_up(size, self.cluster_size()), 1)?;
        self.put(at, &directory)?;
        self.bitmaps_at = Some(at << self.header.cluster_bits);
        Ok(())
    }
}

fn be32(b: &[u8], at: usize) -> Option<u32> {
    b.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}

fn be64(b: &[u8], at: usize) -> Option<u64> {
    b.get(at..)?.first_chunk().map(|b| u64::from_be_bytes(*b))
}
