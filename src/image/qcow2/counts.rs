//! How often each host cluster is referred to, in memory that follows what is referred to and not
//! what a sparse file claims to be.

use std::collections::HashMap;

const CHUNK: u64 = 4096;

/// References per cluster. Two bytes each, in chunks made when first touched; the few clusters
/// with more references than fit are kept on the side.
#[derive(Default)]
pub(super) struct Counts {
    chunks: HashMap<u64, Box<[u16; CHUNK as usize]>>,
    many: HashMap<u64, u64>,
}

impl Counts {
    /// Counts `by` more references to a cluster.
    pub(super) fn add(&mut self, cluster: u64, by: u64) {
        let chunk = self.chunks.entry(cluster / CHUNK).or_insert_with(|| Box::new([0; CHUNK as usize]));
        let count = &mut chunk[(cluster % CHUNK) as usize];
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
        (cluster..cluster.saturating_add(len)).for_each(|c| self.add(c, by));
    }

    /// References counted so far.
    pub(super) fn get(&self, cluster: u64) -> u64 {
        let count = self.chunks.get(&(cluster / CHUNK)).map_or(0, |c| c[(cluster % CHUNK) as usize]);
        if count == u16::MAX { self.many.get(&cluster).copied().unwrap_or(0) } else { count.into() }
    }

    /// A cluster behind every one that is referred to.
    pub(super) fn end(&self) -> u64 {
        self.chunks.keys().max().map_or(0, |last| (last + 1) * CHUNK)
    }

    /// Takes over what another thread counted.
    pub(super) fn merge(&mut self, other: Self) {
        for (index, chunk) in other.chunks {
            let base = index * CHUNK;
            if let std::collections::hash_map::Entry::Vacant(free) = self.chunks.entry(index) {
                free.insert(chunk);
                continue;
            }
            for (i, count) in chunk.iter().enumerate().filter(|(_, c)| **c != 0 && **c != u16::MAX) {
                self.add(base + i as u64, (*count).into());
            }
            // Counts on the side are added below; a marker alone says nothing.
        }
        for (cluster, count) in other.many {
            let marked = self.chunks.get(&(cluster / CHUNK)).map(|c| c[(cluster % CHUNK) as usize]);
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
