//! `cowherd check` against `qemu-img check`, on sound and on deliberately damaged images.

use serde_json::Value;

use crate::damage::Victim;
use crate::lab::Lab;
use crate::{Case, case, reading};

/// Name, damage.
pub(crate) type Damage = (&'static str, fn(&Victim));

pub(crate) const DAMAGES: &[Damage] = &[
    ("leaked_cluster", |v| v.set_refcount(v.free_cluster(), 1)),
    ("refcount_too_high", |v| {
        let (_, entry) = v.data_entry();
        v.set_refcount(v.target(entry), v.refcount(v.target(entry)) + 2);
    }),
    ("refcount_zero", |v| {
        let (_, entry) = v.data_entry();
        v.set_refcount(v.target(entry), 0);
    }),
    ("copied_flag_missing", |v| {
        let (at, entry) = v.data_entry();
        v.write64(at, entry & !(1 << 63));
    }),
    ("entry_not_aligned", |v| {
        let (at, entry) = v.data_entry();
        v.write64(at, entry + 512);
    }),
    ("two_entries_one_cluster", |v| {
        let (at, entry) = v.data_entry();
        v.write64(at + 8, entry);
    }),
    ("entry_beyond_the_file", |v| {
        let (at, _) = v.data_entry();
        v.write64(at, 1 << 63 | (v.cluster << 20));
    }),
    ("header_cluster_referenced", |v| {
        let (at, _) = v.data_entry();
        v.write64(at, 1 << 63);
    }),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("checking::sound_images", sound),
        case("checking::raw_cannot_be_checked", raw),
        case("checking::marked_corrupt_or_dirty", marked),
    ];
    for (name, damage) in DAMAGES {
        cases.push(case(format!("checking::damaged::{name}"), move || damaged(*damage)));
    }
    cases
}

/// A number that qemu-img leaves out when it is 0.
pub(crate) fn number(report: &Value, key: &str) -> u64 {
    report.get(key).map_or(0, |v| v.as_u64().unwrap())
}

/// Exit code and report of both on one image.
pub(crate) fn both(lab: &Lab, name: &str) -> ((i32, Value), (i32, Value)) {
    let qemu = lab.try_tool("qemu-img", &["check", "--output=json", name]);
    let code = qemu.status.code().unwrap();
    let theirs = serde_json::from_slice(&qemu.stdout).unwrap_or_else(|e| {
        panic!("{e}: {}{}", String::from_utf8_lossy(&qemu.stdout), String::from_utf8_lossy(&qemu.stderr))
    });
    let ours = lab.run(&format!("check --json {name}"));
    let value = ours.json();
    ((ours.code, value), (code, theirs))
}

fn sound() {
    let lab = Lab::new();
    reading::plain(&lab);
    lab.img("convert -c -O qcow2 l4.qcow2 packed.qcow2");
    lab.img("create -q -f qed -b l4.qcow2 -F qcow2 top.qed");
    lab.scribble("top.qed", "qed", 4 << 20, 9, 10);
    for name in lab.names() {
        let ((code, ours), (qemu_code, theirs)) = both(&lab, &name);
        assert_eq!((code, qemu_code), (0, 0), "{name}: {ours:#}");
        for key in [
            "corruptions",
            "leaks",
            "total-clusters",
            "allocated-clusters",
            "compressed-clusters",
            "fragmented-clusters",
            "image-end-offset",
        ] {
            // QED: qemu-img counts only what lies in the first table, and no end.
            if name.ends_with(".qed") && key != "total-clusters" && key != "corruptions" && key != "leaks" {
                continue;
            }
            assert_eq!(number(&ours, key), number(&theirs, key), "{name}: {key}");
        }
        assert_eq!((&ours["filename"], &ours["format"]), (&theirs["filename"], &theirs["format"]));
        assert_eq!(ours["check-errors"], theirs["check-errors"]);
    }
}

fn damaged(damage: fn(&Victim)) {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 a.qcow2 4M");
    let acts = ["write -q -P 1 64k 192k", "write -q -P 2 1M 64k", "discard -q 64k 64k"];
    lab.io("a.qcow2", "qcow2", &acts.map(String::from));
    damage(&Victim::open(&lab.path("a.qcow2")));
    let before = lab.files();
    let ((code, ours), (qemu_code, theirs)) = both(&lab, "a.qcow2");
    assert_ne!(qemu_code, 0, "the damage did nothing");
    assert_eq!(code, qemu_code, "ours {ours:#}\nqemu-img {theirs:#}");
    assert_eq!(number(&ours, "corruptions") > 0, number(&theirs, "corruptions") > 0, "{ours:#}\n{theirs:#}");
    if number(&theirs, "corruptions") == 0 {
        // What a corrupt entry leaves behind can be counted either way; plain leaks cannot.
        assert_eq!(number(&ours, "leaks"), number(&theirs, "leaks"), "{ours:#}\n{theirs:#}");
    }
    let human = lab.run("check a.qcow2").expect(code);
    assert!(human.text().lines().count() >= 2, "{}", human.text());
    assert!(before == lab.files(), "a check wrote");
}

fn raw() {
    let lab = Lab::new();
    lab.img("create -q -f raw a.img 1M");
    let answer = lab.run("check -f raw a.img").expect(1);
    assert!(answer.err.contains("raw"), "{}", answer.err);
}

/// Images that QEMU opens for reading only (corrupt) or repairs first (dirty) are read, not hidden.
fn marked() {
    for (bits, key) in [(2, "corrupt"), (1, "dirty-flag")] {
        let lab = Lab::new();
        lab.img("create -q -f qcow2 a.qcow2 1M");
        lab.scribble("a.qcow2", "qcow2", 1 << 20, 3, 6);
        let expected = lab.bytes("a.qcow2", None);
        Victim::open(&lab.path("a.qcow2")).or_incompatible(bits);
        let info = lab.run("info --json a.qcow2").expect(0).json();
        let place = if bits == 2 { &info["format-specific"]["data"][key] } else { &info[key] };
        assert_eq!(*place, Value::Bool(true), "{info:#}");
        crate::lab::assert_same(key, &lab.cat("a.qcow2"), &expected);
    }
}
