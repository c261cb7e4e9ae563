//! The snapshot table ("Snapshots"): entries of variable length, big endian.

use super::super::Snapshot;
use super::header::{Header, MAX_L1_BYTES};
use crate::error::{Error, Result};
use crate::storage::{File, read_exact_or_zero};
use crate::units::align_up;

const MAX_SNAPSHOTS: u32 = 65536;
/// QEMU's limit: 1024 bytes for each of them.
const MAX_TABLE_BYTES: u64 = 64 << 20;
const MAX_EXTRA: usize = 1024;
/// QEMU cuts ids and names here.
const MAX_ID: usize = 127;
const MAX_NAME: usize = 255;
const FIXED: usize = 40;
const READ_AHEAD: usize = 16 << 10;

/// One entry, as far as the tables need it. What people see lies apart: there can be 64 MiB of entries.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) l1_offset: u64,
    pub(super) l1_size: u32,
    /// Bytes of extra data.
    pub(super) extra: u32,
    /// The whole entry, padding included, so that a rewrite keeps unknown bytes.
    bytes: Bytes,
}

#[derive(Debug, Clone)]
enum Bytes {
    /// Still where it was read.
    Stored {
        at: u64,
        len: usize,
    },
    New(Vec<u8>),
}

impl Entry {
    /// A new entry for the state whose L1 table lies at `l1_offset`.
    pub(super) fn new(shown: &Snapshot, l1_offset: u64, l1_size: u32) -> Self {
        const EXTRA: u32 = 24;
        let mut raw = Vec::with_capacity(FIXED + EXTRA as usize + shown.id.len() + shown.name.len() + 8);
        raw.extend(l1_offset.to_be_bytes());
        raw.extend(l1_size.to_be_bytes());
        raw.extend((shown.id.len() as u16).to_be_bytes());
        raw.extend((shown.name.len() as u16).to_be_bytes());
        raw.extend(shown.date_sec.to_be_bytes());
        raw.extend(shown.date_nsec.to_be_bytes());
        raw.extend(shown.vm_clock_nsec.to_be_bytes());
        raw.extend((shown.vm_state_size as u32).to_be_bytes());
        raw.extend(EXTRA.to_be_bytes());
        raw.extend(shown.vm_state_size.to_be_bytes());
        raw.extend(shown.virtual_size.to_be_bytes());
        raw.extend(shown.icount.unwrap_or(u64::MAX).to_be_bytes());
        raw.extend(shown.id.as_bytes());
        raw.extend(shown.name.as_bytes());
        raw.resize(align_up(raw.len() as u64, 8) as usize, 0);
        Self { l1_offset, l1_size, extra: EXTRA, bytes: Bytes::New(raw) }
    }

    /// Bytes it takes in the table.
    pub(super) fn len(&self) -> usize {
        match &self.bytes {
            Bytes::Stored { len, .. } => *len,
            Bytes::New(raw) => raw.len(),
        }
    }

    /// The entry as it lies, or will lie, in `file`.
    pub(super) fn raw(&self, file: &dyn File) -> Result<Vec<u8>> {
        let mut raw = match &self.bytes {
            Bytes::Stored { at, len } => {
                let mut raw = vec![0; *len];
                read_exact_or_zero(file, *at, &mut raw)?;
                raw
            }
            Bytes::New(raw) => raw.clone(),
        };
        // The table may have moved.
        raw.splice(0..8, self.l1_offset.to_be_bytes());
        raw.splice(8..12, self.l1_size.to_be_bytes());
        Ok(raw)
    }

    /// Has the entry name another L1 table.
    pub(super) fn moved(&mut self, l1_offset: u64, l1_size: u32) {
        (self.l1_offset, self.l1_size) = (l1_offset, l1_size);
    }

    /// Has the entry record the size of the disk and of the machine state in the words of version 3.
    pub(super) fn record_sizes(&mut self, file: &dyn File, shown: &Snapshot) -> Result<()> {
        const EXTRA: u32 = 16;
        if self.extra >= EXTRA {
            return Ok(());
        }
        let mut raw = self.raw(file)?;
        let texts = usize::from(be16(&raw, 12)) + usize::from(be16(&raw, 14));
        let mut known = shown.vm_state_size.to_be_bytes().to_vec();
        known.extend(shown.virtual_size.to_be_bytes());
        raw.splice(36..40, EXTRA.to_be_bytes());
        raw.splice(FIXED..FIXED + self.extra as usize, known);
        raw.truncate(FIXED + EXTRA as usize + texts);
        raw.resize(align_up(raw.len() as u64, 8) as usize, 0);
        (self.extra, self.bytes) = (EXTRA, Bytes::New(raw));
        Ok(())
    }

    /// Puts another name in the entry; everything else, known or not, stays.
    pub(super) fn rename(&mut self, file: &dyn File, name: &str) -> Result<()> {
        let mut raw = self.raw(file)?;
        let id_len = usize::from(be16(&raw, 12));
        raw.truncate(FIXED + self.extra as usize + id_len);
        raw.extend(name.as_bytes());
        raw.resize(align_up(raw.len() as u64, 8) as usize, 0);
        raw.splice(14..16, (name.len() as u16).to_be_bytes());
        self.bytes = Bytes::New(raw);
        Ok(())
    }
}

