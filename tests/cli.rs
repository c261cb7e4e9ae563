//! The command line as scripts see it: exit codes, what goes where, what is never written. Needs
//! nothing but cowherd: the images are those of the demo.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with the demo herd.
struct Herd {
    _folder: TempDir,
    path: PathBuf,
}

fn herd() -> Herd {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("herd");
    let done = Command::new(PROGRAM).args(["demo", "--no-tui", "-q"]).arg(&path).output().unwrap();
    assert_code(&done, 0);
    Herd { _folder: folder, path }
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_cowherd");

impl Herd {
    fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.current_dir(&self.path).stdin(Stdio::null()).env("COWHERD_LIBVIRT_DIRS", "");
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command().args(line.split_whitespace()).output().unwrap()
    }

    /// Runs a line and gives its standard output, which must come with this exit code.
    #[track_caller]
    fn expect(&self, line: &str, code: i32) -> Output {
        let done = self.run(line);
        assert_code(&done, code);
        done
    }

    /// Names, sizes and times of everything in the folder.
    fn state(&self) -> BTreeMap<PathBuf, (u64, i64)> {
        let mut state = BTreeMap::new();
        let mut folders = vec![self.path.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    state.insert(path.clone(), fingerprint(&path));
                }
            }
        }
        state
    }
}

/// Length and time of the last change, which every write moves.
fn fingerprint(path: &Path) -> (u64, i64) {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).unwrap();
    (meta.len(), meta.ctime() * 1_000_000_000 + meta.ctime_nsec())
}

