//! A set of clusters. Memory follows what is in it, never what a file length claims.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// Clusters per group: 512 bytes of bits.
const GROUP: u64 = 4096;
const WORDS: usize = (GROUP / 64) as usize;
/// 128 MiB of bits: 64 TiB of data in clusters of the usual size, packed. Only references that are
/// strewn over a hostile file need more.
const MAX_GROUPS: usize = 1 << 18;

/// A set of cluster numbers.
#[derive(Debug, Clone, Default)]
pub(in crate::image) struct Used {
    groups: BTreeMap<u64, Box<Group>>,
    count: u64,
}

#[derive(Debug, Clone)]
struct Group {
    bits: [u64; WORDS],
    count: u32,
}

fn place(cluster: u64) -> (u64, usize, u32) {
    (cluster / GROUP, (cluster % GROUP / 64) as usize, (cluster % 64) as u32)
}

impl Used {
    /// How many clusters are in the set.
    pub(in crate::image) fn count(&self) -> u64 {
        self.count
    }

    /// One after the highest; 0 when empty.
    pub(in crate::image) fn end(&self) -> u64 {
        let Some((index, group)) = self.groups.last_key_value() else { return 0 };
        let word = group.bits.iter().rposition(|w| *w != 0).unwrap_or(0);
        index * GROUP + word as u64 * 64 + u64::from(64 - group.bits[word].leading_zeros())
    }

    /// Adds a cluster; `false` when it was in already.
    pub(in crate::image) fn mark(&mut self, cluster: u64) -> Result<bool> {
        let (index, word, bit) = place(cluster);
        if self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(&index) {
            return Err(Error::unsupported("clusters are strewn over too many places to be counted"));
        }
        let group = self.groups.entry(index);
        let group = group.or_insert_with(|| Box::new(Group { bits: [0; WORDS], count: 0 }));
        let fresh = group.bits[word] >> bit & 1 == 0;
        group.bits[word] |= 1 << bit;
        group.count += u32::from(fresh);
        self.count += u64::from(fresh);
        Ok(fresh)
    }

    /// Adds `count` clusters from `first`; `false` when one of them was in already.
    pub(in crate::image) fn mark_run(&mut self, first: u64, count: u64) -> Result<bool> {
        let mut fresh = true;
        for cluster in first..first.saturating_add(count) {
            fresh &= self.mark(cluster)?;
        }
        Ok(fresh)
    }

    /// Takes `count` clusters from `first` out.
    pub(in crate::image) fn unmark_run(&mut self, first: u64, count: u64) {
        for cluster in first..first.saturating_add(count) {
            let (index, word, bit) = place(cluster);
            let Some(group) = self.groups.get_mut(&index) else { continue };
            let was = group.bits[word] >> bit & 1;
            group.bits[word] &= !(1 << bit);
            group.count -= was as u32;
            self.count -= was;
            if group.count == 0 {
                self.groups.remove(&index);
            }
        }
    }

    /// Whether a cluster is in the set.
    pub(in crate::image) fn has(&self, cluster: u64) -> bool {
        let (index, word, bit) = place(cluster);
        self.groups.get(&index).is_some_and(|g| g.bits[word] >> bit & 1 == 1)
    }

    /// The first cluster from `from` on that is in the set.
    pub(in crate::image) fn next_used(&self, from: u64) -> Option<u64> {
        let (first, start, bit) = place(from);
        for (index, group) in self.groups.range(first..) {
            let (start, mask) = if *index == first { (start, u64::MAX << bit) } else { (0, u64::MAX) };
            for (i, bits) in group.bits.iter().enumerate().skip(start) {
                let bits = if i == start { bits & mask } else { *bits };
                if bits != 0 {
                    return Some(index * GROUP + i as u64 * 64 + u64::from(bits.trailing_zeros()));
                }
            }
        }
        None
    }

    /// The first cluster from `from` on that is not in the set.
    pub(in crate::image) fn next_free(&self, from: u64) -> u64 {
        let (mut index, mut start, bit) = place(from);
        let mut mask = u64::MAX << bit;
        while let Some(group) = self.groups.get(&index) {
            for (i, bits) in group.bits.iter().enumerate().skip(start) {
                let free = if i == start { !bits & mask } else { !bits };
                if free != 0 {
                    return index * GROUP + i as u64 * 64 + u64::from(free.trailing_zeros());
                }
            }
            (index, start, mask) = (index + 1, 0, u64::MAX);
        }
        (index * GROUP).max(from)
    }

    /// Runs of clusters between `from` and `to` that are not in the set: first and how many.
    pub(in crate::image) fn holes(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
        let mut at = from;
        std::iter::from_fn(move || {
            let start = self.next_free(at);
            (start < to).then(|| {
                at = self.next_used(start).unwrap_or(to).min(to);
                (start, at - start)
            })
        })
    }

    /// Runs of clusters from `from` on that are in the set: first and how many.
    pub(in crate::image) fn runs(&self, from: u64) -> impl Iterator<Item = (u64, u64)> {
        let mut at = from;
        std::iter::from_fn(move || {
            let start = self.next_used(at)?;
            at = self.next_free(start);
            Some((start, at - start))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_holes_are_what_was_put_in() {
        let mut used = Used::default();
        assert_eq!((used.end(), used.next_free(7), used.next_used(0)), (0, 7, None));
        for (first, count) in [(3, 2), (60, 10), (4090, 20), (3 * 4096, 4096), (1 << 40, 1)] {
            assert!(used.mark_run(first, count).unwrap());
        }
        assert!(!used.mark_run(69, 2).unwrap(), "the first of them was in");
        let runs = [(3, 2), (60, 11), (4090, 20), (12288, 4096), (1 << 40, 1)];
        assert_eq!(used.runs(0).collect::<Vec<_>>(), runs);
        assert_eq!(used.holes(0, 5000).collect::<Vec<_>>(), [(0, 3), (5, 55), (71, 4019), (4110, 890)]);
        assert_eq!(used.holes(61, 65).count(), 0);
        assert_eq!((used.count(), used.end()), (runs.iter().map(|r| r.1).sum(), (1 << 40) + 1));
        used.unmark_run(1 << 40, 1);
        used.unmark_run(4095, 2);
        assert_eq!((used.end(), used.has(4095), used.has(4097)), (16384, false, true));
        assert_eq!(used.next_free(12288), 16384);
    }

    #[test]
    fn memory_has_a_bound() {
        let mut used = Used::default();
        let failed = (0..1 << 20).any(|i| used.mark(i * GROUP).is_err());
        assert!(failed && used.groups.len() == MAX_GROUPS);
    }
}
