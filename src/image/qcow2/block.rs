//! One block of refcounts in memory.

use super::chunk::Group;
use super::header::Header;

/// 64 counters of 16 bits that are 1.
const ONES: [u8; 128] = {
    let mut ones = [0; 128];
    let mut i = 1;
    while i < ones.len() {
        ones[i] = 1;
        i += 2;
    }
    ones
};

/// One refcount block in file order, read and changed counter by counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    order: u32,
}

impl Block {
    /// A block of zeros.
    pub(super) fn empty(header: &Header) -> Self {
        Self::zeros(header.cluster_size(), header)
    }

    /// `bytes` of a block, all zeros.
    pub(super) fn zeros(bytes: u64, header: &Header) -> Self {
        Self { bytes: vec![0; bytes as usize], order: header.refcount_order }
    }

    /// The counter at `index`; 0 beyond the block.
    pub(super) fn get(&self, index: u64) -> u64 {
        let i = index as usize;
        if self.order < 3 {
            // Narrow counters fill a byte from its least significant bit.
            let per_byte = 8 >> self.order;
            let bits = 1u32 << self.order;
            let byte = self.bytes.get(i / per_byte).copied().unwrap_or(0);
            return u64::from(byte >> ((i % per_byte) as u32 * bits)) & ((1 << bits) - 1);
        }
        let width = 1usize << (self.order - 3);
        let bytes = self.bytes.get(i * width..(i + 1) * width).unwrap_or_default();
        bytes.iter().fold(0, |value, b| value << 8 | u64::from(*b))
    }

    /// Whether the counters from `first` on are exactly these (none of them [`u16::MAX`]).
    pub(super) fn matches(&self, first: u64, counts: Group<'_>) -> bool {
        match counts {
            Group::Bits(u64::MAX) if self.order == 4 => {
                self.bytes.get(first as usize * 2..).is_some_and(|rest| rest.starts_with(&ONES))
            }
            Group::Bits(bits) => {
                self.are(first, &std::array::from_fn::<u8, 64, _>(|i| (bits >> i & 1) as u8))
            }
            Group::Small(counts) => self.are(first, counts),
            Group::Large(counts) => !counts.contains(&u16::MAX) && self.are(first, counts),
        }
    }

    fn are<T: Copy + Into<u16>>(&self, first: u64, counts: &[T]) -> bool {
        if self.order != 4 {
            return (first..).zip(counts).all(|(i, count)| self.get(i) == u64::from((*count).into()));
        }
        let (recorded, _) = self.bytes.get(first as usize * 2..).unwrap_or_default().as_chunks();
        // Without a way out in the middle, many are looked at in one step.
        let differ = |bad, (b, count): (&[u8; 2], &T)| bad | (u16::from_be_bytes(*b) ^ (*count).into());
        recorded.len() >= counts.len() && recorded.iter().zip(counts).fold(0, differ) == 0
    }

    /// A bit for each counter that is 1; `bits` must have room for all.
    pub(super) fn singles(&self, bits: &mut [u64]) {
        let counters = (self.bytes.len() as u64 * 8) >> self.order;
        for (first, word) in (0..counters).step_by(64).zip(bits) {
            let ones = self.bytes.get(first as usize * 2..).and_then(|rest| rest.first_chunk::<128>());
            *word = match ones {
                Some(ones) if self.order == 4 && *ones == ONES => u64::MAX,
                _ => (0..64).fold(0, |word, i| word | u64::from(self.get(first + i) == 1) << i),
            };
        }
    }

    /// Sets the counter at `index`; the value must fit the width.
    pub(super) fn set(&mut self, index: u64, value: u64) {
        let i = index as usize;
        if self.order < 3 {
            let per_byte = 8 >> self.order;
            let bits = 1u32 << self.order;
            let shift = (i % per_byte) as u32 * bits;
            let mask = (((1u32 << bits) - 1) << shift) as u8;
            if let Some(byte) = self.bytes.get_mut(i / per_byte) {
                *byte = *byte & !mask | ((value as u8) << shift) & mask;
            }
            return;
        }
        let width = 1usize << (self.order - 3);
        if let Some(bytes) = self.bytes.get_mut(i * width..(i + 1) * width) {
            bytes.copy_from_slice(&value.to_be_bytes()[8 - width..]);
        }
    }

