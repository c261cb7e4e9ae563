//! The QED engine against a model, in memory: random writes, zeroes and growth; the image reads as
//! the model says, its check is clean and leaves no leak, and every moment a power cut could leave
//! behind is the old image or the new one, with leaks at worst.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use cowherd::chain::{Chain, Layer};
use cowherd::error::Kind;
use cowherd::image::qed::{self, CreateOptions, QedWriter, repair};
use cowherd::image::{self, BackingRef, CheckReport, Details, Format, Repair, State, Target, Written};
use cowherd::storage::{Event, File, MemFile, Recorder, Trace, apply_event};
use cowherd::units::{Guest, align_up};

/// A small generator of numbers, the same for the same seed everywhere.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

fn memory(bytes: Vec<u8>) -> Arc<dyn File> {
    Arc::new(MemFile::new("mem", bytes))
}

fn created(cluster_size: u64, table_size: u32, size: u64, backed: bool) -> Arc<dyn File> {
    let file = memory(Vec::new());
    let backing = backed.then(|| BackingRef { name: OsString::from("base"), format: None });
    qed::create(&*file, &CreateOptions { cluster_size, table_size, virtual_size: size, backing }).unwrap();
    file
}

/// What a guest reads from this image over a base of nothing but `below`.
fn read_all(file: &Arc<dyn File>, below: u8) -> Vec<u8> {
    let image = image::open(file.clone(), Some(Format::Qed)).unwrap();
    let size = image.virtual_size(State::Active);
    let mut layers = vec![Layer::new(PathBuf::from("mem"), image.clone())];
    if image.backing().is_some() {
        let base = image::open(memory(vec![below; size as usize]), Some(Format::Raw)).unwrap();
        layers.push(Layer::new(PathBuf::from("base"), base));
    }
    let view = Chain::from_layers(layers).view(State::Active);
    let mut out = vec![0xaa; size as usize];
    assert_eq!(view.read_at(Guest(0), &mut out).unwrap(), out.len());
    out
}

fn check(file: &Arc<dyn File>) -> CheckReport {
    image::open(file.clone(), Some(Format::Qed)).unwrap().check().unwrap()
}

fn assert_clean(file: &Arc<dyn File>, what: &str) {
    let report = check(file);
    assert_eq!((report.leaks, report.corruptions), (0, 0), "{what}: {:#?}", report.findings);
}

fn bytes(file: &Arc<dyn File>) -> Vec<u8> {
    let mut out = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut out).unwrap();
    out
}

fn write(target: &mut dyn Target, at: u64, bytes: &[u8]) {
    let mut done = 0;
    while done < bytes.len() {
        let (host, len) = target.allocate(Guest(at + done as u64), (bytes.len() - done) as u64).unwrap();
        let n = (len as usize).min(bytes.len() - done);
        if !target.is_dry() {
            target.file().write_at(host.0, &bytes[done..done + n]).unwrap();
        }
        target.map(Guest(at + done as u64), host, len).unwrap();
        done += n;
    }
}

/// One random change of the image and of the model; `dry` only counts, and leaves the model alone.
fn change(file: &Arc<dyn File>, model: &mut Vec<u8>, below: u8, random: &mut Random, dry: bool) -> Written {
    let model = if dry { &mut model.clone() } else { model };
    let mut target = image::write(file.clone(), Format::Qed, dry).unwrap();
    let backed = image::open(file.clone(), Some(Format::Qed)).unwrap().backing().is_some();
    let unit = target.unit();
    let mut at = random.below(9);
    if random.below(6) == 0 {
        // What the base shows in the rest of the last old cluster is the caller's to cover.
        let step = if backed { unit } else { 512 };
        let size = align_up(model.len() as u64 + random.below(64 * unit), step);
        target.grow(size).unwrap();
        model.resize(size as usize, if backed { below } else { 0 });
        at += size / unit;
    }
    let clusters = (model.len() as u64).div_ceil(unit);
    while at < clusters {
        let n = (1 + random.below(7)).min(clusters - at);
        let range = (at * unit) as usize..(((at + n) * unit) as usize).min(model.len());
        if random.below(4) == 0 {
            assert!(target.zero(Guest(at * unit), n * unit).unwrap());
            model[range].fill(0);
        } else {
            let mut bytes = vec![random.next() as u8 | 1; (n * unit) as usize];
            bytes[0] = random.next() as u8;
            // Behind the end of the disk there must be zeros, for the day it grows.
            bytes[range.len()..].fill(0);
            write(&mut *target, at * unit, &bytes);
            model[range.clone()].copy_from_slice(&bytes[..range.len()]);
        }
        at += n + random.below(9);
    }
    target.finish().unwrap()
}

