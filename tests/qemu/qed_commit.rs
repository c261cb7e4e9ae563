//! Commits with QED images as base, top, sibling and child.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use crate::commit::{PLAIN, Trial, layer, run};
use crate::lab::Lab;
use crate::{Case, case};

const MIB: u64 = 1 << 20;

const TRIALS: &[(&str, Trial)] = &[
    ("base", Trial { make: base, base: "l1.qed", ..PLAIN }),
    ("base_and_siblings", Trial { make: siblings, base: "l1.qed", ..PLAIN }),
    ("top", Trial { make: top, top: "l2.qed", relinked: &["l3.qcow2"], ..PLAIN }),
    ("top_is_leaf", Trial { make: leaf, top: "l2.qed", trashed: false, relinked: &[], ..PLAIN }),
    ("child", Trial { make: child, relinked: &["l3.qed"], ..PLAIN }),
    ("everywhere", Trial { make: all, top: "l2.qed", base: "l1.qed", relinked: &["l3.qed"], ..PLAIN }),
    ("raw_base", Trial { make: over_raw, top: "l2.qed", base: "l1.img", relinked: &["l3.qed"], ..PLAIN }),
    ("sizes", Trial { make: sizes, top: "l2.qed", base: "l1.qed", relinked: &["l3.qed"], ..PLAIN }),
    ("short_middle", Trial { make: short, top: "l2.qed", base: "l1.qed", relinked: &["l3.qed"], ..PLAIN }),
    ("not_closed_cleanly", Trial { make: dirty, base: "l1.qed", ..PLAIN }),
];

pub(crate) fn cases() -> Vec<Case> {
    TRIALS.iter().map(|(name, trial)| case(format!("qed::commit::{name}"), move || run(trial))).collect()
}

/// A QED layer, like those of the other formats.
pub(crate) fn qed(lab: &Lab, name: &str, below: Option<(&str, &str)>, options: &str, size: u64, seed: u64) {
    let options = if options.is_empty() { String::new() } else { format!("-o {options}") };
    let backing = below.map_or_else(String::new, |(file, format)| format!("-b {file} -F {format}"));
    lab.img(&format!("create -q -f qed {options} {backing} {name} {size}"));
    lab.scribble(name, "qed", size, seed, 14);
}

fn base(lab: &Lab) {
    qed(lab, "l0.qed", None, "", 4 * MIB, 1);
    qed(lab, "l1.qed", Some(("l0.qed", "qed")), "", 4 * MIB, 2);
    layer(lab, "l2.qcow2", Some(("l1.qed", "qed")), "", 4 * MIB, 3, 14);
    layer(lab, "l3.qcow2", Some(("l2.qcow2", "qcow2")), "", 4 * MIB, 4, 8);
}

fn siblings(lab: &Lab) {
    base(lab);
    qed(lab, "side.qed", Some(("l1.qed", "qed")), "cluster_size=4k,table_size=2", 4 * MIB, 5);
    qed(lab, "wide.qed", Some(("l1.qed", "qed")), "cluster_size=1M,table_size=16", 5 * MIB, 6);
    layer(lab, "nephew.qcow2", Some(("side.qed", "qed")), "", 4 * MIB, 7, 4);
    lab.img("snapshot -c sn0 nephew.qcow2");
    layer(lab, "other.qcow2", Some(("l1.qed", "qed")), "", 4 * MIB, 8, 4);
}

fn top(lab: &Lab) {
    layer(lab, "l1.qcow2", None, "", 4 * MIB, 10, 14);
    qed(lab, "l2.qed", Some(("l1.qcow2", "qcow2")), "cluster_size=16k", 4 * MIB, 11);
    layer(lab, "l3.qcow2", Some(("l2.qed", "qed")), "", 4 * MIB, 12, 8);
}

fn leaf(lab: &Lab) {
    layer(lab, "l1.qcow2", None, "", 4 * MIB, 13, 14);
    qed(lab, "l2.qed", Some(("l1.qcow2", "qcow2")), "", 4 * MIB, 14);
}

fn child(lab: &Lab) {
    layer(lab, "l1.qcow2", None, "", 4 * MIB, 15, 14);
    layer(lab, "l2.qcow2", Some(("l1.qcow2", "qcow2")), "", 4 * MIB, 16, 14);
    qed(lab, "l3.qed", Some(("l2.qcow2", "qcow2")), "", 4 * MIB, 17);
}

fn all(lab: &Lab) {
    qed(lab, "l1.qed", None, "cluster_size=4k,table_size=2", 4 * MIB, 20);
    qed(lab, "l2.qed", Some(("l1.qed", "qed")), "", 4 * MIB, 21);
    qed(lab, "l3.qed", Some(("l2.qed", "qed")), "cluster_size=8k,table_size=16", 4 * MIB, 22);
    qed(lab, "side.qed", Some(("l1.qed", "qed")), "cluster_size=256k,table_size=2", 4 * MIB, 23);
}

fn over_raw(lab: &Lab) {
    lab.img("create -q -f raw l1.img 4M");
    lab.scribble("l1.img", "raw", 4 * MIB, 30, 14);
    qed(lab, "l2.qed", Some(("l1.img", "raw")), "", 4 * MIB, 31);
    qed(lab, "l3.qed", Some(("l2.qed", "qed")), "", 4 * MIB, 32);
    qed(lab, "side.qed", Some(("l1.img", "raw")), "", 4 * MIB, 33);
}

fn sizes(lab: &Lab) {
    qed(lab, "l1.qed", None, "", 2 * MIB + 512, 40);
    qed(lab, "l2.qed", Some(("l1.qed", "qed")), "", 4 * MIB + 1024, 41);
    qed(lab, "l3.qed", Some(("l2.qed", "qed")), "", 6 * MIB, 42);
    qed(lab, "side.qed", Some(("l1.qed", "qed")), "", 5 * MIB, 43);
}

fn short(lab: &Lab) {
    qed(lab, "l1.qed", None, "", 4 * MIB, 50);
    qed(lab, "l2.qed", Some(("l1.qed", "qed")), "", 2 * MIB + 512, 51);
    qed(lab, "l3.qed", Some(("l2.qed", "qed")), "", 4 * MIB, 52);
}

/// A base that was killed in a write, sound as it happens.
fn dirty(lab: &Lab) {
    base(lab);
    patch(lab, "l1.qed", 16, 1 | 2);
}

/// Overwrites eight bytes.
pub(crate) fn patch(lab: &Lab, name: &str, at: u64, value: u64) {
    let file = OpenOptions::new().write(true).open(lab.path(name)).unwrap();
    file.write_all_at(&value.to_le_bytes(), at).unwrap();
}
