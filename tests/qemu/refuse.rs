//! What commit must refuse: nothing is changed, not one byte, and the reason is said.

use crate::lab::Lab;
use crate::{Case, OnLab, case};

/// Name, images, command line, exit code, a word that must be said.
type Trial = (&'static str, OnLab, &'static str, i32, &'static str);

pub(crate) fn cases() -> Vec<Case> {
    let trials: [Trial; 7] = [
        ("no_terminal_no_yes", chain, "commit top.qcow2", 10, "--yes"),
        ("base_without_parent", chain, "commit base.qcow2 --yes", 2, ""),
        ("bitmaps", bitmaps, "commit top.qcow2 --yes", 10, "--accept bitmaps-lost"),
        ("corrupt_base", corrupt_base, "commit top.qcow2 --yes", 13, "corrupt"),
        ("not_a_layer_below", chain, "commit base.qcow2 --base top.qcow2 --yes", 2, "is not based on"),
        ("missing", chain, "commit nothing.qcow2 --yes", 1, "nothing.qcow2"),
        ("backing_outside", outside, "commit top.qcow2 --yes", 13, "--allow"),
    ];
    let mut cases = Vec::new();
    for (name, make, line, code, word) in trials {
        cases.push(case(format!("refuse::{name}"), move || {
            let lab = Lab::new();
            make(&lab);
            let (before, names) = (lab.files(), lab.names());
            let answer = lab.run(line).expect(code);
            assert!(answer.err.contains(word), "no \"{word}\" in: {}", answer.err);
            assert!((1..=2).contains(&answer.err.lines().count()), "{}", answer.err);
            assert!(before == lab.files(), "a file changed");
            assert_eq!(names, lab.names());
            assert!(!lab.path(".cowherd-trash").exists());
        }));
    }
    cases.push(case("refuse::gate_opened_by_allow", allowed));
    cases.push(case("refuse::a_hard_linked_file_needs_consent", hard_link));
    cases
}

fn chain(lab: &Lab) {
    lab.img("create -q -f qcow2 base.qcow2 2M");
    lab.scribble("base.qcow2", "qcow2", 2 << 20, 1, 8);
    lab.img("create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2");
    lab.scribble("top.qcow2", "qcow2", 2 << 20, 2, 8);
}

fn three(lab: &Lab) {
    lab.img("create -q -f qcow2 base.qcow2 2M");
    lab.img("create -q -f qcow2 -b base.qcow2 -F qcow2 middle.qcow2");
    lab.img("create -q -f qcow2 -b middle.qcow2 -F qcow2 top.qcow2");
    lab.scribble("top.qcow2", "qcow2", 2 << 20, 2, 8);
}

fn bitmaps(lab: &Lab) {
    chain(lab);
    lab.img("bitmap --add base.qcow2 dirty");
}

fn corrupt_base(lab: &Lab) {
    chain(lab);
    crate::damage::Victim::open(&lab.path("base.qcow2")).or_incompatible(2);
}

fn outside(lab: &Lab) {
    lab.img("create -q -f qcow2 ../base.qcow2 2M");
    lab.img("create -q -f qcow2 -b ../base.qcow2 -F qcow2 top.qcow2");
    lab.scribble("top.qcow2", "qcow2", 2 << 20, 2, 8);
}

fn allowed() {
    let lab = Lab::new();
    outside(&lab);
    let expected = lab.bytes("top.qcow2", None);
    let base = lab.outside().join("base.qcow2");
    lab.run(&format!("commit top.qcow2 --yes --allow {}", base.display())).expect(0);
    crate::lab::assert_same("top", &lab.bytes("top.qcow2", None), &expected);
    crate::lab::assert_same("base", &lab.bytes("../base.qcow2", None), &expected);
}

fn hard_link() {
    let lab = Lab::new();
    three(&lab);
    std::fs::hard_link(lab.path("middle.qcow2"), lab.path("other-name.qcow2")).unwrap();
    let before = lab.files();
    let answer = lab.run("commit middle.qcow2 --yes").expect(10);
    assert!(answer.err.contains("--accept hard-links"), "{}", answer.err);
    assert!(before == lab.files());
}
