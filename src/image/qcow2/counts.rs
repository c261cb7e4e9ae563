//! How often each host cluster is referred to, in memory that has a bound whatever an image claims.
//!
//! Counting is for a window of host clusters. When what lies in it takes too much memory, the window
//! becomes smaller, and what is behind it is for another pass.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use super::chunk::{CLUSTERS, Chunk, GROUP, Group};
use super::scattered::{Scattered, add_many, parts};

/// Chunks found by their number alone: those of 16 TiB at the usual cluster size.
const NEAR: u64 = 1 << 16;
/// Clusters that take more room one by one than as bits of a chunk.
const FEW: usize = (CLUSTERS / 64) as usize;
/// Neighbours that are worth a chunk by themselves.
const LONG: u64 = CLUSTERS / 64;
/// Bytes that a count on the side takes.
const SIDE: usize = 48;

/// References per cluster: chunks where many clusters are referred to, a list of the others. The few
/// clusters with more references than either can say are kept on the side.
pub(super) struct Counts {
    near: Vec<Option<Chunk>>,
    /// Chunks further out, where mostly damage and malice lead.
    far: BTreeMap<u64, Chunk>,
    alone: Scattered,
    many: HashMap<u64, u64>,
    window: Range<u64>,
    /// Bytes that chunks take, and that everything may take.
    chunk_bytes: usize,
    budget: usize,
}

/// The chunk of a cluster, and its place there.
fn place(cluster: u64) -> (u64, u16) {
    (cluster / CLUSTERS, (cluster % CLUSTERS) as u16)
}

impl Counts {
    /// Nothing is counted yet; clusters before `start`, where a chunk begins, never will be.
    pub(super) fn new(start: u64, budget: usize) -> Self {
        Self {
            near: Vec::new(),
            far: BTreeMap::new(),
            alone: Scattered::default(),
            many: HashMap::new(),
            window: start..u64::MAX,
            chunk_bytes: 0,
            budget,
        }
    }

    /// The clusters that are counted.
    pub(super) fn window(&self) -> Range<u64> {
        self.window.clone()
    }

    /// Bytes that counting may take.
    pub(super) fn budget(&self) -> usize {
        self.budget
    }

    fn chunk(&self, index: u64) -> Option<&Chunk> {
        if index < NEAR { self.near.get(index as usize)?.as_ref() } else { self.far.get(&index) }
    }

    fn chunk_mut(&mut self, index: u64) -> Option<&mut Chunk> {
        if index < NEAR { self.near.get_mut(index as usize)?.as_mut() } else { self.far.get_mut(&index) }
    }

    /// Puts a chunk where none is.
    fn insert(&mut self, index: u64, chunk: Chunk) {
        self.chunk_bytes += chunk.bytes();
        if index >= NEAR {
            self.far.insert(index, chunk);
            return;
        }
        let index = index as usize;
        if index >= self.near.len() {
            self.near.resize_with(index + 1, || None);
        }
        self.near[index] = Some(chunk);
    }

    /// Counts `by` more references to a cluster.
    pub(super) fn add(&mut self, cluster: u64, by: u64) {
        if !self.window.contains(&cluster) || by == 0 {
            return;
        }
        let (index, place) = place(cluster);
        let Some(chunk) = self.chunk_mut(index) else {
            if self.alone.push(cluster, by, &mut self.many) {
                self.settle();
                self.fit();
            }
            return;
        };
        if !u16::try_from(by).is_ok_and(|by| chunk.add(place, by)) {
            self.add_wide(cluster, by);
            self.fit();
        }
    }

    /// Counts in a chunk that has no room for the sum as it is.
    fn add_wide(&mut self, cluster: u64, by: u64) {
        let (index, place) = place(cluster);
        let Some(chunk) = self.chunk_mut(index) else { return };
        let before = chunk.bytes();
        let short = u16::try_from(by).ok();
        let mut fits = false;
        while !fits && short.is_some() && chunk.widen() {
            fits = short.is_some_and(|by| chunk.add(place, by));
        }
        let mut count = 0;
        if !fits {
            count = chunk.get(place);
            chunk.mark(place);
        }
        let after = chunk.bytes();
        self.chunk_bytes += after - before;
        if !fits {
            let before = if count == u16::MAX { 0 } else { u64::from(count) };
            add_many(&mut self.many, cluster, before.saturating_add(by));
        }
    }

