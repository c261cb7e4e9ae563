//! What a view reads, in a few bytes that outlive it: taken before a change, compared afterwards.
//!
//! A view is cut into at most a few thousand blocks, each of which gets one hash. What reads as zeros adds nothing
//! to it, stored or not, so that sparse disks cost what they hold.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::View;
use crate::error::{Error, Kind, Result};
use crate::image::ExtentKind;
use crate::units::Guest;

/// Most blocks of a fingerprint.
const BLOCKS: u64 = 4096;
/// Bytes read at a time: the largest cluster, so that no compressed one is unpacked twice. No block is smaller.
const WINDOW: u64 = 2 << 20;
/// Zeros are left out in pieces of this size.
const PIECE: usize = 64 << 10;

/// What a fingerprint is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Which file holds each range, and where: metadata alone is read. Equal means that nothing moved; it says
    /// nothing about bytes that were overwritten where they lie.
    Places,
    /// The bytes: all that is not known to be zeros is read.
    Content,
}

/// A hash of each block of a view; all zeros for a block of zeros.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    basis: Basis,
    size: u64,
    block: u64,
    /// Sixteen bytes a block, in hexadecimal digits.
    hashes: String,
}

impl Fingerprint {
    /// Takes one, on all cores. `progress` is told of bytes done since it was last called, and may stop it by
    /// returning `false` ([`Kind::Cancelled`]).
    pub fn of(view: &View, basis: Basis, progress: &(dyn Fn(u64) -> bool + Sync)) -> Result<Self> {
        let size = view.size();
        let block = size.div_ceil(BLOCKS).next_power_of_two().max(WINDOW);
        Self::in_blocks(view, basis, size, block, progress)
    }

    /// Bytes of the view.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The first block in which `view` does not read as the fingerprint says, up to the size of that; nothing when
    /// there is none. What lies behind is the caller's to look at.
    pub fn differs(
        &self,
        view: &View,
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<Option<Range<u64>>> {
        let now = Self::in_blocks(view, self.basis, self.size, self.block.max(1), progress)?;
        let pairs = self.hashes.as_bytes().chunks(32).zip(now.hashes.as_bytes().chunks(32));
        let same = pairs.take_while(|(then, now)| then == now).count() as u64;
        let start = same.saturating_mul(self.block);
        Ok((start < self.size).then(|| start..start.saturating_add(self.block).min(self.size)))
    }

    fn in_blocks(
        view: &View,
        basis: Basis,
        size: u64,
        block: u64,
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<Self> {
        let count = size.div_ceil(block);
        let (next, found) = (AtomicU64::new(0), Mutex::new((vec![[0; 16]; count as usize], Ok(()))));
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let mut buf = Vec::new();
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let start = index.saturating_mul(block);
                        if index >= count {
                            return;
                        }
                        let range = start..start.saturating_add(block).min(size);
                        let hash = hash(view, basis, range, &mut buf, progress);
                        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                        match hash {
                            Ok(hash) => found.0[index as usize] = hash,
                            Err(e) => {
                                next.store(count, Ordering::Relaxed);
                                // The one that came first is the one to tell.
                                found.1 = std::mem::replace(&mut found.1, Ok(())).and(Err(e));
                                return;
                            }
                        }
                    }
                });
            }
        });
        let (hashes, outcome) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        outcome?;
        let hashes = hashes.iter().flatten().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { basis, size, block, hashes })
    }
}

