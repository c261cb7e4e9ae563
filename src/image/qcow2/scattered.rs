//! Counted clusters that lie alone: a word for each, sorted now and then.

use std::collections::HashMap;
use std::ops::Range;

const COUNT_BITS: u32 = 16;
/// Stands for a count that does not fit; the whole of it is kept on the side.
const MANY: u64 = (1 << COUNT_BITS) - 1;
/// Words that are worth sorting.
const FRESH: usize = 1 << 14;

/// Clusters (of 47 bits at most: a host offset has 56) with their counts.
#[derive(Default)]
pub(super) struct Scattered {
    /// In order, each cluster once.
    sorted: Vec<u64>,
    /// As they came.
    fresh: Vec<u64>,
}

/// The cluster of a word, and its count.
pub(super) fn parts(word: u64) -> (u64, u16) {
    (word >> COUNT_BITS, word as u16)
}

impl Scattered {
    /// Counts one more cluster; `true` when it is time to [`sort`](Self::sort).
    pub(super) fn push(&mut self, cluster: u64, by: u64, many: &mut HashMap<u64, u64>) -> bool {
        if by >= MANY {
            add_many(many, cluster, by);
        }
        self.fresh.push(cluster << COUNT_BITS | by.min(MANY));
        self.fresh.len() >= FRESH.max(self.sorted.len() / 2)
    }

    pub(super) fn bytes(&self) -> usize {
        (self.sorted.len() + self.fresh.len()) * size_of::<u64>()
    }

    /// Makes one word of all that a cluster has.
    pub(super) fn sort(&mut self, many: &mut HashMap<u64, u64>) {
        if self.fresh.is_empty() {
            return;
        }
        self.fresh.sort_unstable();
        self.sorted.reserve_exact(self.fresh.len());
        self.sorted.append(&mut self.fresh);
        // Two runs, which a stable sort merges.
        self.sorted.sort();
        self.sorted.dedup_by(|next, kept| {
            let same = *next >> COUNT_BITS == *kept >> COUNT_BITS;
            if same {
                *kept = sum(*kept, *next, many);
            }
            same
        });
    }

    /// All words, in order; nothing may have come since the last [`sort`](Self::sort).
    pub(super) fn words(&self) -> &[u64] {
        debug_assert!(self.fresh.is_empty(), "not sorted");
        &self.sorted
    }

    /// Where the words of a range of clusters are.
    pub(super) fn range(&self, clusters: Range<u64>) -> &[u64] {
        let words = self.words();
        let place = |cluster: u64| words.partition_point(|word| word >> COUNT_BITS < cluster);
        words.get(place(clusters.start)..place(clusters.end)).unwrap_or_default()
    }

    /// Takes all words out.
    pub(super) fn take(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.sorted)
    }

    /// Puts back what is left of them.
    pub(super) fn put(&mut self, words: Vec<u64>) {
        self.sorted = words;
    }

    /// Forgets clusters from `end` on.
    pub(super) fn truncate(&mut self, end: u64) {
        let len = self.words().partition_point(|word| word >> COUNT_BITS < end);
        self.sorted.truncate(len);
        self.sorted.shrink_to_fit();
    }
}

fn sum(a: u64, b: u64, many: &mut HashMap<u64, u64>) -> u64 {
    let (cluster, a) = parts(a);
    let (_, b) = parts(b);
    let (a, b) = (u64::from(a), u64::from(b));
    // What stands for a larger count is on the side already.
    let here = [a, b].iter().filter(|count| **count != MANY).sum::<u64>();
    if a != MANY && b != MANY && here < MANY {
        return cluster << COUNT_BITS | here;
    }
    add_many(many, cluster, here);
    cluster << COUNT_BITS | MANY
}

/// Adds to a count on the side.
pub(super) fn add_many(many: &mut HashMap<u64, u64>, cluster: u64, by: u64) {
    let count = many.entry(cluster).or_insert(0);
    *count = count.saturating_add(by);
}
