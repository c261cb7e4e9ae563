//! QED images written by cowherd: QEMU reads the same, and finds neither damage nor a leak.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use cowherd::chain::Gate;
use cowherd::forest::{Forest, ScanOptions, scan};
use cowherd::image::qed::repair;
use cowherd::image::{self, Format, Repair};
use cowherd::job::{Job, Options};
use cowherd::plan::{self, HazardKind, Plan};
use cowherd::storage::{File, RealFile};
use cowherd::units::Guest;

use crate::lab::{Lab, Random, assert_same};
use crate::qed_commit::{patch, qed};
use crate::{Case, case};

const MIB: u64 = 1 << 20;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("qed::create_makes_what_qemu_makes", create),
        case("qed::create_refuses_what_qemu_cannot_open", create_refused),
        case("qed::in_turns_with_qemu", in_turns),
        case("qed::leaks_are_reclaimed", leaks),
        case("qed::killed_in_a_write", killed),
        case("qed::lost_clusters", lost),
        case("qed::resized", resized),
    ]
}

fn word(lab: &Lab, name: &str, at: u64) -> u64 {
    let mut bytes = [0; 8];
    std::fs::File::open(lab.path(name)).unwrap().read_exact_at(&mut bytes, at).unwrap();
    u64::from_le_bytes(bytes)
}

fn open(lab: &Lab, name: &str) -> Arc<dyn File> {
    Arc::new(RealFile::open(&lab.path(name), true).unwrap())
}

/// Plans and does it; the figures of a QED plan are exact.
fn job(lab: &Lab, plan: impl FnOnce(&Forest, Gate) -> cowherd::error::Result<Plan>) {
    let gate = Gate::for_paths([lab.dir()]);
    let forest = scan(&[lab.dir()], &ScanOptions { gate: gate.clone(), ..ScanOptions::default() }).unwrap();
    let plan = plan(&forest, gate).unwrap();
    let cost = plan.cost;
    let options = Options { accepted: vec![HazardKind::NoUndo], ..Options::default() };
    let report = Job::start(plan, options).unwrap().wait().unwrap();
    assert!(cost.exact);
    assert_eq!((report.written_bytes, report.freed_bytes), (cost.write_bytes, cost.freed_bytes));
}

fn create() {
    let lab = Lab::new();
    lab.img("create -q -f raw base.img 3M");
    lab.img("create -q -f qcow2 base.qcow2 3M");
    let mut number = 0;
    for options in ["", "cluster_size=4k,table_size=2", "cluster_size=2M,table_size=2", "table_size=16"] {
        let options = if options.is_empty() { String::new() } else { format!("-o {options}") };
        for backing in ["", "-b base.img -F raw", "-b base.qcow2 -F qcow2"] {
            number += 1;
            let line = |name: &str| format!("create -f qed {options} {backing} {name}{number}.qed 5M");
            lab.run(&line("ours")).expect(0);
            lab.img(&format!("{} -q", line("theirs")));
            let [ours, theirs] =
                ["ours", "theirs"].map(|n| std::fs::read(lab.path(&format!("{n}{number}.qed"))).unwrap());
            assert_same(&line(""), &ours, &theirs);
        }
    }
    let name = "n".repeat(1000);
    lab.img(&format!("create -q -f raw base-{} 1M", &name[..200]));
    lab.run(&format!("create -f qed -b ./././base-{} -F raw long.qed", &name[..200])).expect(0);
    assert_eq!(lab.img_json("info --output=json long.qed")["backing-filename-format"], "raw");
    lab.assert_clean();
}

fn create_refused() {
    let lab = Lab::new();
    for options in
        ["table_size=1", "table_size=3", "cluster_size=2k", "cluster_size=64M", "what=1", "table_size=x"]
    {
        lab.run(&format!("create -f qed -o {options} a.qed 1M")).expect(2);
        assert!(lab.names().is_empty(), "{options}");
    }
}

/// Writes by cowherd and by qemu-io in turns: both read the same, and neither leaves a leak.
fn in_turns() {
    for (seed, options) in
        [(1, "cluster_size=4k,table_size=2"), (2, "cluster_size=64k"), (3, "table_size=16")]
    {
        let lab = Lab::new();
        lab.img("create -q -f qcow2 base.qcow2 4M");
        lab.scribble("base.qcow2", "qcow2", 4 * MIB, seed, 10);
        lab.img(&format!("create -q -f qed -o {options} -b base.qcow2 -F qcow2 a.qed"));
        let mut random = Random(0x1234_5678 + seed);
        let mut expected = lab.bytes("a.qed", None);
        for round in 0..6 {
            let mut target = image::write(open(&lab, "a.qed"), Format::Qed, false).unwrap();
            let (unit, mut at) = (target.unit(), random.below(6) * target.unit());
            while at < expected.len() as u64 {
                let range = at as usize..(at + unit) as usize;
                match random.below(3) {
                    0 => {
                        target.zero(Guest(at), unit).unwrap();
                        expected[range].fill(0);
                    }
                    _ => {
                        let bytes = vec![random.next() as u8; unit as usize];
                        let (host, _) = target.allocate(Guest(at), unit).unwrap();
                        target.file().write_at(host.0, &bytes).unwrap();
                        target.map(Guest(at), host, unit).unwrap();
                        expected[range].copy_from_slice(&bytes);
                    }
                }
                at += unit * (1 + random.below(8));
            }
            target.finish().unwrap();
            lab.assert_clean();
            assert_same(&format!("{options}, round {round}"), &lab.bytes("a.qed", None), &expected);
            lab.scribble("a.qed", "qed", 4 * MIB, seed * 100 + round, 6);
            lab.assert_clean();
            expected = lab.bytes("a.qed", None);
            assert_same(&format!("{options}, round {round}"), &lab.cat("a.qed"), &expected);
        }
    }
}

