//! How often each host cluster is referred to, in memory that follows what is referred to and not
//! what a sparse file claims to be.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

/// Clusters per chunk.
const CHUNK: u64 = 4096;
/// A chunk with more counted clusters than this becomes an array.
const FEW: usize = 256;

/// References per cluster, in chunks made when first touched: short lists where references are
/// scattered, two bytes per cluster where they are dense. The few clusters with more references
/// than fit are kept on the side.
#[derive(Default)]
pub(super) struct Counts {
    chunks: HashMap<u64, Chunk>,
    many: HashMap<u64, u64>,
}

enum Chunk {
    /// Place and count, in order of place.
    Few(Vec<(u16, u16)>),
    Dense(Box<[u16; CHUNK as usize]>),
}

impl Chunk {
    fn get(&self, place: u16) -> u16 {
        match self {
            Self::Few(list) => list.binary_search_by_key(&place, |e| e.0).map_or(0, |i| list[i].1),
            Self::Dense(all) => all[usize::from(place)],
        }
    }

    /// The counts as an array, from now on.
    fn dense(&mut self) -> &mut [u16; CHUNK as usize] {
        if let Self::Few(list) = self {
            let mut all = Box::new([0; CHUNK as usize]);
            list.iter().for_each(|(place, count)| all[usize::from(*place)] = *count);
            *self = Self::Dense(all);
        }
        match self {
            Self::Dense(all) => all,
            Self::Few(_) => unreachable!("made dense above"),
        }
    }

    fn slot(&mut self, place: u16) -> &mut u16 {
        if matches!(self, Self::Few(list) if list.len() >= FEW) {
            return &mut self.dense()[usize::from(place)];
        }
        match self {
            Self::Few(list) => {
                let at = match list.binary_search_by_key(&place, |e| e.0) {
                    Ok(at) => at,
                    Err(at) => {
                        list.insert(at, (place, 0));
                        at
                    }
                };
                &mut list[at].1
            }
            Self::Dense(all) => &mut all[usize::from(place)],
        }
    }

    fn is_blank(&self, places: Range<u16>) -> bool {
        match self {
            Self::Few(list) => {
                let at = list.partition_point(|e| e.0 < places.start);
                list.get(at).is_none_or(|e| e.0 >= places.end)
            }
            Self::Dense(all) => {
                all[usize::from(places.start)..usize::from(places.end)].iter().all(|count| *count == 0)
            }
        }
    }

    /// Places that are counted, with their counts.
    fn each(&self, mut visit: impl FnMut(u16, u16)) {
        match self {
            Self::Few(list) => list.iter().for_each(|(place, count)| visit(*place, *count)),
            Self::Dense(all) => (0..).zip(all.iter()).for_each(|(place, count)| visit(place, *count)),
        }
    }
}

impl Counts {
    /// Counts `by` more references to a cluster.
    pub(super) fn add(&mut self, cluster: u64, by: u64) {
        let chunk = self.chunks.entry(cluster / CHUNK).or_insert_with(|| Chunk::Few(Vec::new()));
        let count = chunk.slot((cluster % CHUNK) as u16);
        match u64::from(*count).checked_add(by).and_then(|sum| u16::try_from(sum).ok()) {
            Some(sum) if *count != u16::MAX && sum != u16::MAX => *count = sum,
            _ => {
                let before = if *count == u16::MAX { 0 } else { u64::from(*count) };
                let many = self.many.entry(cluster).or_insert(before);
                *many = many.saturating_add(by);
                *count = u16::MAX;
            }
        }
    }

    /// Counts `by` more references to each of `len` clusters in a row.
    pub(super) fn add_run(&mut self, cluster: u64, len: u64, by: u64) {
        let end = cluster.saturating_add(len);
        let mut at = cluster;
        while at < end {
            let stop = end.min((at / CHUNK + 1) * CHUNK);
            if !self.add_in_chunk(at, stop - at, by) {
                (at..stop).for_each(|c| self.add(c, by));
            }
            at = stop;
        }
    }

    /// The fast way for a long run in one chunk; `false` when it is not to be had.
    fn add_in_chunk(&mut self, cluster: u64, len: u64, by: u64) -> bool {
        let Ok(by) = u16::try_from(by) else { return false };
        if len < FEW as u64 / 2 && !matches!(self.chunks.get(&(cluster / CHUNK)), Some(Chunk::Dense(_))) {
            return false;
        }
        let chunk = self.chunks.entry(cluster / CHUNK).or_insert_with(|| Chunk::Few(Vec::new()));
        let slots = &mut chunk.dense()[(cluster % CHUNK) as usize..][..len as usize];
        let fits = slots.iter().all(|count| count.checked_add(by).is_some_and(|sum| sum != u16::MAX));
        if fits {
            slots.iter_mut().for_each(|count| *count += by);
        }
        fits
    }

