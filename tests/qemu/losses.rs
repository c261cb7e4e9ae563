//! What qemu-img loses without a word, and cowherd does not. Should qemu-img learn one of these, its
//! half of the test fails, which is good news.

use std::process::Command;

use crate::commit::{layer, leaf_with_snapshots, sibling};
use crate::lab::{Lab, assert_same, exists};
use crate::{Case, case};

const MIB: u64 = 1 << 20;

pub(crate) fn cases() -> Vec<Case> {
    let strace = || (!exists("strace")).then(|| "strace is not installed".to_owned());
    vec![
        case("losses::rebase_changes_internal_snapshots", rebase),
        case("losses::flatten_changes_internal_snapshots", flatten),
        case("losses::commit_changes_internal_snapshots", commit),
        case("losses::commit_changes_siblings", siblings),
        case("losses::a_killed_flatten_drops_clusters", || killed("rebase -f qcow2 -b ''", "pull", 1))
            .unless(strace),
        case("losses::a_killed_rebase_drops_clusters", || {
            killed("rebase -f qcow2 -b other.qcow2 -F qcow2", "rebase --base other.qcow2", 1);
        })
        .unless(strace),
    ]
}

/// Two equal herds; each program does its work on one. Gives the view as it was, then as each left it.
fn both(make: fn(&Lab), view: &str, theirs: &str, ours: &str) -> [Vec<u8>; 3] {
    let bytes = |lab: &Lab| match view.split_once('@') {
        Some((image, snapshot)) => lab.bytes(image, Some(snapshot)),
        None => lab.bytes(view, None),
    };
    let (lost, kept) = (Lab::new(), Lab::new());
    make(&lost);
    make(&kept);
    let before = bytes(&kept);
    let line: Vec<&str> =
        theirs.split_whitespace().map(|word| if word == "''" { "" } else { word }).collect();
    lost.tool("qemu-img", &line);
    kept.run(&format!("{ours} --yes")).expect(0);
    [before, bytes(&lost), bytes(&kept)]
}

fn judge(what: &str, [before, lost, kept]: &[Vec<u8>; 3]) {
    assert!(before != lost, "{what}: qemu-img has learnt it");
    assert_same(what, kept, before);
}

fn rebase() {
    let views = both(
        leaf_with_snapshots,
        "l4.qcow2@sn0",
        "rebase -b base.qcow2 -F qcow2 l4.qcow2",
        "rebase l4.qcow2 --base base.qcow2",
    );
    judge("the snapshot", &views);
}

fn flatten() {
    let views = both(leaf_with_snapshots, "l4.qcow2@sn0", "rebase -b '' l4.qcow2", "pull l4.qcow2");
    judge("the snapshot", &views);
}

fn commit() {
    let views = both(leaf_with_snapshots, "l4.qcow2@sn0", "commit -q l4.qcow2", "commit l4.qcow2");
    judge("the snapshot", &views);
}

fn siblings() {
    let views = both(sibling, "side.qcow2", "commit -q l2.qcow2", "commit l2.qcow2");
    judge("the sibling", &views);
}

/// A base with one pattern, an overlay with another, and a base of no relation.
fn two_patterns(lab: &Lab) {
    layer(lab, "base.qcow2", None, "", 4 * MIB, 1, 0);
    lab.io("base.qcow2", "qcow2", &["write -q -P 5 0 3M".to_owned()]);
    layer(lab, "overlay.qcow2", Some(("base.qcow2", "qcow2")), "", 4 * MIB, 1, 0);
    lab.io("overlay.qcow2", "qcow2", &["write -q -P 6 512k 1M".to_owned()]);
    layer(lab, "other.qcow2", None, "", 4 * MIB, 1, 0);
    lab.io("other.qcow2", "qcow2", &["write -q -P 7 0 1M".to_owned()]);
}

/// Runs a program under strace, which kills it at its `when`th sync. Says whether it was killed.
fn kill(lab: &Lab, program: &str, args: &[&str], when: u32) -> bool {
    let inject = format!("inject=fdatasync,fsync:signal=KILL:when={when}");
    let done = Command::new("strace")
        .args(["-qq", "-f", "-o", "/dev/null", "-e", "trace=fdatasync,fsync", "-e", &inject, program])
        .args(args)
        .current_dir(lab.dir())
        .output()
        .unwrap();
    !done.status.success()
}

fn killed(theirs: &str, ours: &str, when: u32) {
    let lab = Lab::new();
    two_patterns(&lab);
    let before = lab.bytes("overlay.qcow2", None);
    let line: Vec<&str> = theirs.split(' ').map(|word| if word == "''" { "" } else { word }).collect();
    let line: Vec<&str> = line.into_iter().chain(["overlay.qcow2"]).collect();
    assert!(kill(&lab, "qemu-img", &line, when), "qemu-img was not killed");
    assert!(lab.bytes("overlay.qcow2", None) != before, "qemu-img has learnt it");

    let mut kills = 0;
    for when in 1.. {
        let lab = Lab::new();
        two_patterns(&lab);
        let (verb, rest) = ours.split_once(' ').unwrap_or((ours, ""));
        let mut line = vec![verb, "overlay.qcow2", "--yes"];
        line.extend(rest.split_whitespace());
        let was_killed = kill(&lab, env!("CARGO_BIN_EXE_cowherd"), &line, when);
        assert_same(&format!("killed at sync {when}"), &lab.bytes("overlay.qcow2", None), &before);
        lab.assert_clean();
        if !was_killed {
            break;
        }
        kills += 1;
    }
    assert!(kills >= 2, "only {kills} syncs");
}
