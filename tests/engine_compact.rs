//! Compacting against a model, in memory: images with holes, snapshots, shared and split tables and
//! compressed clusters. Every state reads the same before and after, the check is clean, the file is not
//! longer, and so it is at every moment of a power cut.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/states.rs"]
mod states;

use std::sync::Arc;

use common::Random;
use cowherd::image::qcow2::Writer;
use cowherd::image::{self, Compacted, Format, Target};
use cowherd::storage::{Event, File, MemFile, Recorder, Trace, apply_event};
use cowherd::units::Guest;
use states::{Models, assert_clean, change, created, read_all, snapshot};

/// Compressed clusters of the active state.
fn pack(file: &Arc<dyn File>, models: &mut Models, random: &mut Random) {
    let mut writer = Writer::open(file.clone(), false).unwrap();
    // Many of them share a cluster, and snapshots double that.
    if writer.most_states() < 100 {
        return;
    }
    let unit = writer.unit();
    let clusters = models[0].len() as u64 / unit;
    let mut at = random.below(clusters);
    while at < clusters {
        let range = (at * unit) as usize..((at + 1) * unit) as usize;
        let bytes: Vec<u8> = (0..unit).map(|i| if i % 7 == 0 { random.next() as u8 } else { 3 }).collect();
        if writer.put_compressed(Guest(at * unit), &bytes).unwrap() {
            models[0][range].copy_from_slice(&bytes);
        }
        at += 1 + random.below(4);
    }
    Box::new(writer).finish().unwrap();
}

fn forget(file: &Arc<dyn File>, models: &mut Models, random: &mut Random) {
    let index = random.below(models.len() as u64 - 1) as usize;
    let mut writer = Writer::open(file.clone(), false).unwrap();
    writer.delete_snapshots(&[index]).unwrap();
    Box::new(writer).finish().unwrap();
    models.remove(index + 1);
}

/// Zeros over much of the active state, which leaves holes.
fn thin(file: &Arc<dyn File>, models: &mut Models, random: &mut Random) {
    let mut writer = Writer::open(file.clone(), false).unwrap();
    let unit = writer.unit();
    let clusters = models[0].len() as u64 / unit;
    let mut at = random.below(9);
    while at < clusters {
        let n = (1 + random.below(12)).min(clusters - at);
        assert!(writer.zero(Guest(at * unit), n * unit).unwrap());
        models[0][(at * unit) as usize..((at + n) * unit) as usize].fill(0);
        at += n + random.below(12);
    }
    Box::new(writer).finish().unwrap();
}

/// An image that has lived.
fn lived(random: &mut Random) -> (Arc<dyn File>, Models) {
    let (file, mut models) = created(random);
    for _ in 0..4 + random.below(6) {
        match random.below(6) {
            0 if models.len() < 3 => snapshot(&file, &mut models),
            1 if models.len() > 1 => forget(&file, &mut models, random),
            2 => thin(&file, &mut models, random),
            3 if random.one_in(3) => pack(&file, &mut models, random),
            _ => change(&file, &mut models, random),
        }
    }
    (file, models)
}

fn compact(file: &Arc<dyn File>, dry: bool) -> Compacted {
    image::compact(file.clone(), Format::Qcow2, dry, &mut |_| Ok(())).unwrap()
}

