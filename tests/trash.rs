//! The trash as an operator uses it: what a deletion moved there comes back as it was, or stays with a
//! reason; nothing is overwritten, and no note is believed. Needs nothing but cowherd.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_cowherd");

/// A folder with the demo herd, in which one image was deleted.
struct Herd {
    _folder: TempDir,
    path: PathBuf,
}

impl Herd {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("herd");
        let done = Command::new(PROGRAM).args(["demo", "--no-tui", "-q"]).arg(&path).output().unwrap();
        assert!(done.status.success());
        Self { _folder: folder, path }
    }

    #[track_caller]
    fn run(&self, line: &str, code: i32) -> Output {
        let mut command = Command::new(PROGRAM);
        command.current_dir(&self.path).stdin(Stdio::null()).args(line.split_whitespace());
        let done = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(done.status.code(), Some(code), "{line}:\n{}{}", text(&done.stdout), text(&done.stderr));
        done
    }

    #[track_caller]
    fn json(&self, line: &str) -> Value {
        serde_json::from_slice(&self.run(line, 0).stdout).unwrap()
    }

    fn cat(&self, view: &str) -> Vec<u8> {
        self.run(&format!("cat {view} --length 64M"), 0).stdout
    }

    fn trash(&self) -> PathBuf {
        self.path.join(".cowherd-trash")
    }

    fn note(&self, change: impl FnOnce(&mut Value)) {
        let at = self.trash().join("Snap-4.qcow2.1.json");
        let mut note: Value = serde_json::from_slice(&std::fs::read(&at).unwrap()).unwrap();
        change(&mut note);
        std::fs::write(at, note.to_string()).unwrap();
    }
}

fn with_a_deleted_leaf() -> Herd {
    let herd = Herd::new();
    herd.run("delete Snap-4.qcow2 --yes", 0);
    assert!(!herd.path.join("Snap-4.qcow2").exists());
    herd
}

#[test]
fn what_was_deleted_comes_back_as_it_was() {
    let herd = Herd::new();
    assert_eq!(herd.json("trash list --json"), json!({ "trash": [] }));
    let before = herd.cat("Snap-4.qcow2");
    herd.run("delete Snap-4.qcow2 --yes", 0);
    let list = herd.json("trash list --json");
    let item = &list["trash"][0];
    assert_eq!(item["original"].as_str(), herd.path.join("Snap-4.qcow2").to_str());
    assert_eq!((&item["operation"], &item["restorable"]), (&"delete".into(), &true.into()), "{list:#}");
    assert!(item["disk_size"].as_u64().unwrap() > 0 && item["when"].as_u64().unwrap() > 1_600_000_000);
    let shown = String::from_utf8(herd.run("trash list", 0).stdout).unwrap();
    assert!(shown.contains("Snap-4.qcow2.1") && shown.contains("delete Snap-4.qcow2"), "{shown}");
    // It asks, and without a terminal the answer is no.
    herd.run("trash restore Snap-4.qcow2", 10);
    herd.run("trash restore Snap-4.qcow2 --dry-run", 0);
    assert!(!herd.path.join("Snap-4.qcow2").exists());
    herd.run("trash restore Snap-4.qcow2 --yes", 0);
    assert!(herd.cat("Snap-4.qcow2") == before);
    assert!(!herd.trash().exists(), "an empty trash stays behind");
    herd.run("trash restore Snap-4.qcow2 --yes", 1);
}

#[test]
fn it_is_found_by_either_path_and_from_elsewhere() {
    for path in ["herd/Snap-4.qcow2", "herd/.cowherd-trash/Snap-4.qcow2.1", "herd/.cowherd-trash", "."] {
        let herd = with_a_deleted_leaf();
        let mut command = Command::new(PROGRAM);
        command.current_dir(herd.path.parent().unwrap()).args(["trash", "restore", path, "--yes"]);
        let done = command.stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "{path}: {}", String::from_utf8_lossy(&done.stderr));
        assert!(herd.path.join("Snap-4.qcow2").exists(), "{path}");
    }
}

#[test]
fn what_reads_something_else_by_now_stays() {
    let herd = with_a_deleted_leaf();
    // A guest writes to what it was based on.
    let time = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    let base = std::fs::OpenOptions::new().write(true).open(herd.path.join("Snap-3.qcow2")).unwrap();
    base.set_modified(time).unwrap();
    let list = herd.json("trash list --json");
    assert_eq!(list["trash"][0]["restorable"], false);
    let reason = list["trash"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("Snap-3.qcow2 has changed since"), "{reason}");
    herd.run("trash restore Snap-4.qcow2 --yes", 1);
    assert!(!herd.path.join("Snap-4.qcow2").exists());
    std::fs::remove_file(herd.path.join("Snap-3.qcow2")).unwrap();
    let reason = herd.json("trash list --json")["trash"][0]["reason"].to_string();
    assert!(reason.contains("not there any more"), "{reason}");
}

#[test]
fn what_a_commit_took_away_stays() {
    let herd = Herd::new();
    herd.run("commit Snap-2.qcow2 --yes", 0);
    let list = herd.json("trash list --json");
    assert_eq!(list["trash"][0]["restorable"], false, "{list:#}");
    herd.run("trash restore Snap-2.qcow2 --yes", 1);
}

