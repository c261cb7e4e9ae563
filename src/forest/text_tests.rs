use std::sync::Arc;

use super::super::fixtures::{forest, node, snapshots};
use super::super::{InUse, Problem, ProblemKind};
use super::*;
use crate::storage::{Holder, LockState};

fn assert_listed(forest: &Forest, ascii: bool, expected: &str) {
    let listed = text(forest, ascii).join("\n");
    let expected = expected.trim_matches('\n');
    assert!(listed == expected, "listed:\n{listed}\nexpected:\n{expected}");
}

#[test]
fn a_chain_stays_at_its_indent_and_branches_do_not() {
    let mut snap1 = node("Snap-1.qcow2", Some("RootBase.img"));
    snap1.snapshots = snapshots(&["sn0"]);
    Arc::make_mut(&mut snap1.snapshots)[0].vm_state_size = 3 << 20;
    let mut snap2 = node("Snap-2.qcow2", Some("Snap-1.qcow2"));
    let by = Some(Holder { pid: 812, program: "qemu".to_owned() });
    snap2.in_use = Some(InUse { by, mode: LockState::Write });
    let notes = [node("RootBase.img", None), snap1, snap2, node("Z.qcow2", Some("RootBase.img"))];
    assert_listed(
        &forest(notes.clone()),
        false,
        "
IMAGE              FORMAT    SIZE  ON DISK
RootBase.img       raw     20 MiB    1 MiB
├─ Snap-1.qcow2    qcow2   20 MiB    1 MiB
│    ◆ sn0                 20 MiB           2026-11-02T10:00:00Z  with 3 MiB of machine state
│  ↑ Snap-2.qcow2  qcow2   20 MiB    1 MiB  ● in use: qemu, pid 812
└─ Z.qcow2         qcow2   20 MiB    1 MiB
",
    );
    let mut with_space = notes;
    with_space[1].exclusive_bytes = Some(5 << 20);
    assert_listed(
        &forest(with_space),
        true,
        "
IMAGE              FORMAT    SIZE  ON DISK    OWN
RootBase.img       raw     20 MiB    1 MiB
|- Snap-1.qcow2    qcow2   20 MiB    1 MiB  5 MiB
|    * sn0                 20 MiB                  2026-11-02T10:00:00Z  with 3 MiB of machine state
|  ^ Snap-2.qcow2  qcow2   20 MiB    1 MiB         @ in use: qemu, pid 812
`- Z.qcow2         qcow2   20 MiB    1 MiB
",
    );
}

#[test]
fn a_problem_is_said_in_words_and_hostile_names_are_harmless() {
    let mut broken = node("x.qcow2", None);
    broken.format = None;
    broken.problems.push(Problem { kind: ProblemKind::NotAnImage, message: "a\x07b".to_owned() });
    let mut wide = node("日本.qcow2", None);
    wide.path = "/d/sub/日本\u{202e}.qcow2".into();
    assert_listed(
        &forest([broken, wide]),
        false,
        "
IMAGE                   FORMAT    SIZE  ON DISK
sub/日本\\u{202e}.qcow2  qcow2   20 MiB    1 MiB
x.qcow2                 ?            -    1 MiB  ! a\\u{7}b
",
    );
}

#[test]
fn sixty_layers_stay_narrow() {
    let name = |i: usize| format!("{i:02}.qcow2");
    let chain = forest((0..60).map(|i| node(&name(i), (i > 0).then(|| name(i - 1)).as_deref())));
    let lines = text(&chain, false);
    assert_eq!(lines.len(), 61);
    assert!(lines.iter().all(|line| width(line) <= 45), "{lines:#?}");
}

#[test]
fn nothing_is_listed_for_nothing() {
    assert!(text(&Forest::default(), false).is_empty());
}