    /// Counts `by` more references to each of `len` clusters in a row.
    pub(super) fn add_run(&mut self, cluster: u64, len: u64, by: u64) {
        let end = cluster.saturating_add(len);
        let mut at = cluster.max(self.window.start);
        while at < end.min(self.window.end) {
            let (index, first) = place(at);
            let count = (end - at).min(CLUSTERS - u64::from(first));
            if !self.add_to_chunk(index, first..first + count as u16, by) {
                (at..at + count).for_each(|c| self.add(c, by));
            }
            at += count;
        }
    }

    fn add_to_chunk(&mut self, index: u64, places: Range<u16>, by: u64) -> bool {
        let Ok(by) = u16::try_from(by) else { return false };
        let new = self.chunk(index).is_none();
        if new {
            if (places.len() as u64) < LONG {
                return false;
            }
            self.insert(index, Chunk::default());
        }
        let Some(chunk) = self.chunk_mut(index) else { return false };
        let before = chunk.bytes();
        let mut fits = chunk.add_to_all(places.clone(), by);
        while !fits && chunk.widen() {
            fits = chunk.add_to_all(places.clone(), by);
        }
        let more = chunk.bytes() - before;
        self.chunk_bytes += more;
        if new || more > 0 {
            self.fit();
        }
        fits
    }

    /// Sorts what lies alone, and moves to chunks what lies together. Needed before counts are read.
    pub(super) fn settle(&mut self) {
        self.alone.sort(&mut self.many);
        let mut list = self.alone.take();
        let mut moved = Vec::new();
        for words in list.chunk_by(|a, b| parts(*a).0 / CLUSTERS == parts(*b).0 / CLUSTERS) {
            let index = words.first().map_or(0, |word| parts(*word).0 / CLUSTERS);
            if self.chunk(index).is_none() {
                if words.len() <= FEW {
                    continue;
                }
                self.insert(index, Chunk::default());
            }
            for (cluster, count) in words.iter().map(|word| parts(*word)) {
                self.add_there(cluster, count);
            }
            moved.push(index);
        }
        if !moved.is_empty() {
            list.retain(|word| moved.binary_search(&(parts(*word).0 / CLUSTERS)).is_err());
        }
        self.alone.put(list);
    }

    /// Counts in a chunk what the list has; a larger count than that is on the side already.
    fn add_there(&mut self, cluster: u64, count: u16) {
        let (index, place) = place(cluster);
        if let Some(chunk) = self.chunk_mut(index)
            && chunk.add(place, count)
        {
            return;
        }
        if count != u16::MAX {
            return self.add_wide(cluster, count.into());
        }
        let Some(chunk) = self.chunk_mut(index) else { return };
        let (bytes, before) = (chunk.bytes(), chunk.get(place));
        chunk.mark(place);
        let more = chunk.bytes() - bytes;
        self.chunk_bytes += more;
        if before != u16::MAX {
            add_many(&mut self.many, cluster, before.into());
        }
    }

    /// Makes the window smaller when what lies in it takes too much.
    fn fit(&mut self) {
        if self.bytes() <= self.budget {
            return;
        }
        self.settle();
        let start = self.window.start / CLUSTERS;
        let last_near = self.near.len() as u64;
        let last_far = self.far.last_key_value().map_or(0, |(index, _)| *index);
        let last_alone = self.alone.words().last().map_or(0, |word| parts(*word).0 / CLUSTERS);
        let (mut low, mut high) = (start + 1, last_near.max(last_far).max(last_alone) + 1);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if self.bytes_before(middle) <= self.budget / 2 {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        self.cut(low * CLUSTERS);
    }

    fn bytes(&self) -> usize {
        self.chunk_bytes + self.alone.bytes() + self.many.len() * SIDE
    }

    fn bytes_before(&self, index: u64) -> usize {
        let near = self.near.iter().take(index.min(NEAR) as usize).flatten();
        let far = self.far.range(..index).map(|(_, chunk)| chunk);
        let alone = size_of_val(self.alone.range(0..index.saturating_mul(CLUSTERS)));
        let many = self.many.keys().filter(|cluster| **cluster / CLUSTERS < index).count() * SIDE;
        near.chain(far).map(Chunk::bytes).sum::<usize>() + alone + many
    }

    /// Forgets clusters from `end` on, where a chunk begins.
    fn cut(&mut self, end: u64) {
        if end >= self.window.end {
            return;
        }
        self.settle();
        self.window.end = end;
        self.near.truncate((end / CLUSTERS).min(NEAR) as usize);
        drop(self.far.split_off(&(end / CLUSTERS)));
        self.alone.truncate(end);
        self.many.retain(|cluster, _| *cluster < end);
        self.many.shrink_to_fit();
        self.chunk_bytes = self.chunks().map(|(_, chunk)| chunk.bytes()).sum();
    }

    /// The counts of the group that begins at a cluster, where they are to be had as they lie.
    pub(super) fn group(&self, cluster: u64) -> Option<Group<'_>> {
        let (index, first) = place(cluster);
        self.chunk(index)?.group(first)
    }

