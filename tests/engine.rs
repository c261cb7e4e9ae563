//! The qcow2 engine against a model, in memory: random writes, zeroes, growth and snapshots; every
//! state reads as the model says, the check is clean, and so is every moment a power cut could
//! leave behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::PathBuf;
use std::sync::Arc;

use common::{Random, write_bytes as write};
use cowherd::chain::{Chain, Layer};
use cowherd::image::qcow2::{self, CreateOptions, Writer};
use cowherd::image::{self, Format, Repair, Snapshot, State, Target};
use cowherd::storage::{Event, File, MemFile, Recorder, Trace, apply_event};
use cowherd::units::{Guest, align_up};

fn read_all(file: Arc<dyn File>, state: State) -> Vec<u8> {
    let image = image::open(file, Some(Format::Qcow2)).unwrap();
    let chain = Chain::from_layers(vec![Layer::new(PathBuf::from("mem"), image)]);
    let view = chain.view(state);
    let mut out = vec![0xaa; view.size() as usize];
    assert_eq!(view.read_at(Guest(0), &mut out).unwrap(), out.len());
    out
}

fn assert_clean(file: &Arc<dyn File>, what: &str) {
    let report = image::open(file.clone(), Some(Format::Qcow2)).unwrap().check().unwrap();
    assert_eq!((report.leaks, report.corruptions), (0, 0), "{what}: {:#?}", report.findings);
}

fn change(file: &Arc<dyn File>, model: &mut Vec<u8>, random: &mut Random) {
    let mut writer = Writer::open(file.clone(), false).unwrap();
    let unit = writer.unit();
    if random.below(6) == 0 {
        let size = align_up(model.len() as u64 + random.below(64 * unit), 512);
        if writer.grow(size).is_ok() {
            model.resize(size as usize, 0);
        }
    }
    let clusters = (model.len() as u64).div_ceil(unit);
    let mut at = 0;
    while at < clusters {
        at += random.below(9);
        let n = (1 + random.below(7)).min(clusters.saturating_sub(at));
        if n == 0 {
            break;
        }
        let range = (at * unit) as usize..(((at + n) * unit) as usize).min(model.len());
        if random.below(4) == 0 {
            assert!(writer.zero(Guest(at * unit), n * unit).unwrap());
            model[range].fill(0);
        } else {
            let mut bytes = vec![random.next() as u8 | 1; (n * unit) as usize];
            bytes[0] = random.next() as u8;
            // Behind the end of the disk there must be zeros, for the day it grows.
            bytes[range.len()..].fill(0);
            let compressible = n == 1 && random.below(2) == 0;
            if !(compressible && writer.put_compressed(Guest(at * unit), &bytes).unwrap()) {
                write(&mut writer, at * unit, &bytes);
            }
            model[range.clone()].copy_from_slice(&bytes[..range.len()]);
        }
        at += n;
    }
    Box::new(writer).finish().unwrap();
}

fn snapshot(file: &Arc<dyn File>, name: &str, size: u64) {
    let shown = Snapshot {
        id: name.trim_start_matches("sn").to_owned(),
        name: name.to_owned(),
        virtual_size: size,
        vm_state_size: 0,
        date_sec: 1_700_000_000,
        date_nsec: 0,
        vm_clock_nsec: 0,
        icount: None,
    };
    let mut writer = Writer::open(file.clone(), false).unwrap();
    writer.snapshot(shown).unwrap();
    Box::new(writer).finish().unwrap();
}

fn created(
    cluster_size: u64,
    refcount_bits: u32,
    version: u32,
    extended_l2: bool,
    zstd: bool,
    size: u64,
) -> Arc<dyn File> {
    let file: Arc<dyn File> = Arc::new(MemFile::new("mem", Vec::new()));
    let options = CreateOptions {
        version,
        cluster_size,
        refcount_bits,
        extended_l2,
        zstd,
        virtual_size: size,
        ..CreateOptions::default()
    };
    qcow2::create(&*file, &options).unwrap();
    file
}

#[test]
fn random_changes_and_snapshots_read_as_the_model_says() {
    for seed in 1..=40u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let cluster_size = 512 << random.below(5);
        let bits = [4, 8, 16, 16, 32, 64][random.below(6) as usize];
        let version = if bits == 16 && random.below(2) == 0 { 2 } else { 3 };
        let extended_l2 = version == 3 && random.below(4) == 0;
        let zstd = version == 3 && random.below(2) == 0;
        let cluster_size = if extended_l2 { 16384 } else { cluster_size };
        let size = align_up(1 + random.below(300 * cluster_size), 512);
        let file = created(cluster_size, bits, version, extended_l2, zstd, size);
        let mut model = vec![0; size as usize];
        let mut saved: Vec<Vec<u8>> = Vec::new();
        for step in 0..8 {
            change(&file, &mut model, &mut random);
            if random.below(2) == 0 {
                snapshot(&file, &format!("sn{step}"), model.len() as u64);
                saved.push(model.clone());
            }
            let what =
                format!("seed {seed} step {step} ({cluster_size} B clusters, {bits} bits, v{version})");
            assert_clean(&file, &what);
            assert!(read_all(file.clone(), State::Active) == model, "{what}: active state differs");
            for (i, old) in saved.iter().enumerate() {
                assert!(read_all(file.clone(), State::Snapshot(i)) == *old, "{what}: snapshot {i} differs");
            }
        }
    }
}