#[test]
fn random_changes_read_as_the_model_says_and_cost_what_was_planned() {
    for seed in 1..=60u64 {
        let mut random = Random::new(seed);
        let (cluster_size, table_size) = (4096 << random.below(3), 2 << random.below(4));
        let backed = random.below(2) == 0;
        let size = align_up(1 + random.below(300 * cluster_size), if backed { cluster_size } else { 512 });
        let file = created(cluster_size, table_size, size, backed);
        let mut model = vec![if backed { 7 } else { 0 }; size as usize];
        for step in 0..8 {
            let what = format!("seed {seed} step {step} ({cluster_size} B clusters, {table_size} per table)");
            let (before, state) = (bytes(&file), random.0);
            let planned = change(&file, &mut model, 7, &mut random, true);
            assert!(bytes(&file) == before, "{what}: a rehearsal wrote");
            random.0 = state;
            let done = change(&file, &mut model, 7, &mut random, false);
            assert_eq!(planned, done, "{what}");
            assert_eq!(
                before.len() as u64 + done.extra_bytes - done.freed_bytes,
                file.len().unwrap(),
                "{what}: what was taken and given back"
            );
            assert_clean(&file, &what);
            assert!(read_all(&file, 7) == model, "{what}: differs");
        }
        let planned = image::empty(file.clone(), Format::Qed, true).unwrap();
        assert_eq!(image::empty(file.clone(), Format::Qed, false).unwrap(), planned);
        assert_clean(&file, "emptied");
        let empty = vec![if backed { 7 } else { 0 }; model.len()];
        assert!(read_all(&file, 7) == empty, "seed {seed}: emptied");
        assert_eq!(file.len().unwrap(), cluster_size * (1 + u64::from(table_size)));
        assert_eq!(image::empty(file, Format::Qed, false).unwrap(), Written::default());
    }
}

/// Replays every prefix of `events` on `old`, whole and with the next write torn at a sector, and
/// calls `fine` on what is left.
fn power_cuts(old: &[u8], events: &[Event], fine: &dyn Fn(&Arc<dyn File>, &str)) {
    for cut in 0..=events.len() {
        for torn in [None, Some(0), Some(512), Some(4096)] {
            let crashed = memory(old.to_vec());
            events[..cut].iter().for_each(|e| apply_event(&*crashed, e).unwrap());
            if let (Some(keep), Some(Event::Write { offset, bytes, .. })) = (torn, events.get(cut)) {
                crashed.write_at(*offset, &bytes[..keep.min(bytes.len())]).unwrap();
            }
            fine(&crashed, &format!("cut after {cut} of {}, torn {torn:?}", events.len()));
        }
        // Of the writes that nothing has made durable yet, any one may be the only one missing.
        let open = events[..cut].iter().rposition(|e| matches!(e, Event::Sync { .. })).map_or(0, |i| i + 1);
        for lost in open..cut {
            let crashed = memory(old.to_vec());
            let kept = events[..cut].iter().enumerate().filter(|(i, _)| *i != lost);
            kept.for_each(|(_, e)| apply_event(&*crashed, e).unwrap());
            fine(&crashed, &format!("cut after {cut} of {}, without {lost}", events.len()));
        }
    }
}

#[test]
fn a_power_cut_leaves_the_old_image_or_the_new_one() {
    for seed in 1..=12u64 {
        let mut random = Random::new(seed + 1000);
        let table_size = 2 << random.below(3);
        let backed = random.below(2) == 0;
        let below = if backed { 7 } else { 0 };
        let file = created(4096, table_size, 128 << 10, backed);
        let mut model = vec![below; 128 << 10];
        change(&file, &mut model, below, &mut random, false);
        change(&file, &mut model, below, &mut random, false);
        let (old, old_bytes) = (model.clone(), bytes(&file));
        let trace = Trace::default();
        let recorded: Arc<dyn File> = Arc::new(Recorder::new(file.clone(), trace.clone()));
        change(&recorded, &mut model, below, &mut random, false);
        power_cuts(&old_bytes, &trace.events(), &|crashed, what| {
            let what = format!("seed {seed}, {what}");
            let now = read_all(crashed, below);
            assert!(now == old || now == model, "{what}: neither old nor new");
            let report = check(crashed);
            assert_eq!(report.corruptions, 0, "{what}: {:#?}", report.findings);
            // What the cut left behind is reclaimed, and nothing else changes by that.
            repair(crashed.clone(), Repair::Leaks, false).unwrap();
            assert_clean(crashed, &what);
            assert!(read_all(crashed, below) == now, "{what}: the repair changed the content");
        });
        assert_clean(&file, "in the end");
    }
}