fn stdout(done: &Output) -> String {
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn stderr(done: &Output) -> String {
    String::from_utf8_lossy(&done.stderr).into_owned()
}

#[track_caller]
fn assert_code(done: &Output, code: i32) {
    assert_eq!(done.status.code(), Some(code), "stdout:\n{}\nstderr:\n{}", stdout(done), stderr(done));
}

#[test]
fn exit_codes_are_the_documented_ones() {
    let herd = herd();
    for (line, code) in [
        ("tree", 0),
        ("figure --ascii", 0),
        ("help", 0),
        ("help hazards", 0),
        ("help exit-codes", 0),
        ("help commit", 0),
        ("help nonsense", 2),
        ("--version", 0),
        ("commit --help", 0),
        ("no-such-file", 1),
        ("tree no-such-folder", 1),
        ("tree --nonsense", 2),
        ("--allow . tree", 2),
        ("info no-such-file", 1),
        ("info Snap-1.qcow2", 0),
        ("check Snap-1.qcow2", 0),
        ("check no-such-file", 1),
        ("check RootBase.img", 1),
        ("check -r all Snap-1.qcow2", 0),
        ("compare Snap-1.qcow2 Snap-1.qcow2", 0),
        ("compare Snap-1.qcow2 Snap-2.qcow2", 1),
        ("compare Snap-1.qcow2 no-such-file", 2),
        ("compare imageB.qcow2@sn0 imageB.qcow2@sn1", 1),
        ("cat imageB.qcow2@no-such-snapshot", 1),
        ("cat imageB.qcow2 --offset 2G", 2),
        ("cat imageB.qcow2 --offset apples", 2),
        ("commit Snap-2.qcow2 --dry-run", 0),
        ("commit Snap-2.qcow2", 10),
        ("commit imageC.qcow2 --dry-run", 0),
        ("commit imageC.qcow2 --remove --yes", 10),
        ("commit RootBase.img --yes", 2),
        ("commit Snap-2.qcow2 --base RootBase.img --dry-run", 0),
        ("commit Snap-2.qcow2 --base Snap-3.qcow2 --yes", 2),
        ("pull Snap-3.qcow2", 10),
        ("pull Snap-3.qcow2 --dry-run --json", 0),
        ("pull RootBase.img --yes", 2),
        ("rebase Snap-3.qcow2 --yes", 2),
        ("rebase Snap-3.qcow2 --base Snap-1.qcow2 --none --yes", 2),
        ("rebase Snap-3.qcow2 --base Snap-1.qcow2 --dry-run", 0),
        ("rebase Snap-3.qcow2 --base Snap-1.qcow2 --unsafe --yes", 10),
        ("delete Snap-1.qcow2", 10),
        ("delete no-such-file --yes", 1),
        ("overlay Snap-3.qcow2 Snap-1.qcow2 --yes", 2),
        ("overlay Snap-3.qcow2 new-overlay.qcow2 --dry-run", 0),
        ("rename Snap-2.qcow2 Snap-3.qcow2 --yes", 2),
        ("rename Snap-2.qcow2 new-name.qcow2 --dry-run", 0),
        ("commit Snap-2.qcow2 --keep --remove", 2),
        ("commit Snap-2.qcow2 --accept apples", 2),
        ("create Snap-1.qcow2 1M -f qcow2", 1),
        ("create new.qed 1M -f qed", 0),
        ("resize Snap-4.qcow2 2G", 10),
        ("resize Snap-4.qcow2 +1G --dry-run", 0),
        ("resize Snap-4.qcow2 -1M --dry-run", 2),
        ("resize Snap-4.qcow2 -1M --shrink --dry-run", 0),
        ("resize Snap-4.qcow2 -1M --shrink --yes", 10),
        ("resize Snap-4.qcow2 -9G --shrink --yes", 2),
        ("resize Snap-4.qcow2 apples", 2),
        ("compact RootBase.img --yes", 2),
        ("compact no-such-file --yes", 1),
        ("compact imageB.qcow2 --dry-run", 0),
        ("revert Snap-4.qcow2", 10),
        ("revert Snap-4.qcow2 --yes", 10),
        ("revert Snap-4.qcow2 --dry-run", 0),
        ("revert Snap-1.qcow2 --yes --accept no-undo", 13),
        ("revert RootBase.img --yes", 2),
        ("snapshot create imageB.qcow2 sn9", 10),
        ("snapshot create imageB.qcow2 sn0 --yes", 2),
        ("snapshot create RootBase.img sn0 --yes", 13),
        ("snapshot delete imageB.qcow2 sn0 --yes", 10),
        ("snapshot delete imageB.qcow2 no-such-snapshot --yes", 1),
        ("snapshot rename imageB.qcow2 #1 sn9 --dry-run", 0),
        ("snapshot rename imageB.qcow2 1 sn9 --dry-run", 1),
        ("create new.qcow2 -f qcow2", 2),
        ("tree -v -q", 2),
        ("check Snap-1.qcow2 --allow . --force-share -f qcow2", 0),
        ("check Snap-1.qcow2 -f qed", 1),
        ("snapshot list imageB.qcow2 -f qcow2", 0),
        ("resize Snap-4.qcow2 2G -f raw --dry-run", 13),
        ("resize Snap-4.qcow2 2G -f qcow2 --dry-run", 0),
        ("commit Snap-2.qcow2 -f qed --dry-run", 13),
        ("rename Snap-2.qcow2 new-name.qcow2 -f raw --yes", 13),
        ("overlay Snap-3.qcow2 new-overlay.qcow2 -f qcow2 --dry-run", 0),
        ("rename no-such-file Snap-3.qcow2 --yes", 1),
        ("help serve", 0),
        ("serve Snap-1.qcow2", 2),
        ("serve no-such-file --socket s", 1),
    ] {
        let done = herd.expect(line, code);
        assert!(!stderr(&done).contains("panicked"), "{line}: {}", stderr(&done));
        if code > 0 && !line.starts_with("compare Snap-1.qcow2 Snap-2") && !line.contains("sn0") {
            assert!(!stderr(&done).is_empty(), "{line} says nothing");
        }
    }
}

#[test]
fn a_failure_is_one_line_and_one_remedy() {
    let herd = herd();
    let done = herd.expect("commit Snap-2.qcow2", 10);
    let lines: Vec<_> = stderr(&done).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("cowherd: ") && lines[1].contains("--yes"), "{lines:?}");
    assert!(stdout(&done).contains("relink Snap-3.qcow2"), "the plan is not shown: {}", stdout(&done));
    assert!(stdout(&done).contains("Overlay-2"), "a figure lacks a branch: {}", stdout(&done));
    assert!(!stdout(&done).contains("imageA"), "another family is drawn: {}", stdout(&done));
}

