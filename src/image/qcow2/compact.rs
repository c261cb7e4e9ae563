//! Compacting: free space goes back to the host, in place.
//!
//! Round by round, what lies at the end of the file moves into free clusters further down, each round
//! with one flip, and the file is cut behind it; then whatever is free in front of the end is punched
//! out. A crash at any moment leaves the image as one of the rounds left it, and no leak.
//!
//! Some things stay where they are, and the file no shorter than they allow: compressed clusters (they
//! share clusters of the file and run over their ends), data under LUKS (it is encrypted for its
//! place), key material, and bitmaps whose extension lies behind the first sector. What is free between
//! them goes back all the same. The data file of an image that has one is left alone.

use super::compact_map::Map;
use super::compact_round::{Outcome, Round};
use super::header::INCOMPAT_DIRTY;
use super::image::Qcow2;
use super::refcounts::Refcounts;
use super::repair;
use crate::error::{Error, Place, Result};
use crate::image::convert::Seen;
use crate::image::{Compacted, Files, Repair};
use crate::storage::{File, holes};

/// Clusters that a round moves at most, so that what it keeps in mind takes little memory.
const MOST: u64 = 1 << 18;
/// What file systems give back; less than that stays.
const BLOCK: u64 = 4096;

/// Compacts the image in `files`; `seen` is told of bytes moved, and fails to stop. With `dry` nothing
/// is written.
pub fn compact(files: &Files, dry: bool, seen: Seen<'_>) -> Result<Compacted> {
    compact_by(files, dry, MOST, seen)
}

fn compact_by(files: &Files, dry: bool, most: u64, seen: Seen<'_>) -> Result<Compacted> {
    let path = files.image.path().to_path_buf();
    let image = Qcow2::open(files.clone())?;
    if image.header.incompatible & INCOMPAT_DIRTY != 0 {
        return Err(Error::unsupported("not closed cleanly")
            .at(&path)
            .remedy("repair it first: cowherd check -r all"));
    }
    let leaks = image.sound().at(&path)?;
    let mut done = Compacted { exact: true, ..Compacted::default() };
    if leaks > 0 {
        done.add(repair(files.image.clone(), Repair::Leaks, dry)?);
        if dry {
            return leaky(&image, leaks, done);
        }
    }
    if dry { rehearse(files, &image, most, done) } else { really(files, most, seen, done) }
}

fn really(files: &Files, most: u64, seen: Seen<'_>, mut done: Compacted) -> Result<Compacted> {
    let file = &*files.image;
    loop {
        let image = Qcow2::open(files.clone())?;
        let map = Map::of(&image)?;
        let Some(round) = Round::plan(files, &map, most, false)? else { break };
        let Outcome { mut written, end, .. } = round.run(seen)?;
        written.freed_bytes += cut(file, end << image.header.cluster_bits, false)?.unwrap_or(0);
        done.add(written);
        if end >= map.end {
            break;
        }
    }
    let image = Qcow2::open(files.clone())?;
    let bits = image.header.cluster_bits;
    let mut refcounts = Refcounts::open(&image.file, &image.header)?;
    let end = Map::end(&image)?;
    let swept = sweep(file, end, bits, false, |cluster| Ok(refcounts.get(cluster)? == 0))?;
    done.swept(swept, cut(file, end << bits, false)?);
    if done.changes {
        file.sync()?;
    }
    Ok(done)
}

/// What the first round does is known exactly. Those behind it gain more clusters than they write tables,
/// and move no more than they gain; so what there is to gain bounds them.
fn rehearse(files: &Files, image: &Qcow2, most: u64, mut done: Compacted) -> Result<Compacted> {
    let (file, bits) = (&*files.image, image.header.cluster_bits);
    // Blocks of the file system hold several such clusters, and what is free of them is not known.
    done.exact = image.header.cluster_size() >= BLOCK;
    let map = Map::of(image)?;
    let Some(round) = Round::plan(files, &map, most, true)? else {
        let mut refcounts = Refcounts::open(&image.file, &image.header)?;
        let swept = sweep(file, map.end, bits, true, |cluster| Ok(refcounts.get(cluster)? == 0))?;
        done.swept(swept, cut(file, map.end << bits, true)?);
        return Ok(done);
    };
    let Outcome { written, end, mut writer } = round.run(&mut |_| Ok(()))?;
    done.add(written);
    let mut free = 0;
    for cluster in 0..end {
        free += u64::from(writer.refs.get(&mut writer.alloc, cluster)? == 0);
    }
    let refs = |cluster| Ok(writer.refs.get(&mut writer.alloc, cluster)? == 0);
    let swept = sweep(file, end, bits, true, refs)?;
    done.swept(swept, cut(file, end << bits, true)?);
    if map.may_go_on(end, free, most) {
        bound(&map, end, free, most, file, bits, &mut done)?;
    }
    Ok(done)
}

/// Rounds that may follow, on a file with this end and so many free clusters in front of it: each gains a
/// least number of clusters, writes at most all metadata, and moves at most all that is stored.
fn bound(
    map: &Map,
    end: u64,
    free: u64,
    most: u64,
    file: &dyn File,
    bits: u32,
    done: &mut Compacted,
) -> Result<()> {
    let rounds = free / map.least_gain(end - free.min(end), most);
    let gain = free << bits;
    // Holes stay holes; a file system may store a little more around each piece of data.
    let stored = if 1 << bits < BLOCK { u64::MAX } else { file.disk_size()?.saturating_mul(2) };
    let tables = map.metadata(end) << bits;
    done.exact = false;
    done.written.data_bytes += gain.min(stored.saturating_mul(rounds));
    done.written.meta_bytes += gain.min(tables.saturating_mul(rounds));
    done.written.extra_bytes += gain.min(most << bits).min(stored).saturating_add(tables.min(gain));
    Ok(())
}