fn bytes(file: &Arc<dyn File>) -> Vec<u8> {
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn every_state_reads_as_before_and_the_file_is_shorter() {
    let (mut before, mut after, mut shorter) = (0, 0, 0);
    for seed in 1..=150u64 {
        let what = format!("seed {seed}");
        let mut random = Random::new(seed);
        let (file, models) = lived(&mut random);
        let (len, old) = (file.len().unwrap(), bytes(&file));
        let planned = compact(&file, true);
        assert!(bytes(&file) == old, "{what}: the rehearsal wrote");
        let done = compact(&file, false);
        assert_clean(&file, &what);
        assert!(read_all(&file, models.len()) == models, "{what}: a state differs");
        let now = file.len().unwrap();
        assert!(now <= len, "{what}: grew from {len} to {now}");
        let wrote = |c: &Compacted| c.written.data_bytes + c.written.meta_bytes;
        assert!(wrote(&done) <= wrote(&planned), "{what}: {done:?} is dearer than {planned:?}");
        if planned.exact {
            assert_eq!(done.written, planned.written, "{what}");
        }
        // What is written next finds a sound image.
        let mut models = models;
        change(&file, &mut models, &mut random);
        assert_clean(&file, &what);
        assert!(read_all(&file, models.len()) == models, "{what}: a state differs after a change");
        (before, after) = (before + len, after + now);
        shorter += u64::from(now < len);
    }
    println!("{before} bytes became {after}; {shorter} of 150 files are shorter");
    assert!(shorter > 30, "only {shorter} files became shorter");
}

/// Compacting twice finds nothing to move the second time.
#[test]
fn it_comes_to_an_end() {
    for seed in 200..=240u64 {
        let (file, _) = lived(&mut Random::new(seed));
        compact(&file, false);
        let len = file.len().unwrap();
        let again = compact(&file, false);
        assert_eq!((again.written.data_bytes, again.written.meta_bytes), (0, 0), "seed {seed}");
        assert_eq!(file.len().unwrap(), len, "seed {seed}");
    }
}

/// Whatever the tables say: it is refused, or done and sound.
#[test]
fn damage_is_refused_or_survived() {
    let (mut refused, mut done) = (0, 0);
    for seed in 1000..=1600u64 {
        let mut random = Random::new(seed);
        let (file, _) = lived(&mut Random::new(1000 + seed % 12));
        let unit = image::open(file.clone(), None).unwrap().cluster_size();
        let clusters = file.len().unwrap() / unit;
        for _ in 0..1 + random.below(8) {
            // Words of tables, mostly; now and then a byte of the header.
            let word = match random.below(4) {
                0 => random.next(),
                1 => random.below(clusters + 3) * unit,
                2 => (random.below(clusters) * unit) | (1 << 63),
                _ => 0,
            };
            let at = random.below(clusters) * unit + random.below(20) * 8;
            file.write_at(at.max(24), &word.to_be_bytes()).unwrap();
        }
        let what = format!("seed {seed}");
        let run = |dry| image::compact(file.clone(), Format::Qcow2, dry, &mut |_| Ok(()));
        let planned = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(true)))
            .unwrap_or_else(|_| panic!("{what}: planning"));
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(false)))
            .unwrap_or_else(|_| panic!("{what}: panicked"))
        {
            Ok(_) => {
                assert!(planned.is_ok(), "{what}: {planned:?}");
                let report = image::open(file.clone(), Some(Format::Qcow2)).unwrap().check().unwrap();
                assert_eq!((report.leaks, report.corruptions), (0, 0), "{what}: {:#?}", report.findings);
                done += 1;
            }
            Err(_) => refused += 1,
        }
    }
    println!("{done} done, {refused} refused");
    assert!(done > 50 && refused > 50, "{done} done, {refused} refused");
}

/// Leaks are free space too.
#[test]
fn leaks_go_as_well() {
    for seed in 300..=320u64 {
        let mut random = Random::new(seed);
        let (file, models) = lived(&mut random);
        // A change that is cut off right behind its flip would leave what it replaced counted; here the
        // old refcounts of another image stand in for that.
        let leaked = leak(&file);
        if !leaked {
            continue;
        }
        let len = file.len().unwrap();
        let planned = compact(&file, true);
        assert!(!planned.exact);
        let done = compact(&file, false);
        assert_clean(&file, &format!("seed {seed}"));
        assert!(read_all(&file, models.len()) == models, "seed {seed}: a state differs");
        assert!(done.written.meta_bytes <= planned.written.meta_bytes, "seed {seed}");
        assert!(file.len().unwrap() <= len);
    }
}

