//! `tree`, `info`, `map`, `cat` and `compare` against qemu-img, on chains of five layers with
//! snapshots and a branch.

use serde_json::{Value, json};

use crate::lab::{Lab, assert_same};
use crate::{Case, OnLab, case};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

pub(crate) fn cases() -> Vec<Case> {
    let herds: [(&str, OnLab); 2] = [("plain", plain), ("mixed", mixed)];
    let checks: [(&str, OnLab); 6] = [
        ("tree", tree),
        ("info", info),
        ("info_chain", info_chain),
        ("map", map),
        ("cat", cat),
        ("compare", compare),
    ];
    let mut cases = Vec::new();
    for (herd, make) in herds {
        for (name, check) in checks {
            cases.push(case(format!("reading::{herd}::{name}"), move || {
                let lab = Lab::new();
                make(&lab);
                check(&lab);
            }));
        }
    }
    cases.push(case("reading::compressed_clusters", compressed));
    cases.push(case("reading::views_of_one_snapshot_by_id", by_id));
    cases
}

/// Five qcow2 layers with snapshots at two of them, and a branch in the middle.
pub(crate) fn plain(lab: &Lab) {
    let size = 4 * MIB;
    lab.img("create -q -f qcow2 base.qcow2 4M");
    lab.scribble("base.qcow2", "qcow2", size, 1, 24);
    for (i, (name, below)) in
        [("l1", "base"), ("l2", "l1"), ("l3", "l2"), ("l4", "l3"), ("side", "l2")].iter().enumerate()
    {
        lab.img(&format!("create -q -f qcow2 -b {below}.qcow2 -F qcow2 {name}.qcow2"));
        let name = format!("{name}.qcow2");
        lab.scribble(&name, "qcow2", size, 10 + i as u64, 12);
        if i == 0 || i == 2 {
            lab.img(&format!("snapshot -c sn{i} {name}"));
            lab.scribble(&name, "qcow2", size, 20 + i as u64, 8);
            lab.img(&format!("snapshot -c again{i} {name}"));
            lab.scribble(&name, "qcow2", size, 30 + i as u64, 6);
        }
    }
}

/// A raw base, mixed cluster sizes and versions, a QED layer, a short backing file, a larger top.
pub(crate) fn mixed(lab: &Lab) {
    lab.img("create -q -f raw base.img 3M");
    lab.scribble("base.img", "raw", 3 * MIB, 2, 16);
    lab.img("create -q -f qcow2 -o cluster_size=4k,compat=0.10 -b base.img -F raw a.qcow2 5M");
    lab.scribble("a.qcow2", "qcow2", 5 * MIB, 3, 16);
    lab.img("snapshot -c old a.qcow2");
    lab.scribble("a.qcow2", "qcow2", 5 * MIB, 4, 8);
    // Shorter than what is below it.
    lab.img("create -q -f qcow2 -o cluster_size=512 -b a.qcow2 -F qcow2 b.qcow2 2049k");
    lab.scribble("b.qcow2", "qcow2", 2049 * KIB, 5, 12);
    lab.img("create -q -f qed -b b.qcow2 -F qcow2 c.qed 6M");
    lab.scribble("c.qed", "qed", 6 * MIB, 6, 12);
    lab.img("create -q -f qcow2 -o cluster_size=2M -b c.qed -F qed d.qcow2 7M");
    lab.scribble("d.qcow2", "qcow2", 7 * MIB, 7, 4);
    lab.img("snapshot -c sn0 d.qcow2");
    lab.img("create -q -f qcow2 -o refcount_bits=1 -b c.qed -F qed side.qcow2 6M");
    lab.scribble("side.qcow2", "qcow2", 6 * MIB, 8, 12);
}

