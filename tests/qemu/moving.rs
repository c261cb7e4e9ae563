//! Pull, rebase and delete: whatever is based on what afterwards, QEMU reads every view as before.

use crate::commit::{
    branch_above, chain, data_file_sibling, layer, leaf_with_snapshots, sibling_with_snapshots,
};
use crate::lab::{Lab, assert_same};
use crate::{Case, OnLab, case};

const MIB: u64 = 1 << 20;
const Q: &str = "qcow2";

/// A herd, a command, the image it is about, and its backing file afterwards.
struct Trial {
    make: OnLab,
    line: &'static str,
    image: &'static str,
    base: Option<&'static str>,
    /// Views that the command names.
    gone: &'static [&'static str],
}

const fn moves(make: OnLab, line: &'static str, image: &'static str, base: Option<&'static str>) -> Trial {
    Trial { make, line, image, base, gone: &[] }
}

const TRIALS: &[(&str, Trial)] = &[
    ("pull_one_layer", moves(chain, "pull l3.qcow2 --base l1.qcow2", "l3.qcow2", Some("l1.qcow2"))),
    ("pull_to_the_root", moves(branch_above, "pull l4.qcow2 -b base.qcow2", "l4.qcow2", Some("base.qcow2"))),
    ("pull_to_stand_alone", moves(chain, "pull l4.qcow2", "l4.qcow2", None)),
    ("pull_a_middle_layer", moves(branch_above, "pull l2.qcow2", "l2.qcow2", None)),
    (
        "pull_with_snapshots",
        moves(leaf_with_snapshots, "pull l4.qcow2 --base l1.qcow2", "l4.qcow2", Some("l1.qcow2")),
    ),
    ("pull_snapshots_alone", moves(sibling_with_snapshots, "pull side.qcow2", "side.qcow2", None)),
    ("pull_sizes", moves(sizes, "pull l4.qcow2 --base base.qcow2", "l4.qcow2", Some("base.qcow2"))),
    ("pull_sizes_alone", moves(sizes, "pull l4.qcow2", "l4.qcow2", None)),
    ("pull_qed", moves(qed, "pull top.qed --base base.qcow2", "top.qed", Some("base.qcow2"))),
    ("pull_qed_alone", moves(qed, "pull top.qed", "top.qed", None)),
    (
        "pull_data_file",
        moves(data_file_sibling, "pull side.qcow2 -b base.qcow2", "side.qcow2", Some("base.qcow2")),
    ),
    ("rebase_down", moves(chain, "rebase l4.qcow2 --base l1.qcow2", "l4.qcow2", Some("l1.qcow2"))),
    ("rebase_unrelated", moves(unrelated, "rebase l4.qcow2 -b copy.qcow2", "l4.qcow2", Some("copy.qcow2"))),
    (
        "rebase_unrelated_raw",
        moves(unrelated, "rebase l4.qcow2 -b other.img -F raw", "l4.qcow2", Some("other.img")),
    ),
    ("rebase_sideways", moves(branch_above, "rebase l4.qcow2 -b side.qcow2", "l4.qcow2", Some("side.qcow2"))),
    ("rebase_onto_longer", moves(unrelated, "rebase l4.qcow2 -b long.qcow2", "l4.qcow2", Some("long.qcow2"))),
    ("rebase_to_none", moves(chain, "rebase l4.qcow2 --none", "l4.qcow2", None)),
    (
        "rebase_gives_a_base",
        moves(unrelated, "rebase copy.qcow2 -b base.qcow2", "copy.qcow2", Some("base.qcow2")),
    ),
    ("rebase_version_2", moves(version_2, "rebase top.qcow2 -b base.qcow2", "top.qcow2", Some("base.qcow2"))),
    (
        "delete_a_middle_layer",
        Trial { gone: &["l2.qcow2"], ..moves(branch_above, "delete l2.qcow2", "l3.qcow2", Some("l1.qcow2")) },
    ),
    (
        "delete_below_snapshots",
        Trial {
            gone: &["l1.qcow2"],
            ..moves(sibling_with_snapshots, "delete l1.qcow2", "side.qcow2", Some("base.qcow2"))
        },
    ),
    ("delete_a_root", Trial { gone: &["base.qcow2"], ..moves(chain, "delete base.qcow2", "l1.qcow2", None) }),
    (
        "delete_a_leaf",
        Trial { gone: &["l4.qcow2"], ..moves(chain, "delete l4.qcow2", "l3.qcow2", Some("l2.qcow2")) },
    ),
    (
        "delete_in_sizes",
        Trial { gone: &["l2.qcow2"], ..moves(sizes, "delete l2.qcow2", "l3.qcow2", Some("l1.qcow2")) },
    ),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> =
        TRIALS.iter().map(|(name, trial)| case(format!("moving::{name}"), move || run(trial))).collect();
    cases.push(case("moving::unsafe_names_every_view_and_copies_nothing", unsafely));
    cases.push(case("moving::unsafe_to_a_base_that_moved", moved));
    cases.push(case("moving::what_makes_no_sense", refused));
    cases
}

