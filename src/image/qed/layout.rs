//! Which clusters move where, so that an image ends with no hole in it.
//!
//! Pure arithmetic on a set of used clusters and the places of the tables; it is the same whether
//! anything is written or not, so a rehearsal knows the exact cost.
//!
//! With `n` clusters in use the file should end `n` clusters behind the header. As many clusters lie
//! behind that limit as there are holes before it. Single clusters go anywhere; a table needs a run.
//! When there is no run, a stretch of data makes way; when all the holes are squeezed in between
//! tables, the next table slides down over the lowest ones. Tables only ever move down for good, so
//! this ends.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use crate::error::{Error, Kind, Result};
use crate::image::used::Used;

/// Single clusters moved at once: 16 MiB of places.
const BATCH: usize = 1 << 20;
/// Stretches that are compared before the best of them makes way.
const CANDIDATES: usize = 4096;

/// Who refers to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The header: it is the L1 table.
    Header,
    /// This entry of the L1 table.
    L1Entry(u32),
}

/// A table in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) owner: Owner,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// Moves that can be made together: every target is free before the first of them is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Batch {
    /// Clusters of data: from and to, ascending.
    Data(Vec<(u64, u64)>),
    /// Tables.
    Tables(Vec<Move>),
}

/// An image as clusters that are used, and tables among them.
#[derive(Debug)]
pub(super) struct Layout {
    first: u64,
    table: u64,
    pub(super) used: Used,
    tables: BTreeMap<u64, Owner>,
    planned: VecDeque<Batch>,
}

impl Layout {
    /// `first` is the first cluster behind the header, `table` the clusters of a table.
    pub(super) fn new(first: u64, table: u64, used: Used, tables: BTreeMap<u64, Owner>) -> Self {
        Self { first, table, used, tables, planned: VecDeque::new() }
    }

    /// Clusters of the file when no hole is left.
    pub(super) fn limit(&self) -> u64 {
        self.first + self.used.count()
    }

    /// Where the tables are.
    pub(super) fn tables(&self) -> impl Iterator<Item = (u64, Owner)> {
        self.tables.iter().map(|(at, owner)| (*at, *owner))
    }

    /// The next moves, which count as made from now on. `None` when no hole is left.
    pub(super) fn next(&mut self) -> Result<Option<Batch>> {
        if self.planned.is_empty() && self.used.end() > self.limit() {
            match self.highest_table().filter(|at| at + self.table > self.limit()) {
                None => self.plan_data(),
                Some(highest) => self.plan_tables(highest),
            }
            if self.planned.is_empty() {
                return Err(Error::new(Kind::Internal, "found nothing to move into a hole"));
            }
        }
        let Some(batch) = self.planned.pop_front() else { return Ok(None) };
        self.make(&batch)?;
        Ok(Some(batch))
    }

    fn highest_table(&self) -> Option<u64> {
        self.tables.last_key_value().map(|(at, _)| *at)
    }

    fn make(&mut self, batch: &Batch) -> Result<()> {
        let moves: Vec<_> = match batch {
            Batch::Data(moves) => moves.iter().map(|(from, to)| (*from, *to, 1)).collect(),
            Batch::Tables(moves) => moves.iter().map(|m| (m.from, m.to, self.table)).collect(),
        };
        for (_, to, count) in &moves {
            if !self.used.mark_run(*to, *count)? {
                return Err(Error::new(Kind::Internal, "a move into a place that is in use"));
            }
        }
        for (from, to, count) in moves {
            self.used.unmark_run(from, count);
            if let Batch::Tables(_) = batch
                && let Some(owner) = self.tables.remove(&from)
            {
                self.tables.insert(to, owner);
            }
        }
        Ok(())
    }

    /// What is no table behind the limit goes into the holes before it.
    fn plan_data(&mut self) {
        let limit = self.limit();
        let sources = self.used.runs(limit).flat_map(|(first, count)| first..first + count);
        let holes = self.used.holes(self.first, limit).flat_map(|(first, count)| first..first + count);
        let moves: Vec<_> = sources.zip(holes).take(BATCH).collect();
        self.planned.extend((!moves.is_empty()).then_some(Batch::Data(moves)));
    }

    fn plan_tables(&mut self, highest: u64) {
        if self.fill_runs() {
            return;
        }
        match self.best_stretch(highest) {
            Some(at) => {
                self.clear_stretch(at..at + self.table);
                self.move_tables(vec![(highest, at)]);
            }
            None => self.slide(),
        }
    }

    /// High tables into runs of holes that are long enough.
    fn fill_runs(&mut self) -> bool {
        let (limit, table) = (self.limit(), self.table);
        let high = self.tables.keys().rev().take_while(|at| **at + table > limit).copied();
        let runs = self.used.holes(self.first, limit);
        let places = runs.flat_map(|(first, count)| (0..count / table).map(move |i| first + i * table));
        let moves: Vec<_> = high.zip(places).filter(|(from, to)| to < from).take(BATCH).collect();
        self.move_tables(moves)
    }

    fn move_tables(&mut self, moves: Vec<(u64, u64)>) -> bool {
        let moves = moves.into_iter().filter_map(|(from, to)| {
            let owner = *self.tables.get(&from)?;
            Some(Move { owner, from, to })
        });
        // The L1 table alone and last: the others are changed in it where it is.
        let (l1, l2): (Vec<_>, Vec<_>) = moves.partition(|m| m.owner == Owner::Header);
        let batches = [l2, l1].into_iter().filter(|batch| !batch.is_empty());
        let before = self.planned.len();
        self.planned.extend(batches.map(Batch::Tables));
        self.planned.len() > before
    }

