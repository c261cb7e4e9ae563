//! Commit: every view that the plan does not name reads as before, and QEMU finds nothing wrong.

use serde_json::Value;

use crate::lab::{Lab, Views, assert_same};
use crate::{Case, case};

const MIB: u64 = 1 << 20;

/// One commit and what is expected of it.
pub(crate) struct Trial {
    pub(crate) make: fn(&Lab),
    pub(crate) top: &'static str,
    pub(crate) base: &'static str,
    pub(crate) options: &'static str,
    /// Whether the top's file goes to the trash.
    pub(crate) trashed: bool,
    /// Images that are relinked to the base.
    pub(crate) relinked: &'static [&'static str],
    /// Layers between that go to the trash.
    pub(crate) merged: &'static [&'static str],
}

pub(crate) const PLAIN: Trial = Trial {
    make: chain,
    top: "l2.qcow2",
    base: "l1.qcow2",
    options: "",
    trashed: true,
    relinked: &["l3.qcow2"],
    merged: &[],
};

const TRIALS: &[(&str, Trial)] = &[
    ("middle", PLAIN),
    ("leaf", Trial { top: "l4.qcow2", base: "l3.qcow2", trashed: false, relinked: &[], ..PLAIN }),
    (
        "leaf_removed",
        Trial {
            top: "l4.qcow2",
            base: "l3.qcow2",
            options: "--remove",
            trashed: true,
            relinked: &[],
            ..PLAIN
        },
    ),
    ("middle_kept", Trial { options: "--keep", trashed: false, ..PLAIN }),
    ("explicit_parent", Trial { options: "--base l1.qcow2", ..PLAIN }),
    ("branching_top", Trial { make: branch_above, relinked: &["l3.qcow2", "side.qcow2"], ..PLAIN }),
    ("sibling", Trial { make: sibling, ..PLAIN }),
    ("two_siblings_and_their_children", Trial { make: siblings, ..PLAIN }),
    ("snapshots_in_base", Trial { make: snapshots_in_base, ..PLAIN }),
    ("snapshots_above", Trial { make: snapshots_above, ..PLAIN }),
    ("raw_base", Trial { make: raw_base, base: "l1.img", ..PLAIN }),
    ("raw_base_sibling", Trial { make: raw_base_sibling, base: "l1.img", ..PLAIN }),
    ("top_larger", Trial { make: top_larger, ..PLAIN }),
    ("top_larger_unaligned_sibling", Trial { make: top_larger_sibling, ..PLAIN }),
    ("top_larger_raw_base", Trial { make: top_larger_raw, base: "l1.img", ..PLAIN }),
    ("short_middle", Trial { make: short_middle, ..PLAIN }),
    ("coarse_over_fine", Trial { make: coarse_over_fine, ..PLAIN }),
    ("fine_over_coarse", Trial { make: fine_over_coarse, ..PLAIN }),
    ("version_2", Trial { make: version_2, ..PLAIN }),
    ("compressed", Trial { make: compressed, ..PLAIN }),
    ("narrow_refcounts", Trial { make: narrow_refcounts, ..PLAIN }),
    ("sibling_with_snapshots", Trial { make: sibling_with_snapshots, ..PLAIN }),
    ("nephew_and_v2_sibling_with_snapshots", Trial { make: old_sibling_with_snapshots, ..PLAIN }),
    (
        "leaf_with_snapshots",
        Trial {
            make: leaf_with_snapshots,
            top: "l4.qcow2",
            base: "l3.qcow2",
            trashed: false,
            relinked: &[],
            ..PLAIN
        },
    ),
    (
        "leaf_with_snapshots_over_three",
        Trial {
            make: leaf_with_snapshots,
            top: "l4.qcow2",
            base: "l1.qcow2",
            options: "--base l1.qcow2",
            trashed: false,
            relinked: &["l4.qcow2"],
            merged: &["l2.qcow2", "l3.qcow2"],
        },
    ),
    (
        "two_layers_down",
        Trial { base: "base.qcow2", options: "--base base.qcow2", merged: &["l1.qcow2"], ..PLAIN },
    ),
    (
        "all_into_the_root",
        Trial {
            make: branch_above,
            top: "l4.qcow2",
            base: "base.qcow2",
            options: "--base base.qcow2 --remove",
            relinked: &[],
            merged: &["l3.qcow2"],
            ..PLAIN
        },
    ),
    ("data_file_base", Trial { make: data_file_base, ..PLAIN }),
    ("data_file_top", Trial { make: data_file_top, ..PLAIN }),
    ("data_file_sibling", Trial { make: data_file_sibling, ..PLAIN }),
    (
        "data_file_leaf",
        Trial {
            make: data_file_leaf,
            top: "l4.qcow2",
            base: "l3.qcow2",
            trashed: false,
            relinked: &[],
            ..PLAIN
        },
    ),
    ("raw_data_file_base", Trial { make: raw_data_file_base, ..PLAIN }),
    ("empty_top", Trial { make: empty_top, ..PLAIN }),
    ("absolute_names", Trial { make: absolute_names, ..PLAIN }),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> =
        TRIALS.iter().map(|(name, trial)| case(format!("commit::{name}"), move || run(trial))).collect();
    cases.push(case("commit::whole_chain_one_by_one", one_by_one));
    cases.push(case("commit::dry_run_writes_nothing_and_says_it_all", dry_run));
    cases.push(case("commit::cost_is_what_happens", cost));
    cases
}

