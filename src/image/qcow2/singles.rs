//! Which clusters have a recorded refcount of exactly 1: what COPIED flags must agree with.
//!
//! A bit per cluster, so that references in any order find what was read before. Blocks are read in
//! small pieces: hostile tables would have us read 2 MiB for every counter.

use super::block::Block;
use super::header::Header;
use super::refcounts::Refcounts;
use crate::error::Result;

/// Bytes of a block that are read at once.
const PIECE: u64 = 4096;
/// Bytes of bits kept: those of 2 TiB at the usual sizes.
const KEPT: u64 = 4 << 20;
/// Pieces kept, where they are small.
const PIECES: u64 = 1 << 16;

/// The bits of some pieces, one piece for each place.
pub(super) struct Singles {
    pieces: Vec<Option<Piece>>,
    places: u64,
    /// Reused for reading.
    block: Block,
    /// Counters in a block and in a piece, both powers of two.
    per_block: u64,
    per_piece: u64,
}

struct Piece {
    number: u64,
    bits: Box<[u64]>,
}

impl Singles {
    /// Nothing is read yet.
    pub(super) fn new(header: &Header) -> Self {
        let bytes = PIECE.min(header.cluster_size());
        let per_piece = (bytes * 8) >> header.refcount_order;
        Self {
            pieces: Vec::new(),
            places: (KEPT * 8 / per_piece).min(PIECES),
            block: Block::zeros(bytes, header),
            per_block: header.block_entries(),
            per_piece,
        }
    }

    /// Whether the recorded refcount of a cluster is 1.
    pub(super) fn has(&mut self, refcounts: &Refcounts, cluster: u64) -> Result<bool> {
        let place = cluster % self.per_piece;
        Ok(bit(self.piece(refcounts, cluster / self.per_piece)?, place))
    }

    /// The first of `len` clusters from `cluster` on whose refcount is 1 although it should not be, or
    /// the other way round.
    pub(super) fn first_unlike(
        &mut self,
        refcounts: &Refcounts,
        cluster: u64,
        len: u64,
        single: bool,
    ) -> Result<Option<u64>> {
        let (mut at, end) = (cluster, cluster.saturating_add(len));
        while at < end {
            let start = at / self.per_piece * self.per_piece;
            let stop = end.min(start.saturating_add(self.per_piece));
            let piece = self.piece(refcounts, at / self.per_piece)?;
            if let Some(unlike) = first_bit(piece, at - start..stop - start, !single) {
                return Ok(Some(start + unlike));
            }
            at = stop;
        }
        Ok(None)
    }

    fn piece(&mut self, refcounts: &Refcounts, number: u64) -> Result<&[u64]> {
        let place = (number % self.places) as usize;
        if place >= self.pieces.len() {
            self.pieces.resize_with(place + 1, || None);
        }
        let slot = &mut self.pieces[place];
        if slot.as_ref().is_none_or(|piece| piece.number != number) {
            let first = number * self.per_piece;
            let words = self.per_piece.div_ceil(64) as usize;
            let mut bits = slot.take().map_or_else(|| vec![0; words].into_boxed_slice(), |piece| piece.bits);
            bits.fill(0);
            if refcounts.read_part(first / self.per_block, first % self.per_block, &mut self.block)? {
                self.block.singles(&mut bits);
            }
            *slot = Some(Piece { number, bits });
        }
        Ok(slot.as_ref().map_or(&[], |piece| &piece.bits))
    }
}

fn bit(bits: &[u64], at: u64) -> bool {
    bits.get((at / 64) as usize).is_some_and(|word| word >> (at % 64) & 1 == 1)
}

/// The first bit in a range that is `wanted`.
fn first_bit(bits: &[u64], range: std::ops::Range<u64>, wanted: bool) -> Option<u64> {
    let mut at = range.start;
    while at < range.end {
        let word = bits.get((at / 64) as usize).copied().unwrap_or(0);
        let word = if wanted { word } else { !word } >> (at % 64);
        if word != 0 {
            return Some(at + u64::from(word.trailing_zeros())).filter(|found| *found < range.end);
        }
        at = (at / 64 + 1) * 64;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_found_across_words_and_not_behind_the_range() {
        let bits = [u64::MAX, u64::MAX << 3, 0];
        for (range, wanted, found) in [
            (0..64, false, None),
            (0..65, false, Some(64)),
            (5..192, false, Some(64)),
            (66..128, false, Some(66)),
            (67..128, false, None),
            (67..192, false, Some(128)),
            (128..192, true, None),
            (64..67, true, None),
            (64..68, true, Some(67)),
            (9..9, true, None),
        ] {
            assert_eq!(first_bit(&bits, range.clone(), wanted), found, "{range:?} {wanted}");
        }
        assert!(bit(&bits, 63) && !bit(&bits, 66) && !bit(&bits, 999));
    }
}
