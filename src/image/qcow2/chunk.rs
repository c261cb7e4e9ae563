//! The references of some host clusters in a row, in as little memory as their numbers allow.

use std::ops::Range;

/// Clusters per chunk.
pub(super) const CLUSTERS: u64 = 4096;
/// A chunk with more counted clusters than this becomes an array.
const FEW: usize = 256;

/// Counts by place: a short list where references are scattered, an array of bytes where they are
/// dense, of words where there are more of them than a byte holds.
pub(super) enum Chunk {
    /// Place and count, in order of place.
    Few(Vec<(u16, u16)>),
    Small(Box<[u8; CLUSTERS as usize]>),
    Large(Box<[u16; CLUSTERS as usize]>),
}

impl Default for Chunk {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

/// Counts of neighbours as they lie in memory. A count of [`u16::MAX`] stands for a larger one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Group<'a> {
    Small(&'a [u8]),
    Large(&'a [u16]),
}

impl Group<'_> {
    /// The last place that is counted.
    pub(super) fn last(&self) -> Option<usize> {
        match self {
            Self::Small(all) => all.iter().rposition(|count| *count != 0),
            Self::Large(all) => all.iter().rposition(|count| *count != 0),
        }
    }
}

impl Chunk {
    pub(super) fn get(&self, place: u16) -> u16 {
        match self {
            Self::Few(list) => list.binary_search_by_key(&place, |e| e.0).map_or(0, |i| list[i].1),
            Self::Small(all) => all[usize::from(place)].into(),
            Self::Large(all) => all[usize::from(place)],
        }
    }

    pub(super) fn set(&mut self, place: u16, count: u16) {
        match self {
            Self::Few(list) => match list.binary_search_by_key(&place, |e| e.0) {
                Ok(at) => list[at].1 = count,
                Err(at) if list.len() < FEW => list.insert(at, (place, count)),
                Err(_) => {
                    self.spread();
                    self.set(place, count);
                }
            },
            Self::Small(all) => match u8::try_from(count) {
                Ok(count) => all[usize::from(place)] = count,
                Err(_) => {
                    self.widen();
                    self.set(place, count);
                }
            },
            Self::Large(all) => all[usize::from(place)] = count,
        }
    }

    /// Adds to each count of a range at once; `false`, and nothing is added, when it is too short to
    /// be worth an array or a count becomes too large.
    pub(super) fn add_to_all(&mut self, places: Range<u16>, by: u16) -> bool {
        let range = usize::from(places.start)..usize::from(places.end);
        if matches!(self, Self::Few(_)) {
            if range.len() < FEW / 2 {
                return false;
            }
            self.spread();
        }
        if let Self::Small(all) = self {
            let slots = &mut all[range.clone()];
            let most = slots.iter().copied().max().unwrap_or(0);
            if let Ok(by) = u8::try_from(by)
                && most.checked_add(by).is_some()
            {
                slots.iter_mut().for_each(|count| *count += by);
                return true;
            }
            self.widen();
        }
        let Self::Large(all) = self else { return false };
        let slots = &mut all[range];
        let most = slots.iter().copied().max().unwrap_or(0);
        let fits = most.checked_add(by).is_some_and(|sum| sum != u16::MAX);
        if fits {
            slots.iter_mut().for_each(|count| *count += by);
        }
        fits
    }

    /// Makes a list an array.
    fn spread(&mut self) {
        let Self::Few(list) = self else { return };
        let list = std::mem::take(list);
        *self = Self::Small(Box::new([0; CLUSTERS as usize]));
        list.into_iter().for_each(|(place, count)| self.set(place, count));
    }

    /// Makes an array of bytes one of words.
    fn widen(&mut self) {
        let Self::Small(all) = self else { return };
        let mut wide = Box::new([0; CLUSTERS as usize]);
        wide.iter_mut().zip(all.iter()).for_each(|(wide, count)| *wide = (*count).into());
        *self = Self::Large(wide);
    }

    /// The counts of a range, where they are to be had as they lie.
    pub(super) fn group(&self, places: Range<u16>) -> Option<Group<'_>> {
        let range = usize::from(places.start)..usize::from(places.end);
        match self {
            Self::Few(_) => None,
            Self::Small(all) => all.get(range).map(Group::Small),
            Self::Large(all) => all.get(range).map(Group::Large),
        }
    }

    /// Whether none of a range is counted.
    pub(super) fn is_blank(&self, places: Range<u16>) -> bool {
        match self {
            Self::Few(list) => {
                let at = list.partition_point(|e| e.0 < places.start);
                list.get(at).is_none_or(|e| e.0 >= places.end)
            }
            _ => self.group(places).is_none_or(|group| group.last().is_none()),
        }
    }

    /// Whether nothing was ever counted.
    pub(super) fn is_new(&self) -> bool {
        matches!(self, Self::Few(list) if list.is_empty())
    }

    /// Places that are counted, with their counts.
    pub(super) fn each(&self, mut visit: impl FnMut(u16, u16)) {
        match self {
            Self::Few(list) => list.iter().for_each(|(place, count)| visit(*place, *count)),
            Self::Small(all) => (0..)
                .zip(all.iter())
                .filter(|(_, count)| **count != 0)
                .for_each(|(place, count)| visit(place, (*count).into())),
            Self::Large(all) => (0..)
                .zip(all.iter())
                .filter(|(_, count)| **count != 0)
                .for_each(|(place, count)| visit(place, *count)),
        }
    }
}