/// The hash of one block.
fn hash(
    view: &View,
    basis: Basis,
    range: Range<u64>,
    buf: &mut Vec<u8>,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<[u8; 16]> {
    let mut hasher = blake3::Hasher::new();
    let mut at = range.start;
    while at < range.end {
        let end = (at + WINDOW).min(range.end);
        match basis {
            Basis::Places => places(view, at..end.min(view.size()), &mut hasher)?,
            Basis::Content => content(view, at..end, buf, &mut hasher)?,
        }
        if !progress(end - at) {
            return Err(Error::new(Kind::Cancelled, "verification stopped"));
        }
        at = end;
    }
    let mut hash = [0; 16];
    if hasher.count() > 0 {
        hash.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    }
    Ok(hash)
}

fn places(view: &View, range: Range<u64>, hasher: &mut blake3::Hasher) -> Result<()> {
    for extent in view.extents(range.start, range.end) {
        let extent = extent?;
        let place = match extent.kind {
            ExtentKind::Data { host } => [0, host.0, 0, 0],
            ExtentKind::Compressed { host, bytes, skip } => [1, host.0, bytes, skip],
            _ => continue,
        };
        let file = view.file_of(&extent).ok_or_else(|| Error::corrupt("data without a file"))?;
        let all = [[extent.start.0, extent.len, file.dev, file.ino], place].concat();
        all.iter().for_each(|number| {
            hasher.update(&number.to_le_bytes());
        });
    }
    Ok(())
}

/// What lies behind the end of the view reads as zeros.
fn content(view: &View, range: Range<u64>, buf: &mut Vec<u8>, hasher: &mut blake3::Hasher) -> Result<()> {
    let (mut cursor, mut at, mut any) = (view.cursor(), range.start, false);
    buf.resize(WINDOW as usize, 0);
    let buf = &mut buf[..(range.end - range.start) as usize];
    while at < range.end.min(view.size()) {
        let run = cursor.extent_at(Guest(at), range.end - at)?;
        let from = (at - range.start) as usize;
        view.read_extent(&run, 0, &mut buf[from..from + run.len as usize])?;
        any |= !run.reads_zero();
        at += run.len;
    }
    if any {
        buf[(at - range.start) as usize..].fill(0);
        for (i, piece) in buf.chunks(PIECE).enumerate() {
            if piece.iter().any(|byte| *byte != 0) {
                hasher.update(&(range.start + (i * PIECE) as u64).to_le_bytes()).update(piece);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::chain::{Chain, Layer};
    use crate::image::{Format, State, open};
    use crate::storage::MemFile;

    fn raw(bytes: Vec<u8>) -> View {
        let image = open(Arc::new(MemFile::new("m", bytes)), Some(Format::Raw)).unwrap();
        Chain::from_layers(vec![Layer::new(PathBuf::from("m"), image)]).view(State::Active)
    }

    fn of(view: &View, basis: Basis) -> Fingerprint {
        Fingerprint::of(view, basis, &|_| true).unwrap()
    }

    #[test]
    fn every_byte_counts() {
        let bytes: Vec<u8> = (0..5_000_192_u32).map(|i| (i / 700) as u8).collect();
        let then = of(&raw(bytes.clone()), Basis::Content);
        assert_eq!(then.differs(&raw(bytes.clone()), &|_| true).unwrap(), None);
        for at in [0, 2_097_151, 2_097_152, 5_000_191] {
            let mut other = bytes.clone();
            other[at] ^= 1;
            let differs = then.differs(&raw(other), &|_| true).unwrap();
            assert!(differs.is_some_and(|range| range.contains(&(at as u64))), "{at}");
        }
        // What is swapped is not the same.
        let mut other = bytes.clone();
        let (a, b) = other.split_at_mut(PIECE);
        a.swap_with_slice(&mut b[..PIECE]);
        assert_eq!(then.differs(&raw(other), &|_| true).unwrap(), Some(0..WINDOW));
    }

    #[test]
    fn zeros_are_zeros_wherever_they_come_from() {
        let mut longer = vec![0; 6 << 20];
        longer[..100].fill(1);
        let then = of(&raw(longer[..4 << 20].to_vec()), Basis::Content);
        assert_eq!(then.differs(&raw(longer.clone()), &|_| true).unwrap(), None);
        // A shorter one reads zeros there too.
        assert_eq!(then.differs(&raw(longer[..4096].to_vec()), &|_| true).unwrap(), None);
        longer[(4 << 20) - 1] = 1;
        assert_eq!(then.differs(&raw(longer), &|_| true).unwrap(), Some(2 << 20..4 << 20));
    }

    #[test]
    fn places_say_where_not_what() {
        let (one, twin) = (raw(vec![7; 1 << 20]), raw(vec![7; 1 << 20]));
        let then = of(&one, Basis::Places);
        assert_eq!(then.differs(&one, &|_| true).unwrap(), None);
        assert_eq!(then.differs(&twin, &|_| true).unwrap(), Some(0..1 << 20));
        assert_eq!(Fingerprint::of(&one, Basis::Content, &|_| false).unwrap_err().kind(), Kind::Cancelled);
    }
}