    /// The table from `from` on, and where it starts; `u64::MAX` without one.
    fn table_after(&self, from: u64) -> u64 {
        self.tables.range(from..).next().map_or(u64::MAX, |(at, _)| *at)
    }

    /// Where data makes way for a table most cheaply: before `highest`, on no table, over at least
    /// one hole. Places that end before the limit come first.
    fn best_stretch(&self, highest: u64) -> Option<u64> {
        let limit = self.limit();
        let holes_in = |at: u64| (at..at + self.table).filter(|c| !self.used.has(*c)).count();
        let mut best: Option<(bool, usize, u64)> = None;
        let mut seen = 0;
        for (first, count) in self.used.holes(self.first, limit.min(highest)) {
            let behind = self.tables.range(..first).next_back();
            let low = behind.map_or(self.first, |(at, _)| at + self.table);
            let high = self.table_after(first).min(highest);
            if high - low < self.table {
                continue;
            }
            for at in [first.min(high - self.table), (first + count).saturating_sub(self.table).max(low)] {
                let found = (at + self.table <= limit, holes_in(at), at);
                if best.is_none_or(|b| (found.0, found.1) > (b.0, b.1)) {
                    best = Some(found);
                }
            }
            seen += 1;
            if seen == CANDIDATES {
                break;
            }
        }
        best.map(|(_, _, at)| at)
    }

    /// Data in `stretch` goes into holes elsewhere, or behind everything.
    fn clear_stretch(&mut self, stretch: Range<u64>) {
        let data = stretch.clone().filter(|c| self.used.has(*c));
        let holes = self.used.holes(self.first, self.limit()).flat_map(|(first, count)| first..first + count);
        let end = self.used.end().max(stretch.end);
        let places = holes.filter(|c| !stretch.contains(c)).chain(end..);
        let moves: Vec<_> = data.zip(places).collect();
        self.planned.extend((!moves.is_empty()).then_some(Batch::Data(moves)));
    }

    /// The table over the lowest hole goes down by as many clusters as are free below it, by way of
    /// the end of the file: a table cannot be copied onto itself while it is in use.
    fn slide(&mut self) {
        let lowest = self.used.next_free(self.first);
        let table = self.table_after(lowest);
        if table == u64::MAX {
            return;
        }
        let free: u64 = self.used.holes(lowest, table).map(|(_, count)| count).sum();
        let to = table - free;
        let data = (to..table).filter(|c| self.used.has(*c));
        let holes = self.used.holes(lowest, to).flat_map(|(first, count)| first..first + count);
        let moves: Vec<_> = data.zip(holes).collect();
        self.planned.extend((!moves.is_empty()).then_some(Batch::Data(moves)));
        let end = self.used.end();
        let Some(owner) = self.tables.get(&table).copied() else { return };
        self.planned.push_back(Batch::Tables(vec![Move { owner, from: table, to: end }]));
        self.planned.push_back(Batch::Tables(vec![Move { owner, from: end, to }]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random heaps of tables and data with holes: in the end there is no hole, every table is
    /// whole, and no move went onto something that was in use.
    #[test]
    fn every_heap_comes_to_rest_without_a_hole() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = |n: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % n
        };
        let (mut slides, mut stretches) = (0, 0);
        for round in 0..4000 {
            let (first, table) = (1 + below(3), 1 << below(5));
            let (mut used, mut tables) = (Used::default(), BTreeMap::new());
            let (mut at, density) = (first, 1 + below(6));
            for i in 0..2 + below(40) {
                at += if below(density) == 0 { 1 + below(2 * table) } else { 0 };
                let count = if i == 0 || below(density + 1) == 0 { table } else { 1 };
                if count == table && (table > 1 || i == 0) {
                    tables.insert(at, if i == 0 { Owner::Header } else { Owner::L1Entry(i as u32) });
                }
                used.mark_run(at, count).unwrap();
                at += count;
            }
            let (total, number) = (used.count(), tables.len());
            let mut layout = Layout::new(first, table, used, tables);
            let mut batches = 0;
            while let Some(batch) = layout.next().unwrap() {
                batches += 1;
                assert!(batches < 1000, "round {round} does not end: {batch:?}");
                slides += usize::from(matches!(&batch, Batch::Tables(m) if m[0].to > m[0].from));
                stretches += usize::from(matches!(&batch, Batch::Data(m) if m[0].0 < first + total));
            }
            assert_eq!((layout.used.count(), layout.used.end()), (total, first + total), "round {round}");
            assert_eq!(layout.tables.len(), number);
            let places: Vec<_> = layout.tables.keys().copied().collect();
            assert!(places.windows(2).all(|w| w[0] + table <= w[1]), "round {round}");
            assert!(places.iter().all(|at| (*at..at + table).all(|c| layout.used.has(c))));
        }
        assert!(slides > 100 && stretches > 100, "too tame: {slides} slides, {stretches} stretches");
    }

    #[test]
    fn an_old_table_makes_room_for_the_new_one() {
        let mut used = Used::default();
        used.mark_run(3, 4).unwrap();
        let layout = &mut Layout::new(1, 2, used, BTreeMap::from([(5, Owner::Header)]));
        let moved = Move { owner: Owner::Header, from: 5, to: 1 };
        assert_eq!(layout.next().unwrap(), Some(Batch::Tables(vec![moved])));
        assert_eq!(layout.next().unwrap(), None);
        assert_eq!((layout.limit(), layout.used.end()), (5, 5));
    }
}