    /// The counts of `len` clusters (all in one chunk), where they are to be had as they lie. A
    /// count of [`u16::MAX`] stands for a larger one.
    pub(super) fn group(&self, cluster: u64, len: u64) -> Option<&[u16]> {
        match self.chunks.get(&(cluster / CHUNK))? {
            Chunk::Few(_) => None,
            Chunk::Dense(all) => all.get((cluster % CHUNK) as usize..)?.get(..len as usize),
        }
    }

    /// The refcount blocks, of `entries` clusters each, in which anything is counted.
    pub(super) fn blocks(&self, entries: u64) -> BTreeSet<u64> {
        self.chunks.keys().flat_map(|c| c * CHUNK / entries..=(c * CHUNK + CHUNK - 1) / entries).collect()
    }

    /// References counted so far.
    pub(super) fn get(&self, cluster: u64) -> u64 {
        let count = self.chunks.get(&(cluster / CHUNK)).map_or(0, |c| c.get((cluster % CHUNK) as u16));
        if count == u16::MAX { self.many.get(&cluster).copied().unwrap_or(0) } else { count.into() }
    }

    /// Every cluster that is referred to, in order, with its references.
    pub(super) fn each(&self, mut visit: impl FnMut(u64, u64)) {
        let mut chunks: Vec<_> = self.chunks.iter().collect();
        chunks.sort_unstable_by_key(|(index, _)| **index);
        for (index, chunk) in chunks {
            chunk.each(|place, count| {
                let cluster = index * CHUNK + u64::from(place);
                match count {
                    0 => {}
                    u16::MAX => visit(cluster, self.get(cluster)),
                    count => visit(cluster, count.into()),
                }
            });
        }
    }

    /// Whether none of `len` clusters (all in one chunk) is referred to.
    pub(super) fn is_blank(&self, cluster: u64, len: u64) -> bool {
        let first = (cluster % CHUNK) as u16;
        self.chunks.get(&(cluster / CHUNK)).is_none_or(|c| c.is_blank(first..first + len as u16))
    }

    /// Takes over what another thread counted.
    pub(super) fn merge(&mut self, other: Self) {
        for (index, chunk) in other.chunks {
            if let std::collections::hash_map::Entry::Vacant(free) = self.chunks.entry(index) {
                free.insert(chunk);
                continue;
            }
            // Counts on the side are added below; a marker alone says nothing.
            chunk.each(|place, count| {
                if count != 0 && count != u16::MAX {
                    self.add(index * CHUNK + u64::from(place), count.into());
                }
            });
        }
        for (cluster, count) in other.many {
            let marked = self.chunks.get(&(cluster / CHUNK)).map(|c| c.get((cluster % CHUNK) as u16));
            match (marked, self.many.contains_key(&cluster)) {
                // The whole chunk was taken over just now, marker included.
                (Some(u16::MAX), false) => {
                    self.many.insert(cluster, count);
                }
                _ => self.add(cluster, count),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_counts_survive_on_the_side() {
        let mut counts = Counts::default();
        counts.add(5, 65_534);
        assert_eq!(counts.get(5), 65_534);
        counts.add(5, 1);
        counts.add(5, 10);
        assert_eq!(counts.get(5), 65_545);
        assert_eq!((counts.get(4), counts.get(1 << 40)), (0, 0));
    }

    #[test]
    fn lists_become_arrays_and_keep_their_counts() {
        let mut counts = Counts::default();
        for cluster in (0..CHUNK).rev().step_by(3) {
            counts.add(cluster, 1 + cluster % 5);
        }
        for cluster in 0..CHUNK {
            let expected = if (CHUNK - 1 - cluster).is_multiple_of(3) { 1 + cluster % 5 } else { 0 };
            assert_eq!(counts.get(cluster), expected, "{cluster}");
        }
        assert!(counts.is_blank(CHUNK, 64) && !counts.is_blank(CHUNK - 64, 64));
    }

    #[test]
    fn merging_adds() {
        for (mine, theirs) in [(0, 3), (2, 3), (2, 70_000), (70_000, 2), (0, 70_000), (70_000, 70_000)] {
            let (mut a, mut b) = (Counts::default(), Counts::default());
            a.add(9, 1);
            if mine > 0 {
                a.add(7, mine);
            }
            b.add(7, theirs);
            a.merge(b);
            assert_eq!((a.get(7), a.get(9)), (mine + theirs, 1), "{mine} + {theirs}");
        }
    }
}
