//! Which ranges of a file a rehearsal has changed.

use std::collections::BTreeMap;
use std::ops::Range;

/// What became of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It was written, and memory has it.
    Kept,
    /// Guest data lies there, which is not kept.
    Data,
    /// It was given back, or cut off.
    Hole,
}

/// Ranges that do not overlap and of which no two neighbours are of one kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Ranges(BTreeMap<u64, (u64, Kind)>);

impl Ranges {
    /// What became of the byte at `at`, and up to where, `end` at most, that is so.
    pub(super) fn at(&self, at: u64, end: u64) -> (Option<Kind>, u64) {
        match self.0.range(..=at).next_back() {
            Some((_, (stop, kind))) if *stop > at => (Some(*kind), (*stop).min(end)),
            _ => (None, self.0.range(at..).next().map_or(end, |(start, _)| (*start).min(end))),
        }
    }

    /// All ranges of this kind.
    pub(super) fn of(&self, kind: Kind) -> impl Iterator<Item = Range<u64>> + '_ {
        self.0.iter().filter(move |(_, (_, of))| *of == kind).map(|(start, (end, _))| *start..*end)
    }

    /// All of `range` is of this kind from now on.
    pub(super) fn set(&mut self, range: Range<u64>, kind: Kind) {
        if range.is_empty() {
            return;
        }
        let Range { mut start, mut end } = range;
        self.cut(start);
        self.cut(end);
        while let Some((from, _)) = self.0.range(start..end).next().map(|(k, v)| (*k, *v)) {
            self.0.remove(&from);
        }
        if let Some((from, (to, old))) = self.0.range(..start).next_back().map(|(k, v)| (*k, *v))
            && (to, old) == (start, kind)
        {
            self.0.remove(&from);
            start = from;
        }
        if let Some((to, old)) = self.0.get(&end).copied()
            && old == kind
        {
            self.0.remove(&end);
            end = to;
        }
        self.0.insert(start, (end, kind));
    }

    /// Makes a range that reaches over `at` two.
    fn cut(&mut self, at: u64) {
        if let Some((from, (to, kind))) = self.0.range(..at).next_back().map(|(k, v)| (*k, *v))
            && to > at
        {
            self.0.insert(from, (at, kind));
            self.0.insert(at, (to, kind));
        }
    }
}
