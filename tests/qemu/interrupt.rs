//! A commit that is stopped or killed in the middle: every view as before, and the next run ends it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::lab::{Lab, Random, Views, assert_same};
use crate::{Case, case};

const MIB: u64 = 1 << 20;
/// Slow enough that every moment of a copy can be hit, fast enough to wait for.
const RATE: &str = "8M";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // In the protection of the sibling (step 0), and at the start, middle and end of the copy.
    for (name, step, done) in [
        ("protecting", 0, 1),
        ("copy_begun", 1, 1),
        ("copy_half", 1, 5 * MIB),
        ("copy_nearly_over", 1, 8 * MIB),
    ] {
        cases.push(case(format!("interrupt::kill::{name}"), move || killed(herd, step, done)));
        cases.push(case(format!("interrupt::kill_raw_base::{name}"), move || killed(raw_herd, step, done)));
        cases.push(case(format!("interrupt::kill_qed_base::{name}"), move || killed(qed_herd, step, done)));
    }
    cases.push(case("interrupt::kill::at_random_moments", random_kills));
    cases.push(case("interrupt::sigint", || cancelled(herd, "INT", 130, "rolled back")));
    cases.push(case("interrupt::sigterm", || cancelled(herd, "TERM", 143, "rolled back")));
    cases.push(case("interrupt::sigint_raw_base", || cancelled(raw_herd, "INT", 130, "resumable")));
    cases.push(case("interrupt::locks_keep_qemu_out_meanwhile", locked));
    cases
}

/// l1 <- l2 <- l3, and side on l1. Snapshots in l1. l2 holds 8 MiB.
fn herd(lab: &Lab) {
    lab.img("create -q -f qcow2 l1.qcow2 16M");
    lab.scribble("l1.qcow2", "qcow2", 16 * MIB, 1, 60);
    lab.img("snapshot -c sn0 l1.qcow2");
    lab.scribble("l1.qcow2", "qcow2", 16 * MIB, 2, 20);
    overlays(lab, "l1.qcow2", "qcow2");
}

fn raw_herd(lab: &Lab) {
    lab.img("create -q -f raw l1.qcow2 16M");
    lab.scribble("l1.qcow2", "raw", 16 * MIB, 1, 60);
    overlays(lab, "l1.qcow2", "raw");
}

fn qed_herd(lab: &Lab) {
    lab.img("create -q -f qed l1.qcow2 16M");
    lab.scribble("l1.qcow2", "qed", 16 * MIB, 1, 60);
    overlays(lab, "l1.qcow2", "qed");
}

fn overlays(lab: &Lab, base: &str, format: &str) {
    lab.img(&format!("create -q -f qcow2 -b {base} -F {format} l2.qcow2"));
    lab.io("l2.qcow2", "qcow2", &["write -q -P 7 1M 8M".into(), "write -q -z 12M 1M".into()]);
    lab.scribble("l2.qcow2", "qcow2", 16 * MIB, 3, 6);
    lab.img("create -q -f qcow2 -b l2.qcow2 -F qcow2 l3.qcow2");
    lab.scribble("l3.qcow2", "qcow2", 16 * MIB, 4, 6);
    lab.img(&format!("create -q -f qcow2 -b {base} -F {format} side.qcow2"));
    lab.io("side.qcow2", "qcow2", &["write -q -P 9 2M 6M".into()]);
}

/// A commit of l2 under way.
struct Running {
    child: Child,
    errors: BufReader<std::process::ChildStderr>,
}

impl Running {
    fn start(lab: &Lab, options: &[&str]) -> Self {
        let mut child = lab
            .command()
            .args(["commit", "l2.qcow2", "--yes", "--progress", "json"])
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        Self { child, errors }
    }

    /// Waits until step `step` is being copied and `done` bytes are done.
    fn until(&mut self, step: u64, done: u64) {
        let mut line = String::new();
        while self.errors.read_line(&mut line).unwrap() > 0 {
            let now: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
            let there = now["step"].as_u64() >= Some(step) && now["done"].as_u64() >= Some(done);
            if there && now["phase"] == "copying" {
                assert_eq!(now["step"], step, "too late: {now}");
                return;
            }
            line.clear();
        }
        panic!("it ended before step {step}, {done} bytes: {:?}", self.child.wait());
    }

    fn signal(&self, name: &str) {
        // The shell's kill, so that no test needs unsafe code.
        let line = format!("kill -{name} {}", self.child.id());
        assert!(std::process::Command::new("sh").args(["-c", &line]).status().unwrap().success());
    }

    /// The end: status, and what was said besides progress.
    fn end(mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        self.errors.read_to_string(&mut said).unwrap();
        let said = said.lines().filter(|l| !l.starts_with('{')).map(|l| format!("{l}\n")).collect();
        (self.child.wait().unwrap(), said)
    }
}