#[test]
fn nothing_is_written_before_it_is_agreed_to() {
    let herd = herd();
    let before = herd.state();
    for line in [
        "commit Snap-2.qcow2",
        "commit Snap-2.qcow2 --json",
        "commit Snap-2.qcow2 --dry-run",
        "commit Snap-1.qcow2 --dry-run --json --yes",
        "commit imageB.qcow2 --yes",
        "check Snap-1.qcow2",
        "check -r all Snap-1.qcow2 --yes",
        "check -r all Snap-1.qcow2 --dry-run",
        "resize Snap-4.qcow2 2G",
        "snapshot create imageB.qcow2 sn9",
        "snapshot delete imageB.qcow2 sn0 --yes",
        "tree --space",
        "map imageC.qcow2@sn0",
        "create Snap-1.qcow2 1M -f raw",
        "create broken.qcow2 1M -f qcow2 -o cluster_size=3",
        "create broken.qcow2 1M -f qcow2 -b Snap-1.qcow2",
        "create broken.qcow2 1M -f raw -b Snap-1.qcow2 -F qcow2",
    ] {
        herd.run(line);
        assert!(before == herd.state(), "{line} changed something");
    }
}

#[test]
fn json_is_one_document_alone_on_standard_output() {
    let herd = herd();
    for line in [
        "tree --json",
        "tree --json --space",
        "info --json Snap-2.qcow2",
        "info --json --chain imageC.qcow2",
        "map --json imageC.qcow2",
        "map --json --layer imageC.qcow2",
        "check --json imageC.qcow2",
        "compare --json Snap-1.qcow2 Snap-1.qcow2",
        "snapshot list --json imageB.qcow2",
        "commit Snap-2.qcow2 --dry-run --json",
        "check -r all Snap-1.qcow2 --json --yes",
        "check -r leaks Snap-1.qcow2 --json --dry-run",
        "resize Snap-4.qcow2 +1G --json --yes",
        "snapshot create imageB.qcow2 sn9 --json --yes",
        "snapshot rename imageB.qcow2 sn9 sn8 --json --yes",
        "snapshot delete imageB.qcow2 sn8 --json --yes --accept no-undo",
        "commit Snap-2.qcow2 --yes --json",
    ] {
        let done = herd.expect(line, 0);
        serde_json::from_slice::<Value>(&done.stdout)
            .unwrap_or_else(|e| panic!("{line}: {e}: {}", stdout(&done)));
        assert_eq!(stderr(&done), "", "{line}");
    }
}

#[test]
fn verbose_tells_on_standard_error_alone() {
    let herd = herd();
    for line in [
        "",
        "tree",
        "figure",
        "info Snap-2.qcow2",
        "info Snap-2.qcow2 --chain",
        "map Snap-2.qcow2",
        "map Snap-2.qcow2 --layer",
        "check Snap-2.qcow2",
        "compare Snap-2.qcow2 Snap-2.qcow2",
        "cat Snap-2.qcow2 --length 1k",
        "measure Snap-2.qcow2",
        "snapshot list imageB.qcow2",
        "commit Snap-2.qcow2 --dry-run --json",
        "resize Snap-4.qcow2 +1G --dry-run",
    ] {
        let (plain, verbose) = (herd.expect(line, 0), herd.expect(&format!("-v {line}"), 0));
        assert_eq!(stdout(&plain), stdout(&verbose), "{line}");
        assert_eq!(stderr(&plain), "", "{line}");
        let said = stderr(&verbose);
        assert!(said.contains("opened ") || said.contains("looked through "), "{line}: {said}");
        assert!(!said.contains('\u{1b}'), "{line}: {said}");
    }
}