    /// The refcount blocks, of `entries` clusters each, in which anything is counted.
    pub(super) fn blocks(&self, entries: u64) -> BTreeSet<u64> {
        let alone = self.alone.words().iter().map(|word| parts(*word).0 / entries);
        self.chunks()
            .flat_map(|(c, _)| c * CLUSTERS / entries..=(c * CLUSTERS + CLUSTERS - 1) / entries)
            .chain(alone)
            .collect()
    }

    /// References counted so far.
    pub(super) fn get(&self, cluster: u64) -> u64 {
        let (index, place) = place(cluster);
        let count = match self.chunk(index) {
            Some(chunk) => chunk.get(place),
            None => self.alone.range(cluster..cluster + 1).first().map_or(0, |word| parts(*word).1),
        };
        self.whole(cluster, count)
    }

    fn whole(&self, cluster: u64, count: u16) -> u64 {
        match count {
            u16::MAX => self.many.get(&cluster).copied().unwrap_or(0),
            count => count.into(),
        }
    }

    /// The chunks by number, in order.
    fn chunks(&self) -> impl Iterator<Item = (u64, &Chunk)> {
        let near = (0..).zip(&self.near).filter_map(|(index, chunk)| Some((index, chunk.as_ref()?)));
        near.chain(self.far.iter().map(|(index, chunk)| (*index, chunk)))
    }

    /// Every cluster that is referred to, in order, with its references. Whole chunks that are not
    /// `wanted` are left out.
    pub(super) fn each(&self, mut wanted: impl FnMut(Range<u64>) -> bool, mut visit: impl FnMut(u64, u64)) {
        let mut done = 0;
        let mut list = |to: u64, visit: &mut dyn FnMut(u64, u64)| {
            for (cluster, count) in self.alone.range(done..to).iter().map(|word| parts(*word)) {
                visit(cluster, self.whole(cluster, count));
            }
            done = to;
        };
        for (index, chunk) in self.chunks() {
            let first = index * CLUSTERS;
            list(first, &mut visit);
            if wanted(first..first + CLUSTERS) {
                chunk.each(|place, count| {
                    let cluster = first + u64::from(place);
                    visit(cluster, self.whole(cluster, count));
                });
            }
        }
        list(u64::MAX, &mut visit);
    }

    /// Whether nothing is counted in the group that begins at a cluster.
    pub(super) fn is_blank(&self, cluster: u64) -> bool {
        match self.group(cluster) {
            Some(group) => group.last().is_none(),
            None => self.alone.range(cluster..cluster + GROUP).is_empty(),
        }
    }

    /// Takes over what another thread counted.
    pub(super) fn merge(&mut self, mut other: Self) {
        other.settle();
        self.cut(other.window.end);
        for (cluster, count) in other.alone.take().into_iter().map(parts) {
            self.add(cluster, other.whole(cluster, count));
        }
        let near = (0..).zip(std::mem::take(&mut other.near));
        let near = near.filter_map(|(index, chunk)| Some((index, chunk?)));
        for (index, chunk) in near.chain(std::mem::take(&mut other.far)) {
            if index >= self.window.end / CLUSTERS {
                break;
            }
            self.merge_chunk(index, chunk, &other);
        }
    }