/// A layer: name, what it is based on, `-o` options, size, seed, number of writes.
pub(crate) fn layer(
    lab: &Lab,
    name: &str,
    below: Option<(&str, &str)>,
    options: &str,
    size: u64,
    seed: u64,
    writes: usize,
) {
    let options = if options.is_empty() { String::new() } else { format!("-o {options}") };
    let backing = below.map_or_else(String::new, |(file, format)| format!("-b {file} -F {format}"));
    lab.img(&format!("create -q -f qcow2 {options} {backing} {name} {size}"));
    if writes > 0 {
        lab.scribble(name, "qcow2", size, seed, writes);
    }
}

const Q: &str = "qcow2";

/// base <- l1 <- l2 <- l3 <- l4.
pub(crate) fn chain(lab: &Lab) {
    layer(lab, "base.qcow2", None, "", 4 * MIB, 1, 16);
    for i in 1..5 {
        let below = if i == 1 { "base.qcow2".to_owned() } else { format!("l{}.qcow2", i - 1) };
        layer(lab, &format!("l{i}.qcow2"), Some((&below, Q)), "", 4 * MIB, 1 + i, 14);
    }
}

pub(crate) fn branch_above(lab: &Lab) {
    chain(lab);
    layer(lab, "side.qcow2", Some(("l2.qcow2", Q)), "", 4 * MIB, 50, 8);
}

pub(crate) fn sibling(lab: &Lab) {
    chain(lab);
    layer(lab, "side.qcow2", Some(("l1.qcow2", Q)), "", 4 * MIB, 51, 8);
}

/// The sibling's snapshots read clusters of the base that the commit overwrites, some of them more.
pub(crate) fn sibling_with_snapshots(lab: &Lab) {
    chain(lab);
    layer(lab, "side.qcow2", Some(("l1.qcow2", Q)), "", 4 * MIB, 51, 8);
    lab.img("snapshot -c sn0 side.qcow2");
    lab.scribble("side.qcow2", Q, 4 * MIB, 52, 6);
    lab.img("snapshot -c sn1 side.qcow2");
    lab.img("snapshot -c sn2 side.qcow2");
    lab.scribble("side.qcow2", Q, 4 * MIB, 53, 2);
    layer(lab, "nephew.qcow2", Some(("side.qcow2", Q)), "", 4 * MIB, 54, 4);
}

fn old_sibling_with_snapshots(lab: &Lab) {
    chain(lab);
    layer(lab, "side.qcow2", Some(("l1.qcow2", Q)), "compat=0.10,cluster_size=4k", 4 * MIB, 51, 8);
    lab.img("snapshot -c sn0 side.qcow2");
    lab.scribble("side.qcow2", Q, 4 * MIB, 52, 6);
    layer(lab, "fine.qcow2", Some(("l1.qcow2", Q)), "cluster_size=16k,extended_l2=on", 4 * MIB, 55, 12);
    lab.img("snapshot -c sn0 fine.qcow2");
    lab.scribble("fine.qcow2", Q, 4 * MIB, 56, 6);
}

