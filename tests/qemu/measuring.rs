//! `measure` against the files that QEMU really makes.
//!
//! The figure is the length of a file in which nothing is wasted. QEMU's own files have it, rounded up
//! to a cluster, because the last one need not be written in full. Where the refcounts outgrow the one
//! cluster of table that a new image has, QEMU moves the table and leaves a gap: there the figure is
//! smaller. QEMU's own `measure` counts the L2 tables of a full disk, and no such gaps.

use std::fs::File;
use std::os::unix::fs::FileExt;

use serde_json::Value;

use crate::lab::{Lab, Random};
use crate::{Case, case};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("measuring::a_new_image_of_any_size", sizes),
        case("measuring::every_copy_of_every_view", copies),
        case("measuring::refcounts_that_outgrow_their_table", outgrown),
        case("measuring::at_most_when_compressed", compressed),
        case("measuring::a_snapshot_by_its_own_size", snapshot),
        case("measuring::dirty_bitmaps_as_qemu_img_does", bitmaps),
        case("measuring::what_cannot_be_measured", refused),
    ]
}

/// Source images are written in whole clusters of this size, and with no zeros in the data: QEMU looks
/// for zeros when it copies, and leaves them out.
const UNIT: u64 = 64 << 10;

/// A format as options of `measure` and `convert`, and its cluster size and bits for each refcount.
type Output = (&'static str, u64, u64);

const OUTPUTS: &[Output] = &[
    ("-O raw", 1, 0),
    ("-O qcow2", 64 << 10, 16),
    ("-O qcow2 -o cluster_size=512", 512, 16),
    ("-O qcow2 -o cluster_size=4k,refcount_bits=64", 4 << 10, 64),
    ("-O qcow2 -o cluster_size=2M,refcount_bits=1", 2 << 20, 1),
    ("-O qcow2 -o extended_l2=on", 64 << 10, 16),
    ("-O qcow2 -o cluster_size=16k,extended_l2=on", 16 << 10, 16),
    ("-O qcow2 -o compat=0.10", 64 << 10, 16),
    ("-O qcow2 -o preallocation=metadata", 64 << 10, 16),
    ("-O qcow2 -o cluster_size=8k,preallocation=falloc", 8 << 10, 16),
    ("-O qcow2 -o extended_l2=on,preallocation=full", 64 << 10, 16),
    ("-O qcow2 -o data_file=copy.data", 64 << 10, 16),
    ("-O qcow2 -o data_file=copy.data,data_file_raw=on,cluster_size=4k", 4 << 10, 16),
    ("-O qed", 64 << 10, 0),
    ("-O qed -o cluster_size=4k,table_size=16", 4 << 10, 0),
    ("-O qed -o cluster_size=1M,table_size=2", 1 << 20, 0),
];

/// What cowherd says about `what`.
#[track_caller]
fn measured(lab: &Lab, what: &str) -> (u64, u64) {
    let report = lab.run(&format!("measure --json {what}")).expect(0).json();
    (number(&report, "required"), number(&report, "fully-allocated"))
}

fn number(report: &Value, key: &str) -> u64 {
    report[key].as_u64().unwrap_or_else(|| panic!("{key}: {report:#}"))
}

/// The length of a file that qemu-img made and this removes, in whole clusters.
fn taken(lab: &Lab, name: &str, cluster: u64) -> u64 {
    let path = lab.path(name);
    let len = path.metadata().unwrap().len();
    std::fs::remove_file(path).unwrap();
    let _ = std::fs::remove_file(lab.path("copy.data"));
    len.next_multiple_of(cluster)
}

/// Bytes of clusters that one cluster of refcount table speaks about.
fn counted(cluster: u64, bits: u64) -> u64 {
    (cluster * 8).checked_div(bits).map_or(u64::MAX, |per_block| cluster / 8 * per_block * cluster)
}

fn sizes() {
    let lab = Lab::new();
    for size in ["0", "1", "512", "1000k", "1M", "7M", "64M", "1G", "777777k", "1T", "7T"] {
        for &(output, cluster, bits) in OUTPUTS {
            let (ahead, qed) = (output.contains("preallocation"), output.contains("qed"));
            // Too large for the format, or to be really taken.
            if size.ends_with('T') && cluster < 8192 && output != "-O raw"
                || size.ends_with(['T', 'G', 'k']) && ahead
            {
                continue;
            }
            // Of nothing at all, qemu-img preallocates one cluster.
            if size == "0" && ahead {
                continue;
            }
            let (required, full) = measured(&lab, &format!("--size {size} {output}"));
            lab.img(&format!("create -q -f {} new {size}", &output["-O ".len()..]));
            let theirs = taken(&lab, "new", cluster);
            if required <= counted(cluster, bits) {
                assert_eq!(required, theirs, "{size} {output}");
            }
            // QEMU, and so a copy, maps all of a raw data file; `create` leaves that to the first writes.
            if !ahead && !output.contains("data_file_raw") {
                lab.run(&format!("create -q -f {} new {size}", &output["-O ".len()..])).expect(0);
                lab.assert_clean();
                assert_eq!(required, taken(&lab, "new", 1), "{size} {output}");
            }
            // It does not know what lies in a data file.
            if !qed && !output.contains("data_file") {
                let theirs = lab.img_json(&format!("measure --output=json --size {size} {output}"));
                assert_eq!(full, number(&theirs, "fully-allocated"), "{size} {output}");
            }
        }
    }
}

/// Whole units of an image: written, zeroed, discarded.
fn fill(lab: &Lab, name: &str, format: &str, size: u64, seed: u64, count: usize) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let commands: Vec<_> = (0..count)
        .map(|_| {
            let at = random.below(size.div_ceil(UNIT)) * UNIT;
            let len = ((1 + random.below(6)) * UNIT).min(size - at);
            match random.below(10) {
                0..7 => format!("write -q -P {} {at} {len}", 1 + random.below(255)),
                7..9 => format!("write -q -z {at} {len}"),
                _ => format!("discard -q {at} {len}"),
            }
        })
        .collect();
    lab.io(name, format, &commands);
}