/// Counts a free cluster as used, in a block of 16-bit counters. `false` when the image has none.
fn leak(file: &Arc<dyn File>) -> bool {
    let word = |at: u64, len: usize| {
        let mut b = [0; 8];
        file.read_at(at, &mut b[8 - len..]).unwrap();
        u64::from_be_bytes(b)
    };
    let (version, bits) = (word(4, 4), word(20, 4));
    if version == 3 && word(96, 4) != 4 {
        return false;
    }
    let block = word(word(48, 8), 8);
    let clusters = (file.len().unwrap() >> bits).min((1 << bits) / 2);
    let free = (1..clusters).rev().find(|c| word(block + c * 2, 2) == 0);
    free.inspect(|c| file.write_at(block + c * 2, &[0, 1]).unwrap()).is_some()
}

/// Every prefix of what is written, and every prefix with its last write torn at a sector.
#[test]
fn a_power_cut_changes_nothing_that_anybody_reads() {
    let mut cuts = 0;
    for seed in 400..=430u64 {
        let (file, models) = lived(&mut Random::new(seed));
        let old = bytes(&file);
        let trace = Trace::default();
        compact(&(Arc::new(Recorder::new(file.clone(), trace.clone())) as Arc<dyn File>), false);
        let events = trace.events();
        for cut in 0..=events.len() {
            for torn in [None, Some(512)] {
                let crashed: Arc<dyn File> = Arc::new(MemFile::new("mem", old.clone()));
                events[..cut].iter().for_each(|e| apply_event(&*crashed, e).unwrap());
                if let (Some(keep), Some(Event::Write { offset, bytes, .. })) = (torn, events.get(cut)) {
                    crashed.write_at(*offset, &bytes[..keep.min(bytes.len())]).unwrap();
                }
                let what = format!("seed {seed}, cut after {cut} of {}, torn {torn:?}", events.len());
                assert!(read_all(&crashed, models.len()) == models, "{what}: a state differs");
                assert_clean(&crashed, &what);
                cuts += 1;
            }
        }
    }
    assert!(cuts > 500, "only {cuts} moments");
}

/// What no sync has followed yet may be on the disk or not, in any combination.
#[test]
fn writes_that_were_not_synced_may_be_lost() {
    let mut cuts = 0;
    for seed in 600..=640u64 {
        let mut random = Random::new(seed);
        let (file, models) = lived(&mut random);
        if seed % 4 == 0 {
            leak(&file);
        }
        let old = bytes(&file);
        let trace = Trace::default();
        compact(&(Arc::new(Recorder::new(file.clone(), trace.clone())) as Arc<dyn File>), false);
        let events = trace.events();
        for cut in 0..=events.len() {
            let synced = events[..cut].iter().rposition(|e| matches!(e, Event::Sync { .. })).unwrap_or(0);
            let crashed: Arc<dyn File> = Arc::new(MemFile::new("mem", old.clone()));
            for (i, event) in events[..cut].iter().enumerate() {
                if i <= synced || random.one_in(2) {
                    apply_event(&*crashed, event).unwrap();
                }
            }
            let what = format!("seed {seed}, cut after {cut} of {}", events.len());
            assert!(read_all(&crashed, models.len()) == models, "{what}: a state differs");
            let report = image::open(crashed, Some(Format::Qcow2)).unwrap().check().unwrap();
            let leaks = u64::from(seed % 4 == 0);
            assert!(report.corruptions == 0 && report.leaks <= leaks, "{what}: {:#?}", report.findings);
            cuts += 1;
        }
    }
    assert!(cuts > 500, "only {cuts} moments");
}

/// A stop before the flip leaves the file as it was.
#[test]
fn a_stop_leaves_everything_as_it_was() {
    let mut stopped = 0;
    for seed in 500..=540u64 {
        let (file, models) = lived(&mut Random::new(seed));
        let (len, mut left) = (file.len().unwrap(), seed % 3);
        let done = image::compact(file.clone(), Format::Qcow2, false, &mut |_| match left.checked_sub(1) {
            Some(less) => {
                left = less;
                Ok(())
            }
            None => Err(cowherd::error::Error::new(cowherd::error::Kind::Cancelled, "stopped")),
        });
        stopped += u64::from(done.is_err());
        assert_clean(&file, &format!("seed {seed}"));
        assert!(read_all(&file, models.len()) == models, "seed {seed}: a state differs");
        assert!(file.len().unwrap() <= len, "seed {seed}: grew");
    }
    assert!(stopped > 5, "only {stopped} were stopped");
}