pub(crate) fn leaf_with_snapshots(lab: &Lab) {
    chain(lab);
    lab.img("snapshot -c sn0 l4.qcow2");
    lab.scribble("l4.qcow2", Q, 4 * MIB, 57, 8);
    lab.img("snapshot -c sn1 l4.qcow2");
}

fn siblings(lab: &Lab) {
    chain(lab);
    layer(lab, "side.qcow2", Some(("l1.qcow2", Q)), "cluster_size=4k", 4 * MIB, 52, 8);
    layer(lab, "wide.qcow2", Some(("l1.qcow2", Q)), "cluster_size=2M", 5 * MIB, 53, 2);
    layer(lab, "nephew.qcow2", Some(("side.qcow2", Q)), "", 4 * MIB, 54, 4);
    lab.img("snapshot -c sn0 nephew.qcow2");
    lab.scribble("nephew.qcow2", Q, 4 * MIB, 55, 6);
}

fn snapshots_in_base(lab: &Lab) {
    layer(lab, "base.qcow2", None, "", 4 * MIB, 1, 16);
    layer(lab, "l1.qcow2", Some(("base.qcow2", Q)), "", 4 * MIB, 2, 14);
    lab.img("snapshot -c sn0 l1.qcow2");
    lab.scribble("l1.qcow2", Q, 4 * MIB, 60, 8);
    lab.img("snapshot -c sn1 l1.qcow2");
    lab.scribble("l1.qcow2", Q, 4 * MIB, 61, 4);
    layer(lab, "l2.qcow2", Some(("l1.qcow2", Q)), "", 4 * MIB, 3, 20);
    layer(lab, "l3.qcow2", Some(("l2.qcow2", Q)), "", 4 * MIB, 4, 10);
}

/// A chain of which some images keep their data in files of their own.
fn external(lab: &Lab, which: &[usize]) {
    std::fs::create_dir(lab.path("data")).unwrap();
    layer(lab, "base.qcow2", None, "", 4 * MIB, 1, 16);
    for i in 1..5 {
        let below = if i == 1 { "base.qcow2".to_owned() } else { format!("l{}.qcow2", i - 1) };
        let data = if which.contains(&i) { format!("data_file=data/l{i}.data") } else { String::new() };
        layer(lab, &format!("l{i}.qcow2"), Some((&below, Q)), &data, 4 * MIB, 1 + i as u64, 14);
    }
}

fn data_file_base(lab: &Lab) {
    external(lab, &[1]);
}

fn data_file_top(lab: &Lab) {
    external(lab, &[2, 3]);
}

fn data_file_leaf(lab: &Lab) {
    external(lab, &[3, 4]);
}

pub(crate) fn data_file_sibling(lab: &Lab) {
    external(lab, &[1]);
    let options = "cluster_size=16k,extended_l2=on,data_file=data/side.data";
    layer(lab, "side.qcow2", Some(("l1.qcow2", Q)), options, 4 * MIB, 51, 8);
}

fn raw_data_file_base(lab: &Lab) {
    std::fs::create_dir(lab.path("data")).unwrap();
    layer(lab, "l1.qcow2", None, "data_file=data/l1.data,data_file_raw=on", 4 * MIB, 2, 14);
    layer(lab, "l2.qcow2", Some(("l1.qcow2", Q)), "", 5 * MIB, 3, 16);
    layer(lab, "l3.qcow2", Some(("l2.qcow2", Q)), "", 5 * MIB, 4, 10);
}

/// The top's child has snapshots; they are relinked with it and must read the same.
fn snapshots_above(lab: &Lab) {
    chain(lab);
    lab.img("snapshot -c sn0 l3.qcow2");
    lab.scribble("l3.qcow2", Q, 4 * MIB, 62, 8);
}

fn raw(lab: &Lab, name: &str, size: u64, seed: u64) {
    lab.img(&format!("create -q -f raw {name} {size}"));
    lab.scribble(name, "raw", size, seed, 14);
}

