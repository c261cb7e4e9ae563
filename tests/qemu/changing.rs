//! The verbs that change one image by itself, side by side with QEMU's: `resize` and `snapshot`.

use crate::lab::{Lab, assert_same};
use crate::{Case, case};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("changing::resize_as_qemu_img_does", resize),
        case("changing::resize_over_backing_files", resize_overlay),
        case("changing::resize_asks_before_anything_is_lost", resize_consent),
        case("changing::snapshots_are_those_of_qemu_img", snapshots),
        case("changing::ids_and_names_are_never_mixed", ids_and_names),
        case("changing::a_snapshot_brings_its_size_back", snapshot_size),
        case("changing::a_disk_of_nothing_leaks_nothing", nothing),
    ]
}

/// Each case by both programs, from the same image.
fn resize() {
    for (format, options) in [
        ("raw", ""),
        ("qed", ""),
        ("qcow2", ""),
        ("qcow2", "-o compat=0.10"),
        ("qcow2", "-o cluster_size=512,refcount_bits=1"),
        ("qcow2", "-o extended_l2=on"),
        ("qcow2", "-o cluster_size=2M"),
    ] {
        for size in ["8M", "+1", "+3M", "5000k", "2M", "-1M", "-3000k", "512"] {
            let lab = Lab::new();
            lab.img(&format!("create -q -f {format} {options} a 4M"));
            lab.scribble("a", format, 4 << 20, 11, 12);
            std::fs::copy(lab.path("a"), lab.path("b")).unwrap();
            let shrinks = !size.starts_with('+') && !["8M", "5000k"].contains(&size);
            let what = format!("{format} {options} to {size}");
            // QEMU refuses what is no multiple of a sector, except for raw files, instead of rounding it up.
            let by = if format != "raw" && size == "+1" { "+512" } else { size };
            let flags = if shrinks { "--shrink --accept no-undo" } else { "" };
            let answer = lab.run(&format!("resize a {size} {flags} --yes"));
            let shrink = if shrinks { "--shrink" } else { "" };
            let line = format!("resize -q -f {format} {shrink} b -- {by}");
            let qemu = lab.try_tool("qemu-img", &line.split_whitespace().collect::<Vec<_>>());
            if format == "qed" && shrinks {
                // QEMU cannot do this at all.
                assert_eq!((answer.code, qemu.status.success()), (0, false), "{what}: {}", answer.err);
                let (ours, old) = (bytes(&lab, "a", format), bytes(&lab, "b", format));
                assert!(ours.len() < old.len(), "{what}: not shorter");
                assert_same(&what, &ours, &old[..ours.len()]);
                lab.assert_clean();
                continue;
            }
            assert_eq!(answer.code == 0, qemu.status.success(), "{what}: {}", answer.err);
            assert_same(&what, &bytes(&lab, "a", format), &bytes(&lab, "b", format));
            if answer.code == 0 {
                assert_same(
                    &what,
                    &lab.cowherd(&["cat", "-f", format, "a"]).expect(0).out,
                    &bytes(&lab, "a", format),
                );
            }
            lab.assert_clean();
        }
    }
}

fn bytes(lab: &Lab, name: &str, format: &str) -> Vec<u8> {
    lab.img(&format!("convert -f {format} -O raw {name} ../bytes"));
    std::fs::read(lab.outside().join("bytes")).unwrap()
}

/// A grown overlay ends in zeros, whatever a longer backing file has there.
fn resize_overlay() {
    for (format, options) in [("qcow2", ""), ("qcow2", "-o compat=0.10"), ("qed", "")] {
        for (from, to) in [("1M", "3M"), ("1000k", "2M"), ("1000k", "8M"), ("6M", "7M"), ("4M", "5M")] {
            let lab = Lab::new();
            lab.img("create -q -f qcow2 base.qcow2 4M");
            lab.io("base.qcow2", "qcow2", &["write -q -P 9 0 4M".to_owned()]);
            lab.img(&format!("create -q -f {format} {options} -b base.qcow2 -F qcow2 a {from}"));
            lab.io("a", format, &["write -q -P 3 100k 10k".to_owned()]);
            let mut expected = bytes(&lab, "a", format);
            lab.run(&format!("resize a {to} --yes")).expect(0);
            let now = bytes(&lab, "a", format);
            expected.resize(now.len(), 0);
            assert_same(&format!("{format} {options} {from} to {to}"), &now, &expected);
            lab.assert_clean();
        }
    }
}

fn resize_consent() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 a.qcow2 4M");
    lab.scribble("a.qcow2", "qcow2", 4 << 20, 1, 8);
    let before = lab.files();
    let answer = lab.run("resize a.qcow2 1M --yes").expect(2);
    assert!(answer.err.contains("--shrink"), "{}", answer.err);
    let answer = lab.run("resize a.qcow2 1M --yes --shrink").expect(10);
    assert!(answer.err.contains("--accept no-undo"), "{}", answer.err);
    lab.run("resize a.qcow2 8M").expect(10);
    lab.run("resize a.qcow2 -- -4M").expect(2);
    lab.run("resize a.qcow2 0 --shrink --yes --accept no-undo").expect(2);
    let plan = lab.run("resize a.qcow2 -1M --shrink --dry-run --json").expect(0).json();
    assert_eq!(plan["steps"][0]["to"], 3 << 20, "{plan:#}");
    assert!(before == lab.files());
}