    fn merge_chunk(&mut self, index: u64, chunk: Chunk, other: &Self) {
        let mine = self.chunk_mut(index);
        // Words may stand for counts on the side.
        if mine.is_none() && !matches!(chunk, Chunk::Large(_)) {
            self.insert(index, chunk);
            self.fit();
        } else if !mine.is_some_and(|mine| mine.unite(&chunk)) {
            chunk.each(|place, count| {
                let cluster = index * CLUSTERS + u64::from(place);
                self.add(cluster, other.whole(cluster, count));
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Counts {
        Counts::new(0, usize::MAX)
    }

    #[test]
    fn large_counts_survive_on_the_side() {
        let mut counts = all();
        counts.add(5, 65_534);
        counts.settle();
        assert_eq!(counts.get(5), 65_534);
        counts.add(5, 1);
        counts.add(5, 10);
        counts.settle();
        assert_eq!(counts.get(5), 65_545);
        assert_eq!((counts.get(4), counts.get(1 << 40)), (0, 0));
    }

    #[test]
    fn lists_become_arrays_and_keep_their_counts() {
        let mut counts = all();
        for cluster in (0..CLUSTERS).rev().step_by(3) {
            counts.add(cluster, 1 + cluster % 5);
        }
        counts.settle();
        for cluster in 0..CLUSTERS {
            let expected = if (CLUSTERS - 1 - cluster).is_multiple_of(3) { 1 + cluster % 5 } else { 0 };
            assert_eq!(counts.get(cluster), expected, "{cluster}");
        }
        assert!(counts.is_blank(CLUSTERS) && !counts.is_blank(CLUSTERS - 64));
    }

    #[test]
    fn arrays_grow_with_their_counts() {
        let mut counts = all();
        // A list that holds what a byte does not, when it becomes an array.
        counts.add(3, 300);
        for (by, place) in [(1, 0), (254, 0), (1, 1), (65_000, 2), (5_000, 3)] {
            counts.add_run(0, 2 * CLUSTERS, by);
            counts.add(CLUSTERS + place, 7);
        }
        counts.settle();
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
        let (mut a, mut b) = (all(), all());
        let far = NEAR * CLUSTERS;
        a.add_run(far - 1, 2, 1);
        b.add_run(far - 2, 4, 2);
        a.merge(b);
        a.settle();
        assert_eq!((far - 3..far + 3).map(|c| a.get(c)).collect::<Vec<_>>(), [0, 2, 3, 3, 2, 0]);
        assert_eq!(a.blocks(CLUSTERS).into_iter().collect::<Vec<_>>(), [NEAR - 1, NEAR]);
        let mut seen = Vec::new();
        a.each(|_| true, |cluster, _| seen.push(cluster));
        assert_eq!(seen, [far - 2, far - 1, far, far + 1]);
    }

    #[test]
    fn merging_adds() {
        for (mine, theirs) in [(0, 3), (2, 3), (2, 70_000), (70_000, 2), (0, 70_000), (70_000, 70_000)] {
            let (mut a, mut b) = (all(), all());
            a.add(9, 1);
            if mine > 0 {
                a.add(7, mine);
            }
            b.add(7, theirs);
            a.merge(b);
            a.settle();
            assert_eq!((a.get(7), a.get(9)), (mine + theirs, 1), "{mine} + {theirs}");
        }
    }

    #[test]
    fn passes_count_what_one_does() {
        let mut seed: u64 = 7;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        let mut things: Vec<(u64, u64, u64)> = Vec::new();
        for _ in 0..20_000 {
            let by = [1, 1, 1, 2, 300, 70_000][random(6) as usize];
            let place = [random(100) * 8, random(CLUSTERS * 80), NEAR * CLUSTERS + random(CLUSTERS << 9)];
            things.push((place[random(3) as usize], 1, by));
        }
        for _ in 0..200 {
            things.push((random(CLUSTERS * 90), random(CLUSTERS), 1));
        }
        let mut expected: BTreeMap<u64, u64> = BTreeMap::new();
        for (cluster, len, by) in &things {
            (0..*len).for_each(|i| *expected.entry(cluster + i).or_default() += by);
        }
        for (budget, threads) in [(usize::MAX, 1), (1 << 17, 1), (1 << 16, 3), (100, 2)] {
            let (mut found, mut start, mut passes) = (BTreeMap::new(), 0, 0);
            while start != u64::MAX {
                let mut sum = Counts::new(start, budget);
                for part in things.chunks(things.len().div_ceil(threads)) {
                    let mut counts = Counts::new(start, budget / threads);
                    part.iter().for_each(|(cluster, len, by)| counts.add_run(*cluster, *len, *by));
                    sum.merge(counts);
                }
                sum.settle();
                let window = sum.window();
                sum.each(
                    |_| true,
                    |cluster, count| {
                        assert!(
                            window.contains(&cluster)
                                && sum.get(cluster) == count
                                && !sum.is_blank(cluster & !63)
                        );
                        assert_eq!(found.insert(cluster, count), None);
                    },
                );
                start = window.end;
                passes += 1;
            }
            assert_eq!(found, expected, "{budget}");
            assert_eq!(passes > 1, budget < usize::MAX, "{passes} passes");
        }
    }
}