#[test]
fn a_power_cut_while_emptying_leaves_the_old_image_or_none() {
    let file = created(4096, 2, 1 << 20, true);
    let mut model = vec![7; 1 << 20];
    change(&file, &mut model, 7, &mut Random::new(5), false);
    let (old, nothing) = (bytes(&file), vec![7; model.len()]);
    let trace = Trace::default();
    image::empty(Arc::new(Recorder::new(file, trace.clone())), Format::Qed, false).unwrap();
    power_cuts(&old, &trace.events(), &|crashed, what| {
        let now = read_all(crashed, 7);
        assert!(now == model || now == nothing, "{what}: neither old nor new");
        assert_eq!(check(crashed).corruptions, 0, "{what}");
    });
}

#[test]
fn a_change_that_is_given_up_leaves_the_file_as_it_was() {
    let file = created(4096, 2, 1 << 20, false);
    let mut model = vec![0; 1 << 20];
    change(&file, &mut model, 0, &mut Random::new(5), false);
    let before = bytes(&file);
    let mut writer = QedWriter::open(file.clone(), false).unwrap();
    write(&mut writer, 0, &[9; 65536]);
    drop(writer);
    assert!(bytes(&file) == before);
}

#[test]
fn space_that_was_allocated_and_not_mapped_does_not_stay() {
    let file = created(4096, 2, 1 << 20, false);
    let mut writer = QedWriter::open(file.clone(), false).unwrap();
    writer.allocate(Guest(0), 40960).unwrap();
    write(&mut writer, 0, &[9; 4096]);
    Box::new(writer).finish().unwrap();
    assert_clean(&file, "allocated in vain");
    assert_eq!(file.len().unwrap(), 6 * 4096);
}

#[test]
fn leaks_are_reclaimed_at_any_place_and_after_any_cut() {
    for seed in 1..=30u64 {
        let mut random = Random::new(seed + 2000);
        let table_size = 2 << random.below(4);
        let file = created(4096, table_size, 5 << 19, false);
        let mut model = vec![0; 5 << 19];
        change(&file, &mut model, 0, &mut random, false);
        // Leaks inside: references to every so many clusters are dropped, as QEMU's repair leaves them.
        let l1 = u64_at(&file, 40);
        for i in 0..u64::from(table_size) * 512 {
            let l2 = u64_at(&file, l1 + i * 8);
            for k in (0..u64::from(table_size) * 512).filter(|_| l2 != 0 && random.below(5) == 0) {
                file.write_at(l2 + k * 8, &[0; 8]).unwrap();
            }
        }
        // And behind, with a tail that is no whole cluster.
        file.set_len(file.len().unwrap() + random.below(20) * 4096 + 100).unwrap();
        let (content, old) = (read_all(&file, 0), bytes(&file));
        let leaks = check(&file).leaks;
        let planned = repair(file.clone(), Repair::Leaks, true).unwrap();
        assert!(bytes(&file) == old);
        let trace = Trace::default();
        let done =
            repair(Arc::new(Recorder::new(file.clone(), trace.clone())), Repair::Leaks, false).unwrap();
        assert_eq!(planned, done, "seed {seed}");
        assert_eq!(done.freed_bytes - done.extra_bytes, leaks * 4096, "seed {seed}");
        assert_clean(&file, &format!("seed {seed}"));
        assert!(read_all(&file, 0) == content, "seed {seed}: content");
        if seed == 1 {
            power_cuts(&old, &trace.events(), &|crashed, what| {
                assert_eq!(check(crashed).corruptions, 0, "seed {seed}, {what}");
                assert!(read_all(crashed, 0) == content, "seed {seed}, {what}: content");
            });
        }
    }
}

fn u64_at(file: &Arc<dyn File>, at: u64) -> u64 {
    let mut bytes = [0; 8];
    file.read_at(at, &mut bytes).unwrap();
    u64::from_le_bytes(bytes)
}