fn tree(lab: &Lab) {
    let tree = lab.run("tree . --json").expect(0).json();
    let images = tree["images"].as_array().unwrap();
    let names = lab.names();
    assert_eq!(images.len(), names.len(), "{tree:#}");
    let absolute = |name: &str| lab.path(name).to_string_lossy().into_owned();
    for (image, name) in images.iter().zip(&names) {
        let qemu = lab.img_json(&format!("info --output=json {}", absolute(name)));
        assert_eq!(image["path"], json!(absolute(name)));
        for (ours, theirs) in
            [("format", "format"), ("virtual_size", "virtual-size"), ("disk_size", "actual-size")]
        {
            assert_eq!(image[ours], qemu[theirs], "{name}: {ours}");
        }
        assert_eq!(image["backing"].is_null(), qemu["backing-filename"].is_null(), "{name}");
        if !image["backing"].is_null() {
            assert_eq!(image["backing"]["path"], qemu["backing-filename"], "{name}");
            // QED records the format of its backing file only when that is raw.
            if qemu["format"] != "qed" {
                assert_eq!(image["backing"]["format"], qemu["backing-filename-format"], "{name}");
            }
            assert_eq!(image["backing"]["resolved"], qemu["full-backing-filename"], "{name}");
            assert!(
                images.iter().any(|parent| parent["path"] == image["backing"]["resolved"]
                    && parent["children"].as_array().unwrap().contains(&image["path"])),
                "{name} is no child of its backing file"
            );
        }
        let empty = Vec::new();
        let snapshots = |v: &Value| v.as_array().unwrap_or(&empty).clone();
        let (ours, theirs) = (snapshots(&image["snapshots"]), snapshots(&qemu["snapshots"]));
        assert_eq!(ours.len(), theirs.len(), "{name}");
        for (a, b) in ours.iter().zip(&theirs) {
            assert_eq!((&a["id"], &a["name"]), (&b["id"], &b["name"]), "{name}");
            assert_eq!(a["vm_state_size"], b["vm-state-size"], "{name}");
        }
        assert_eq!(image["in_use"], Value::Null, "{name}");
        let kinds: Vec<_> = image["problems"].as_array().unwrap().iter().map(|p| p["kind"].clone()).collect();
        assert!(
            kinds.iter().all(|k| k == "backing-format-missing" && qemu["format"] == "qed"),
            "{name}: {kinds:?}"
        );
    }
}

/// Fails unless `ours` has everything that `theirs` has, with the same value.
#[track_caller]
fn assert_covers(what: &str, ours: &Value, theirs: &Value) {
    match theirs {
        Value::Object(map) => {
            for (key, value) in map {
                assert_covers(&format!("{what}.{key}"), &ours[key], value);
            }
        }
        Value::Array(list) => {
            assert_eq!(ours.as_array().map(Vec::len), Some(list.len()), "{what}");
            for (i, value) in list.iter().enumerate() {
                assert_covers(&format!("{what}[{i}]"), &ours[i], value);
            }
        }
        _ => assert_eq!(ours, theirs, "{what}"),
    }
}

/// qemu-img's info without what describes the file below an image.
fn without_children(mut info: Value) -> Value {
    info.as_object_mut().unwrap().remove("children");
    info
}

fn info(lab: &Lab) {
    for name in lab.names() {
        let qemu = without_children(lab.img_json(&format!("info --output=json {name}")));
        let ours = lab.run(&format!("info --json {name}")).expect(0).json();
        assert_covers(&name, &ours, &qemu);
        // Nothing invented either: what qemu-img leaves out does not exist.
        for key in ["backing-filename", "snapshots", "cluster-size", "format-specific", "encrypted"] {
            assert_eq!(ours.get(key).is_some(), qemu.get(key).is_some(), "{name}: {key}");
        }
        let listed = lab.run(&format!("snapshot list --json {name}"));
        if let Some(snapshots) = qemu.get("snapshots") {
            assert_covers(&name, &listed.expect(0).json(), snapshots);
        }
    }
}

fn info_chain(lab: &Lab) {
    for name in lab.names() {
        let path = lab.path(&name).display().to_string();
        let qemu = lab.img_json(&format!("info --output=json --backing-chain {path}"));
        let ours = lab.run(&format!("info --chain --json {path}")).expect(0).json();
        let qemu: Vec<_> = qemu.as_array().unwrap().iter().cloned().map(without_children).collect();
        assert_covers(&name, &ours, &Value::Array(qemu));
    }
}

