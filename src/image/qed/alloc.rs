//! Free space for a writer: clusters that nothing refers to in the image *as it is on disk*.
//!
//! What the writer itself gives up stays untouched until the flip, because until then it belongs
//! to the old image. Both cursors only move forward, and what is handed out counts as used, so
//! nothing is handed out twice.

use super::header::Header;
use crate::error::{Error, Kind, Result};
use crate::image::used::Used;

/// The cursors.
#[derive(Debug)]
pub(super) struct Alloc {
    pub(super) used: Used,
    /// Clusters a file can have: offsets are signed.
    limit: u64,
    data: u64,
    tables: u64,
}

impl Alloc {
    /// Starts behind the header; `used` is what the image on disk refers to.
    pub(super) fn new(header: &Header, used: Used) -> Self {
        let first = header.header_clusters;
        Self { used, limit: i64::MAX as u64 / header.cluster_size, data: first, tables: first }
    }

    /// One to `want` clusters in a row: first cluster and how many. Any hole will do: one that is
    /// left open must be filled afterwards, which is dearer than a copy in pieces.
    pub(super) fn some(&mut self, want: u64) -> Result<(u64, u64)> {
        let start = self.used.next_free(self.data);
        let room = self.used.next_used(start).map_or(u64::MAX, |next| next - start);
        let len = want.min(room).max(1);
        self.data = start + len;
        self.hand_out(start, len)
    }

    /// Exactly `count` clusters in a row.
    pub(super) fn exact(&mut self, count: u64) -> Result<u64> {
        loop {
            let start = self.used.next_free(self.tables);
            match self.used.next_used(start) {
                Some(next) if next - start < count => self.tables = next,
                _ => {
                    self.tables = start + count;
                    return Ok(self.hand_out(start, count)?.0);
                }
            }
        }
    }

    fn hand_out(&mut self, start: u64, len: u64) -> Result<(u64, u64)> {
        if start.checked_add(len).is_none_or(|end| end > self.limit) {
            return Err(Error::new(Kind::NoSpace, "the image file would become too large"));
        }
        self.used.mark_run(start, len)?;
        Ok((start, len))
    }
}