/// An image of 4 KiB clusters and tables of 2 with data in clusters 0 to 7; the L2 table's place.
fn small() -> (Arc<dyn File>, u64) {
    let file = created(4096, 2, 1 << 20, false);
    let mut writer = QedWriter::open(file.clone(), false).unwrap();
    let data: Vec<u8> = (0..8).flat_map(|i| [i + 1; 4096]).collect();
    write(&mut writer, 0, &data);
    Box::new(writer).finish().unwrap();
    let l2 = u64_at(&file, u64_at(&file, 40));
    (file, l2)
}

fn need_check(file: &Arc<dyn File>) -> bool {
    let image = image::open(file.clone(), Some(Format::Qed)).unwrap();
    matches!(image.details(), Details::Qed { need_check: true, .. })
}

#[test]
fn what_was_not_closed_cleanly_is_checked_before_it_is_written() {
    let (file, l2) = small();
    // The last three clusters never reached the disk, and one entry is rubbish.
    file.write_at(16, &[2]).unwrap();
    file.write_at(l2 + 7 * 8, &u64::to_le_bytes(1 << 30)).unwrap();
    file.write_at(l2 + 9 * 8, &u64::to_le_bytes(4097)).unwrap();
    let l1 = u64_at(&file, 40);
    file.write_at(l1 + 8, &[1]).unwrap();
    assert!(need_check(&file));
    assert_eq!((check(&file).corruptions, check(&file).leaks), (3, 1));
    let edit = |dry| {
        let mut target = image::write(file.clone(), Format::Qed, dry).unwrap();
        write(&mut *target, 4096, &[9; 4096]);
        target.finish().unwrap()
    };
    let planned = edit(true);
    assert!(need_check(&file));
    assert_eq!(edit(false), planned);
    assert!(!need_check(&file));
    assert_clean(&file, "written");
    let content = read_all(&file, 0);
    for (cluster, expected) in [1, 9, 3, 4, 5, 6, 7, 0, 0, 0].into_iter().enumerate() {
        assert!(content[cluster * 4096..][..4096].iter().all(|b| *b == expected), "cluster {cluster}");
    }
}

#[test]
fn wrong_references_keep_writers_out_of_a_clean_image() {
    let (file, l2) = small();
    for (at, value) in [(l2 + 72, 1 << 30), (l2 + 72, l2), (u64_at(&file, 40) + 8, l2)] {
        let before = u64_at(&file, at);
        file.write_at(at, &u64::to_le_bytes(value)).unwrap();
        let (bytes_before, error) =
            (bytes(&file), QedWriter::open(file.clone(), false).map(|_| ()).unwrap_err());
        assert_eq!(error.kind(), Kind::Corrupt, "{error}");
        assert!(error.to_string().contains(&format!("{at:#x}")) && error.what_to_do().is_some(), "{error}");
        assert_eq!(repair(file.clone(), Repair::Leaks, false).unwrap_err().kind(), Kind::Corrupt);
        assert!(bytes(&file) == bytes_before);
        file.write_at(at, &before.to_le_bytes()).unwrap();
    }
}

#[test]
fn a_repair_of_all_keeps_what_can_be_read() {
    let (file, l2) = small();
    file.write_at(16, &[2]).unwrap();
    file.write_at(l2 + 9 * 8, &u64::to_le_bytes(1 << 30)).unwrap(); // nowhere
    let shared = u64_at(&file, l2 + 8);
    file.write_at(l2 + 10 * 8, &shared.to_le_bytes()).unwrap(); // twice
    file.write_at(l2 + 11 * 8, &l2.to_le_bytes()).unwrap(); // a table as data
    file.write_at(l2 + 3 * 8, &[0; 8]).unwrap(); // a leak
    assert_eq!((check(&file).corruptions, check(&file).leaks), (3, 1));
    let old = bytes(&file);
    let readable: Vec<u8> = [1, 2, 3, 0, 5, 6, 7, 8, 0, 0, 2].iter().flat_map(|i| [*i; 4096]).collect();
    let planned = repair(file.clone(), Repair::All, true).unwrap();
    assert!(bytes(&file) == old);
    let trace = Trace::default();
    let done = repair(Arc::new(Recorder::new(file.clone(), trace.clone())), Repair::All, false).unwrap();
    assert_eq!(planned, done);
    assert_clean(&file, "repaired");
    assert!(!need_check(&file));
    assert!(read_all(&file, 0)[..readable.len()] == readable);
    assert_eq!(repair(file.clone(), Repair::All, false).unwrap(), Written::default(), "again");
    power_cuts(&old, &trace.events(), &|crashed, what| {
        repair(crashed.clone(), Repair::All, false).unwrap();
        assert_clean(crashed, what);
        assert!(read_all(crashed, 0)[..readable.len()] == readable, "{what}");
    });
}