fn map(lab: &Lab) {
    for name in lab.names() {
        let format =
            lab.img_json(&format!("info --output=json {name}"))["format"].as_str().unwrap().to_owned();
        let qemu = lab.img_json(&format!("map --output=json {name}"));
        let ours = lab.run(&format!("map --json {name}")).expect(0).json();
        assert_same_map(&name, &ours, &qemu);
        for entry in ours.as_array().unwrap() {
            assert_eq!(entry["offset"].is_null(), entry["filename"].is_null(), "{name}: {entry}");
        }
        let alone = if format == "raw" {
            format!("json:{{\"driver\":\"raw\",\"file\":{{\"driver\":\"file\",\"filename\":\"{name}\"}}}}")
        } else {
            format!(
                "json:{{\"driver\":\"{format}\",\"backing\":null,\"file\":{{\"driver\":\"file\",\"filename\":\"{name}\"}}}}"
            )
        };
        let qemu = lab.img_json(&format!("map --output=json {alone}"));
        let ours = lab.run(&format!("map --layer --json {name}")).expect(0).json();
        assert_same_map(&format!("{name} alone"), &ours, &qemu);
    }
}

/// Entry by entry; what qemu-img splits although it continues is joined first.
#[track_caller]
fn assert_same_map(what: &str, ours: &Value, qemu: &Value) {
    let (ours, qemu) = (joined(ours), joined(qemu));
    for (a, b) in ours.iter().zip(&qemu) {
        assert_eq!(a, b, "{what}");
    }
    assert_eq!(ours.len(), qemu.len(), "{what}");
}

fn joined(map: &Value) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    for entry in map.as_array().unwrap() {
        let mut entry = entry.clone();
        entry.as_object_mut().unwrap().remove("filename");
        if let Some(last) = out.last_mut() {
            let same = ["depth", "present", "zero", "data", "compressed"].iter().all(|k| last[k] == entry[k]);
            let length = last["length"].as_u64().unwrap();
            let offset = match (last["offset"].as_u64(), entry["offset"].as_u64()) {
                (None, None) => true,
                (Some(a), Some(b)) => a + length == b,
                _ => false,
            };
            if same && offset {
                last["length"] = json!(length + entry["length"].as_u64().unwrap());
                continue;
            }
        }
        out.push(entry);
    }
    out
}

fn cat(lab: &Lab) {
    for (view, expected) in lab.views() {
        assert_same(&view, &lab.cat(&view), &expected);
    }
    let whole = lab.bytes(&lab.names()[1], None);
    for (offset, length) in [(0, 1), (511, 70_000), (65_536, 65_536), (1_000_003, 2_000_003)] {
        let args = format!("cat {} --offset {offset} --length {length}", lab.names()[1]);
        let part = lab.run(&args).expect(0).out;
        let end = whole.len().min(offset + length);
        assert_same(&args, &part, &whole[offset..end]);
    }
}

fn compare(lab: &Lab) {
    let names = lab.names();
    for a in &names {
        for b in &names {
            let qemu = lab.try_tool("qemu-img", &["compare", a, b]).status.code().unwrap();
            let ours = lab.run(&format!("compare --json {a} {b}")).expect(qemu).json();
            assert_eq!(ours["identical"], json!(qemu == 0), "{a} {b}");
            let (x, y) = (lab.bytes(a, None), lab.bytes(b, None));
            let len = x.len().max(y.len());
            let at = |v: &[u8], i: usize| v.get(i).copied().unwrap_or(0);
            let first = (0..len).find(|i| at(&x, *i) != at(&y, *i));
            assert_eq!(ours["first_difference"], json!(first), "{a} {b}");
        }
    }
}

fn compressed() {
    for kind in ["zlib", "zstd"] {
        let lab = Lab::new();
        plain(&lab);
        lab.img(&format!("convert -c -O qcow2 -o compression_type={kind} l4.qcow2 packed.qcow2"));
        lab.img("create -q -f qcow2 -b packed.qcow2 -F qcow2 over.qcow2");
        lab.scribble("over.qcow2", "qcow2", 4 * MIB, 40, 8);
        for name in ["packed.qcow2", "over.qcow2"] {
            assert_same(name, &lab.cat(name), &lab.bytes(name, None));
            let qemu = lab.img_json(&format!("map --output=json {name}"));
            assert_same_map(name, &lab.run(&format!("map --json {name}")).expect(0).json(), &qemu);
        }
    }
}

fn by_id() {
    let lab = Lab::new();
    plain(&lab);
    assert_same("by id", &lab.cat("l1.qcow2@#2"), &lab.bytes("l1.qcow2", Some("again0")));
    let missing = lab.run("cat l1.qcow2@nothing").expect(1);
    assert!(missing.err.contains("nothing"), "{}", missing.err);
}