pub(crate) fn raw_base(lab: &Lab) {
    raw(lab, "l1.img", 4 * MIB, 70);
    layer(lab, "l2.qcow2", Some(("l1.img", "raw")), "", 4 * MIB, 71, 16);
    layer(lab, "l3.qcow2", Some(("l2.qcow2", Q)), "", 4 * MIB, 72, 10);
}

fn raw_base_sibling(lab: &Lab) {
    raw_base(lab);
    layer(lab, "side.qcow2", Some(("l1.img", "raw")), "", 4 * MIB, 73, 8);
}

fn top_larger(lab: &Lab) {
    layer(lab, "l1.qcow2", None, "", 2 * MIB + 512, 80, 12);
    layer(lab, "l2.qcow2", Some(("l1.qcow2", Q)), "", 4 * MIB + 1024, 81, 16);
    layer(lab, "l3.qcow2", Some(("l2.qcow2", Q)), "", 6 * MIB, 82, 10);
}

fn top_larger_sibling(lab: &Lab) {
    top_larger(lab);
    layer(lab, "side.qcow2", Some(("l1.qcow2", Q)), "", 5 * MIB, 83, 8);
    layer(lab, "small.qcow2", Some(("l1.qcow2", Q)), "cluster_size=512", MIB + 512, 84, 8);
}

fn top_larger_raw(lab: &Lab) {
    raw(lab, "l1.img", 2 * MIB + 512, 85);
    layer(lab, "l2.qcow2", Some(("l1.img", "raw")), "", 4 * MIB + 1024, 86, 16);
    layer(lab, "l3.qcow2", Some(("l2.qcow2", Q)), "", 6 * MIB, 87, 10);
}

/// Base 4 MiB, top 2 MiB, child 4 MiB: the child reads zeros behind the top, and must go on to.
fn short_middle(lab: &Lab) {
    layer(lab, "l1.qcow2", None, "", 4 * MIB, 90, 24);
    layer(lab, "l2.qcow2", Some(("l1.qcow2", Q)), "", 2 * MIB + 512, 91, 12);
    layer(lab, "l3.qcow2", Some(("l2.qcow2", Q)), "", 4 * MIB, 92, 8);
    layer(lab, "side.qcow2", Some(("l2.qcow2", Q)), "cluster_size=4k", 5 * MIB, 93, 8);
}

fn coarse_over_fine(lab: &Lab) {
    layer(lab, "base.qcow2", None, "", 4 * MIB, 100, 16);
    layer(lab, "l1.qcow2", Some(("base.qcow2", Q)), "cluster_size=4k", 4 * MIB, 101, 16);
    layer(lab, "l2.qcow2", Some(("l1.qcow2", Q)), "cluster_size=1M", 4 * MIB, 102, 3);
    layer(lab, "l3.qcow2", Some(("l2.qcow2", Q)), "", 4 * MIB, 103, 8);
    layer(lab, "side.qcow2", Some(("l1.qcow2", Q)), "cluster_size=64k", 4 * MIB, 104, 8);
}

fn fine_over_coarse(lab: &Lab) {
    layer(lab, "base.qcow2", None, "", 4 * MIB, 110, 16);
    layer(lab, "l1.qcow2", Some(("base.qcow2", Q)), "cluster_size=1M", 4 * MIB, 111, 1);
    layer(lab, "l2.qcow2", Some(("l1.qcow2", Q)), "cluster_size=512", 4 * MIB, 112, 12);
    layer(lab, "l3.qcow2", Some(("l2.qcow2", Q)), "cluster_size=2M", 4 * MIB, 113, 1);
    layer(lab, "side.qcow2", Some(("l1.qcow2", Q)), "cluster_size=2M", 4 * MIB, 114, 1);
}

/// No zero clusters to be had.
fn version_2(lab: &Lab) {
    layer(lab, "base.qcow2", None, "compat=0.10", 4 * MIB, 120, 16);
    layer(lab, "l1.qcow2", Some(("base.qcow2", Q)), "compat=0.10", 4 * MIB, 121, 14);
    layer(lab, "l2.qcow2", Some(("l1.qcow2", Q)), "", 4 * MIB, 122, 14);
    layer(lab, "l3.qcow2", Some(("l2.qcow2", Q)), "compat=0.10", 4 * MIB, 123, 8);
    layer(lab, "side.qcow2", Some(("l1.qcow2", Q)), "compat=0.10", 4 * MIB, 124, 8);
}