    /// Adds `by` to `count` counters from `first` on, none of which may leave 0 to `most`; otherwise gives
    /// the first that would.
    pub(super) fn add(&mut self, first: u64, count: u64, by: i64, most: u64) -> std::result::Result<(), u64> {
        if self.order == 4
            && let Ok(by) = i16::try_from(by)
        {
            let range = first as usize * 2..(first + count) as usize * 2;
            let (counters, _) = self.bytes.get_mut(range).unwrap_or_default().as_chunks_mut::<2>();
            for (i, counter) in (first..).zip(counters) {
                let value = u16::from_be_bytes(*counter).checked_add_signed(by).ok_or(i)?;
                *counter = value.to_be_bytes();
            }
            return Ok(());
        }
        for i in first..first + count {
            let value = self.get(i).checked_add_signed(by).filter(|value| *value <= most).ok_or(i)?;
            self.set(i, value);
        }
        Ok(())
    }

    /// The first counter from `first` on that is 0.
    pub(super) fn first_zero(&self, first: u64) -> Option<u64> {
        if self.order == 4 {
            let (counters, _) = self.bytes.get(first as usize * 2..)?.as_chunks::<2>();
            return Some(first + counters.iter().position(|c| *c == [0, 0])? as u64);
        }
        let counters = (self.bytes.len() as u64 * 8) >> self.order;
        (first..counters).find(|i| self.get(*i) == 0)
    }

    /// How many of the first `count` counters are 0.
    pub(super) fn zeros_before(&self, count: u64) -> u64 {
        if self.order == 4 {
            let (counters, _) = self.bytes.as_chunks::<2>();
            return counters.iter().take(count as usize).filter(|c| **c == [0, 0]).count() as u64;
        }
        (0..count).filter(|i| self.get(*i) == 0).count() as u64
    }

    /// Whether `count` counters from `index` on (whole bytes of them) are 0.
    pub(super) fn is_zero(&self, index: u64, count: u64) -> bool {
        let byte = |i: u64| ((i << self.order) / 8) as usize;
        let range = byte(index)..byte(index + count).min(self.bytes.len());
        self.bytes.get(range).unwrap_or_default().iter().all(|b| *b == 0)
    }

    /// Whether all counters are 0.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.iter().all(|b| *b == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_keeps_its_neighbours() {
        for order in 0..=6 {
            let mut block = Block { bytes: vec![0; 64], order };
            let max = if order == 6 { u64::MAX } else { (1 << (1 << order)) - 1 };
            let count = (64 * 8) >> order;
            for i in 0..count {
                block.set(i, if i % 2 == 0 { max } else { 0 });
            }
            for i in 0..count {
                assert_eq!(block.get(i), if i % 2 == 0 { max } else { 0 }, "order {order} index {i}");
            }
            block.set(1, 1);
            assert_eq!((block.get(0), block.get(1), block.get(2)), (max, 1, max));
        }
    }

    #[test]
    fn singles_are_the_counters_that_are_1() {
        for order in 0..=6 {
            let mut block = Block { bytes: vec![0; 512], order };
            let count = (512 * 8) >> order;
            (64..count).for_each(|i| block.set(i, 1));
            let changed = [3, 70, count - 1];
            changed.iter().for_each(|i| block.set(*i, 1 - block.get(*i)));
            let mut bits = vec![0; count.div_ceil(64) as usize];
            block.singles(&mut bits);
            for i in 0..count {
                let single = bits[(i / 64) as usize] >> (i % 64) & 1;
                assert_eq!(single, block.get(i), "order {order} index {i}");
            }
        }
    }

    #[test]
    fn layout_is_the_one_of_the_specification() {
        let mut nibbles = Block { bytes: vec![0; 8], order: 2 };
        nibbles.set(0, 0x1);
        nibbles.set(1, 0x2);
        assert_eq!(nibbles.bytes[0], 0x21);
        let mut words = Block { bytes: vec![0; 8], order: 4 };
        words.set(1, 0x0102);
        assert_eq!(words.bytes[2..4], [1, 2]);
    }
}
