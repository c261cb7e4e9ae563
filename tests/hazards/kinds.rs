//! One test for each reason that is not worth a file of its own.

use std::os::unix::fs::FileExt;
use std::sync::Arc;

use cowherd::plan::HazardKind;
use cowherd::storage::{Access, Lock, RealFile};

use crate::stage::{Plan, Stage};

/// Asserts the severities of all hazards of a kind, and gives their messages.
#[track_caller]
fn said(plan: &Plan, kind: HazardKind, severities: &[&str]) -> String {
    let all = plan.said(kind.name());
    let seen: Vec<_> = all.iter().map(|(severity, _)| severity.as_str()).collect();
    assert_eq!(seen, severities, "{:#}", plan.0["hazards"]);
    all.into_iter().map(|(_, message)| message + "\n").collect()
}

fn patch(stage: &Stage, name: &str, at: u64, bytes: &[u8]) {
    let file = std::fs::OpenOptions::new().write(true).open(stage.path(name)).unwrap();
    file.write_all_at(bytes, at).unwrap();
}

/// Sets incompatible features of a qcow2 header: 1 dirty, 2 corrupt.
fn feature(stage: &Stage, name: &str, bits: u8) {
    patch(stage, name, 79, &[bits]);
}

#[test]
fn other_children_are_told_about() {
    let stage = Stage::new();
    let plan = stage.plan("commit Snap-1.qcow2");
    assert!(said(&plan, HazardKind::OtherChildren, &["info"]).contains("Overlay-2.qcow2"));
}

#[test]
fn internal_snapshots_that_read_through() {
    let stage = Stage::new();
    // They get their own copy.
    let told = said(&stage.plan("pull imageB.qcow2"), HazardKind::SnapshotsReadThrough, &["info"]);
    assert!(told.contains("2 internal snapshots of") && told.contains("imageB.qcow2"), "{told}");
    assert!(stage.plan("pull Snap-2.qcow2").said("snapshots-read-through").is_empty());
    // Nothing would keep what is based on the state that is replaced.
    said(&stage.plan("snapshot apply imageA.qcow2 sn0"), HazardKind::SnapshotsReadThrough, &["danger"]);
    stage.run("snapshot apply imageA.qcow2 sn0 --yes --accept no-undo").expect(13);
}

#[test]
fn a_raw_base_is_overwritten_in_place() {
    let stage = Stage::new();
    said(&stage.plan("commit Overlay-2.qcow2"), HazardKind::InPlace, &["warning"]);
    assert!(stage.plan("commit Snap-2.qcow2").said("in-place").is_empty());
}

#[test]
fn whoever_holds_a_file_is_in_the_way() {
    let stage = Stage::new();
    let file = Arc::new(RealFile::open(&stage.path("Overlay-2.qcow2"), false).unwrap());
    let _held = Lock::acquire(file, Access::Write).unwrap();
    let told = said(&stage.plan("commit Snap-1.qcow2"), HazardKind::InUse, &["danger"]);
    assert!(told.contains("Overlay-2.qcow2") && told.contains("pid"), "{told}");
    stage.run("commit Snap-1.qcow2 --yes").expect(11);
}

#[test]
fn another_name_of_a_file_needs_consent() {
    let stage = Stage::new();
    std::fs::hard_link(stage.path("Snap-4.qcow2"), stage.path("other-name")).unwrap();
    said(&stage.plan("commit Snap-4.qcow2"), HazardKind::HardLinks, &["danger"]);
    stage.run("commit Snap-4.qcow2 --yes").expect(10);
}

#[test]
fn a_base_that_grows() {
    let stage = Stage::new();
    stage.run("resize Snap-4.qcow2 2G --yes").expect(0);
    let told = said(&stage.plan("commit Snap-4.qcow2"), HazardKind::SizeDiffers, &["info"]);
    assert!(told.contains("1 GiB") && told.contains("2 GiB"), "{told}");
}

