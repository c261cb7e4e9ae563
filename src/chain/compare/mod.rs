//! Comparing two views: by identity first, by content only where identity does not decide.
//!
//! All cores work alike: whoever has nothing to do goes through the metadata of both views in guest
//! order ([`walk`]) until it has a window that only content can decide, leaves the walk to the next
//! one, then reads and compares ([`content`]).

mod content;
mod verify;
mod walk;

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use content::{Content, Finds, Found};
pub use verify::{STRIP, Verification, Verifying, verify};
use walk::Walk;

use super::{Content as Looking, Differs, View};
use crate::error::{Error, Kind, Result};

/// Ranges that are told of two views that differ, at most.
const RANGES: usize = 8;
/// Guest bytes from the first difference on in which more of them are looked for.
const REACH: u64 = 64 << 20;
/// Ranges are told in pieces of this size.
const SECTOR: u64 = 512;

/// A disk wants several requests at once, also from a machine with one core.
const MIN_THREADS: usize = 4;

/// The outcome of comparing two views.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Comparison {
    /// Where they first differ; `None` when they are the same.
    pub difference: Option<Difference>,
    /// The first ranges that differ, in whole sectors and guest order: not all of them, but enough to see whether
    /// it is one sector or everything.
    pub ranges: Vec<Range<u64>>,
    /// Bytes looked at until then.
    pub compared_bytes: u64,
    /// Of those, bytes known equal without reading (the same place in the same file, or zeros).
    pub shared_bytes: u64,
    /// Sizes of the two views. A longer one is equal when the rest of it is zeros.
    pub sizes: (u64, u64),
}

/// Where two views differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// First guest byte that differs.
    pub offset: u64,
}

/// Goes through both views on all cores; tells the bytes that were equal without reading.
fn run(a: &View, b: &View, finds: &Finds<'_>, progress: &mut (dyn FnMut(u64) -> bool + Send)) -> Result<u64> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).max(MIN_THREADS);
    let walk = Mutex::new(Walk::new(a, b, progress));
    let next = || walk.lock().unwrap_or_else(PoisonError::into_inner).next(finds);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut content = Content::of(a, b);
                while let Some(parts) = next() {
                    content.compare(&parts, finds);
                }
            });
        }
    });
    walk.into_inner().unwrap_or_else(PoisonError::into_inner).shared_bytes()
}

/// Compares content as a guest sees it, on all cores, until the first difference and a little beyond. `progress`
/// is called with the bytes done and may stop the comparison by returning `false` ([`Kind::Cancelled`]).
pub fn compare(a: &View, b: &View, mut progress: impl FnMut(u64) -> bool + Send) -> Result<Comparison> {
    let finds = Finds::default();
    let walked = run(a, b, &finds, &mut progress);
    let sizes = (a.size(), b.size());
    match finds.first() {
        Some(Found { at, what: Ok(()), shared_bytes }) => Ok(Comparison {
            difference: Some(Difference { offset: at }),
            ranges: ranges(a, b, at, progress)?,
            compared_bytes: at,
            shared_bytes,
            sizes,
        }),
        Some(Found { what: Err(e), .. }) => Err(e),
        None => {
            let compared_bytes = sizes.0.max(sizes.1);
            Ok(Comparison {
                difference: None,
                ranges: Vec::new(),
                compared_bytes,
                shared_bytes: walked?,
                sizes,
            })
        }
    }
}