#[test]
fn verbose_tells_each_lock_and_each_step() {
    let herd = herd();
    let plan: Value =
        serde_json::from_slice(&herd.expect("commit Snap-2.qcow2 --dry-run --json", 0).stdout).unwrap();
    let steps = plan["steps"].as_array().unwrap().len();
    let said = stderr(&herd.expect("commit Snap-2.qcow2 --yes -v -b Snap-1.qcow2", 0));
    for name in ["Snap-1.qcow2", "Snap-2.qcow2", "Snap-3.qcow2"] {
        let lock = format!("locked {} for changing", herd.path.join(name).display());
        assert!(said.lines().any(|line| line == lock), "{lock}: {said}");
    }
    assert!(said.contains("RootBase.img for reading"), "{said}");
    let told: Vec<_> = said.lines().filter(|line| line.starts_with("step ")).collect();
    assert_eq!(told.len(), steps, "{said}");
    assert!(told[0].starts_with(&format!("step 1 of {steps}: copy ")), "{said}");
    let said = stderr(&herd.expect("commit Snap-4.qcow2 --yes --verbose --progress json", 0));
    let notes = said.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    assert!(notes.filter(|n| n["note"].as_str().is_some_and(|n| n.starts_with("step "))).count() > 1);
    // A step that was refused never began.
    let said = stderr(&herd.expect("resize Snap-4.qcow2 -1M --shrink -v --yes", 10));
    assert!(said.contains("planned ") && !said.contains("step "), "{said}");
}

#[test]
fn create_says_what_info_says() {
    let herd = herd();
    for line in [
        "create new.qcow2 -f qcow2 -b Snap-1.qcow2 -F qcow2",
        "create new.img 3M -f raw",
        "create new.qed 3M -f qed",
        "create outer.qcow2 3M -f qcow2 -o data_file=outer.data",
    ] {
        let made = herd.expect(&format!("{line} --json"), 0);
        let name = line.split(' ').nth(1).unwrap();
        assert_eq!(stdout(&made), stdout(&herd.expect(&format!("info --json {name}"), 0)), "{line}");
        assert_eq!(stderr(&made), "", "{line}");
    }
    // Making a reference and following it are two things; who asks is told what the second takes.
    std::fs::create_dir(herd.path.join("sub")).unwrap();
    let line = "create sub/a.qcow2 -f qcow2 -b ../Snap-1.qcow2 -F qcow2 -v";
    assert!(stderr(&herd.expect(line, 0)).contains("--allow "));
    let line = "create sub/b.qcow2 -f qcow2 -b ../Snap-1.qcow2 -F qcow2 -v --allow .";
    assert!(!stderr(&herd.expect(line, 0)).contains("--allow "));
}

#[test]
fn commit_keeps_every_other_view_without_qemu() {
    let herd = herd();
    let views = [
        "Snap-3.qcow2",
        "Snap-4.qcow2",
        "Overlay-2.qcow2",
        "RootBase.img",
        "imageC.qcow2",
        "imageB.qcow2@sn0",
    ];
    let sums = || -> Vec<_> { views.iter().map(|v| checksum(&herd, v)).collect() };
    let (before, snap2) = (sums(), checksum(&herd, "Snap-2.qcow2"));
    let done = herd.expect("commit Snap-2.qcow2 --yes", 0);
    assert!(stdout(&done).contains(".cowherd-trash"), "{}", stdout(&done));
    assert_eq!(sums(), before);
    assert_eq!(checksum(&herd, "Snap-1.qcow2"), snap2);
    assert!(!herd.path.join("Snap-2.qcow2").exists());
    for name in ["Snap-1.qcow2", "Snap-3.qcow2"] {
        herd.expect(&format!("check {name}"), 0);
    }
    // A leaf stays, emptied, and reads what it read.
    let snap4 = checksum(&herd, "Snap-4.qcow2");
    herd.expect("commit Snap-4.qcow2 --yes -q", 0);
    assert_eq!(checksum(&herd, "Snap-4.qcow2"), snap4);
    assert_eq!(checksum(&herd, "Snap-3.qcow2"), snap4);
}

/// A hash of the first 128 MiB and of the rest by length: enough to tell views apart.
fn checksum(herd: &Herd, view: &str) -> u64 {
    use std::hash::Hasher;
    let done = herd.expect(&format!("cat {view} --length 128M"), 0);
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(&done.stdout);
    hasher.finish()
}

