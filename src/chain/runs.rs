//! From guest ranges to whole mapping units of the image that will be written.

use std::collections::VecDeque;

use crate::error::Result;
use crate::units::{Guest, align_down};

/// A guest range that matters, as some layer has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touched {
    /// First guest byte.
    pub start: u64,
    /// First guest byte behind it.
    pub end: u64,
    /// Known to read as zeros.
    pub zero: bool,
}

/// Whole units of a target: from a unit boundary to another one, or to the end of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyRun {
    /// First guest byte.
    pub at: Guest,
    /// Bytes.
    pub len: u64,
    /// Every byte of it is known to be zero.
    pub zero: bool,
}

/// Widens ranges (in order, not overlapping) to whole `unit`s of a disk of `size` bytes. A unit
/// that is only partly touched, or only partly zero, is data. Neighbours of one kind are joined.
pub fn whole_units<I>(ranges: I, unit: u64, size: u64) -> WholeUnits<I::IntoIter>
where
    I: IntoIterator<Item = Result<Touched>>,
{
    WholeUnits {
        ranges: ranges.into_iter(),
        unit,
        size,
        part: None,
        ready: VecDeque::new(),
        held: None,
        over: false,
    }
}

/// See [`whole_units`].
pub struct WholeUnits<I> {
    ranges: I,
    unit: u64,
    size: u64,
    /// The unit that ranges have only touched in part, and how many of its bytes are zero.
    part: Option<(u64, u64)>,
    ready: VecDeque<CopyRun>,
    held: Option<CopyRun>,
    over: bool,
}

impl<I> WholeUnits<I> {
    fn unit_end(&self, start: u64) -> u64 {
        start.saturating_add(self.unit).min(self.size)
    }

    fn flush_part(&mut self) {
        if let Some((start, zeros)) = self.part.take() {
            let len = self.unit_end(start) - start;
            self.emit(CopyRun { at: Guest(start), len, zero: zeros == len });
        }
    }

    fn emit(&mut self, run: CopyRun) {
        match &mut self.held {
            Some(held) if held.zero == run.zero && held.at.0 + held.len == run.at.0 => held.len += run.len,
            held => self.ready.extend(held.replace(run)),
        }
    }

    fn take(&mut self, range: Touched) {
        let end = range.end.min(self.size);
        let mut at = range.start;
        while at < end {
            let start = align_down(at, self.unit);
            if self.part.is_some_and(|(part, _)| part != start) {
                self.flush_part();
            }
            let whole_end = if end == self.size { end } else { align_down(end, self.unit) };
            if at == start && whole_end > start && self.part.is_none() {
                self.emit(CopyRun { at: Guest(start), len: whole_end - start, zero: range.zero });
                at = whole_end;
            } else {
                let stop = self.unit_end(start).min(end);
                let zeros = if range.zero { stop - at } else { 0 };
                self.part = Some((start, self.part.map_or(0, |(_, z)| z) + zeros));
                at = stop;
            }
        }
    }
}

impl<I: Iterator<Item = Result<Touched>>> Iterator for WholeUnits<I> {
    type Item = Result<CopyRun>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(run) = self.ready.pop_front() {
                return Some(Ok(run));
            }
            if self.over {
                return self.held.take().map(Ok);
            }
            match self.ranges.next() {
                Some(Ok(range)) => self.take(range),
                Some(Err(e)) => {
                    (self.over, self.held) = (true, None);
                    return Some(Err(e));
                }
                None => {
                    self.flush_part();
                    self.over = true;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_128(ranges: &[(u64, u64, bool)], size: u64) -> Vec<(u64, u64, bool)> {
        let ranges = ranges.iter().map(|&(start, end, zero)| Ok(Touched { start, end, zero }));
        whole_units(ranges, 128, size).map(|r| r.unwrap()).map(|r| (r.at.0, r.at.0 + r.len, r.zero)).collect()
    }

    #[test]
    fn parts_become_whole_units_of_data() {
        assert_eq!(by_128(&[(0, 128, false)], 1280), [(0, 128, false)]);
        assert_eq!(by_128(&[(10, 20, true)], 1280), [(0, 128, false)]);
        assert_eq!(by_128(&[(0, 64, true), (64, 128, true)], 1280), [(0, 128, true)]);
        assert_eq!(by_128(&[(0, 64, true), (64, 400, false)], 1280), [(0, 512, false)]);
        assert_eq!(by_128(&[(64, 400, true)], 1280), [(0, 128, false), (128, 384, true), (384, 512, false)]);
    }

    #[test]
    fn the_last_unit_ends_with_the_disk() {
        assert_eq!(by_128(&[(128, 200, true)], 200), [(128, 200, true)]);
        assert_eq!(by_128(&[(130, 200, true)], 200), [(128, 200, false)]);
        assert_eq!(by_128(&[(150, 999, false)], 200), [(128, 200, false)]);
    }

    #[test]
    fn neighbours_are_joined_across_ranges() {
        assert_eq!(
            by_128(&[(0, 100, false), (130, 131, false), (384, 400, false)], 1280),
            [(0, 256, false), (384, 512, false)]
        );
    }
}
