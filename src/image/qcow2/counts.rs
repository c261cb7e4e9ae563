//! How often each host cluster is referred to, in memory that follows what is referred to and not
//! what a sparse file claims to be.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use super::chunk::{CLUSTERS, Chunk, Group};

/// Chunks found by their number alone: those of 16 TiB at the usual cluster size.
const NEAR: u64 = 1 << 16;

/// References per cluster, in chunks made when first touched. The few clusters with more references
/// than a chunk can say are kept on the side.
#[derive(Default)]
pub(super) struct Counts {
    near: Vec<Chunk>,
    /// Chunks further out, where only damage and malice lead.
    far: HashMap<u64, Chunk>,
    many: HashMap<u64, u64>,
}

/// The chunk of a cluster, and its place there.
fn place(cluster: u64) -> (u64, u16) {
    (cluster / CLUSTERS, (cluster % CLUSTERS) as u16)
}

impl Counts {
    fn chunk(&self, index: u64) -> Option<&Chunk> {
        if index < NEAR { self.near.get(index as usize) } else { self.far.get(&index) }
    }

    fn chunk_mut(&mut self, index: u64) -> &mut Chunk {
        if index >= NEAR {
            return self.far.entry(index).or_default();
        }
        let index = index as usize;
        if index >= self.near.len() {
            self.near.resize_with(index + 1, Chunk::default);
        }
        &mut self.near[index]
    }

    /// Counts `by` more references to a cluster.
    pub(super) fn add(&mut self, cluster: u64, by: u64) {
        let (index, place) = place(cluster);
        let chunk = self.chunk_mut(index);
        let count = chunk.get(place);
        match u64::from(count).checked_add(by).and_then(|sum| u16::try_from(sum).ok()) {
            Some(sum) if count != u16::MAX && sum != u16::MAX => chunk.set(place, sum),
            _ => {
                chunk.set(place, u16::MAX);
                let before = if count == u16::MAX { 0 } else { u64::from(count) };
                let many = self.many.entry(cluster).or_insert(before);
                *many = many.saturating_add(by);
            }
        }
    }

    /// Counts `by` more references to each of `len` clusters in a row.
    pub(super) fn add_run(&mut self, cluster: u64, len: u64, by: u64) {
        let end = cluster.saturating_add(len);
        let mut at = cluster;
        while at < end {
            let (index, first) = place(at);
            let count = (end - at).min(CLUSTERS - u64::from(first));
            let places = first..first + count as u16;
            if !u16::try_from(by).is_ok_and(|by| self.chunk_mut(index).add_to_all(places, by)) {
                (at..at + count).for_each(|c| self.add(c, by));
            }
            at += count;
        }
    }

