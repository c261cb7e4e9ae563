//! Writing, growing, shrinking, emptying.

use std::sync::Arc;

use cowherd::image::qed::{QedWriter, repair};
use cowherd::image::{self, Format, Repair, Target, Written};
use cowherd::storage::{File, Recorder, Trace};
use cowherd::units::{Guest, align_up};

use crate::model::{Random, assert_clean, bytes, change, check, created, power_cuts, read_all, write};

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
        let planned = image::empty(file.clone(), Format::Qed, false, true).unwrap();
        assert_eq!(image::empty(file.clone(), Format::Qed, false, false).unwrap(), planned);
        assert_clean(&file, "emptied");
        let empty = vec![if backed { 7 } else { 0 }; model.len()];
        assert!(read_all(&file, 7) == empty, "seed {seed}: emptied");
        assert_eq!(file.len().unwrap(), cluster_size * (1 + u64::from(table_size)));
        assert_eq!(image::empty(file, Format::Qed, false, false).unwrap(), Written::default());
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
    image::empty(Arc::new(Recorder::new(file, trace.clone())), Format::Qed, false, false).unwrap();
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
