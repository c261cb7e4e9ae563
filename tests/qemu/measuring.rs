//! `measure` against `qemu-img measure`.

use serde_json::Value;

use crate::lab::Lab;
use crate::{Case, case, reading};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("measuring::any_size_as_qemu_img_does", sizes),
        case("measuring::many_images_as_qemu_img_does", images),
        case("measuring::a_snapshot_by_its_own_size", snapshot),
        case("measuring::what_cannot_be_measured", refused),
    ]
}

const OUTPUTS: &[&str] = &[
    "-O raw",
    "-O qcow2",
    "-O qcow2 -o cluster_size=512",
    "-O qcow2 -o cluster_size=4k,refcount_bits=64",
    "-O qcow2 -o cluster_size=2M,refcount_bits=1",
    "-O qcow2 -o extended_l2=on",
    "-O qcow2 -o compat=0.10",
    "-O qcow2 -o preallocation=metadata",
    "-O qcow2 -o preallocation=full",
];

#[track_caller]
fn same(lab: &Lab, ours: &str, theirs: &str) {
    let ours_json = lab.run(&format!("measure --json {ours}")).expect(0).json();
    let theirs_json = lab.img_json(&format!("measure --output=json {theirs}"));
    for key in ["required", "fully-allocated"] {
        assert_eq!(number(&ours_json, key), number(&theirs_json, key), "{key}: {ours} / {theirs}");
    }
}

fn number(report: &Value, key: &str) -> u64 {
    report[key].as_u64().unwrap_or_else(|| panic!("{key}: {report:#}"))
}

fn sizes() {
    let lab = Lab::new();
    for size in ["0", "1", "512", "1000k", "1M", "64M", "1G", "777777k", "1T", "7T"] {
        for output in OUTPUTS {
            let small = output.contains("=512") || output.contains("=4k");
            if !(size.ends_with('T') && small) {
                same(&lab, &format!("--size {size} {output}"), &format!("--size {size} {output}"));
            }
        }
    }
}

fn images() {
    let lab = Lab::new();
    reading::plain(&lab);
    lab.img("convert -c -O qcow2 l4.qcow2 packed.qcow2");
    lab.img("create -q -f qed -b l4.qcow2 -F qcow2 top.qed 3M");
    lab.scribble("top.qed", "qed", 3 << 20, 9, 10);
    lab.img("create -q -f qcow2 -o extended_l2=on -b top.qed -F qed sub.qcow2 5M");
    lab.scribble("sub.qcow2", "qcow2", 5 << 20, 10, 10);
    for name in lab.names() {
        for output in OUTPUTS {
            same(&lab, &format!("{name} {output}"), &format!("{output} {name}"));
        }
    }
}

/// qemu-img takes the size that the image has now, and so does not say what the snapshot needs.
fn snapshot() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 a.qcow2 1M");
    lab.scribble("a.qcow2", "qcow2", 1 << 20, 4, 8);
    lab.img("snapshot -c sn0 a.qcow2");
    same(&lab, "a.qcow2@sn0 -O qcow2", "-O qcow2 -l sn0 a.qcow2");
    let before = lab.img_json("measure --output=json -O raw a.qcow2");
    lab.img("resize -q a.qcow2 9M");
    let now = lab.run("measure --json a.qcow2@sn0 -O raw").expect(0).json();
    assert_eq!(number(&now, "required"), number(&before, "required"));
    same(&lab, "a.qcow2 -O qcow2", "-O qcow2 a.qcow2");
}

fn refused() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 a.qcow2 1M");
    lab.run("measure").expect(2);
    lab.run("measure a.qcow2 --size 1M").expect(2);
    lab.run("measure --size 1M -O qcow2 -o cluster_size=3").expect(2);
    lab.run("measure --size 7T -O qcow2 -o cluster_size=512").expect(2);
    lab.run("measure --size 1M -O qed").expect(13);
    lab.run("measure no-such-file").expect(1);
    let text = lab.run("measure --size 1M -O qcow2").expect(0).text();
    assert!(text.contains("required") && text.contains("(1376256 bytes)"), "{text}");
}