fn compressed(lab: &Lab) {
    chain(lab);
    lab.img("convert -c -O qcow2 -B l1.qcow2 -F qcow2 -o compression_type=zstd l2.qcow2 packed.qcow2");
    std::fs::rename(lab.path("packed.qcow2"), lab.path("l2.qcow2")).unwrap();
    lab.img("convert -c -O qcow2 -B base.qcow2 -F qcow2 l1.qcow2 packed.qcow2");
    std::fs::rename(lab.path("packed.qcow2"), lab.path("l1.qcow2")).unwrap();
}

fn narrow_refcounts(lab: &Lab) {
    layer(lab, "base.qcow2", None, "refcount_bits=1", 4 * MIB, 130, 16);
    layer(lab, "l1.qcow2", Some(("base.qcow2", Q)), "refcount_bits=1,cluster_size=512", 4 * MIB, 131, 14);
    layer(lab, "l2.qcow2", Some(("l1.qcow2", Q)), "refcount_bits=64", 4 * MIB, 132, 14);
    layer(lab, "l3.qcow2", Some(("l2.qcow2", Q)), "refcount_bits=2", 4 * MIB, 133, 8);
}

fn empty_top(lab: &Lab) {
    layer(lab, "l1.qcow2", None, "", 4 * MIB, 140, 12);
    layer(lab, "l2.qcow2", Some(("l1.qcow2", Q)), "", 4 * MIB, 141, 0);
    layer(lab, "l3.qcow2", Some(("l2.qcow2", Q)), "", 4 * MIB, 142, 6);
}

fn absolute_names(lab: &Lab) {
    layer(lab, "l1.qcow2", None, "", 4 * MIB, 150, 12);
    let absolute = |name: &str| lab.path(name).display().to_string();
    layer(lab, "l2.qcow2", Some((&absolute("l1.qcow2"), Q)), "", 4 * MIB, 151, 8);
    layer(lab, "l3.qcow2", Some((&absolute("l2.qcow2"), Q)), "", 4 * MIB, 152, 6);
}

pub(crate) fn run(trial: &Trial) {
    let lab = Lab::new();
    (trial.make)(&lab);
    let before = lab.views();
    lab.run(&format!("commit {} --yes {}", trial.top, trial.options)).expect(0);
    verify(&lab, trial, &before);
}

/// Everything that a commit promises.
fn verify(lab: &Lab, trial: &Trial, before: &Views) {
    let after = lab.views();
    lab.assert_clean();

    // The base, which the plan named, now reads as the top did; what lies behind the top stays.
    let (top, old, new) = (&before[trial.top], &before[trial.base], &after[trial.base]);
    assert_same("the base, as far as the top reaches", &new[..top.len()], top);
    assert_same("the base behind the top", &new[top.len()..], old.get(top.len()..).unwrap_or(&[]));

    for (view, bytes) in before {
        let of_top = view == trial.top || view.starts_with(&format!("{}@", trial.top));
        let merged = trial.merged.iter().any(|name| view.starts_with(name));
        if merged {
            assert!(!lab.path(view).exists(), "{view} is still there");
        }
        if view == trial.base || merged || (of_top && trial.trashed) {
            continue;
        }
        assert_same(&format!("{view}, read by QEMU"), &after[view], bytes);
        assert_same(&format!("{view}, read by cowherd"), &lab.cat(view), bytes);
    }

    let trash = lab.path(".cowherd-trash");
    assert_eq!(!lab.path(trial.top).exists(), trial.trashed, "the top's file");
    let kept: Vec<_> =
        std::fs::read_dir(&trash).map(|d| d.map(|e| e.unwrap().file_name()).collect()).unwrap_or_default();
    let is_there = kept.iter().any(|n: &std::ffi::OsString| n.to_string_lossy().contains(trial.top));
    assert_eq!(is_there, trial.trashed, "in the trash: {kept:?}");

    if !trial.trashed && trial.options.is_empty() && trial.relinked.is_empty() {
        let map = lab.run(&format!("map --layer --json {}", trial.top)).expect(0).json();
        assert!(
            map.as_array().unwrap().iter().all(|e| e["present"] == false),
            "the leaf is not empty: {map}"
        );
    }
    for child in trial.relinked {
        let info = lab.img_json(&format!("info --output=json {child}"));
        let name = info["full-backing-filename"].as_str().unwrap();
        assert_eq!(lab.dir().join(name).canonicalize().unwrap(), lab.path(trial.base), "{child}");
        let format = match trial.base.rsplit_once('.') {
            Some((_, "img")) => Some("raw"),
            // QED records the format of its backing file only when that is raw.
            _ if child.ends_with(".qed") => None,
            Some((_, extension)) => Some(extension),
            None => None,
        };
        assert_eq!(info["backing-filename-format"].as_str(), format, "{child}");
    }
    lab.run("tree . --json").expect(0);
}