fn run(trial: &Trial) {
    let lab = Lab::new();
    (trial.make)(&lab);
    let before = lab.views();
    lab.run(&format!("{} --yes", trial.line)).expect(0);
    let after = lab.views();
    lab.assert_clean();
    for (view, bytes) in &before {
        if trial.gone.iter().any(|gone| view.starts_with(gone)) {
            assert!(!lab.path(view).exists(), "{view} is still there");
            continue;
        }
        assert_same(&format!("{view}, read by QEMU"), &after[view], bytes);
        assert_same(&format!("{view}, read by cowherd"), &lab.cat(view), bytes);
    }
    let info = lab.img_json(&format!("info --output=json {}", trial.image));
    let backing = info["full-backing-filename"].as_str().map(|name| lab.dir().join(name));
    assert_eq!(backing, trial.base.map(|base| lab.path(base)), "{info}");
    if let (Some(base), true) = (trial.base, trial.image.ends_with(".qcow2")) {
        let format = if base.ends_with(".img") { "raw" } else { Q };
        assert_eq!(info["backing-filename-format"], format, "{info}");
    } else {
        assert!(info["backing-filename-format"].is_null(), "{info}");
    }
}

/// Each layer of another size, up and down.
fn sizes(lab: &Lab) {
    layer(lab, "base.qcow2", None, "", 6 * MIB, 1, 24);
    layer(lab, "l1.qcow2", Some(("base.qcow2", Q)), "cluster_size=4k", 3 * MIB + 512, 2, 14);
    layer(lab, "l2.qcow2", Some(("l1.qcow2", Q)), "", 2 * MIB, 3, 8);
    layer(lab, "l3.qcow2", Some(("l2.qcow2", Q)), "cluster_size=2M", 5 * MIB, 4, 4);
    lab.img("snapshot -c sn0 l3.qcow2");
    lab.scribble("l3.qcow2", Q, 5 * MIB, 5, 3);
    layer(lab, "l4.qcow2", Some(("l3.qcow2", Q)), "cluster_size=16k,extended_l2=on", 7 * MIB, 6, 10);
}

fn version_2(lab: &Lab) {
    layer(lab, "base.qcow2", None, "", 3 * MIB, 1, 20);
    layer(lab, "mid.qcow2", Some(("base.qcow2", Q)), "", 2 * MIB, 2, 14);
    lab.io("mid.qcow2", Q, &["write -q -z 0 1M".to_owned()]);
    layer(lab, "top.qcow2", Some(("mid.qcow2", Q)), "compat=0.10,cluster_size=4k", 3 * MIB, 3, 8);
    lab.img("snapshot -c sn0 top.qcow2");
    lab.scribble("top.qcow2", Q, 3 * MIB, 4, 4);
}

/// A chain, and images of other families: the base with a little changed, a raw disk, a longer one.
fn unrelated(lab: &Lab) {
    chain(lab);
    lab.img("convert -O qcow2 l2.qcow2 copy.qcow2");
    lab.scribble("copy.qcow2", Q, 4 * MIB, 90, 3);
    lab.img("create -q -f raw other.img 3M");
    lab.scribble("other.img", "raw", 3 * MIB, 91, 8);
    layer(lab, "long.qcow2", None, "", 9 * MIB, 92, 20);
}

fn qed(lab: &Lab) {
    layer(lab, "base.qcow2", None, "", 4 * MIB, 1, 16);
    layer(lab, "mid.qcow2", Some(("base.qcow2", Q)), "", 4 * MIB, 2, 12);
    lab.img("create -q -f qed -b mid.qcow2 -F qcow2 top.qed 4M");
    lab.scribble("top.qed", "qed", 4 * MIB, 3, 8);
}

fn unsafely() {
    let lab = Lab::new();
    branch_above(&lab);
    let size = lab.path("l2.qcow2").metadata().unwrap().len();
    let plan = lab.run("rebase l2.qcow2 --base base.qcow2 --unsafe --dry-run --json").expect(0).json();
    let named: Vec<_> =
        plan["views_changed"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    for image in ["l2", "l3", "l4", "side"] {
        assert!(named.contains(&lab.path(&format!("{image}.qcow2")).to_str().unwrap()), "{image}: {named:?}");
    }
    let answer = lab.run("rebase l2.qcow2 --base base.qcow2 --unsafe --yes").expect(10);
    assert!(answer.err.contains("--accept view-changes"), "{}", answer.err);
    lab.run("rebase l2.qcow2 --base base.qcow2 -u --yes --accept view-changes").expect(0);
    assert_eq!(lab.path("l2.qcow2").metadata().unwrap().len(), size);
    lab.img("check l2.qcow2");
}

/// What it is for: the base has another name now.
fn moved() {
    let lab = Lab::new();
    chain(&lab);
    let top = lab.bytes("l4.qcow2", None);
    std::fs::rename(lab.path("l1.qcow2"), lab.path("renamed.qcow2")).unwrap();
    lab.run("cat l4.qcow2").expect(1);
    lab.run("rebase l2.qcow2 --base renamed.qcow2 --unsafe --yes --accept view-changes").expect(0);
    assert_same("l4", &lab.cat("l4.qcow2"), &top);
    assert_same("l4, by QEMU", &lab.bytes("l4.qcow2", None), &top);
}

fn refused() {
    let lab = Lab::new();
    chain(&lab);
    for line in [
        "rebase l1.qcow2 --base l3.qcow2 --yes",
        "rebase l1.qcow2 --base l1.qcow2 --unsafe --yes",
        "rebase l4.qcow2 --base l3.qcow2 --yes",
        "rebase base.qcow2 --none --yes",
        "pull base.qcow2 --yes",
        "pull l2.qcow2 --base l4.qcow2 --yes",
        "rebase l4.qcow2 --yes",
    ] {
        let before = lab.files();
        lab.run(line).expect(2);
        assert!(before == lab.files(), "{line} changed something");
    }
    lab.run("rebase l4.qcow2 --base nowhere.qcow2 --yes").expect(1);
}