/// Every view as before. A raw base has no metadata to hide behind: its own view alone may differ.
fn assert_unchanged(lab: &Lab, before: &Views, raw: bool) {
    let after = lab.views();
    for (view, bytes) in before.iter().filter(|(view, _)| !(raw && *view == "l1.qcow2")) {
        assert_same(&format!("{view}, read by QEMU"), &after[view], bytes);
        assert_same(&format!("{view}, read by cowherd"), &lab.cat(view), bytes);
    }
    for name in lab.names() {
        let code = lab.try_tool("qemu-img", &["check", &name]).status.code();
        assert!(matches!(code, Some(0 | 3 | 63)), "qemu-img check {name}: {code:?}");
    }
}

/// The next run does what was not done, or was undone.
fn assert_completes(lab: &Lab, before: &Views) {
    lab.run("commit l2.qcow2 --yes").expect(0);
    assert_completed(lab, before);
}

fn assert_completed(lab: &Lab, before: &Views) {
    let after = lab.views();
    assert_same("the base", &after["l1.qcow2"], &before["l2.qcow2"]);
    for view in ["l3.qcow2", "side.qcow2", "l1.qcow2@sn0"] {
        if let Some(bytes) = before.get(view) {
            assert_same(view, &after[view], bytes);
        }
    }
    lab.assert_clean();
    assert!(!lab.path("l2.qcow2").exists());
}

fn is_raw(lab: &Lab) -> bool {
    lab.img_json("info --output=json l1.qcow2")["format"] == "raw"
}

fn killed(make: fn(&Lab), step: u64, done: u64) {
    let lab = Lab::new();
    make(&lab);
    let before = lab.views();
    let mut running = Running::start(&lab, &["--rate-limit", RATE]);
    running.until(step, done);
    running.child.kill().unwrap();
    running.end();
    assert_unchanged(&lab, &before, is_raw(&lab));
    lab.run("recover --yes").expect(0);
    assert_completed(&lab, &before);
}

/// At full speed, at moments nobody chose, metadata and trash included.
fn random_kills() {
    let mut random = Random(0xdead_beef_cafe);
    let mut cut = 0;
    let mut round = 0;
    // A fast or a slow machine may let the first few run to their end, or not begin.
    while round < 6 || cut == 0 && round < 60 {
        round += 1;
        let lab = Lab::new();
        herd(&lab);
        let before = lab.views();
        let mut running = Running::start(&lab, &[]);
        std::thread::sleep(Duration::from_millis(random.below(60)));
        running.child.kill().unwrap();
        let (status, _) = running.end();
        cut += u32::from(status.code().is_none());
        let after = lab.views();
        for (view, bytes) in &before {
            // The named views: the base reads as before or as the top, the top may be gone.
            let there = after.get(view);
            let fine = match view.as_str() {
                "l1.qcow2" => there == Some(bytes) || there == Some(&before["l2.qcow2"]),
                "l2.qcow2" => there.is_none() || there == Some(bytes),
                _ => there == Some(bytes),
            };
            assert!(fine, "round {round}: {view} changed");
        }
        lab.run("recover --yes").expect(0);
        match lab.path("l2.qcow2").exists() {
            true => assert_completes(&lab, &before),
            false => assert_completed(&lab, &before),
        }
        lab.assert_clean();
    }
    assert!(cut > 0, "no run was cut off");
}

fn cancelled(make: fn(&Lab), signal: &str, code: i32, word: &str) {
    let lab = Lab::new();
    make(&lab);
    let before = lab.views();
    let mut running = Running::start(&lab, &["--rate-limit", RATE]);
    running.until(1, 5 * MIB);
    running.signal(signal);
    let (status, said) = running.end();
    assert_eq!(status.code(), Some(code), "{said}");
    assert!(said.contains(word), "{said}");
    assert_unchanged(&lab, &before, is_raw(&lab));
    if word == "resumable" {
        lab.run("recover --roll-back --yes").expect(2);
        lab.run("recover --yes").expect(0);
        return assert_completed(&lab, &before);
    }
    assert_completes(&lab, &before);
}

/// While a job runs, QEMU can neither write nor commit any of its images.
fn locked() {
    let lab = Lab::new();
    herd(&lab);
    let mut running = Running::start(&lab, &["--rate-limit", RATE]);
    running.until(1, MIB);
    for name in ["l1.qcow2", "l2.qcow2", "l3.qcow2", "side.qcow2"] {
        let done = lab.try_tool("qemu-io", &["-f", "qcow2", "-c", "write 0 512", name]);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(said.contains("lock"), "QEMU opened {name} for writing: {said}");
    }
    let other = lab.run("commit l2.qcow2 --yes").expect(11);
    assert!(other.err.contains(&format!("pid {}", running.child.id())), "{}", other.err);
    running.signal("TERM");
    running.end();
}