/// A raw file of `size` bytes with data in these units.
fn raw(lab: &Lab, name: &str, size: u64, units: impl IntoIterator<Item = u64>) {
    let file = File::create(lab.path(name)).unwrap();
    file.set_len(size).unwrap();
    for unit in units {
        let len = UNIT.min(size - unit * UNIT);
        file.write_all_at(&vec![unit as u8 | 1; len as usize], unit * UNIT).unwrap();
    }
}

/// Images of all kinds.
fn herd(lab: &Lab) {
    const MIB: u64 = 1 << 20;
    raw(lab, "full.raw", 3 * MIB, 0..48);
    raw(lab, "sparse.raw", 40 * MIB, [0, 7, 8, 300, 639]);
    raw(lab, "hole.raw", 5 * MIB + 512, []);
    raw(lab, "tail.raw", 777 * 512, [6]);
    lab.img("create -q -f qcow2 empty.qcow2 100M");
    lab.img("create -q -f qcow2 states.qcow2 10M");
    for (i, snapshot) in ["one", "two", "three"].iter().enumerate() {
        fill(lab, "states.qcow2", "qcow2", 10 * MIB, 3 + i as u64, 12);
        lab.img(&format!("snapshot -c {snapshot} states.qcow2"));
    }
    fill(lab, "states.qcow2", "qcow2", 10 * MIB, 9, 12);
    lab.img("create -q -f qcow2 -o cluster_size=512,refcount_bits=8 small.qcow2 3M");
    fill(lab, "small.qcow2", "qcow2", 3 * MIB, 20, 10);
    lab.img("create -q -f qcow2 -o extended_l2=on,cluster_size=2M parts.qcow2 21M");
    fill(lab, "parts.qcow2", "qcow2", 21 * MIB, 21, 10);
    lab.img("create -q -f qcow2 -b sparse.raw -F raw over.qcow2 50M");
    fill(lab, "over.qcow2", "qcow2", 50 * MIB, 22, 20);
    lab.img("create -q -f qed -b tail.raw -F raw top.qed 6M");
    fill(lab, "top.qed", "qed", 6 * MIB, 23, 10);
    lab.img("create -q -f qcow2 -b over.qcow2 -F qcow2 shorter.qcow2 20M");
    fill(lab, "shorter.qcow2", "qcow2", 20 * MIB, 24, 8);
    lab.img("convert -c -O qcow2 over.qcow2 packed.qcow2");
}

fn copies() {
    let lab = Lab::new();
    herd(&lab);
    let mut exact = 0;
    for name in lab.names() {
        let views = lab.snapshots(&name).into_iter().map(Some).chain([None]);
        for snapshot in views {
            for &(output, cluster, bits) in OUTPUTS {
                let (view, choice) = match &snapshot {
                    Some(snapshot) => (format!("{name}@{snapshot}"), format!("-l snapshot.name={snapshot}")),
                    None => (name.clone(), String::new()),
                };
                let format = if name.ends_with("raw") { "-f raw" } else { "" };
                let (required, full) = measured(&lab, &format!("{format} {view} {output}"));
                lab.img(&format!("convert {format} {choice} {output} {name} copy"));
                let taken = taken(&lab, "copy", cluster);
                assert!(required <= full, "{view} {output}");
                if required <= counted(cluster, bits) {
                    assert_eq!(required, taken, "{view} {output}");
                    exact += 1;
                } else {
                    assert!(required < taken, "{view} {output}: {required}, {taken}");
                }
            }
        }
    }
    assert!(exact > 150, "{exact}");
}

