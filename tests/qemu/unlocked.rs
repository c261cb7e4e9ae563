//! A file system without locks, as strace plays one: refused where it matters, and possible all the same.

use std::process::{Command, Stdio};

use crate::commit::chain;
use crate::lab::{Answer, Lab, assert_same, exists};
use crate::{Case, case};

pub(crate) fn cases() -> Vec<Case> {
    let all: [(&str, fn()); 4] = [
        ("unlocked::reading_needs_force_share", reading),
        ("unlocked::a_change_needs_consent", changing),
        ("unlocked::a_new_file_harms_nobody", overlay),
        ("unlocked::every_way_of_having_none", every_way),
    ];
    all.into_iter().map(|(name, run)| case(name, run).unless(cannot_play)).collect()
}

fn cannot_play() -> Option<String> {
    if !exists("strace") {
        return Some("strace is not installed".to_owned());
    }
    let run = Command::new("strace").args(["-o", "/dev/null", "-e", "trace=fcntl", "true"]).output();
    (!run.is_ok_and(|run| run.status.success())).then(|| "strace does not work here".to_owned())
}

/// cowherd where every lock call fails in this way.
fn without(lab: &Lab, error: &str, line: &str) -> Answer {
    let done = Command::new("strace")
        .args(["-qq", "-f", "-o", "/dev/null", "-e", "trace=fcntl", "-e"])
        .arg(format!("inject=fcntl:error={error}"))
        .arg(env!("CARGO_BIN_EXE_cowherd"))
        .args(line.split_whitespace())
        .current_dir(lab.dir())
        .env("COWHERD_LIBVIRT_DIRS", "")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Answer {
        code: done.status.code().unwrap_or(-1),
        out: done.stdout,
        err: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}

fn reading() {
    let lab = Lab::new();
    chain(&lab);
    let expected = lab.bytes("l4.qcow2", None);
    for line in
        ["cat l4.qcow2", "map l4.qcow2", "check l4.qcow2", "compare l4.qcow2 l3.qcow2", "measure l4.qcow2"]
    {
        let answer = without(&lab, "ENOLCK", line).expect(11);
        assert!(answer.out.is_empty() && answer.err.contains("--force-share"), "{line}: {}", answer.err);
    }
    assert_same("l4", &without(&lab, "ENOLCK", "cat --force-share l4.qcow2").expect(0).out, &expected);
    without(&lab, "ENOLCK", "check --force-share l4.qcow2").expect(0);
    // What never takes a lock.
    for line in ["tree", "figure", "info --chain l4.qcow2", "snapshot list l4.qcow2"] {
        without(&lab, "ENOLCK", line).expect(0);
    }
}

fn changing() {
    let lab = Lab::new();
    chain(&lab);
    let before = lab.views();
    let plan = without(&lab, "ENOLCK", "commit l4.qcow2 --dry-run --json").expect(0).json();
    let hazards = plan["hazards"].as_array().unwrap();
    let said: Vec<_> = hazards.iter().filter(|h| h["kind"] == "no-locks").collect();
    assert!(said.len() == 1 && said[0]["severity"] == "danger", "{plan:#}");

    let files = lab.files();
    for line in ["commit l4.qcow2 --yes", "rename l2.qcow2 x.qcow2 --yes", "resize l4.qcow2 9M --yes"] {
        let answer = without(&lab, "ENOLCK", line).expect(11);
        assert!(answer.err.contains("--accept no-locks"), "{line}: {}", answer.err);
    }
    assert!(files == lab.files(), "a refused command changed a file");
    let told = without(&lab, "ENOLCK", "commit l4.qcow2 -v --yes --accept no-locks").expect(0);
    assert!(told.err.contains("without a lock"), "{}", told.err);
    lab.assert_clean();
    assert_same("l4", &lab.bytes("l4.qcow2", None), &before["l4.qcow2"]);
    assert_same("l3", &lab.bytes("l3.qcow2", None), &before["l4.qcow2"]);
}

fn overlay() {
    let lab = Lab::new();
    chain(&lab);
    without(&lab, "ENOLCK", "create -f qcow2 alone.qcow2 1M").expect(0);
    without(&lab, "ENOLCK", "overlay l4.qcow2 new.qcow2 --yes --accept no-locks").expect(0);
    assert_same("the overlay", &lab.bytes("new.qcow2", None), &lab.bytes("l4.qcow2", None));
    // What may still be written by somebody is not taken over where nobody can tell.
    std::fs::write(lab.path(".other.qcow2.cowherd-partial"), "half of it").unwrap();
    without(&lab, "ENOLCK", "overlay l4.qcow2 other.qcow2 --yes --accept no-locks").expect(11);
    lab.run("overlay l4.qcow2 other.qcow2 --yes").expect(0);
}

fn every_way() {
    for error in ["EOPNOTSUPP", "ENOSYS", "EINVAL"] {
        let lab = Lab::new();
        chain(&lab);
        without(&lab, error, "commit l4.qcow2 --yes").expect(11);
        without(&lab, error, "commit l4.qcow2 --yes --accept no-locks").expect(0);
    }
    // An error of another sort is not taken for that.
    let lab = Lab::new();
    chain(&lab);
    without(&lab, "EIO", "cat l4.qcow2").expect(1);
}