/// QEMU counts leaks and leaves them; cowherd's repair does not.
fn leaks() {
    let lab = Lab::new();
    qed(&lab, "a.qed", None, "cluster_size=4k,table_size=2", 4 * MIB, 60);
    let (l1, mut random, mut lost) = (word(&lab, "a.qed", 40), Random(61), 0);
    for table in (0..1024).map(|i| word(&lab, "a.qed", l1 + i * 8)).filter(|t| *t != 0) {
        for at in (0..1024).map(|i| table + i * 8) {
            if word(&lab, "a.qed", at) > 1 && random.below(3) == 0 {
                patch(&lab, "a.qed", at, 0);
                lost += 1;
            }
        }
    }
    let expected = lab.bytes("a.qed", None);
    let len = std::fs::metadata(lab.path("a.qed")).unwrap().len();
    assert_eq!(lab.try_tool("qemu-img", &["check", "-r", "all", "a.qed"]).status.code(), Some(3));
    job(&lab, |forest, gate| plan::repair(forest, &lab.path("a.qed"), Repair::Leaks, gate));
    assert!(lost > 20);
    assert_eq!(std::fs::metadata(lab.path("a.qed")).unwrap().len(), len - lost * 4096);
    lab.assert_clean();
    assert_same("after the repair", &lab.bytes("a.qed", None), &expected);
}

/// qemu-io is killed in the middle: the image needs a check, which a writer makes for itself.
fn killed() {
    let lab = Lab::new();
    lab.img("create -q -f qed a.qed 4M");
    lab.io("a.qed", "qed", &["write -q -P 8 1M 1M".into()]);
    let line = ["-f", "qed", "-c", "write -q -P 9 3M 256k", "-c", "sigraise 9", "a.qed"];
    lab.try_tool("qemu-io", &line);
    assert_eq!(word(&lab, "a.qed", 16), 2, "QEMU said that a check is needed");
    let expected = lab.bytes("a.qed", None);
    let mut target = image::write(open(&lab, "a.qed"), Format::Qed, false).unwrap();
    target.grow(5 * MIB).unwrap();
    target.finish().unwrap();
    assert_eq!(word(&lab, "a.qed", 16), 0);
    lab.assert_clean();
    assert_same("kept", &lab.bytes("a.qed", None)[..4 * MIB as usize], &expected);
}

/// The end of the file never reached the disk: what is missing is dropped, as QEMU does.
fn lost() {
    [0, 100, 511, 512, 600, 4095].into_iter().for_each(lost_tail);
}

fn lost_tail(cut: u64) {
    let lab = Lab::new();
    qed(&lab, "a.qed", None, "cluster_size=4k,table_size=2", 4 * MIB, 80);
    patch(&lab, "a.qed", 16, 2);
    let file = OpenOptions::new().write(true).open(lab.path("a.qed")).unwrap();
    file.set_len(file.metadata().unwrap().len() - 10 * 4096 - cut).unwrap();
    std::fs::copy(lab.path("a.qed"), lab.path("b.qed")).unwrap();
    let theirs = lab.try_tool("qemu-img", &["check", "--output=json", "a.qed"]);
    assert_eq!(theirs.status.code(), Some(2));
    let theirs: serde_json::Value = serde_json::from_slice(&theirs.stdout).unwrap();
    let ours = lab.run("check --json a.qed").expect(2).json();
    assert_eq!(ours["corruptions"], theirs["corruptions"], "cut {cut}");
    repair(open(&lab, "a.qed"), Repair::All, false).unwrap();
    lab.img("check -q -r all b.qed");
    lab.assert_clean();
    // QEMU's file grows with the next write, and is whole again.
    lab.io("b.qed", "qed", &["write -q -P 1 0 4k".into()]);
    lab.io("a.qed", "qed", &["write -q -P 1 0 4k".into()]);
    lab.assert_clean();
    assert_same("repaired by both", &lab.bytes("a.qed", None), &lab.bytes("b.qed", None));
}

/// Longer and shorter again, over a base that is longer than both.
fn resized() {
    let lab = Lab::new();
    qed(&lab, "base.qed", None, "", 6 * MIB, 90);
    qed(&lab, "a.qed", Some(("base.qed", "qed")), "cluster_size=64k", 2 * MIB + 512, 91);
    let mut expected = lab.bytes("a.qed", None);
    for size in [5 * MIB + 1024, 7 * MIB, MIB + 512, 3 * MIB] {
        job(&lab, |forest, gate| plan::resize(forest, &lab.path("a.qed"), size, true, gate));
        expected.resize(size as usize, 0);
        lab.assert_clean();
        assert_same(&format!("{size}"), &lab.bytes("a.qed", None), &expected);
    }
}
