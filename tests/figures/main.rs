//! The figures of the classic snapshot notes, drawn by the program from real files. Each is kept in a text file
//! beside this one; a stale one fails, `COWHERD_BLESS=1 cargo test --test figures` draws them anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A folder with images: a raw base, and overlays with what they are based on.
fn herd(images: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    cowherd(&folder, &["create", "RootBase.img", "64M", "-f", "raw"]);
    for (name, base) in images {
        let format = if base.ends_with(".img") { "raw" } else { "qcow2" };
        cowherd(&folder, &["create", name, "-f", "qcow2", "-b", base, "-F", format]);
    }
    folder
}

/// RootBase and Snap-1 to Snap-4 above it.
fn notes() -> TempDir {
    herd(&[
        ("Snap-1.qcow2", "RootBase.img"),
        ("Snap-2.qcow2", "Snap-1.qcow2"),
        ("Snap-3.qcow2", "Snap-2.qcow2"),
        ("Snap-4.qcow2", "Snap-3.qcow2"),
    ])
}

fn cowherd(folder: &TempDir, args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cowherd"));
    command.current_dir(folder.path()).args(args).env("COWHERD_LIBVIRT_DIRS", "");
    let out = command.output().unwrap();
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// Compares a drawing with the one that is kept.
fn drawn(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/figures").join(format!("{name}.txt"));
    if std::env::var_os("COWHERD_BLESS").is_some_and(|v| v == "1") {
        fs::write(&path, text).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "{name} is kept as\n{kept}\nand drawn as\n{text}");
}

/// The figure of a plan, which comes last.
fn planned(folder: &TempDir, args: &[&str]) -> String {
    let text = cowherd(folder, &[args, &["--dry-run"]].concat());
    let at = text.find("\nnow\n").expect("no figure");
    format!("{}\n", text[at + 1..].trim_end())
}

#[test]
fn figure_1_a_chain() {
    let folder = herd(&[
        ("Overlay-1.qcow2", "RootBase.img"),
        ("Overlay-1A.qcow2", "Overlay-1.qcow2"),
        ("Overlay-1B.qcow2", "Overlay-1A.qcow2"),
    ]);
    drawn("1-chain", &cowherd(&folder, &["figure"]));
}

#[test]
fn figure_2_branches_over_one_base() {
    let folder = herd(&[
        ("Overlay-1.qcow2", "RootBase.img"),
        ("Overlay-1A.qcow2", "Overlay-1.qcow2"),
        ("Overlay-1B.qcow2", "Overlay-1A.qcow2"),
        ("Overlay-1C.qcow2", "Overlay-1B.qcow2"),
        ("Overlay-2.qcow2", "RootBase.img"),
        ("Overlay-2A.qcow2", "Overlay-2.qcow2"),
        ("Overlay-3.qcow2", "RootBase.img"),
        ("Overlay-3A.qcow2", "Overlay-3.qcow2"),
    ]);
    drawn("2-branches", &cowherd(&folder, &["figure"]));
}

#[test]
fn figure_3_commit_of_two_into_the_first() {
    let args = ["commit", "Snap-3.qcow2", "--base", "Snap-1.qcow2"];
    drawn("3-commit-into-Snap-1", &planned(&notes(), &args));
}

#[test]
fn figure_4_commit_of_all_into_the_base() {
    let args = ["commit", "Snap-3.qcow2", "--base", "RootBase.img"];
    drawn("4-commit-into-RootBase", &planned(&notes(), &args));
}

#[test]
fn figure_5_pull_with_a_base() {
    let args = ["pull", "Snap-4.qcow2", "--base", "RootBase.img"];
    drawn("5-pull-with-a-base", &planned(&notes(), &args));
}

#[test]
fn figure_6_pull_to_stand_alone() {
    drawn("6-pull-to-stand-alone", &planned(&notes(), &["pull", "Snap-4.qcow2"]));
}

#[test]
fn snapshots_stand_inside_and_ascii_is_ascii() {
    let folder = notes();
    for name in ["sn0", "sn1"] {
        cowherd(&folder, &["snapshot", "create", "Snap-2.qcow2", name, "--yes"]);
    }
    cowherd(&folder, &["create", "Overlay-2.qcow2", "-f", "qcow2", "-b", "Snap-1.qcow2", "-F", "qcow2"]);
    drawn("snapshots", &cowherd(&folder, &["figure"]));
    let ascii = planned(&folder, &["delete", "Snap-2.qcow2", "--ascii"]);
    assert!(ascii.is_ascii(), "{ascii}");
    drawn("delete-ascii", &ascii);
}