/// QEMU leaves at most the old tables and half as much again as it needs.
fn outgrown() {
    let lab = Lab::new();
    raw(&lab, "full.raw", 20 << 20, 0..320);
    for bits in [16, 64] {
        let output = format!("-O qcow2 -o cluster_size=512,refcount_bits={bits}");
        let (required, full) = measured(&lab, &format!("-f raw full.raw {output}"));
        assert_eq!(required, full, "{output}");
        lab.img(&format!("convert -f raw {output} full.raw copy"));
        let wasted = taken(&lab, "copy", 512) - required;
        assert!((512..256 << 10).contains(&wasted), "{output}: {wasted}");
    }
}

fn compressed() {
    let lab = Lab::new();
    herd(&lab);
    for name in ["full.raw", "states.qcow2", "over.qcow2", "packed.qcow2"] {
        let format = if name.ends_with("raw") { "-f raw" } else { "" };
        for method in ["zlib", "zstd"] {
            let output = format!("-O qcow2 -o compression_type={method}");
            let (required, _) = measured(&lab, &format!("{format} {name} {output}"));
            lab.img(&format!("convert -c {format} {output} {name} copy"));
            let taken = taken(&lab, "copy", 1);
            assert!(taken < required, "{name} {output}: {taken}, {required}");
        }
    }
}

/// qemu-img takes the size that the image has now, and so does not say what the snapshot needs.
fn snapshot() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 a.qcow2 1M");
    fill(&lab, "a.qcow2", "qcow2", 1 << 20, 4, 8);
    lab.img("snapshot -c sn0 a.qcow2");
    let before: Vec<_> = OUTPUTS.iter().map(|(o, ..)| measured(&lab, &format!("a.qcow2@sn0 {o}"))).collect();
    lab.img("resize -q a.qcow2 9M");
    fill(&lab, "a.qcow2", "qcow2", 9 << 20, 5, 8);
    for (&(output, cluster, _), before) in OUTPUTS.iter().zip(before) {
        assert_eq!(measured(&lab, &format!("a.qcow2@sn0 {output}")), before, "{output}");
        lab.img(&format!("convert {output} a.qcow2 copy"));
        let now = measured(&lab, &format!("a.qcow2 {output}"));
        assert_eq!(now.0, taken(&lab, "copy", cluster), "{output}");
        assert!(now.1 > before.1 || output.contains("data_file"), "{output}");
    }
}

/// They are not part of a copy unless asked for; qemu-img says so by a figure of their own.
fn bitmaps() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 none.qcow2 10M");
    lab.img("create -q -f qcow2 -o compat=0.10 old.qcow2 10M");
    lab.img("create -q -f qcow2 some.qcow2 3G");
    lab.img("bitmap --add some.qcow2 first");
    lab.img("bitmap --add --disable -g 512 some.qcow2 a-second-one");
    lab.img("create -q -f qcow2 -b some.qcow2 -F qcow2 over.qcow2");
    lab.img("create -q -f raw plain.raw 10M");
    for name in ["none.qcow2", "old.qcow2", "some.qcow2", "over.qcow2", "plain.raw"] {
        let format = if name.ends_with("raw") { "-f raw" } else { "" };
        for output in ["-O raw", "-O qcow2", "-O qcow2 -o cluster_size=512", "-O qcow2 -o compat=0.10"] {
            if name == "some.qcow2" && output.ends_with("512") {
                continue;
            }
            let ours = lab.run(&format!("measure --json {format} {name} {output}")).expect(0).json();
            let theirs = lab.img_json(&format!("measure --output=json {format} {output} {name}"));
            assert_eq!(ours["bitmaps"], theirs["bitmaps"], "{name} {output}");
        }
    }
    let ours = lab.run("info --json some.qcow2").expect(0).json();
    let theirs = lab.img_json("info --output=json some.qcow2");
    let listed = |info: &Value| info["format-specific"]["data"]["bitmaps"].clone();
    assert!(listed(&theirs).is_array(), "{theirs:#}");
    assert_eq!(listed(&ours), listed(&theirs));
}

fn refused() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 a.qcow2 1M");
    lab.run("measure").expect(2);
    lab.run("measure a.qcow2 --size 1M").expect(2);
    lab.run("measure --size 1M -O qcow2 -o cluster_size=3").expect(2);
    lab.run("measure --size 7T -O qcow2 -o cluster_size=512").expect(2);
    lab.run("measure --size 1M -O qed -o table_size=3").expect(2);
    lab.run("measure --size 1M -O raw -o cluster_size=512").expect(2);
    lab.run("measure no-such-file").expect(1);
    let text = lab.run("measure --size 1M -O qcow2").expect(0).text();
    assert!(text.contains("required") && text.contains("(1376256 bytes)"), "{text}");
}