/// Taken by one and used by the other, in both directions.
fn snapshots() {
    for options in ["", "-o compat=0.10", "-o extended_l2=on", "-o cluster_size=512,refcount_bits=64"] {
        let lab = Lab::new();
        lab.img(&format!("create -q -f qcow2 {options} a.qcow2 2M"));
        let mut saved = Vec::new();
        for i in 0..4 {
            lab.scribble("a.qcow2", "qcow2", 2 << 20, i + 1, 8);
            saved.push(lab.bytes("a.qcow2", None));
            match i % 2 {
                0 => drop(lab.run(&format!("snapshot create a.qcow2 sn{i} --yes")).expect(0)),
                _ => drop(lab.img(&format!("snapshot -c sn{i} a.qcow2"))),
            }
            lab.assert_clean();
        }
        assert_eq!(lab.snapshots("a.qcow2"), ["sn0", "sn1", "sn2", "sn3"]);
        let info = lab.img_json("info --output=json a.qcow2");
        let ids: Vec<_> = info["snapshots"].as_array().unwrap().iter().map(|s| s["id"].clone()).collect();
        assert_eq!(ids, ["1", "2", "3", "4"]);
        for i in [2, 1] {
            match i {
                2 => drop(lab.img("snapshot -a sn2 a.qcow2")),
                _ => drop(lab.run("snapshot apply a.qcow2 sn1 --yes --accept no-undo").expect(0)),
            }
            assert_same("applied", &lab.bytes("a.qcow2", None), &saved[i]);
            lab.assert_clean();
        }
        lab.run("snapshot rename a.qcow2 sn3 other --yes").expect(0);
        lab.run("snapshot delete a.qcow2 sn0 --yes --accept no-undo").expect(0);
        lab.img("snapshot -d sn2 a.qcow2");
        assert_eq!(lab.snapshots("a.qcow2"), ["sn1", "other"]);
        lab.assert_clean();
        for (name, i) in [("sn1", 1), ("other", 3)] {
            assert_same(name, &lab.bytes("a.qcow2", Some(name)), &saved[i]);
            assert_same(name, &lab.cat(&format!("a.qcow2@{name}")), &saved[i]);
        }
    }
}

fn ids_and_names() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 a.qcow2 1M");
    lab.run("snapshot create a.qcow2 2 --yes").expect(0);
    lab.run("snapshot create a.qcow2 1 --yes").expect(0);
    // QEMU makes duplicate names; they can only be told apart by id.
    lab.img("snapshot -c 1 a.qcow2");
    let before = lab.files();
    assert!(lab.run("snapshot delete a.qcow2 1 --yes --accept no-undo").expect(2).err.contains("#ID"));
    lab.run("snapshot apply a.qcow2 #4 --yes --accept no-undo").expect(1);
    lab.run("snapshot rename a.qcow2 #1 1 --yes").expect(2);
    lab.cowherd(&["snapshot", "create", "a.qcow2", "", "--yes"]).expect(2);
    assert!(before == lab.files());
    lab.run("snapshot delete a.qcow2 #1 --yes --accept no-undo").expect(0);
    assert_eq!(lab.snapshots("a.qcow2"), ["1", "1"]);
    lab.run("snapshot rename a.qcow2 #3 third --yes").expect(0);
    lab.run("snapshot delete a.qcow2 1 --yes --accept no-undo").expect(0);
    assert_eq!(lab.snapshots("a.qcow2"), ["third"]);
    lab.assert_clean();
}

fn snapshot_size() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 a.qcow2 1M");
    lab.scribble("a.qcow2", "qcow2", 1 << 20, 4, 8);
    let expected = lab.bytes("a.qcow2", None);
    lab.run("snapshot create a.qcow2 small --yes").expect(0);
    lab.run("resize a.qcow2 3M --yes").expect(0);
    lab.scribble("a.qcow2", "qcow2", 3 << 20, 5, 8);
    let large = lab.bytes("a.qcow2", None);
    lab.run("snapshot create a.qcow2 large --yes").expect(0);
    let plan = lab.run("snapshot apply a.qcow2 small --dry-run --json").expect(0).json();
    let kinds: Vec<_> = plan["hazards"].as_array().unwrap().iter().map(|h| h["kind"].clone()).collect();
    assert!(kinds.contains(&"size-differs".into()) && kinds.contains(&"no-undo".into()), "{kinds:?}");
    lab.run("snapshot apply a.qcow2 small --yes --accept no-undo").expect(0);
    assert_same("small", &lab.bytes("a.qcow2", None), &expected);
    lab.run("snapshot apply a.qcow2 large --yes --accept no-undo").expect(0);
    assert_same("large", &lab.bytes("a.qcow2", None), &large);
    lab.assert_clean();
}

/// Without a byte there is no L1 table, and no cluster for it.
fn nothing() {
    let lab = Lab::new();
    lab.run("create -q -f qcow2 a.qcow2 0").expect(0);
    lab.img("create -q -f qcow2 b.qcow2 0");
    for name in ["a.qcow2", "b.qcow2"] {
        for change in ["snapshot create IMAGE sn0", "resize IMAGE 2M", "snapshot create IMAGE sn1"] {
            lab.run(&format!("{} --yes", change.replace("IMAGE", name))).expect(0);
            lab.assert_clean();
        }
        lab.io(name, "qcow2", &["write -P 1 0 2M".to_owned()]);
        lab.run(&format!("snapshot apply {name} sn0 --yes --accept no-undo")).expect(0);
        lab.assert_clean();
        assert!(lab.bytes(name, None).is_empty());
        assert_eq!(lab.run(&format!("info --json {name}")).json()["virtual-size"], 0);
        lab.img(&format!("snapshot -a sn1 {name}"));
        lab.run(&format!("snapshot delete {name} sn0 --yes --accept no-undo")).expect(0);
        lab.assert_clean();
    }
}
