//! What is cut off in `kill`: small herds, a command each, and how to see that it is done.

use crate::OnLab;
use crate::lab::{Lab, Views};

const MIB: u64 = 1 << 20;
/// Length of a file that is longer than it needs to be.
const HOLEY: u64 = 8 * MIB;

/// A herd as it is now, and its views as they were.
pub(crate) struct Herd<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) before: &'a Views,
}

/// A command that is cut off.
pub(crate) struct Trial {
    pub(crate) make: OnLab,
    pub(crate) line: &'static str,
    /// Images that the plan names: what they read may change, and they may be gone.
    named: &'static [&'static str],
    /// Whether all is as the command was to leave it.
    pub(crate) done: fn(&Herd<'_>) -> bool,
}

impl Trial {
    pub(crate) fn names(&self, view: &str) -> bool {
        self.named.iter().any(|name| view.split('@').next() == Some(name))
    }

    /// The image that the command line begins with.
    pub(crate) fn image(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    /// Whether what lies in it stays as it is until the switch, so that a way back leads to the very bytes.
    pub(crate) fn leaves_file(&self) -> bool {
        let line = self.line;
        line.starts_with("convert") && !line.contains("--to raw") && !line.contains("compat")
    }
}

const fn trial(
    make: OnLab,
    line: &'static str,
    named: &'static [&'static str],
    done: fn(&Herd<'_>) -> bool,
) -> Trial {
    Trial { make, line, named, done }
}

pub(crate) const TRIALS: &[(&str, Trial)] = &[
    ("pull", trial(chain, "pull l3 --base base", &[], |h| h.based("l3", Some("base")))),
    ("pull_alone_with_snapshots", trial(saved_leaf, "pull l3", &[], |h| h.based("l3", None))),
    ("pull_qed", trial(qed, "pull l3 --base base", &[], |h| h.based("l3", Some("base")))),
    ("rebase_down", trial(saved_leaf, "rebase l3 -b base", &[], |h| h.based("l3", Some("base")))),
    (
        "rebase_unrelated",
        trial(unrelated, "rebase l3 -b other -F qcow2", &[], |h| h.based("l3", Some("other"))),
    ),
    ("rebase_unrelated_qed", trial(qed, "rebase l3 -b other", &[], |h| h.based("l3", Some("other")))),
    ("rebase_none", trial(chain, "rebase l3 --none", &[], |h| h.based("l3", None))),
    (
        "delete_middle",
        trial(branches, "delete l1", &["l1"], |h| {
            !h.has("l1") && h.based("l2", Some("base")) && h.based("side", Some("base"))
        }),
    ),
    ("delete_root", trial(branches, "delete base", &["base"], |h| !h.has("base") && h.based("l1", None))),
    ("delete_leaf", trial(chain, "delete l3", &["l3"], |h| !h.has("l3"))),
    (
        "delete_with_data_file",
        trial(data_file, "delete l1", &["l1", "l1.data"], |h| !h.has("l1") && h.based("l2", Some("base"))),
    ),
    (
        "rename",
        trial(branches, "rename l1 new", &["l1"], |h| {
            !h.has("l1") && h.reads("new", "l1") && h.based("l2", Some("new")) && h.based("side", Some("new"))
        }),
    ),
    (
        "rename_into_a_folder",
        trial(folder, "rename l1 sub/l1", &["l1"], |h| {
            !h.has("l1") && h.reads("sub/l1", "l1") && h.based("l2", Some("sub/l1"))
        }),
    ),
    ("overlay", trial(chain, "overlay l3 new", &[], |h| h.has("new") && h.reads("new", "l3"))),
    (
        "export_delta",
        trial(saved_leaf, "export l3 --since l1 -b l1 -F qcow2 --out new", &[], |h| {
            h.has("new") && h.reads("new", "l3") && h.based("new", Some("l1"))
        }),
    ),
    ("export_compressed", trial(saved_leaf, "export l3@sn0 -c --out new", &[], |h| h.has("new"))),
    ("import", trial(saved_leaf, "import l3 --out new", &[], |h| h.has("new") && h.saved("new").len() == 4)),
    (
        "revert",
        trial(saved_leaf, "revert l3 --accept no-undo", &["l3"], |h| {
            h.reads("l3", "l2") && h.keeps("l3", "sn0")
        }),
    ),
    ("revert_qed", trial(qed, "revert l3 --accept no-undo", &["l3"], |h| h.reads("l3", "l2"))),
    ("compact", trial(holey, "compact l3", &[], |h| h.shorter("l3"))),
    ("compact_qed", trial(holey_qed, "compact l3", &[], |h| h.shorter("l3"))),
    ("convert_qed", trial(lone_qed, "convert it --to qcow2 --in-place", &[], |h| h.is("it", "qcow2"))),
    ("convert_to_qed", trial(lone, "convert it --to qed --in-place", &[], |h| h.is("it", "qed"))),
    (
        "convert_version",
        trial(lone, "convert it --to qcow2 --in-place -o compat=0.10", &[], |h| h.version("it", "0.10")),
    ),
    // A raw image is longer for as long as tables lie behind its end; then it is one no more.
    (
        "convert_raw_below_others",
        trial(raw, "convert base --to qcow2 --in-place", &["base"], |h| {
            h.is("base", "qcow2") && h.reads("base", "base") && h.reads("l3", "l3") && h.reads("side", "side")
        }),
    ),
    (
        "convert_to_raw",
        trial(lone, "convert it --to raw --in-place", &["it"], |h| h.is("it", "raw") && h.reads("it", "it")),
    ),
    (
        "convert_qed_below_others",
        trial(qed_below, "convert base --to raw --in-place", &["base"], |h| {
            h.is("base", "raw") && h.reads("base", "base") && h.reads("l1", "l1")
        }),
    ),
    (
        "commit_beside_snapshots",
        trial(branches, "commit l2", &["l1", "l2"], |h| h.reads("l1", "l2") && h.based("l3", Some("l1"))),
    ),
    (
        "commit_below_snapshots",
        trial(branches, "commit l1", &["base", "l1"], |h| {
            h.reads("base", "l1") && h.based("l2", Some("base")) && h.based("side", Some("base"))
        }),
    ),
    (
        "commit_over_layers",
        trial(chain, "commit l3 --base base", &["base", "l1", "l2"], |h| {
            h.reads("base", "l3") && h.based("l3", Some("base"))
        }),
    ),
    (
        "commit_over_layers_with_snapshots",
        trial(branches, "commit l3 --base base", &["base", "l2"], |h| {
            h.reads("base", "l3") && h.based("l3", Some("base"))
        }),
    ),
    (
        "commit_into_raw",
        trial(raw, "commit l2 --base base", &["base", "l1", "l2"], |h| {
            h.reads("base", "l2") && h.based("l3", Some("base"))
        }),
    ),
    ("resize", trial(saved_leaf, "resize l3 3M", &["l3"], |h| h.info("l3")["virtual-size"] == 3 * MIB)),
    (
        "resize_shrink",
        trial(chain, "resize l3 512k --shrink --accept no-undo", &["l3"], |h| {
            h.info("l3")["virtual-size"] == MIB / 2
        }),
    ),
    (
        "snapshot_create",
        trial(saved_leaf, "snapshot create l3 new", &[], |h| h.saved("l3") == ["sn0", "new"]),
    ),
    (
        "snapshot_apply",
        trial(saved_leaf, "snapshot apply l3 sn0 --accept no-undo", &["l3"], |h| {
            h.lab.bytes("l3", None) == h.before["l3@sn0"]
        }),
    ),
    (
        "snapshot_delete",
        trial(saved_leaf, "snapshot delete l3 sn0 --accept no-undo", &["l3"], |h| h.saved("l3").is_empty()),
    ),
    (
        "snapshot_rename",
        trial(saved_leaf, "snapshot rename l3 sn0 new", &["l3"], |h| h.saved("l3") == ["new"]),
    ),
    (
        "repair",
        trial(leaking, "check -r leaks l3", &[], |h| h.info("l3")["format"] == "qcow2" && h.is_tight("l3")),
    ),
];

impl Herd<'_> {
    fn info(&self, image: &str) -> serde_json::Value {
        self.lab.img_json(&format!("info --output=json {image}"))
    }

