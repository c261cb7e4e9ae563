//! Revert and the trash: what an image gives up, nothing else with it, and what comes back.

use crate::commit::{chain, data_file_sibling, layer, leaf_with_snapshots};
use crate::lab::{Lab, assert_same};
use crate::{Case, OnLab, case};

const MIB: u64 = 1 << 20;

/// A herd, an overlay of it, and what that is based on.
const REVERTS: &[(&str, OnLab, &str, &str)] = &[
    ("leaf", chain, "l4.qcow2", "l3.qcow2"),
    ("leaf_with_snapshots", leaf_with_snapshots, "l4.qcow2", "l3.qcow2"),
    ("data_file", data_file_sibling, "side.qcow2", "l1.qcow2"),
    ("qed", qed, "top.qed", "base.qcow2"),
    ("other_size", sizes, "top.qcow2", "base.qcow2"),
    ("version_2", version_2, "top.qcow2", "base.qcow2"),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> = REVERTS
        .iter()
        .map(|(name, make, image, base)| {
            case(format!("tidying::revert_{name}"), move || reverts(*make, image, base))
        })
        .collect();
    cases.push(case("tidying::revert_asks_and_refuses", refusals));
    cases.push(case("tidying::revert_gives_up_bitmaps", bitmaps));
    cases.push(case("tidying::a_deleted_leaf_comes_back", || comes_back(leaf_with_snapshots, "l4.qcow2")));
    cases.push(case("tidying::a_data_file_elsewhere_comes_first", elsewhere));
    cases.push(case("tidying::a_deleted_data_file_comes_back", || comes_back(data_file, "top.qcow2")));
    cases
}

fn reverts(make: OnLab, image: &str, base: &str) {
    let lab = Lab::new();
    make(&lab);
    let before = lab.views();
    let disk = lab.path(image).metadata().unwrap().len();
    lab.run(&format!("revert {image} --yes")).expect(10);
    assert!(before == lab.views(), "it had not been agreed to");
    lab.run(&format!("revert {image} --yes --accept no-undo")).expect(0);
    lab.assert_clean();
    let after = lab.views();
    for (view, bytes) in before.iter().filter(|(view, _)| *view != image) {
        assert_same(&format!("{view}, read by QEMU"), &after[view], bytes);
        if !view.ends_with(".data") {
            assert_same(&format!("{view}, read by cowherd"), &lab.cat(view), bytes);
        }
    }
    let mut expected = before[base].clone();
    expected.resize(before[image].len(), 0);
    assert_same("the overlay, read by QEMU", &after[image], &expected);
    assert_same("the overlay, read by cowherd", &lab.cat(image), &expected);
    // QEMU need not write the last cluster of a file in full.
    let now = lab.path(image).metadata().unwrap().len();
    assert!(now <= disk.next_multiple_of(64 << 10), "the file grew from {disk} to {now}");
    // There is nothing left to throw away.
    let files = lab.files();
    let answer = lab.run(&format!("revert {image}")).expect(0);
    assert!(answer.text().contains("nothing to do"), "{}", answer.text());
    assert!(files == lab.files());
}

fn qed(lab: &Lab) {
    layer(lab, "base.qcow2", None, "", 4 * MIB, 1, 16);
    lab.img("create -q -f qed -b base.qcow2 -F qcow2 top.qed 4M");
    lab.scribble("top.qed", "qed", 4 * MIB, 3, 8);
}

fn sizes(lab: &Lab) {
    layer(lab, "base.qcow2", None, "", 4 * MIB, 1, 16);
    layer(lab, "top.qcow2", Some(("base.qcow2", "qcow2")), "cluster_size=4k", 6 * MIB + 512, 2, 12);
    layer(lab, "short.qcow2", Some(("base.qcow2", "qcow2")), "", 2 * MIB, 3, 6);
}

fn version_2(lab: &Lab) {
    layer(lab, "base.qcow2", None, "", 3 * MIB, 1, 20);
    layer(lab, "top.qcow2", Some(("base.qcow2", "qcow2")), "compat=0.10,cluster_size=4k", 3 * MIB, 3, 8);
    lab.img("snapshot -c sn0 top.qcow2");
    lab.scribble("top.qcow2", "qcow2", 3 * MIB, 4, 4);
}