/// Reads the whole table: what the tables need, and what people see.
pub(super) fn read(file: &dyn File, header: &Header) -> Result<(Vec<Entry>, Vec<Snapshot>)> {
    let count = header.nb_snapshots;
    if count == 0 {
        return Ok((Vec::new(), Vec::new()));
    }
    let start = header.snapshots_offset;
    if count > MAX_SNAPSHOTS {
        return Err(Error::corrupt(format!("{count} snapshots are more than {MAX_SNAPSHOTS}")).offset(60));
    }
    if start < header.cluster_size() || !start.is_multiple_of(header.cluster_size()) || start >= file.len()? {
        return Err(Error::corrupt(format!("snapshot table offset {start:#x} is impossible")).offset(64));
    }
    // The last cluster of a file need not be written out in full.
    let limit = align_up(file.len()?, header.cluster_size()).saturating_sub(start);
    let mut table = Table { file, start, limit, buf: Vec::new(), base: 0 };
    let (mut entries, mut all_shown) = (Vec::new(), Vec::new());
    let mut at = 0;
    for index in 0..count {
        let (entry, shown) = table.entry(at, header).map_err(|e| {
            let why = e.sentence().to_owned();
            Error::corrupt(format!("snapshot table entry {index}: {why}")).offset(start + at as u64)
        })?;
        at += entry.len();
        entries.push(entry);
        all_shown.push(shown);
    }
    Ok((entries, all_shown))
}

/// The table, read on demand and never beyond its limit.
struct Table<'a> {
    file: &'a dyn File,
    start: u64,
    /// Bytes it can have at most.
    limit: u64,
    /// A window of it, and where in the table that begins.
    buf: Vec<u8>,
    base: usize,
}

impl Table<'_> {
    fn bytes(&mut self, from: usize, len: usize) -> Result<&[u8]> {
        let end = from.saturating_add(len);
        if end as u64 > MAX_TABLE_BYTES {
            return Err(Error::corrupt(format!("table larger than {MAX_TABLE_BYTES} bytes")));
        }
        if end as u64 > self.limit {
            return Err(Error::corrupt("lies beyond the end of the file"));
        }
        if from < self.base || end > self.base + self.buf.len() {
            self.base = from;
            self.buf.resize(len.max(READ_AHEAD), 0);
            read_exact_or_zero(self.file, self.start + from as u64, &mut self.buf)?;
        }
        Ok(&self.buf[from - self.base..end - self.base])
    }

    fn entry(&mut self, at: usize, header: &Header) -> Result<(Entry, Snapshot)> {
        let fixed = self.bytes(at, FIXED)?;
        let l1_offset = be64(fixed, 0);
        let l1_size = be32(fixed, 8);
        let (id_len, name_len) = (be16(fixed, 12) as usize, be16(fixed, 14) as usize);
        let (date_sec, date_nsec) = (be32(fixed, 16), be32(fixed, 20));
        let vm_clock_nsec = be64(fixed, 24);
        let small_vm_state = be32(fixed, 32);
        let extra = be32(fixed, 36);
        let extra_len = extra as usize;
        if extra_len > MAX_EXTRA {
            return Err(Error::corrupt(format!("{extra_len} bytes of extra data are more than {MAX_EXTRA}")));
        }
        if u64::from(l1_size) * 8 > MAX_L1_BYTES {
            return Err(Error::corrupt(format!("L1 table of {l1_size} entries is too large")));
        }
        let len = align_up((FIXED + extra_len + id_len + name_len) as u64, 8) as usize;
        let place = Bytes::Stored { at: self.start + at as u64, len };
        let raw = self.bytes(at, len)?;
        let known = &raw[FIXED..FIXED + extra_len];
        let texts = &raw[FIXED + extra_len..];
        let shown = Snapshot {
            id: text(&texts[..id_len], MAX_ID),
            name: text(&texts[id_len..id_len + name_len], MAX_NAME),
            vm_state_size: if extra_len >= 8 { be64(known, 0) } else { small_vm_state.into() },
            virtual_size: if extra_len >= 16 { be64(known, 8) } else { header.size },
            icount: (extra_len >= 24).then(|| be64(known, 16)).filter(|n| *n != u64::MAX),
            date_sec,
            date_nsec,
            vm_clock_nsec,
        };
        Ok((Entry { l1_offset, l1_size, extra, bytes: place }, shown))
    }
}

/// Text as QEMU sees it: no longer than it can hold, not even where a byte that is no text becomes
/// three.
fn text(raw: &[u8], max: usize) -> String {
    let text = String::from_utf8_lossy(&raw[..raw.len().min(max)]);
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].to_owned()
}

fn be16(b: &[u8], at: usize) -> u16 {
    b.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u16::from_be_bytes(*b))
}

fn be32(b: &[u8], at: usize) -> u32 {
    b.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_be_bytes(*b))
}

fn be64(b: &[u8], at: usize) -> u64 {
    b.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_be_bytes(*b))
}