    /// The counts of `len` clusters (all in one chunk), where they are to be had as they lie.
    pub(super) fn group(&self, cluster: u64, len: u64) -> Option<Group<'_>> {
        let (index, first) = place(cluster);
        self.chunk(index)?.group(first..first + len as u16)
    }

    /// The refcount blocks, of `entries` clusters each, in which anything is counted.
    pub(super) fn blocks(&self, entries: u64) -> BTreeSet<u64> {
        self.chunks()
            .flat_map(|(c, _)| c * CLUSTERS / entries..=(c * CLUSTERS + CLUSTERS - 1) / entries)
            .collect()
    }

    /// References counted so far.
    pub(super) fn get(&self, cluster: u64) -> u64 {
        let (index, place) = place(cluster);
        match self.chunk(index).map_or(0, |c| c.get(place)) {
            u16::MAX => self.many.get(&cluster).copied().unwrap_or(0),
            count => count.into(),
        }
    }

    /// The chunks in which something is counted, by number and in order.
    fn chunks(&self) -> impl Iterator<Item = (u64, &Chunk)> {
        let near = (0..).zip(&self.near).filter(|(_, chunk)| !chunk.is_new());
        let mut far: Vec<_> = self.far.iter().map(|(index, chunk)| (*index, chunk)).collect();
        far.sort_unstable_by_key(|(index, _)| *index);
        near.chain(far)
    }

    /// Every cluster that is referred to, in order, with its references. Whole ranges that are not
    /// `wanted` are left out.
    pub(super) fn each(&self, mut wanted: impl FnMut(Range<u64>) -> bool, mut visit: impl FnMut(u64, u64)) {
        for (index, chunk) in self.chunks() {
            let first = index * CLUSTERS;
            if wanted(first..first + CLUSTERS) {
                chunk.each(|place, count| {
                    let cluster = first + u64::from(place);
                    visit(cluster, if count == u16::MAX { self.get(cluster) } else { count.into() });
                });
            }
        }
    }

    /// Whether none of `len` clusters (all in one chunk) is referred to.
    pub(super) fn is_blank(&self, cluster: u64, len: u64) -> bool {
        let (index, first) = place(cluster);
        self.chunk(index).is_none_or(|c| c.is_blank(first..first + len as u16))
    }

    /// Takes over what another thread counted.
    pub(super) fn merge(&mut self, other: Self) {
        let near = (0..).zip(other.near).filter(|(_, chunk)| !chunk.is_new());
        for (index, chunk) in near.chain(other.far) {
            self.merge_chunk(index, chunk);
        }
        for (cluster, count) in other.many {
            let (index, place) = place(cluster);
            let marked = self.chunk(index).map(|c| c.get(place));
            match self.many.entry(cluster) {
                // The whole chunk was taken over just now, marker included.
                Entry::Vacant(free) if marked == Some(u16::MAX) => {
                    free.insert(count);
                }
                _ => self.add(cluster, count),
            }
        }
    }

    fn merge_chunk(&mut self, index: u64, chunk: Chunk) {
        let mine = self.chunk_mut(index);
        if mine.is_new() {
            *mine = chunk;
            return;
        }
        // Counts on the side are added later; a marker alone says nothing.
        chunk.each(|place, count| {
            if count != u16::MAX {
                self.add(index * CLUSTERS + u64::from(place), count.into());
            }
        });
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
        for cluster in (0..CLUSTERS).rev().step_by(3) {
            counts.add(cluster, 1 + cluster % 5);
        }
        for cluster in 0..CLUSTERS {
            let expected = if (CLUSTERS - 1 - cluster).is_multiple_of(3) { 1 + cluster % 5 } else { 0 };
            assert_eq!(counts.get(cluster), expected, "{cluster}");
        }
        assert!(counts.is_blank(CLUSTERS, 64) && !counts.is_blank(CLUSTERS - 64, 64));
    }

    #[test]
    fn arrays_grow_with_their_counts() {
        let mut counts = Counts::default();
        // A list that holds what a byte does not, when it becomes an array.
        counts.add(3, 300);
        for (by, place) in [(1, 0), (254, 0), (1, 1), (65_000, 2), (5_000, 3)] {
            counts.add_run(0, 2 * CLUSTERS, by);
            counts.add(CLUSTERS + place, 7);
        }
        let all = 1 + 254 + 1 + 65_000 + 5_000;
        assert_eq!((counts.get(0), counts.get(3), counts.get(2 * CLUSTERS - 1)), (all, all + 300, all));
        let sums: Vec<_> = (0..4).map(|i| counts.get(CLUSTERS + i)).collect();
        assert_eq!(sums, [all + 14, all + 7, all + 7, all + 7]);
        let mut seen = Vec::new();
        counts.each(|range| range.start == CLUSTERS, |cluster, count| seen.push((cluster, count)));
        assert_eq!((seen.len() as u64, seen[4]), (CLUSTERS, (CLUSTERS + 4, all)));
    }

    #[test]
    fn far_clusters_are_counted_too() {
        let (mut a, mut b) = (Counts::default(), Counts::default());
        let far = NEAR * CLUSTERS;
        a.add_run(far - 1, 2, 1);
        b.add_run(far - 2, 4, 2);
        a.merge(b);
        assert_eq!((far - 3..far + 3).map(|c| a.get(c)).collect::<Vec<_>>(), [0, 2, 3, 3, 2, 0]);
        assert_eq!(a.blocks(CLUSTERS).into_iter().collect::<Vec<_>>(), [NEAR - 1, NEAR]);
        let mut seen = Vec::new();
        a.each(|_| true, |cluster, _| seen.push(cluster));
        assert_eq!(seen, [far - 2, far - 1, far, far + 1]);
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
