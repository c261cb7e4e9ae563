//! The qcow2 engine changing several states of one image at once: each state reads as its own model
//! says, what they share is counted once for each, and so it is at every moment of a power cut.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::PathBuf;
use std::sync::Arc;

use common::{Random, write_bytes};
use cowherd::chain::{Chain, Layer};
use cowherd::image::qcow2::{self, CreateOptions, Writer};
use cowherd::image::{self, Format, Snapshot, State, Target};
use cowherd::storage::{Event, File, MemFile, Recorder, Trace, apply_event};
use cowherd::units::Guest;

/// What each state reads: the active one, then the snapshots.
type Models = Vec<Vec<u8>>;

fn state(index: usize) -> State {
    index.checked_sub(1).map_or(State::Active, State::Snapshot)
}

fn read_all(file: &Arc<dyn File>, count: usize) -> Models {
    let image = image::open(file.clone(), Some(Format::Qcow2)).unwrap();
    assert_eq!(image.snapshots().len() + 1, count);
    let chain = Chain::from_layers(vec![Layer::new(PathBuf::from("mem"), image)]);
    let read = |index| {
        let view = chain.view(state(index));
        let mut out = vec![0xaa; view.size() as usize];
        assert_eq!(view.read_at(Guest(0), &mut out).unwrap(), out.len());
        out
    };
    (0..count).map(read).collect()
}

fn assert_clean(file: &Arc<dyn File>, what: &str) {
    let report = image::open(file.clone(), Some(Format::Qcow2)).unwrap().check().unwrap();
    assert_eq!((report.leaks, report.corruptions), (0, 0), "{what}: {:#?}", report.findings);
}

fn snapshot(file: &Arc<dyn File>, models: &mut Models) {
    let mut writer = Writer::open(file.clone(), false).unwrap();
    let id = writer.next_snapshot_id();
    let shown = Snapshot {
        name: format!("sn{id}"),
        id,
        virtual_size: writer.size(),
        vm_state_size: 0,
        date_sec: 0,
        date_nsec: 0,
        vm_clock_nsec: 0,
        icount: None,
    };
    writer.snapshot(shown).unwrap();
    Box::new(writer).finish().unwrap();
    models.push(models[0].clone());
}

/// Writes, zeroes and packed clusters, each for some of the states, in guest order.
fn change(file: &Arc<dyn File>, models: &mut Models, random: &mut Random) {
    let mut writer = Writer::open(file.clone(), false).unwrap();
    let unit = writer.unit();
    let clusters = models[0].len() as u64 / unit;
    let mut at = random.below(4);
    while at < clusters {
        let n = (1 + random.below(5)).min(clusters - at);
        let most = writer.most_states().min(models.len());
        let mut chosen: Vec<usize> = (0..models.len()).filter(|_| random.below(2) == 0).collect();
        chosen.truncate(most);
        if chosen.is_empty() {
            chosen.push(random.below(models.len() as u64) as usize);
        }
        let states: Vec<State> = chosen.iter().map(|i| state(*i)).collect();
        writer.select(&states).unwrap();
        let range = (at * unit) as usize..((at + n) * unit) as usize;
        let mut bytes = vec![random.next() as u8 | 1; range.len()];
        if random.below(4) == 0 {
            bytes.fill(0);
            assert!(writer.zero(Guest(at * unit), n * unit).unwrap());
        } else {
            write_bytes(&mut writer, at * unit, &bytes);
        }
        chosen.iter().for_each(|i| models[*i][range.clone()].copy_from_slice(&bytes));
        at += n + random.below(6);
    }
    Box::new(writer).finish().unwrap();
}

fn created(random: &mut Random) -> (Arc<dyn File>, Models) {
    let bits = [2, 4, 8, 16, 16, 64][random.below(6) as usize];
    let version = if bits == 16 && random.below(2) == 0 { 2 } else { 3 };
    let extended_l2 = version == 3 && random.below(4) == 0;
    let cluster_size = if extended_l2 { 16384 } else { 512 << random.below(4) };
    // Several L2 tables where clusters are small.
    let size = 150 * cluster_size;
    let file: Arc<dyn File> = Arc::new(MemFile::new("mem", Vec::new()));
    let options = CreateOptions {
        version,
        cluster_size,
        refcount_bits: bits,
        extended_l2,
        virtual_size: size,
        ..CreateOptions::default()
    };
    qcow2::create(&*file, &options).unwrap();
    (file, vec![vec![0; size as usize]])
}

#[test]
fn every_state_reads_as_its_own_model_says() {
    for seed in 1..=60u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (file, mut models) = created(&mut random);
        for step in 0..8 {
            // Two bits count to 3.
            if models.len() < 3 && random.below(2) == 0 {
                snapshot(&file, &mut models);
            }
            change(&file, &mut models, &mut random);
            let what = format!("seed {seed} step {step}");
            assert_clean(&file, &what);
            assert!(read_all(&file, models.len()) == models, "{what}: a state differs");
        }
    }
}

#[test]
fn a_rehearsal_over_several_states_knows_the_cost() {
    for seed in 1..=10u64 {
        let mut random = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let (file, mut models) = created(&mut random);
        change(&file, &mut models, &mut random);
        snapshot(&file, &mut models);
        let run = |dry| {
            let mut target = image::write(file.clone(), Format::Qcow2, dry).unwrap();
            target.select(&[State::Active, State::Snapshot(0)]).unwrap();
            let unit = target.unit();
            for at in [0, 3, 70, 149] {
                let (host, len) = target.allocate(Guest(at * unit), unit).unwrap();
                target.map(Guest(at * unit), host, len).unwrap();
            }
            target.finish().unwrap()
        };
        let before = read_all(&file, 2);
        let rehearsed = run(true);
        assert!(read_all(&file, 2) == before, "the rehearsal wrote");
        assert_eq!(run(false), rehearsed);
        assert_clean(&file, "filled");
    }
}

/// Every prefix of the writes, and every prefix with its last write torn at a sector: all states are
/// the old ones, or all are the new ones.
#[test]
fn a_power_cut_leaves_all_states_old_or_all_new() {
    let mut cuts = 0;
    for seed in 1..=8u64 {
        let mut random = Random(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let (file, mut models) = created(&mut random);
        change(&file, &mut models, &mut random);
        snapshot(&file, &mut models);
        change(&file, &mut models, &mut random);
        snapshot(&file, &mut models);
        let old = models.clone();
        let mut old_bytes = vec![0; file.len().unwrap() as usize];
        file.read_at(0, &mut old_bytes).unwrap();
        let trace = Trace::default();
        let recorded: Arc<dyn File> = Arc::new(Recorder::new(file.clone(), trace.clone()));
        change(&recorded, &mut models, &mut random);
        let events = trace.events();
        for cut in 0..=events.len() {
            for torn in [None, Some(512)] {
                let crashed: Arc<dyn File> = Arc::new(MemFile::new("mem", old_bytes.clone()));
                events[..cut].iter().for_each(|e| apply_event(&*crashed, e).unwrap());
                if let (Some(keep), Some(Event::Write { offset, bytes, .. })) = (torn, events.get(cut)) {
                    crashed.write_at(*offset, &bytes[..keep.min(bytes.len())]).unwrap();
                }
                let what = format!("seed {seed}, cut after {cut} of {}, torn {torn:?}", events.len());
                let now = read_all(&crashed, models.len());
                assert!(now == old || now == models, "{what}: neither old nor new");
                assert_clean(&crashed, &what);
                cuts += 1;
            }
        }
    }
    assert!(cuts > 500, "only {cuts} moments");
}
