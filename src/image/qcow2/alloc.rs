//! Free space for a writer: clusters that are free in the image *as it is on disk*.
//!
//! What the writer itself gives up stays untouched until the flip, because until then it belongs
//! to the old image. The cursor only moves forward, so nothing is handed out twice.

use super::counts::Counts;
use super::header::Header;
use super::refcounts::Refcounts;
use crate::error::{Error, Kind, Result};

/// Holes smaller than this are not worth breaking a bulk copy into pieces.
const WORTHWHILE: u64 = 16;
/// So many smaller ones are remembered.
const MOST_SKIPPED: usize = 1024;
/// Host offsets have 56 bits.
const MAX_OFFSET_BITS: u32 = 56;

/// The cursor.
pub(super) struct Alloc {
    old: Refcounts,
    /// References really there, when the recorded ones cannot be trusted.
    real: Option<Counts>,
    cluster_bits: u32,
    block_entries: u64,
    next: u64,
    /// Runs set aside for tables of just this length, in order of place: first cluster and how many.
    reserved: Vec<(u64, u64)>,
    /// Holes that were too small for data, for tables: first cluster and length.
    skipped: Vec<(u64, u64)>,
}

impl Alloc {
    /// Starts behind the header.
    pub(super) fn new(header: &Header, old: Refcounts, real: Option<Counts>) -> Self {
        Self {
            old,
            real,
            cluster_bits: header.cluster_bits,
            block_entries: header.block_entries(),
            next: 1,
            reserved: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Hands nothing out before `cluster`.
    pub(super) fn begin_at(&mut self, cluster: u64) {
        self.next = self.next.max(cluster);
    }

    /// One to `want` clusters in a row: first cluster and how many.
    pub(super) fn some(&mut self, want: u64) -> Result<(u64, u64)> {
        self.take(want.min(WORTHWHILE), want)
    }

    /// Exactly `count` clusters in a row.
    pub(super) fn exact(&mut self, count: u64) -> Result<u64> {
        if let Some(at) = self.reserved.iter().position(|(_, len)| *len == count) {
            return Ok(self.reserved.remove(at).0);
        }
        if let Some((start, len)) = self.skipped.iter_mut().find(|(_, len)| *len >= count) {
            let at = *start;
            (*start, *len) = (at + count, *len - count);
            return Ok(at);
        }
        Ok(self.take(count, count)?.0)
    }

    /// The next free clusters, however few they are, `want` of them at most: for what may lie scattered.
    pub(super) fn scattered(&mut self, want: u64) -> Result<(u64, u64)> {
        self.take(1, want)
    }

    /// Sets `count` clusters in a row aside for one call of [`exact`](Self::exact), behind those set
    /// aside before; where they end, unless that is beyond `below`.
    pub(super) fn reserve(&mut self, count: u64, below: u64) -> Result<Option<u64>> {
        let (mut start, mut len) = (self.reserved.last().map_or(self.next, |(at, len)| at + len), 0);
        while len < count {
            if start + count > below {
                return Ok(None);
            }
            if self.is_free(start + len)? {
                len += 1;
            } else {
                (start, len) = (start + len + 1, 0);
            }
        }
        self.reserved.push((start, count));
        Ok(Some(start + count))
    }

    /// The refcounts as they are on disk.
    pub(super) fn old(&mut self) -> &mut Refcounts {
        &mut self.old
    }

    /// The references really there, when they were counted.
    pub(super) fn real(&self) -> Option<&Counts> {
        self.real.as_ref()
    }

    fn take(&mut self, least: u64, want: u64) -> Result<(u64, u64)> {
        loop {
            let start = self.behind_used(self.next)?;
            let mut len = 0;
            while len < want && self.is_free(start + len)? {
                len += 1;
            }
            if len < least {
                if len > 0 && self.skipped.len() < MOST_SKIPPED {
                    self.skipped.push((start, len));
                }
                self.next = start + len + 1;
                continue;
            }
            if (start + len) >> (MAX_OFFSET_BITS - self.cluster_bits) != 0 {
                return Err(Error::new(
                    Kind::NoSpace,
                    "the image file would become too large for its format",
                ));
            }
            self.next = start + len;
            return Ok((start, len));
        }
    }

    /// The first cluster from `from` on that has no recorded reference: whole blocks of used ones are
    /// passed at once.
    fn behind_used(&mut self, mut from: u64) -> Result<u64> {
        while from < self.old.coverage() {
            let (index, first) = (from / self.block_entries, from % self.block_entries);
            match self.old.block(index)?.map(|block| block.first_zero(first)) {
                Some(None) => from = (index + 1) * self.block_entries,
                Some(Some(free)) => return Ok(index * self.block_entries + free),
                None => return Ok(from),
            }
        }
        Ok(from)
    }

    fn is_free(&mut self, cluster: u64) -> Result<bool> {
        let before = self.reserved.partition_point(|(at, _)| *at <= cluster);
        if let Some((at, len)) = before.checked_sub(1).and_then(|i| self.reserved.get(i))
            && cluster < at + len
        {
            return Ok(false);
        }
        let real = self.real.as_ref().map_or(0, |counts| counts.get(cluster));
        Ok(real == 0 && (cluster >= self.old.coverage() || self.old.get(cluster)? == 0))
    }
}