    /// Whether QEMU takes `image` for one of this format.
    fn is(&self, image: &str, format: &str) -> bool {
        self.info(image)["format"] == format
    }

    /// Whether a qcow2 is of this version, in QEMU's words.
    fn version(&self, image: &str, compat: &str) -> bool {
        self.info(image)["format-specific"]["data"]["compat"] == compat
    }

    /// The names of its internal snapshots.
    fn saved(&self, image: &str) -> Vec<String> {
        let info = self.info(image);
        let list = info["snapshots"].as_array().cloned().unwrap_or_default();
        list.iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Whether QEMU's check finds no leak.
    fn is_tight(&self, image: &str) -> bool {
        self.lab.try_tool("qemu-img", &["check", image]).status.code() == Some(0)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.lab.path(name).exists()
    }

    /// Whether QEMU finds `image` based on `base`.
    fn based(&self, image: &str, base: Option<&str>) -> bool {
        let info = self.lab.img_json(&format!("info --output=json {image}"));
        let full = info["full-backing-filename"].as_str().map(|name| self.lab.dir().join(name));
        full == base.map(|base| self.lab.path(base))
    }

    /// Whether a file that was made too long is not any more.
    fn shorter(&self, image: &str) -> bool {
        self.lab.path(image).metadata().unwrap().len() < HOLEY
    }

    /// Whether QEMU reads from an internal snapshot what it did before.
    fn keeps(&self, image: &str, snapshot: &str) -> bool {
        self.lab.bytes(image, Some(snapshot)) == self.before[&format!("{image}@{snapshot}")]
    }

    /// Whether QEMU reads from `image` what it read from `old`, as far as that reached.
    fn reads(&self, image: &str, old: &str) -> bool {
        self.has(image) && self.lab.bytes(image, None).starts_with(&self.before[old])
    }
}

fn layer(lab: &Lab, name: &str, below: Option<&str>, options: &str, seed: u64) {
    let backing = below.map_or_else(String::new, |file| format!("-b {file} -F qcow2"));
    lab.img(&format!("create -q -f qcow2 {options} {backing} {name} 1M"));
    lab.scribble(name, "qcow2", MIB, seed, 4);
}

/// base <- l1 <- l2 <- l3.
fn chain(lab: &Lab) {
    for (i, (name, below)) in
        [("base", None), ("l1", Some("base")), ("l2", Some("l1")), ("l3", Some("l2"))].iter().enumerate()
    {
        layer(lab, name, *below, "", 1 + i as u64);
    }
}

fn saved_leaf(lab: &Lab) {
    chain(lab);
    lab.img("snapshot -c sn0 l3");
    lab.scribble("l3", "qcow2", MIB, 20, 3);
}

/// And snapshots in the last one that are gone again, with most of what is in it.
fn holey(lab: &Lab) {
    chain(lab);
    lab.img("create -q -f qcow2 -o cluster_size=4k -b l2 -F qcow2 l3");
    lab.scribble("l3", "qcow2", MIB, 60, 8);
    lab.img("snapshot -c sn0 l3");
    lab.scribble("l3", "qcow2", MIB, 61, 6);
    lab.img("snapshot -c sn1 l3");
    lab.scribble("l3", "qcow2", MIB, 62, 4);
    lab.img("snapshot -d sn0 l3");
    lab.io("l3", "qcow2", &["discard -q 0 512k".to_owned()]);
    std::fs::OpenOptions::new().write(true).open(lab.path("l3")).unwrap().set_len(HOLEY).unwrap();
}

fn holey_qed(lab: &Lab) {
    qed(lab);
    std::fs::OpenOptions::new().write(true).open(lab.path("l3")).unwrap().set_len(HOLEY).unwrap();
}

/// With clusters that count as used and are not: the end of a write that was cut off.
fn leaking(lab: &Lab) {
    saved_leaf(lab);
    use std::io::{Seek, SeekFrom, Write};
    // Refcounts of 16 bits in the first block, at 128 KiB in a new image of 64 KiB clusters.
    let mut file = std::fs::OpenOptions::new().write(true).open(lab.path("l3")).unwrap();
    let len = file.metadata().unwrap().len();
    file.set_len(len + (2 << 16)).unwrap();
    file.seek(SeekFrom::Start((2 << 16) + (len >> 16) * 2)).unwrap();
    file.write_all(&[0, 1, 0, 1]).unwrap();
    drop(file);
    assert_eq!(lab.try_tool("qemu-img", &["check", "l3"]).status.code(), Some(3), "no leaks");
}

/// And side <- on l1, with snapshots, of which each reads something else through it.
fn branches(lab: &Lab) {
    chain(lab);
    layer(lab, "side", Some("l1"), "-o cluster_size=16k", 10);
    lab.img("snapshot -c sn0 side");
    lab.scribble("side", "qcow2", MIB, 11, 3);
    lab.img("snapshot -c sn1 side");
}

fn folder(lab: &Lab) {
    chain(lab);
    std::fs::create_dir(lab.path("sub")).unwrap();
}

fn unrelated(lab: &Lab) {
    saved_leaf(lab);
    lab.img("convert -O qcow2 l1 other");
    lab.scribble("other", "qcow2", MIB, 30, 3);
}

fn qed(lab: &Lab) {
    for (name, below) in [("base", ""), ("l1", "-b base"), ("l2", "-b l1"), ("l3", "-b l2"), ("other", "")] {
        lab.img(&format!(
            "create -q -f qed {below} {} {name} 1M",
            if below.is_empty() { "" } else { "-F qed" }
        ));
        lab.scribble(name, "qed", MIB, 40 + name.len() as u64 + u64::from(name.as_bytes()[1]), 4);
    }
}

fn lone(lab: &Lab) {
    layer(lab, "it", None, "", 70);
}

fn lone_qed(lab: &Lab) {
    lab.img("create -q -f qed it 1M");
    lab.scribble("it", "qed", MIB, 71, 5);
}

fn qed_below(lab: &Lab) {
    lab.img("create -q -f qed base 1M");
    lab.scribble("base", "qed", MIB, 72, 5);
    lab.img("create -q -f qcow2 -b base -F qed l1");
    lab.scribble("l1", "qcow2", MIB, 73, 3);
}

fn data_file(lab: &Lab) {
    layer(lab, "base", None, "", 1);
    layer(lab, "l1", Some("base"), "-o data_file=l1.data", 2);
    layer(lab, "l2", Some("l1"), "", 3);
}

fn raw(lab: &Lab) {
    lab.img("create -q -f raw base 1M");
    lab.scribble("base", "raw", MIB, 50, 4);
    lab.img("create -q -f qcow2 -b base -F raw l1");
    lab.scribble("l1", "qcow2", MIB, 51, 3);
    layer(lab, "l2", Some("l1"), "", 52);
    layer(lab, "l3", Some("l2"), "", 53);
    lab.img("create -q -f qcow2 -b base -F raw side");
    lab.scribble("side", "qcow2", MIB, 54, 3);
}
