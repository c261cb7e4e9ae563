//! Reading L1 and L2 tables in pieces of bounded size: a table can be 1 GiB.

use std::sync::{Arc, Mutex, PoisonError};

use zerocopy::IntoBytes;
use zerocopy::little_endian::U64;

use super::header::Header;
use crate::error::Result;
use crate::storage::{File, read_exact_or_zero};
use crate::units::Host;

/// Entries in one piece: 64 KiB, which map 512 MiB of guest in a default image.
pub(super) const PIECE: u64 = 8192;
/// Pieces kept: 512 KiB at most, so that a deep chain stays small.
const KEPT: usize = 8;

/// A run of table entries.
pub(super) type Piece = Arc<[U64]>;

/// The most recently used pieces, latest first.
#[derive(Default)]
pub(super) struct Cache {
    pieces: Mutex<Vec<(Host, Piece)>>,
}

impl Cache {
    /// The entries of the table at `table` from the piece that holds entry `index` (of `entries`),
    /// and the place of that entry in it.
    pub(super) fn piece(
        &self,
        file: &dyn File,
        table: Host,
        entries: u64,
        index: u64,
    ) -> Result<(Piece, usize)> {
        let first = index - index % PIECE;
        let at = Host(table.0 + first * 8);
        let place = (index - first) as usize;
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = pieces.iter().position(|(offset, _)| *offset == at) {
            pieces[..=found].rotate_right(1);
            return Ok((pieces[0].1.clone(), place));
        }
        // Not under the lock: another thread that wants a kept piece need not wait for the disk.
        drop(pieces);
        let piece = read(file, at, PIECE.min(entries - first))?;
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.truncate(KEPT - 1);
        pieces.insert(0, (at, piece.clone()));
        Ok((piece, place))
    }
}

/// Reads `count` (at most [`PIECE`]) entries at `at`.
pub(super) fn read(file: &dyn File, at: Host, count: u64) -> Result<Piece> {
    let mut entries = vec![U64::ZERO; count.min(PIECE) as usize];
    read_exact_or_zero(file, at.0, entries.as_mut_bytes())?;
    Ok(entries.into())
}

/// The first entry from `index` on that does not lie in a hole of the file; `entries` when there is
/// none. Sparse tables cost no time.
pub(super) fn skip_hole(file: &dyn File, table: Host, entries: u64, index: u64) -> Result<u64> {
    let next = match file.data_range(table.0 + index * 8)? {
        Some(data) => data.start.saturating_sub(table.0) / 8,
        None => entries,
    };
    Ok(next.clamp(index, entries))
}

/// A whole table, with bad entries (which are dropped where that is allowed at all) as nothing.
/// At most 16 MiB, and inside the file.
pub(super) fn whole(
    file: &dyn File,
    header: &Header,
    at: Host,
    good: impl Fn(u64) -> bool,
) -> Result<Vec<U64>> {
    let entries = header.table_entries();
    let mut words = Vec::with_capacity(entries as usize);
    while (words.len() as u64) < entries {
        let done = words.len() as u64;
        let piece = read(file, Host(at.0 + done * 8), PIECE.min(entries - done))?;
        words.extend(piece.iter().map(|e| if good(e.get()) { *e } else { U64::ZERO }));
    }
    Ok(words)
}

/// What an L2 entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Unallocated,
    Zero,
    Cluster(Host),
}

impl Entry {
    /// The meaning of a value; its offset is not checked yet.
    pub(super) fn of(value: U64) -> Self {
        match value.get() {
            0 => Self::Unallocated,
            1 => Self::Zero,
            offset => Self::Cluster(Host(offset)),
        }
    }
}
