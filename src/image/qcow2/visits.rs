//! The L2 tables of all states, each once however many entries point at it, and so many at a time
//! that a list of them takes little memory.

use super::header::Header;
use crate::units::Guest;

/// Tables at a time.
const MOST: usize = 1 << 21;

/// An L2 table to visit.
#[derive(Clone, Copy)]
pub(super) struct Visit {
    pub(super) offset: u64,
    /// How many L1 entries, of all states, point at it.
    pub(super) paths: u64,
    /// The first of them.
    index: u32,
    /// Whether the active state is one of them.
    pub(super) active: bool,
}

impl Visit {
    /// Where the first path puts it on the virtual disk.
    pub(super) fn guest(&self, header: &Header) -> Guest {
        Guest(u64::from(self.index).saturating_mul(header.l2_coverage()))
    }
}

/// Some of all tables: those in one range of the file, in order of place.
#[derive(Default)]
pub(super) struct Batch {
    list: Vec<Visit>,
    start: u64,
    end: Option<u64>,
}

impl Batch {
    /// Whether no batch came before this one.
    pub(super) fn is_first(&self) -> bool {
        self.start == 0
    }

    /// Adds what an L1 entry points at, unless it is for another batch.
    pub(super) fn add(&mut self, offset: u64, index: usize, active: bool) {
        if offset < self.start || self.end.is_some_and(|end| offset >= end) {
            return;
        }
        self.list.push(Visit { offset, paths: 1, index: index as u32, active });
        if self.list.len() >= MOST {
            self.unite();
            if let Some(middle) = self.list.get(MOST / 2).map(|visit| visit.offset) {
                self.list.truncate(MOST / 2);
                self.end = Some(middle);
            }
        }
    }

    /// All that were added.
    pub(super) fn take(&mut self) -> Vec<Visit> {
        self.unite();
        std::mem::take(&mut self.list)
    }

    /// The batch behind this one; `None` when there is no more.
    pub(super) fn rest(self) -> Option<Self> {
        Some(Self { start: self.end?, ..Self::default() })
    }

    fn unite(&mut self) {
        self.list.sort_unstable_by_key(|visit| (visit.offset, visit.index));
        self.list.dedup_by(|next, kept| {
            let same = next.offset == kept.offset;
            if same {
                kept.paths += next.paths;
                kept.active |= next.active;
            }
            same
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_each_table_once() {
        let many = MOST as u64 * 3;
        let (mut batch, mut seen, mut next) = (Some(Batch::default()), 0, 512);
        while let Some(mut this) = batch {
            // Backwards, and those at the end twice.
            for i in (1..=many).rev() {
                this.add(i * 512, i as usize, i == many);
                if i > many - 3 {
                    this.add(i * 512, 7, false);
                }
            }
            for visit in this.take() {
                let last = visit.offset == many * 512;
                let paths = if visit.offset > (many - 3) * 512 { 2 } else { 1 };
                assert_eq!((visit.offset, visit.paths, visit.active), (next, paths, last));
                next += 512;
                seen += 1;
            }
            batch = this.rest();
        }
        assert_eq!(seen, many);
    }
}
