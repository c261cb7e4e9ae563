//! Leaks, references that lead nowhere, clusters shared by mistake.

use std::sync::Arc;

use cowherd::error::Kind;
use cowherd::image::qed::{QedWriter, repair};
use cowherd::image::{self, Details, Format, Repair, Target, Written};
use cowherd::storage::{File, Recorder, Trace};

use crate::model::{Random, assert_clean, bytes, change, check, created, power_cuts, read_all, write};

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