#[test]
fn a_rehearsal_writes_nothing_and_knows_the_cost() {
    let file = created(4096, 16, 3, false, false, 1 << 20);
    let mut random = Random(7);
    let mut model = vec![0; 1 << 20];
    change(&file, &mut model, &mut random);
    let requests = |dry: bool| {
        let mut target = image::write(file.clone(), Format::Qcow2, dry).unwrap();
        let mut at = 0;
        while at < 1 << 20 {
            let (host, len) = target.allocate(Guest(at), 16384).unwrap();
            target.map(Guest(at), host, len).unwrap();
            at += 65536;
        }
        target.finish().unwrap()
    };
    let before = read_all(file.clone(), State::Active);
    let rehearsed = requests(true);
    assert!(read_all(file.clone(), State::Active) == before);
    assert_eq!(requests(false), rehearsed);
}

/// Puts `value` in the recorded refcount of `cluster` (16 bits wide, one block).
fn set_refcount(file: &Arc<dyn File>, cluster: u64, value: u16) {
    let mut word = [0; 8];
    file.read_at(48, &mut word).unwrap();
    let table = u64::from_be_bytes(word);
    file.read_at(table, &mut word).unwrap();
    file.write_at(u64::from_be_bytes(word) + cluster * 2, &value.to_be_bytes()).unwrap();
}

#[test]
fn repair_puts_refcounts_right_and_keeps_every_view() {
    for seed in 1..=20u64 {
        let mut random = Random(seed.wrapping_mul(0x1234_5678_9abc_def1));
        let file = created(4096, 16, 3, false, false, 1 << 20);
        let mut model = vec![0; 1 << 20];
        change(&file, &mut model, &mut random);
        snapshot(&file, "sn1", model.len() as u64);
        let old = model.clone();
        change(&file, &mut model, &mut random);
        let clusters = file.len().unwrap() / 4096;
        for what in [Repair::Leaks, Repair::All] {
            for _ in 0..1 + random.below(10) {
                // Too high is a leak; too low is corruption.
                let value = if what == Repair::Leaks { 9 } else { random.below(4) as u16 };
                set_refcount(&file, random.below(clusters), value);
            }
            let before = image::open(file.clone(), None).unwrap().check().unwrap();
            assert!(before.leaks + before.corruptions > 0, "seed {seed}: nothing was damaged");
            let planned = image::repair(file.clone(), Format::Qcow2, what, true).unwrap();
            let done = image::repair(file.clone(), Format::Qcow2, what, false).unwrap();
            assert_eq!(planned, done);
            assert!(read_all(file.clone(), State::Active) == model, "seed {seed}: active state differs");
            assert!(read_all(file.clone(), State::Snapshot(0)) == old, "seed {seed}: snapshot differs");
            let after = image::open(file.clone(), None).unwrap().check().unwrap();
            assert_eq!(after.leaks, 0, "seed {seed}: {:#?}", after.findings);
            if what == Repair::All {
                assert_clean(&file, &format!("seed {seed}"));
            }
        }
    }
}

/// Every prefix of the writes, and every prefix with its last write torn at a sector: the image is
/// the old one or the new one, and its check is clean.
#[test]
fn a_power_cut_leaves_the_old_image_or_the_new_one() {
    for seed in 1..=6u64 {
        let mut random = Random(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let base = Arc::new(MemFile::new("mem", Vec::new()));
        let options =
            CreateOptions { cluster_size: 1024, virtual_size: 128 << 10, ..CreateOptions::default() };
        qcow2::create(&*base, &options).unwrap();
        let as_file: Arc<dyn File> = base.clone();
        let mut model = vec![0; 128 << 10];
        change(&as_file, &mut model, &mut random);
        snapshot(&as_file, "sn1", model.len() as u64);
        change(&as_file, &mut model, &mut random);

        let old_bytes = base.to_vec();
        let old = (read_all(as_file.clone(), State::Active), read_all(as_file.clone(), State::Snapshot(0)));
        let trace = Trace::default();
        let recorded: Arc<dyn File> = Arc::new(Recorder::new(as_file.clone(), trace.clone()));
        change(&recorded, &mut model, &mut random);
        let events = trace.events();
        assert!(events.iter().filter(|e| matches!(e, Event::Sync { .. })).count() >= 2);
        for cut in 0..=events.len() {
            for torn in [None, Some(0), Some(512)] {
                let crashed: Arc<dyn File> = Arc::new(MemFile::new("mem", old_bytes.clone()));
                events[..cut].iter().for_each(|e| apply_event(&*crashed, e).unwrap());
                if let (Some(keep), Some(Event::Write { offset, bytes, .. })) = (torn, events.get(cut)) {
                    crashed.write_at(*offset, &bytes[..keep.min(bytes.len())]).unwrap();
                }
                let what = format!("seed {seed}, cut after {cut} of {}, torn {torn:?}", events.len());
                let active = read_all(crashed.clone(), State::Active);
                assert!(active == old.0 || active == model, "{what}: neither old nor new");
                assert!(read_all(crashed.clone(), State::Snapshot(0)) == old.1, "{what}: snapshot changed");
                assert_clean(&crashed, &what);
            }
        }
    }
}

/// Two bits count to 3: the active state and two snapshots. Applying one of them needs no fourth.
#[test]
fn a_snapshot_is_applied_though_every_refcount_is_full() {
    let file = created(512, 2, 3, false, false, 64 << 10);
    let mut model = vec![0; 64 << 10];
    change(&file, &mut model, &mut Random(7));
    snapshot(&file, "sn1", 64 << 10);
    snapshot(&file, "sn2", 64 << 10);
    let mut writer = Writer::open(file.clone(), false).unwrap();
    writer.apply_snapshot(0).unwrap();
    Box::new(writer).finish().unwrap();
    assert_clean(&file, "applied");
    let size = read_all(file.clone(), State::Snapshot(0)).len();
    assert!(read_all(file, State::Active) == model[..size], "the content changed");
}