#[test]
fn create_makes_what_was_asked_for() {
    let herd = herd();
    std::fs::create_dir(herd.path.join("sub")).unwrap();
    herd.expect("create sub/a.qcow2 -f qcow2 -b ../Snap-1.qcow2 -F qcow2 -o cluster_size=4k,compat=0.10", 0);
    let info: Value = serde_json::from_slice(&herd.expect("info --json sub/a.qcow2", 0).stdout).unwrap();
    assert_eq!(info["cluster-size"], 4096);
    assert_eq!(info["virtual-size"], 1u64 << 30);
    assert_eq!(info["backing-filename"], "../Snap-1.qcow2");
    assert_eq!(info["backing-filename-format"], "qcow2");
    assert_eq!(info["format-specific"]["data"]["compat"], "0.10");
    herd.expect("compare sub/a.qcow2 Snap-1.qcow2 --allow .", 0);
    herd.expect("check sub/a.qcow2", 0);

    herd.expect("create b.img 1000 -f raw", 0);
    assert_eq!(std::fs::metadata(herd.path.join("b.img")).unwrap().len(), 1024);
    let asked = herd.expect("create c.qcow2 -f qcow2 -b Snap-1.qcow2", 2);
    assert!(stderr(&asked).contains("-F qcow2"), "{}", stderr(&asked));
}