/// What differs from `at` on.
fn ranges(a: &View, b: &View, at: u64, mut progress: impl FnMut(u64) -> bool) -> Result<Vec<Range<u64>>> {
    let end = a.size().max(b.size()).min(at.saturating_add(REACH));
    let differs = Differs::new(Some(a), Some(b), end, SECTOR, Looking::Compared).from(at);
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for range in differs {
        let range = range?;
        if !progress(range.start) {
            return Err(Error::new(Kind::Cancelled, "comparison stopped"));
        }
        let joins = ranges.last().is_some_and(|last| last.end == range.start);
        if !joins && ranges.len() == RANGES {
            break;
        }
        match ranges.last_mut().filter(|_| joins) {
            Some(last) => last.end = range.end,
            None => ranges.push(range.start..range.end),
        }
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::chain::{Chain, Layer};
    use crate::error::Kind;
    use crate::image::qcow2::{CreateOptions, Writer, create};
    use crate::image::{Format, State, Target, open};
    use crate::storage::{File, MemFile};
    use crate::units::Guest;

    fn raw(bytes: Vec<u8>) -> View {
        let image = open(Arc::new(MemFile::new("m", bytes)), Some(Format::Raw)).unwrap();
        Chain::from_layers(vec![Layer::new(PathBuf::from("m"), image)]).view(State::Active)
    }

    #[test]
    fn the_first_of_many_differences_is_told_whoever_finds_it() {
        let old = vec![7; 8 << 20];
        for at in [0, 1, 262_143, 262_144, 3_000_001, (8 << 20) - 1] {
            let mut new = old.clone();
            new[at..].iter_mut().step_by(100_003).for_each(|b| *b = 8);
            let told = compare(&raw(old.clone()), &raw(new), |_| true).unwrap();
            assert_eq!(told.difference, Some(Difference { offset: at as u64 }));
            assert_eq!(told.compared_bytes, at as u64);
        }
    }

    /// The same bytes as an image, every third cluster compressed where that is possible.
    fn qcow2(bytes: &[u8], cluster_size: u64) -> View {
        let file: Arc<dyn File> = Arc::new(MemFile::new("q", Vec::new()));
        let options =
            CreateOptions { virtual_size: bytes.len() as u64, cluster_size, ..CreateOptions::default() };
        create(&*file, &options).unwrap();
        let mut writer = Writer::open(file.clone(), false).unwrap();
        for (i, cluster) in bytes.chunks(cluster_size as usize).enumerate() {
            let at = Guest(i as u64 * cluster_size);
            let whole = cluster.len() as u64 == cluster_size;
            if whole && i % 3 == 0 && writer.put_compressed(at, cluster).unwrap() {
                continue;
            }
            let (host, _) = writer.allocate(at, cluster_size).unwrap();
            writer.file().write_at(host.0, cluster).unwrap();
            writer.map(at, host, cluster_size).unwrap();
        }
        Box::new(writer).finish().unwrap();
        let image = open(file, Some(Format::Qcow2)).unwrap();
        Chain::from_layers(vec![Layer::new(PathBuf::from("q"), image)]).view(State::Active)
    }

    #[test]
    fn the_first_ranges_that_differ_are_told() {
        let old = vec![7; 1 << 20];
        let mut new = old.clone();
        (new[700], new[1300], new[5000]) = (8, 8, 8);
        let told = compare(&raw(old.clone()), &raw(new.clone()), |_| true).unwrap();
        assert_eq!(told.ranges, [512..1536, 4608..5120]);
        new[10_000..].iter_mut().step_by(10_000).for_each(|b| *b = 8);
        assert_eq!(compare(&raw(old.clone()), &raw(new), |_| true).unwrap().ranges.len(), RANGES);
        assert_eq!(compare(&raw(old.clone()), &raw(old), |_| true).unwrap().ranges, []);
    }

    #[test]
    fn clusters_of_any_size_meet_in_parts() {
        let bytes: Vec<u8> = (0..5_000_192_u32).map(|i| (i / 700) as u8).collect();
        let same = |a: &View, b: &View| compare(a, b, |_| true).unwrap().difference.map(|d| d.offset);
        let views: Vec<_> = [512, 4096, 65_536, 2 << 20].map(|size| qcow2(&bytes, size)).into();
        for view in &views {
            assert_eq!((same(view, &views[3]), same(view, &raw(bytes.clone()))), (None, None));
        }
        for at in [0, 511, 65_535, 65_536, 2_097_151, 2_097_152, 5_000_191] {
            let mut other = bytes.clone();
            other[at] ^= 1;
            for view in &views {
                assert_eq!(same(view, &qcow2(&other, 65_536)), Some(at as u64));
            }
        }
    }

    #[test]
    fn a_longer_view_is_equal_when_the_rest_is_zeros() {
        let (short, mut long) = (vec![5; 4096], vec![5; 4096]);
        long.resize(1 << 20, 0);
        let told = compare(&raw(short.clone()), &raw(long.clone()), |_| true).unwrap();
        assert_eq!((told.difference, told.compared_bytes, told.sizes), (None, 1 << 20, (4096, 1 << 20)));
        long[700_000] = 1;
        let told = compare(&raw(short), &raw(long), |_| true).unwrap();
        assert_eq!(told.difference, Some(Difference { offset: 700_000 }));
    }

    #[test]
    fn every_difference_is_counted_and_the_first_ones_are_listed() {
        let old = vec![7; 8 << 20];
        let mut new = old.clone();
        new[100] = 8;
        new[700_000..2_500_000].fill(9);
        new[8_388_607] = 8;
        let (a, b) = (raw(old.clone()), raw(new.clone()));
        let watch = Verifying::of(&a, &b);
        let told = verify(&a, &b, &watch).unwrap();
        assert_eq!(told.differences, [100..512, 700_000..2_500_096, 8_388_607..8 << 20]);
        assert_eq!(told.different_bytes, 512 + (2_500_096 - 699_904) + 512);
        assert_eq!(watch.strip()[..1], [512]);
        assert_eq!(watch.progress(), (8 << 20, 8 << 20));
        let (twin, watch) = (raw(old.clone()), Verifying::of(&a, &a));
        assert!(verify(&a, &twin, &watch).unwrap().identical());
        // As many as fit are listed, whoever finds them, and all are counted.
        for sector in 0..8 << 11 {
            new[sector * 512] = if sector % 2 == 0 { 6 } else { 7 };
        }
        new[700_000..2_500_000].fill(7);
        (new[100], new[8_388_607]) = (7, 7);
        for sector in (0..8 << 11).step_by(2) {
            new[sector * 512] = 6;
        }
        let b = raw(new);
        let told = verify(&a, &b, &Verifying::of(&a, &b)).unwrap();
        assert_eq!(told.different_bytes, 4 << 20);
        assert_eq!(told.differences.len(), 256);
        assert!(told.differences.iter().enumerate().all(|(i, d)| d.start == 1024 * i as u64));
    }

    #[test]
    fn a_verification_can_be_stopped() {
        let view = raw(vec![9; 1 << 20]);
        let watch = Verifying::of(&view, &view);
        watch.stop();
        assert_eq!(verify(&view, &view, &watch).unwrap_err().kind(), Kind::Cancelled);
    }

    #[test]
    fn one_view_is_its_own_twin_unread_and_can_be_stopped() {
        let view = raw(vec![9; 1 << 20]);
        let told = compare(&view, &view, |_| true).unwrap();
        assert_eq!((told.difference, told.shared_bytes), (None, 1 << 20));
        assert_eq!(compare(&view, &view, |_| false).unwrap_err().kind(), Kind::Cancelled);
    }
}
