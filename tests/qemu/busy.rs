//! Images that another process holds: refused, by the holder's name; shown, without being opened.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::lab::{Lab, assert_same};
use crate::{Case, case};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("busy::held_by_qemu_io", || held(qemu_io)),
        case("busy::held_by_qemu_storage_daemon", || held(storage_daemon)).needs(&[
            "qemu-img",
            "qemu-io",
            "qemu-storage-daemon",
        ]),
        case("busy::force_share_reads_anyway", force_share),
    ];
    for (line, held) in REFUSED {
        cases.push(case(format!("busy::{}_while_{held}_is_held", line.replace(' ', "_")), || {
            refused(line, held)
        }));
    }
    cases.push(case("busy::overlay_over_what_others_read", overlay));
    cases
}

/// A command, and an image that another process writes: the one that is named, one that is based on it,
/// or one that would be read.
const REFUSED: &[(&str, &str)] = &[
    ("rename mid.qcow2 new.qcow2", "mid.qcow2"),
    ("rename mid.qcow2 new.qcow2", "top.qcow2"),
    ("rename side.qcow2 new.qcow2", "side.qcow2"),
    ("delete mid.qcow2", "mid.qcow2"),
    ("delete mid.qcow2", "top.qcow2"),
    ("delete top.qcow2", "top.qcow2"),
    ("overlay top.qcow2 new.qcow2", "top.qcow2"),
    ("pull top.qcow2", "top.qcow2"),
    ("pull mid.qcow2", "top.qcow2"),
    ("rebase top.qcow2 --base base.qcow2", "top.qcow2"),
    ("rebase top.qcow2 --base side.qcow2", "side.qcow2"),
    ("rebase top.qcow2 --none", "top.qcow2"),
    ("rebase top.qcow2 --base side.qcow2 --unsafe --accept view-changes", "top.qcow2"),
    ("commit top.qcow2 --base base.qcow2", "side.qcow2"),
    ("resize top.qcow2 3M", "top.qcow2"),
    ("snapshot create top.qcow2 sn0", "top.qcow2"),
    ("check -r all --yes top.qcow2", "top.qcow2"),
];

/// A process that ends with the test.
pub(crate) struct Holder(Child);