#[test]
fn the_gate_says_how_to_open_it() {
    let herd = herd();
    std::fs::create_dir(herd.path.join("sub")).unwrap();
    herd.expect("create sub/a.qcow2 -f qcow2 -b ../Snap-1.qcow2 -F qcow2", 0);
    let done = herd.expect("map sub/a.qcow2", 13);
    let text = stderr(&done);
    let allow = text.split_once("--allow ").unwrap_or_else(|| panic!("{text}")).1.trim();
    herd.expect(&format!("map sub/a.qcow2 --allow {allow}"), 0);
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let herd = herd();
    for line in ["cat Snap-4.qcow2", "map --json imageC.qcow2", "tree --json", "help"] {
        let mut child = herd
            .command()
            .args(line.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let done = child.wait_with_output().unwrap();
        assert_code(&done, 0);
        assert_eq!(stderr(&done), "", "{line}");
    }
}

#[test]
fn without_a_terminal_the_tree_is_printed() {
    let herd = herd();
    for line in ["", "."] {
        let done = herd.expect(line, 0);
        assert!(stdout(&done).contains("RootBase.img"), "{}", stdout(&done));
        assert!(!stdout(&done).contains('\u{1b}'), "escape sequences without a terminal");
    }
    assert!(stdout(&herd.expect("tree --ascii", 0)).is_ascii());
    assert!(stdout(&herd.expect("figure --ascii", 0)).is_ascii());
    assert!(stdout(&herd.expect("commit Snap-2.qcow2 --dry-run --ascii", 0)).is_ascii());
}

#[test]
fn the_demo_never_touches_a_folder_in_use() {
    let herd = herd();
    let before = herd.state();
    let done = Command::new(PROGRAM).args(["demo", "--no-tui"]).arg(&herd.path).output().unwrap();
    assert_code(&done, 2);
    assert!(before == herd.state());
    let tree: Value = serde_json::from_slice(&herd.expect("tree --json", 0).stdout).unwrap();
    let images = tree["images"].as_array().unwrap();
    assert_eq!(images.len(), 12);
    let has_problem = |image: &&Value| !image["problems"].as_array().unwrap().is_empty();
    let broken: Vec<_> = images.iter().filter(has_problem).map(|image| &image["path"]).collect();
    assert!(matches!(broken[..], [path] if path.as_str().unwrap().ends_with("/broken.qcow2")), "{tree:#}");
    let snapshots: usize = images.iter().map(|i| i["snapshots"].as_array().unwrap().len()).sum();
    assert_eq!(snapshots, 4);
}

#[test]
fn cleanup_says_how_each_image_stands_and_takes_out_what_is_named() {
    let herd = herd();
    let before = herd.state();
    let told = stdout(&herd.expect("cleanup .", 0));
    for words in ["RootBase.img", "needed", "free to go", "cowherd cleanup --delete"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let json: Value = serde_json::from_slice(&herd.expect("cleanup . --json", 0).stdout).unwrap();
    let stands = |name: &str| {
        let file =
            json["files"].as_array().unwrap().iter().find(|f| f["path"].as_str().unwrap().ends_with(name));
        file.unwrap_or_else(|| panic!("{name}: {json:#}"))["standing"].clone()
    };
    assert_eq!(stands("RootBase.img"), "needed");
    assert_eq!(stands("broken.qcow2"), "orphaned");
    assert_eq!(stands("imageC.qcow2"), stands("Snap-4.qcow2"), "both are tops that nobody names");
    assert!(before == herd.state(), "a look changed something");

    herd.expect("cleanup . --delete Snap-2.qcow2 --dry-run", 0);
    let pinned = herd.expect("cleanup . --delete Snap-2.qcow2 --pin Snap-2.qcow2 --dry-run", 0);
    assert!(stdout(&pinned).contains("nothing is to go"), "{}", stdout(&pinned));
    assert!(before == herd.state(), "a plan changed something");
    let shown = stdout(&herd.expect("cat Snap-3.qcow2 --length 1M", 0));
    herd.expect("cleanup . --delete Snap-2.qcow2 --yes", 0);
    assert!(!herd.path.join("Snap-2.qcow2").exists());
    assert_eq!(stdout(&herd.expect("cat Snap-3.qcow2 --length 1M", 0)), shown);
}

/// What an overlay holds of its own tells which image it can be based on.
#[test]
fn a_lost_base_is_found_by_what_is_in_it() {
    let herd = herd();
    let disk = |name: &str, signature: &[u8]| {
        let mut bytes = vec![0; 1 << 20];
        bytes[440..440 + signature.len()].copy_from_slice(signature);
        bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        std::fs::write(herd.path.join("lost").join(name), bytes).unwrap();
    };
    std::fs::create_dir(herd.path.join("lost")).unwrap();
    disk("base.img", b"\x01\x02\x03\x04");
    disk("stranger.img", b"\x05\x06\x07\x08");
    std::fs::write(herd.path.join("lost/blank.img"), vec![0; 1 << 20]).unwrap();
    herd.expect("create -q -f qcow2 -b base.img -F raw lost/over.qcow2", 0);
    // So that it has its first cluster of its own.
    herd.expect("rebase lost/over.qcow2 --base lost/blank.img -F raw --yes", 0);
    std::fs::rename(herd.path.join("lost/blank.img"), herd.path.join("lost/moved.img")).unwrap();
    let json: Value = serde_json::from_slice(&herd.expect("cleanup lost --json", 0).stdout).unwrap();
    let file = json["files"].as_array().unwrap().iter().find(|f| f["standing"] == "orphaned").unwrap();
    let found = file["candidates"].as_array().unwrap();
    let names: Vec<_> =
        found.iter().map(|c| c["path"].as_str().unwrap().rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["base.img", "moved.img"], "{file:#}");
    assert!(found[0]["evidence"].to_string().contains("disk signature 01020304"), "{file:#}");
    assert!(found[1]["remedy"].as_str().unwrap().contains("rebase --unsafe"), "{file:#}");
}

#[test]
fn on_a_terminal_it_asks() {
    let herd = herd();
    let before = herd.state();
    let (code, said) = on_terminal(&herd, &["commit", "Snap-2.qcow2"], b"n\r");
    assert_eq!(code, Some(10), "{said}");
    assert!(before == herd.state(), "no meant yes");
    let (code, said) = on_terminal(&herd, &["commit", "Snap-2.qcow2"], b"y\r");
    assert_eq!(code, Some(0), "{said}");
    assert!(!herd.path.join("Snap-2.qcow2").exists());
}

/// Runs cowherd on a terminal, answers its question, and gives the exit code and what it showed.
fn on_terminal(herd: &Herd, args: &[&str], answer: &[u8]) -> (Option<i32>, String) {
    let (mut pty, pts) = pty_process::blocking::open().unwrap();
    let mut child =
        pty_process::blocking::Command::new(PROGRAM).args(args).current_dir(&herd.path).spawn(pts).unwrap();
    let mut said = Vec::new();
    let mut buf = [0; 4096];
    let mut answered = false;
    // The terminal's end of file is an error (EIO) on Linux.
    while let Ok(n @ 1..) = pty.read(&mut buf) {
        said.extend_from_slice(&buf[..n]);
        if !answered && String::from_utf8_lossy(&said).contains("[y/N]") {
            pty.write_all(answer).unwrap();
            answered = true;
        }
    }
    (child.wait().unwrap().code(), String::from_utf8_lossy(&said).into_owned())
}
