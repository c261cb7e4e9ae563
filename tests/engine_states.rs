//! The qcow2 engine changing several states of one image at once: each state reads as its own model
//! says, what they share is counted once for each, and so it is at every moment of a power cut.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/states.rs"]
mod states;

use std::sync::Arc;

use common::Random;
use cowherd::image::{self, Format, State};
use cowherd::storage::{Event, File, MemFile, Recorder, Trace, apply_event};
use cowherd::units::Guest;
use states::{assert_clean, change, created, read_all, snapshot};

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