#[test]
fn a_format_that_nobody_recorded() {
    let stage = Stage::new();
    stage.run("create -f raw alone.img 1M").expect(0);
    stage.run("create -f qcow2 -b alone.img -F raw mid.qcow2").expect(0);
    // The extension that records it becomes one that nobody knows.
    let header = std::fs::read(stage.path("mid.qcow2")).unwrap();
    let at = header.windows(4).position(|word| word == [0xe2, 0x79, 0x2a, 0xca]).unwrap();
    patch(&stage, "mid.qcow2", at as u64, &[0x12, 0x34, 0x56, 0x78]);
    stage.run("create -f qcow2 -b mid.qcow2 -F qcow2 top.qcow2").expect(0);
    for line in ["overlay mid.qcow2 x.qcow2", "rename alone.img x.img", "rename mid.qcow2 x.qcow2"] {
        said(&stage.plan(line), HazardKind::BackingFormat, &[]);
    }
    for line in ["overlay alone.img x.qcow2", "commit mid.qcow2", "delete mid.qcow2"] {
        said(&stage.plan(line), HazardKind::BackingFormat, &["danger"]);
        stage.run(&format!("{line} --yes")).expect(10);
    }
    // A new name is no reason to write down a guess.
    stage.run("rename alone.img x.img --yes").expect(0);
    let info = stage.run("info --json mid.qcow2").expect(0).json();
    assert_eq!((&info["backing-filename"], &info["backing-filename-format"]), (&"x.img".into(), &().into()));
}

#[test]
fn an_image_that_was_not_closed() {
    let stage = Stage::new();
    feature(&stage, "Snap-3.qcow2", 1);
    said(&stage.plan("commit Snap-4.qcow2"), HazardKind::Broken, &["warning"]);
    stage.run("commit Snap-4.qcow2 --yes").expect(0);
    stage.run("check Snap-3.qcow2").expect(0);
}

#[test]
fn an_image_that_is_marked_corrupt() {
    let stage = Stage::new();
    feature(&stage, "Snap-3.qcow2", 2);
    let told = said(&stage.plan("commit Snap-4.qcow2"), HazardKind::Unsupported, &["danger"]);
    assert!(told.contains("marked corrupt"), "{told}");
    stage.run("commit Snap-4.qcow2 --yes").expect(13);
}

#[test]
fn an_image_whose_references_contradict_each_other() {
    let stage = Stage::new();
    // By its first refcount the header is free space.
    let bytes = std::fs::read(stage.path("Snap-3.qcow2")).unwrap();
    let word = |at: u64| u64::from_be_bytes(bytes[at as usize..][..8].try_into().unwrap());
    let table = word(48);
    patch(&stage, "Snap-3.qcow2", word(table), &[0, 0]);
    said(&stage.plan("commit Snap-4.qcow2"), HazardKind::Broken, &["danger"]);
    stage.run("commit Snap-4.qcow2 --yes").expect(13);
}

#[test]
fn an_encrypted_image() {
    let stage = Stage::new();
    patch(&stage, "Snap-3.qcow2", 35, &[1]);
    let plan = stage.plan("commit Snap-4.qcow2 --base Snap-2.qcow2");
    assert!(plan.said("unsupported").iter().any(|(_, message)| message.contains("encrypted")));
    stage.run("commit Snap-4.qcow2 --base Snap-2.qcow2 --yes").expect(13);
}

#[test]
fn an_external_data_file() {
    let stage = Stage::new();
    stage.run("create -f qcow2 -o data_file=d.raw d.qcow2 1M").expect(0);
    stage.run("create -f qcow2 -b d.qcow2 -F qcow2 top.qcow2").expect(0);
    said(&stage.plan("commit top.qcow2"), HazardKind::InPlace, &["warning"]);
    std::fs::create_dir(stage.path("sub")).unwrap();
    said(&stage.plan("rename d.qcow2 sub/d.qcow2"), HazardKind::Unsupported, &["danger"]);
    stage.run("rename d.qcow2 sub/d.qcow2 --yes").expect(13);
}

#[test]
fn what_cannot_be_undone() {
    let stage = Stage::new();
    // What a commit is for is a warning, what it takes along is not.
    said(&stage.plan("commit Snap-4.qcow2"), HazardKind::NoUndo, &["warning"]);
    for line in ["snapshot delete imageB.qcow2 sn0", "resize Snap-4.qcow2 1M --shrink", "delete imageC.qcow2"]
    {
        said(&stage.plan(line), HazardKind::NoUndo, &["danger"]);
        stage.run(&format!("{line} --yes")).expect(10);
    }
}

#[test]
fn views_that_change_are_consented_to() {
    let stage = Stage::new();
    let line = "rebase Snap-4.qcow2 --base Snap-2.qcow2 --unsafe";
    said(&stage.plan(line), HazardKind::ViewChanges, &["danger"]);
    stage.run(&format!("{line} --yes")).expect(10);
}

#[test]
fn another_way_is_offered() {
    let stage = Stage::new();
    said(&stage.plan("delete Snap-2.qcow2"), HazardKind::OtherWay, &["info"]);
}