#[test]
fn nothing_is_overwritten() {
    let herd = with_a_deleted_leaf();
    std::fs::write(herd.path.join("Snap-4.qcow2"), b"mine").unwrap();
    herd.run("trash restore Snap-4.qcow2 --yes", 1);
    assert_eq!(std::fs::read(herd.path.join("Snap-4.qcow2")).unwrap(), b"mine");
    assert!(herd.trash().join("Snap-4.qcow2.1").exists());
}

#[test]
fn no_note_leads_anywhere_else() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().canonicalize().unwrap().join("victim");
    let changes: [&dyn Fn(&mut Value); 8] = [
        &|note| note["original"] = target.to_str().unwrap().into(),
        &|note| note["original"] = "../Snap-4.qcow2".into(),
        &|note| note["original"] = "Snap-4.qcow2".into(),
        &|note| {
            let original = note["original"].as_str().unwrap().replace("Snap-4", "sub/../Snap-4");
            note["original"] = original.into();
        },
        &|note| {
            note["original"] = note["original"].as_str().unwrap().replace("Snap-4.qcow2", ".bashrc").into()
        },
        // What it says of what is below is not what the image says.
        &|note| note["reads"] = json!([]),
        &|note| note["reads"][0]["path"] = "/etc/hostname".into(),
        &|note| *note = json!([1, 2]),
    ];
    for (i, change) in changes.iter().enumerate() {
        let herd = with_a_deleted_leaf();
        herd.note(change);
        let item = herd.json("trash list --json")["trash"][0].clone();
        assert_eq!(item["restorable"], false, "{i}: {item}");
        let mut command = Command::new(PROGRAM);
        let done = command
            .current_dir(&herd.path)
            .args(["trash", "restore", "Snap-4.qcow2", "--yes"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(!done.status.success(), "{i}");
        assert!(herd.trash().join("Snap-4.qcow2.1").exists() && !target.exists(), "{i}");
        assert!(!herd.path.join("Snap-4.qcow2").exists() && !herd.path.join(".bashrc").exists(), "{i}");
    }
}

#[test]
fn names_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let herd = Herd::new();
    let name = std::ffi::OsStr::from_bytes(b"odd\xff.qcow2");
    std::fs::rename(herd.path.join("Snap-4.qcow2"), herd.path.join(name)).unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(PROGRAM);
        let done =
            command.current_dir(&herd.path).args(args).arg(name).stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    run(&["delete", "--yes"]);
    assert!(!herd.path.join(name).exists());
    assert_eq!(herd.json("trash list --json")["trash"][0]["restorable"], true);
    run(&["trash", "restore", "--yes", "--json"]);
    assert!(herd.path.join(name).exists());
    run(&["delete", "--yes"]);
    herd.json("trash empty --yes --json");
}

#[test]
fn links_are_not_followed() {
    let herd = with_a_deleted_leaf();
    let outside = tempfile::tempdir().unwrap();
    let kept = outside.path().join("kept.1");
    std::fs::write(&kept, b"kept").unwrap();
    std::os::unix::fs::symlink(&kept, herd.trash().join("link.1")).unwrap();
    std::fs::create_dir(herd.path.join("sub")).unwrap();
    std::os::unix::fs::symlink(outside.path(), herd.path.join("sub/.cowherd-trash")).unwrap();
    std::os::unix::fs::symlink(&kept, herd.trash().join("linked.2")).unwrap();
    assert_eq!(herd.json("trash list --json")["trash"].as_array().unwrap().len(), 1);
    herd.run("trash empty --yes", 0);
    assert!(kept.exists() && herd.trash().join("link.1").symlink_metadata().is_ok());
    assert_eq!(herd.json("trash list sub/.cowherd-trash --json")["trash"].as_array().unwrap().len(), 0);
    herd.run("trash empty sub/.cowherd-trash --yes", 0);
    assert!(kept.exists());
}

#[test]
fn emptying_asks_and_says_what_it_freed() {
    let herd = with_a_deleted_leaf();
    // What nobody knows stays, and so does a note that is none; one whose file is gone goes.
    std::fs::write(herd.trash().join("README"), b"hands off").unwrap();
    std::fs::copy(herd.trash().join("Snap-4.qcow2.1.json"), herd.trash().join("x.7.json")).unwrap();
    herd.run("trash empty", 10);
    let size = herd.json("trash empty --dry-run --json")["freed_bytes"].as_u64().unwrap();
    assert!(herd.trash().join("Snap-4.qcow2.1").exists());
    let done = herd.json("trash empty --yes --json");
    assert_eq!(done["freed_bytes"].as_u64(), Some(size));
    assert!(size > 0);
    let left: Vec<_> = herd.trash().read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["README"]);
    assert_eq!(herd.json("trash empty --yes --json")["freed_bytes"], 0);
    herd.run("trash empty no-such-file --yes", 1);
}

#[test]
fn a_data_file_comes_back_with_its_image() {
    let herd = Herd::new();
    herd.run("create outer.qcow2 3M -f qcow2 -o data_file=outer.data", 0);
    let before = herd.cat("outer.qcow2");
    herd.run("delete outer.qcow2 --yes", 0);
    assert!(!herd.path.join("outer.qcow2").exists() && !herd.path.join("outer.data").exists());
    let list = herd.json("trash list --json");
    assert_eq!(list["trash"].as_array().unwrap().len(), 2, "{list:#}");
    assert!(list["trash"].as_array().unwrap().iter().all(|item| item["restorable"] == true), "{list:#}");
    let done = herd.json("trash restore outer.qcow2 --yes --json");
    assert_eq!(done["restored"].as_array().unwrap().len(), 2);
    assert!(herd.cat("outer.qcow2") == before);
}