fn data_file(lab: &Lab) {
    layer(lab, "base.qcow2", None, "", 4 * MIB, 1, 16);
    layer(lab, "top.qcow2", Some(("base.qcow2", "qcow2")), "data_file=top.data", 4 * MIB, 2, 12);
}

fn comes_back(make: OnLab, image: &str) {
    let lab = Lab::new();
    make(&lab);
    let (before, files) = (lab.views(), lab.files());
    lab.run(&format!("delete {image} --yes --accept no-undo")).expect(0);
    assert!(!lab.path(image).exists());
    lab.run(&format!("trash restore {image} --yes")).expect(0);
    lab.assert_clean();
    assert!(files == lab.files(), "other files than before");
    let after = lab.views();
    for (view, bytes) in &before {
        assert_same(view, &after[view], bytes);
    }
    // QEMU writes to what it was based on: from then on it would read something else.
    let below = lab.img_json(&format!("info --output=json {image}"))["backing-filename"].clone();
    lab.run(&format!("delete {image} --yes --accept no-undo")).expect(0);
    lab.scribble(below.as_str().unwrap(), "qcow2", MIB, 70, 3);
    let answer = lab.run(&format!("trash restore {image} --yes")).expect(1);
    assert!(answer.err.contains("has changed since"), "{}", answer.err);
    assert!(!lab.path(image).exists());
}

fn elsewhere() {
    let lab = Lab::new();
    data_file_sibling(&lab);
    let before = lab.views();
    lab.run("delete side.qcow2 --yes").expect(0);
    let answer = lab.run("trash restore side.qcow2 --yes").expect(1);
    assert!(answer.err.contains("restore the data file first"), "{}", answer.err);
    lab.run("trash restore data/side.data --yes").expect(0);
    lab.run("trash restore side.qcow2 --yes").expect(0);
    lab.assert_clean();
    assert_same("the image", &lab.views()["side.qcow2"], &before["side.qcow2"]);
}

fn refusals() {
    let lab = Lab::new();
    chain(&lab);
    lab.img("create -q -f raw disk.img 1M");
    let before = lab.files();
    for (line, code) in [
        ("revert base.qcow2 --yes", 2),
        ("revert disk.img --yes", 2),
        ("revert nothing.qcow2 --yes", 1),
        // Others are based on it and would change with it.
        ("revert l2.qcow2 --yes --accept no-undo", 13),
        ("revert l4.qcow2", 10),
        ("revert l4.qcow2 --dry-run", 0),
    ] {
        lab.run(line).expect(code);
    }
    let plan = lab.run("revert l4.qcow2 --dry-run --json").expect(0).json();
    assert_eq!(plan["operation"], "revert");
    assert_eq!(plan["views_changed"][0].as_str(), lab.path("l4.qcow2").to_str());
    assert_eq!((&plan["steps"][0]["step"], &plan["steps"][0]["reverts"]), (&"empty".into(), &true.into()));
    assert!(before == lab.files());
}

fn bitmaps() {
    let lab = Lab::new();
    chain(&lab);
    lab.img("bitmap --add l4.qcow2 dirt");
    lab.scribble("l4.qcow2", "qcow2", 3 * MIB, 9, 4);
    let below = lab.bytes("l3.qcow2", None);
    let answer = lab.run("revert l4.qcow2 --yes --accept no-undo").expect(10);
    assert!(answer.err.contains("--accept bitmaps-lost"), "{}", answer.err);
    lab.run("revert l4.qcow2 --yes --accept no-undo --accept bitmaps-lost").expect(0);
    lab.assert_clean();
    let info = lab.img_json("info --output=json l4.qcow2");
    assert!(info["format-specific"]["data"]["bitmaps"].is_null(), "{info}");
    let top = lab.bytes("l4.qcow2", None);
    let shared = below.len().min(top.len());
    assert_same("the overlay", &top[..shared], &below[..shared]);
}