/// Merges a chain down to its base, leaf first, with everything checked after each.
fn one_by_one() {
    let lab = Lab::new();
    branch_above(&lab);
    for (top, base) in [("l4.qcow2", "l3.qcow2"), ("l2.qcow2", "l1.qcow2"), ("l1.qcow2", "base.qcow2")] {
        let before = lab.views();
        lab.run(&format!("commit {top} --yes --remove")).expect(0);
        let after = lab.views();
        lab.assert_clean();
        for (view, bytes) in before.iter().filter(|(view, _)| *view != top && *view != base) {
            assert_same(&format!("{view} after {top}"), &after[view], bytes);
        }
        assert_same(base, &after[base], &before[top]);
    }
    assert_eq!(lab.names(), ["base.qcow2", "l3.qcow2", "side.qcow2"]);
}

fn dry_run() {
    let lab = Lab::new();
    siblings(&lab);
    let before = lab.files();
    let plan = lab.run("commit l2.qcow2 --dry-run --json").expect(0).json();
    let human = lab.run("commit l2.qcow2 --dry-run").expect(0).text();
    assert!(before == lab.files(), "a dry run wrote");
    assert!(!lab.path(".cowherd-trash").exists());
    assert_eq!(plan["operation"], "commit");
    for key in ["views_changed", "steps", "hazards", "qemu_img"] {
        assert!(plan[key].is_array(), "{key}: {plan:#}");
    }
    assert!(plan["undo"].is_string());
    for key in ["read_bytes", "write_bytes", "freed_bytes", "freed_after_trash_bytes", "peak_extra_bytes"] {
        assert!(plan["cost"][key].is_u64(), "{key}: {plan:#}");
    }
    assert!(plan["cost"]["exact"].is_boolean());
    let paths = |forest: &Value| -> Vec<String> {
        let images = forest["images"].as_array().unwrap().iter();
        images.map(|i| i["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
    };
    assert!(paths(&plan["forest_before"]).contains(&"l2.qcow2".to_owned()));
    assert!(!paths(&plan["forest_after"]).contains(&"l2.qcow2".to_owned()));
    assert!(
        plan["views_changed"].as_array().unwrap().iter().any(|v| v.as_str().unwrap().contains("l1.qcow2"))
    );
    assert!(plan["hazards"].as_array().unwrap().iter().any(|h| h["kind"] == "other-children"), "{plan:#}");
    assert!(human.contains("l1.qcow2") && human.contains("other-children"), "{human}");
}

/// The plan's figures are what the job then does.
fn cost() {
    for (name, trial) in TRIALS {
        let lab = Lab::new();
        (trial.make)(&lab);
        let line = format!("commit {} {}", trial.top, trial.options);
        let plan = lab.run(&format!("{line} --dry-run --json")).expect(0).json();
        let report = lab.run(&format!("{line} --yes --json")).expect(0).json();
        let (planned, written) = (plan["cost"]["write_bytes"].as_u64(), report["written_bytes"].as_u64());
        match plan["cost"]["exact"].as_bool() {
            Some(true) => assert_eq!(written, planned, "{name}"),
            _ => assert!(written <= planned, "{name}: {written:?} > {planned:?}"),
        }
    }
}
