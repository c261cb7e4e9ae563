//! `create -o`: what QEMU says about images that cowherd made, and what its own would be.

use std::os::unix::fs::MetadataExt;

use crate::lab::Lab;
use crate::{Case, case};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("creating::options_of_qcow2_are_recorded", options),
        case("creating::everything_can_be_preallocated", preallocation),
        case("creating::impossible_options_leave_nothing", impossible),
    ]
}

fn options() {
    for option in [
        "cluster_size=512",
        "cluster_size=2M,refcount_bits=1",
        "refcount_bits=64,lazy_refcounts=on",
        "compat=0.10",
        "compat=1.1,lazy_refcounts=off",
        "extended_l2=on",
        "extended_l2=on,cluster_size=16k,compression_type=zstd",
        "compression_type=zstd",
        "compression_type=zlib",
        "preallocation=off",
    ] {
        let lab = Lab::new();
        lab.run(&format!("create a.qcow2 3M -f qcow2 -o {option}")).expect(0);
        lab.img(&format!("create -q -f qcow2 -o {option} b.qcow2 3M"));
        let (ours, theirs) =
            (lab.img_json("info --output=json a.qcow2"), lab.img_json("info --output=json b.qcow2"));
        for key in ["virtual-size", "cluster-size", "format-specific"] {
            assert_eq!(ours[key], theirs[key], "{option}: {key}");
        }
        lab.scribble("a.qcow2", "qcow2", 3 << 20, 8, 12);
        lab.assert_clean();
    }
}

fn preallocation() {
    for option in
        ["", ",cluster_size=512", ",cluster_size=2M", ",extended_l2=on", ",compat=0.10", ",refcount_bits=1"]
    {
        for how in ["metadata", "falloc", "full"] {
            let lab = Lab::new();
            lab.run(&format!("create a.qcow2 5000k -f qcow2 -o preallocation={how}{option}")).expect(0);
            lab.img(&format!("create -q -f qcow2 -o preallocation={how}{option} b.qcow2 5000k"));
            let what = format!("{how}{option}");
            lab.assert_clean();
            let map = lab.img_json("map --output=json a.qcow2");
            let unmapped =
                map.as_array().unwrap().iter().any(|e| e["present"] == false || e["offset"].is_null());
            assert!(!unmapped, "{what}: {map:#}");
            assert!(lab.bytes("a.qcow2", None) == vec![0; 5000 << 10], "{what}: not zeros");
            assert_eq!(
                lab.run("check --json a.qcow2").expect(0).json()["allocated-clusters"],
                lab.img_json("check --output=json b.qcow2")["allocated-clusters"],
                "{what}"
            );
            let blocks = |name: &str| std::fs::metadata(lab.path(name)).unwrap().blocks() * 512;
            // Tables of 2 MiB are mostly metadata themselves.
            if how == "metadata" && !option.ends_with("2M") {
                assert!(blocks("a.qcow2") < 2 << 20, "{what}: {} bytes taken", blocks("a.qcow2"));
            } else if how != "metadata" {
                assert!(blocks("a.qcow2") >= 5000 << 10, "{what}: {} bytes taken", blocks("a.qcow2"));
            }
            // A guest's writes need no more room.
            let before = std::fs::metadata(lab.path("a.qcow2")).unwrap().len();
            lab.io("a.qcow2", "qcow2", &["write -q -P 7 1000k 3000k".to_owned()]);
            assert_eq!(std::fs::metadata(lab.path("a.qcow2")).unwrap().len(), before, "{what}: it grew");
            lab.assert_clean();
        }
    }
    for (how, least) in [("off", 0), ("falloc", 1 << 20), ("full", 1 << 20)] {
        let lab = Lab::new();
        lab.run(&format!("create a.img 1M -f raw -o preallocation={how}")).expect(0);
        let meta = std::fs::metadata(lab.path("a.img")).unwrap();
        assert_eq!(meta.len(), 1 << 20, "{how}");
        assert!(
            meta.blocks() * 512 >= least && (least > 0 || meta.blocks() == 0),
            "{how}: {}",
            meta.blocks()
        );
        assert!(lab.bytes("a.img", None) == vec![0; 1 << 20], "{how}: not zeros");
    }
}

fn impossible() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 base.qcow2 1M");
    let before = lab.files();
    for line in [
        "-f qcow2 -o compression_type=lzma",
        "-f qcow2 -o compat=0.10,compression_type=zstd",
        "-f qcow2 -o compat=0.10,extended_l2=on",
        "-f qcow2 -o compat=0.10,lazy_refcounts=on",
        "-f qcow2 -o extended_l2=on,cluster_size=8k",
        "-f qcow2 -o extended_l2=maybe",
        "-f qcow2 -o lazy_refcounts=",
        "-f qcow2 -o preallocation=some",
        "-f qcow2 -o preallocation=full -b base.qcow2 -F qcow2",
        "-f raw -o preallocation=metadata",
        "-f raw -o cluster_size=4k",
        "-f qed -o preallocation=full",
    ] {
        lab.run(&format!("create a 1M {line}")).expect(2);
    }
    assert!(before == lab.files(), "a failure left something behind");
}