#[test]
fn tables_that_overlap_are_refused_untouched() {
    let (file, l2) = small();
    let l1 = u64_at(&file, 40);
    file.write_at(l1 + 8, &l2.to_le_bytes()).unwrap();
    let old = bytes(&file);
    for what in [Repair::Leaks, Repair::All] {
        assert_eq!(repair(file.clone(), what, false).unwrap_err().kind(), Kind::Corrupt);
    }
    assert!(bytes(&file) == old);
}

#[test]
fn a_new_backing_file_takes_one_sector() {
    for (seed, first) in [(1, 3_usize), (2, 448), (3, 449), (4, 900), (5, 1023)] {
        let file = created(4096, 2, 1 << 20, false);
        let mut random = Random::new(seed);
        let mut name = |len: usize| {
            OsString::from((0..len).map(|_| (b'a' + random.below(26) as u8) as char).collect::<String>())
        };
        let mut now = BackingRef { name: name(first), format: Some("raw".into()) };
        image::relink(&*file, Format::Qed, &now).unwrap();
        for len in [1, 1023, 1000, 448, 449, 1023, 20] {
            let old = bytes(&file);
            let next = BackingRef { name: name(len), format: (len % 2 == 0).then(|| "raw".into()) };
            let trace = Trace::default();
            let recorded = Recorder::new(file.clone(), trace.clone());
            let asked = BackingRef {
                format: Some(if len % 2 == 0 { "raw" } else { "qcow2" }.into()),
                ..next.clone()
            };
            let written = image::relink(&recorded, Format::Qed, &asked).unwrap();
            assert!(written <= 512 + len as u64);
            power_cuts(&old, &trace.events(), &|crashed, what| {
                let image = image::open(crashed.clone(), Some(Format::Qed)).unwrap();
                let found = image.backing().unwrap();
                assert!(*found == now || *found == next, "{what}: {found:?}");
                assert_eq!((check(crashed).corruptions, check(crashed).leaks), (0, 0));
            });
            now = next;
        }
        for len in [0, 1024] {
            let bad = BackingRef { name: name(len), format: None };
            assert_eq!(image::relink(&*file, Format::Qed, &bad).unwrap_err().kind(), Kind::Unsupported);
        }
    }
}

#[test]
fn a_shorter_disk_gives_back_what_lay_beyond() {
    for (seed, size) in [(1, 0), (2, 512), (3, 4096 * 7), (4, 1 << 20), (5, (3 << 20) + 1024), (6, 5 << 20)] {
        let file = created(4096, 2, 6 << 20, false);
        let mut model = vec![0; 6 << 20];
        change(&file, &mut model, 0, &mut Random::new(seed), false);
        let shrink = |dry| {
            let mut target = image::write(file.clone(), Format::Qed, dry).unwrap();
            target.shrink(size).unwrap();
            target.finish().unwrap()
        };
        let planned = shrink(true);
        assert_eq!(shrink(false), planned);
        assert_clean(&file, "shrunk");
        assert!(read_all(&file, 0) == model[..size as usize]);
        let report = check(&file);
        assert!(report.allocated_clusters <= size.div_ceil(4096), "{report:?}");
    }
}

#[test]
fn impossible_options_are_refused() {
    let cases = [
        (2048, 4, 0),
        (12288, 4, 0),
        (128 << 20, 4, 0),
        (65536, 1, 0),
        (65536, 3, 0),
        (65536, 32, 0),
        (64 << 20, 2, 1 << 20),
        (4096, 2, 1 << 40),
        (65536, 4, u64::MAX),
    ];
    for (cluster_size, table_size, virtual_size) in cases {
        let file = memory(Vec::new());
        let options = CreateOptions { cluster_size, table_size, virtual_size, backing: None };
        assert_eq!(qed::create(&*file, &options).unwrap_err().kind(), Kind::Usage, "{options:?}");
        assert_eq!(file.len().unwrap(), 0);
    }
    let long = BackingRef { name: "x".repeat(1024).into(), format: None };
    let options = CreateOptions { backing: Some(long), ..CreateOptions::default() };
    assert_eq!(qed::create(&*memory(Vec::new()), &options).unwrap_err().kind(), Kind::Usage);
}