impl Holder {
    /// Has qemu-io read or write something, and waits until it has.
    pub(crate) fn write(&mut self, command: &str) {
        let input = self.0.stdin.as_mut().unwrap();
        writeln!(input, "{command}").unwrap();
        let mut answers = BufReader::new(self.0.stdout.as_mut().unwrap());
        let mut line = String::new();
        while !line.contains(" ops") {
            line.clear();
            assert!(answers.read_line(&mut line).unwrap() > 0, "qemu-io ended");
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// qemu-io with the image open for writing, waiting for commands.
pub(crate) fn qemu_io(lab: &Lab, name: &str) -> Holder {
    let mut child = Command::new("qemu-io")
        .args(["-f", "qcow2", name])
        .current_dir(lab.dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It has opened the image once it answers; standard input stays open.
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "length").unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(!line.is_empty(), "qemu-io did not answer");
    child.stdin = Some(input);
    Holder(child)
}

fn storage_daemon(lab: &Lab, name: &str) -> Holder {
    let ready = lab.outside().join("daemon.pid");
    let mut child = Command::new("qemu-storage-daemon")
        .arg("--blockdev")
        .arg(format!("driver=qcow2,node-name=disk,file.driver=file,file.filename={name}"))
        .arg("--pidfile")
        .arg(&ready)
        .current_dir(lab.dir())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    // The file appears once everything on the command line is open.
    let deadline = Instant::now() + Duration::from_secs(20);
    while !ready.exists() {
        assert!(child.try_wait().unwrap().is_none(), "qemu-storage-daemon ended");
        assert!(Instant::now() < deadline, "qemu-storage-daemon is not ready");
        std::thread::sleep(Duration::from_millis(10));
    }
    Holder(child)
}

fn chain(lab: &Lab) {
    lab.img("create -q -f qcow2 base.qcow2 2M");
    lab.scribble("base.qcow2", "qcow2", 2 << 20, 1, 8);
    for (name, seed) in [("top.qcow2", 2), ("side.qcow2", 3)] {
        lab.img(&format!("create -q -f qcow2 -b base.qcow2 -F qcow2 {name}"));
        lab.scribble(name, "qcow2", 2 << 20, seed, 6);
    }
}

fn image<'a>(tree: &'a Value, lab: &Lab, name: &str) -> &'a Value {
    let path = lab.path(name).display().to_string();
    tree["images"].as_array().unwrap().iter().find(|i| i["path"] == path.as_str()).unwrap()
}

/// The top is held by a writer, and with it the base by a reader.
fn held(hold: fn(&Lab, &str) -> Holder) {
    let lab = Lab::new();
    chain(&lab);
    let before = lab.views();
    let holder = hold(&lab, "top.qcow2");
    let files = lab.files();
    let pid = holder.0.id();

    for line in ["commit top.qcow2 --yes", "cat top.qcow2", "check top.qcow2", "map top.qcow2"] {
        let answer = lab.run(line).expect(11);
        assert!(answer.err.contains(&format!("pid {pid}")), "{line}: {}", answer.err);
    }
    // What is read from the base stays readable; it may not be changed through another overlay.
    assert_same("base", &lab.cat("base.qcow2"), &before["base.qcow2"]);
    let answer = lab.run("commit side.qcow2 --yes").expect(11);
    assert!(answer.err.contains(&format!("pid {pid}")), "{}", answer.err);

    let tree = lab.run("tree . --json").expect(0).json();
    for (name, mode) in [("top.qcow2", "write"), ("base.qcow2", "read")] {
        let used = &image(&tree, &lab, name)["in_use"];
        assert_eq!((&used["by"]["pid"], &used["mode"]), (&json!(pid), &json!(mode)), "{name}");
    }
    assert!(image(&tree, &lab, "side.qcow2")["in_use"].is_null());
    let info = lab.run("info --json top.qcow2").expect(0).json();
    assert_eq!(info["in-use"]["by"]["pid"], json!(pid), "{info:#}");

    assert!(files == lab.files(), "a refused command changed a file");
    drop(holder);
    lab.run("commit top.qcow2 --yes").expect(0);
    lab.assert_clean();
    assert_same("side", &lab.bytes("side.qcow2", None), &before["side.qcow2"]);
}

fn force_share() {
    let lab = Lab::new();
    chain(&lab);
    let expected = lab.bytes("top.qcow2", None);
    let _holder = qemu_io(&lab, "top.qcow2");
    assert_same("top", &lab.run("cat --force-share top.qcow2").expect(0).out, &expected);
    lab.run("check --force-share top.qcow2").expect(0);
    lab.run("compare --force-share top.qcow2 top.qcow2").expect(0);
}

fn family(lab: &Lab) {
    chain(lab);
    lab.img("create -q -f qcow2 -b base.qcow2 -F qcow2 mid.qcow2");
    lab.scribble("mid.qcow2", "qcow2", 2 << 20, 4, 6);
    lab.img("create -q -f qcow2 -b mid.qcow2 -F qcow2 top.qcow2");
    lab.scribble("top.qcow2", "qcow2", 2 << 20, 5, 6);
}

fn refused(line: &str, held: &str) {
    let lab = Lab::new();
    family(&lab);
    let holder = qemu_io(&lab, held);
    let files = lab.files();
    let line = if line.contains("--yes") { line.to_owned() } else { format!("{line} --yes") };
    let answer = lab.run(&line).expect(11);
    assert!(answer.err.contains(&format!("pid {}", holder.0.id())), "{}", answer.err);
    assert!(answer.err.contains(held) || !line.contains(held), "{}", answer.err);
    assert!(files == lab.files(), "a refused command changed a file");
    drop(holder);
    lab.run(&line).expect(0);
    lab.assert_clean();
}

/// Whoever reads an image, as every overlay of it does, leaves room for one more.
fn overlay() {
    let lab = Lab::new();
    family(&lab);
    let _holder = qemu_io(&lab, "top.qcow2");
    lab.run("overlay mid.qcow2 new.qcow2 --yes").expect(0);
    assert_same("the overlay", &lab.bytes("new.qcow2", None), &lab.bytes("mid.qcow2", None));
}
