//! The references of some host clusters in a row, in as little memory as their numbers allow.

use std::ops::Range;

/// Clusters per chunk.
pub(super) const CLUSTERS: u64 = 4096;
/// Clusters looked at together; a power of two that divides every chunk and every refcount block.
pub(super) const GROUP: u64 = 64;
const PLACES: usize = CLUSTERS as usize;
const WORDS: usize = (CLUSTERS / GROUP) as usize;

/// Counts by place: a bit each where nothing is referred to twice, which is all there is in most
/// images; then bytes, then words. A count of [`u16::MAX`] stands for a larger one.
pub(super) enum Chunk {
    Bits(Box<[u64; WORDS]>),
    Small(Box<[u8; PLACES]>),
    Large(Box<[u16; PLACES]>),
}

impl Default for Chunk {
    fn default() -> Self {
        Self::Bits(Box::new([0; WORDS]))
    }
}

/// Counts of [`GROUP`] neighbours as they lie in memory.
#[derive(Debug, Clone, Copy)]
pub(super) enum Group<'a> {
    Bits(u64),
    Small(&'a [u8]),
    Large(&'a [u16]),
}

impl Group<'_> {
    /// The last place that is counted.
    pub(super) fn last(&self) -> Option<usize> {
        match self {
            Self::Bits(bits) => bits.checked_ilog2().map(|last| last as usize),
            Self::Small(all) => all.iter().rposition(|count| *count != 0),
            Self::Large(all) => all.iter().rposition(|count| *count != 0),
        }
    }
}

impl Chunk {
    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Bits(_) => PLACES / 8,
            Self::Small(_) => PLACES,
            Self::Large(_) => PLACES * 2,
        }
    }

    pub(super) fn get(&self, place: u16) -> u16 {
        let place = usize::from(place);
        match self {
            Self::Bits(words) => (words[place / 64] >> (place % 64) & 1) as u16,
            Self::Small(all) => all[place].into(),
            Self::Large(all) => all[place],
        }
    }

    /// Adds to one count; `false`, and nothing is added, when the sum needs more room.
    pub(super) fn add(&mut self, place: u16, by: u16) -> bool {
        let place = usize::from(place);
        match self {
            Self::Bits(words) => {
                let bit = 1 << (place % 64);
                let fits = by == 1 && words[place / 64] & bit == 0;
                if fits {
                    words[place / 64] |= bit;
                }
                fits
            }
            Self::Small(all) => {
                let sum = u8::try_from(by).ok().and_then(|by| all[place].checked_add(by));
                sum.map(|sum| all[place] = sum).is_some()
            }
            Self::Large(all) => {
                let sum = all[place].checked_add(by).filter(|sum| *sum != u16::MAX);
                sum.map(|sum| all[place] = sum).is_some()
            }
        }
    }

    /// Adds to each count of a range at once; `false`, and nothing is added, when one needs more room.
    pub(super) fn add_to_all(&mut self, places: Range<u16>, by: u16) -> bool {
        let range = usize::from(places.start)..usize::from(places.end);
        match self {
            Self::Bits(words) => {
                let taken = |words: &[u64; WORDS], (word, mask): (usize, u64)| words[word] & mask != 0;
                if by != 1 || masks(range.clone()).any(|part| taken(words, part)) {
                    return false;
                }
                masks(range).for_each(|(word, mask)| words[word] |= mask);
                true
            }
            Self::Small(all) => {
                let slots = &mut all[range];
                let most = slots.iter().copied().max().unwrap_or(0);
                let by = u8::try_from(by).ok().filter(|by| most.checked_add(*by).is_some());
                by.map(|by| slots.iter_mut().for_each(|count| *count += by)).is_some()
            }
            Self::Large(all) => {
                let slots = &mut all[range];
                let most = slots.iter().copied().max().unwrap_or(0);
                let fits = most.checked_add(by).is_some_and(|sum| sum != u16::MAX);
                if fits {
                    slots.iter_mut().for_each(|count| *count += by);
                }
                fits
            }
        }
    }

    /// Adds all counts of another chunk where both are bits; `false`, and nothing is added, elsewhere
    /// and when a count needs more room.
    pub(super) fn unite(&mut self, other: &Self) -> bool {
        let (Self::Bits(mine), Self::Bits(theirs)) = (self, other) else { return false };
        let fits = mine.iter().zip(theirs.iter()).all(|(a, b)| a & b == 0);
        if fits {
            mine.iter_mut().zip(theirs.iter()).for_each(|(a, b)| *a |= b);
        }
        fits
    }

    /// Makes room for larger counts; `false` when there is no more.
    pub(super) fn widen(&mut self) -> bool {
        match self {
            Self::Bits(words) => {
                let mut wide = Box::new([0; PLACES]);
                wide.iter_mut().enumerate().for_each(|(i, w)| *w = (words[i / 64] >> (i % 64) & 1) as u8);
                *self = Self::Small(wide);
                true
            }
            Self::Small(all) => {
                let mut wide = Box::new([0; PLACES]);
                wide.iter_mut().zip(all.iter()).for_each(|(wide, count)| *wide = (*count).into());
                *self = Self::Large(wide);
                true
            }
            Self::Large(_) => false,
        }
    }

    /// Marks a count as too large for any chunk.
    pub(super) fn mark(&mut self, place: u16) {
        while self.widen() {}
        if let Self::Large(all) = self {
            all[usize::from(place)] = u16::MAX;
        }
    }

    /// The counts of the group that begins at `place`.
    pub(super) fn group(&self, place: u16) -> Option<Group<'_>> {
        let range = usize::from(place)..usize::from(place) + GROUP as usize;
        match self {
            Self::Bits(words) => words.get(range.start / 64).copied().map(Group::Bits),
            Self::Small(all) => all.get(range).map(Group::Small),
            Self::Large(all) => all.get(range).map(Group::Large),
        }
    }

    /// Places that are counted, with their counts.
    pub(super) fn each(&self, mut visit: impl FnMut(u16, u16)) {
        let places = (0..CLUSTERS as u16).step_by(GROUP as usize);
        for first in places {
            let group = self.group(first);
            if group.is_some_and(|group| group.last().is_some()) {
                (first..first + GROUP as u16)
                    .map(|place| (place, self.get(place)))
                    .filter(|(_, count)| *count != 0)
                    .for_each(|(place, count)| visit(place, count));
            }
        }
    }
}

/// The words that hold a range of bits, and which of their bits those are.
fn masks(range: Range<usize>) -> impl Iterator<Item = (usize, u64)> {
    let words = range.start / 64..range.end.div_ceil(64);
    words.map(move |word| {
        let (from, to) = (range.start.max(word * 64), range.end.min(word * 64 + 64));
        (word, u64::MAX >> (64 - (to - from)) << (from % 64))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_cover_a_range_once() {
        for range in [0..1, 0..64, 5..6, 63..65, 60..200, 64..128, 1..4096] {
            let mut bits: Vec<usize> = Vec::new();
            masks(range.clone())
                .for_each(|(w, m)| bits.extend((0..64).filter(|i| m >> i & 1 == 1).map(|i| w * 64 + i)));
            assert_eq!(bits, range.collect::<Vec<_>>());
        }
    }
}