/// What leaks is not free before it is repaired, so nothing is known but what there is to gain.
fn leaky(image: &Qcow2, leaks: u64, mut done: Compacted) -> Result<Compacted> {
    let map = Map::of(image)?;
    let bits = image.header.cluster_bits;
    let free = (map.end + leaks).saturating_sub(map.used);
    bound(&map, map.end, free, MOST, &*image.file, bits, &mut done)?;
    let mut refcounts = Refcounts::open(&image.file, &image.header)?;
    let swept = sweep(&*image.file, map.end, bits, true, |cluster| Ok(refcounts.get(cluster)? == 0))?;
    done.swept(swept, cut(&*image.file, map.end << bits, true)?);
    done.written.freed_bytes += free << bits;
    Ok(done)
}

/// Cuts the file at `end`; the bytes that gave back, `None` when there was nothing behind it.
fn cut(file: &dyn File, end: u64, dry: bool) -> Result<Option<u64>> {
    let len = file.len()?;
    if len <= end || !file.can_grow() {
        return Ok(None);
    }
    let data = len - end - holes(file, end, len - end)?;
    if !dry {
        file.set_len(end)?;
    }
    Ok(Some(data))
}

/// Punches what is free in front of cluster `end`; gives the bytes that held data.
fn sweep(
    file: &dyn File,
    end: u64,
    bits: u32,
    dry: bool,
    mut is_free: impl FnMut(u64) -> Result<bool>,
) -> Result<u64> {
    let (mut at, end, mut bytes) = (0, end << bits, 0);
    while at < end
        && let Some(data) = file.data_range(at)?
    {
        let stop = data.end.min(end);
        let mut cluster = data.start >> bits;
        while cluster << bits < stop {
            let first = cluster;
            while cluster << bits < stop && is_free(cluster)? {
                cluster += 1;
            }
            let (from, to) = ((first << bits).max(data.start), (cluster << bits).min(stop));
            let (from, to) = (from.next_multiple_of(BLOCK), to / BLOCK * BLOCK);
            if from < to {
                bytes += to - from;
                if !dry {
                    file.punch(from, to - from)?;
                }
            }
            cluster += u64::from(cluster == first || cluster << bits < stop);
        }
        at = data.end.max(at + 1);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{CreateOptions, Writer, create};
    use super::*;
    use crate::image::{Image, Target};
    use crate::storage::MemFile;
    use crate::units::Guest;

    /// Every third cluster of a full image is left, in four sizes of them.
    fn thinned(cluster_size: u64, clusters: u64) -> Result<Arc<MemFile>> {
        let file = Arc::new(MemFile::new("x", Vec::new()));
        let virtual_size = clusters * cluster_size;
        create(&*file, &CreateOptions { cluster_size, virtual_size, ..CreateOptions::default() })?;
        let mut writer = Writer::open(file.clone(), false)?;
        for i in 0..clusters {
            let (host, len) = writer.allocate(Guest(i * cluster_size), cluster_size)?;
            file.write_at(host.0, &vec![i as u8 | 1; len as usize])?;
            writer.map(Guest(i * cluster_size), host, len)?;
        }
        Box::new(writer).finish()?;
        let mut writer = Writer::open(file.clone(), false)?;
        for i in (0..clusters).filter(|i| i % 3 != 0) {
            writer.zero(Guest(i * cluster_size), cluster_size)?;
        }
        Box::new(writer).finish()?;
        Ok(file)
    }

    #[test]
    fn many_rounds_end_where_one_does_and_cost_no_more_than_planned() -> Result<()> {
        for (cluster_size, clusters) in [(512, 3000), (1024, 3000), (4096, 2500), (65536, 300)] {
            let mut ends = Vec::new();
            for most in [MOST, 400, 150] {
                let file = thinned(cluster_size, clusters)?;
                let files = Files::from(file.clone());
                let planned = compact_by(&files, true, most, &mut |_| Ok(()))?;
                let done = compact_by(&files, false, most, &mut |_| Ok(()))?;
                let total = |c: &Compacted| c.written.data_bytes + c.written.meta_bytes;
                assert!(total(&done) <= total(&planned), "{cluster_size} {most}: {done:?} {planned:?}");
                assert!(!planned.exact || done.written == planned.written, "{cluster_size} {most}");
                let image = Qcow2::open(file.clone())?;
                let report = image.check()?;
                assert_eq!((report.leaks, report.corruptions), (0, 0), "{cluster_size} {most}");
                let mut cluster = vec![0; cluster_size as usize];
                for i in 0..clusters {
                    let extent = image.extent_at(
                        crate::image::State::Active,
                        Guest(i * cluster_size),
                        cluster_size,
                    )?;
                    image.read(&extent, 0, &mut cluster)?;
                    let expected = if i % 3 == 0 { i as u8 | 1 } else { 0 };
                    assert!(cluster.iter().all(|b| *b == expected), "{cluster_size} {most}: cluster {i}");
                }
                ends.push(file.len()? / cluster_size);
            }
            println!("{clusters} clusters of {cluster_size}: {ends:?}");
            assert!(ends.iter().all(|end| *end < clusters * 6 / 10), "{ends:?}");
        }
        Ok(())
    }
}
