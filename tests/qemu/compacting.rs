//! Compact: QEMU reads every view as before, finds nothing wrong, and the host has its space back.

use std::os::unix::fs::MetadataExt;

use crate::commit::{data_file_sibling, layer};
use crate::lab::{Lab, assert_same};
use crate::{Case, OnLab, case};

const MIB: u64 = 1 << 20;
const Q: &str = "qcow2";

/// How an image is made, and whether its file must become shorter.
const TRIALS: &[(&str, OnLab, &str, bool)] = &[
    ("holes", holes, "a.qcow2", true),
    ("snapshots", snapshots, "a.qcow2", true),
    ("shared_tables", shared, "a.qcow2", true),
    ("version_2", version_2, "a.qcow2", true),
    ("extended_l2", extended, "a.qcow2", true),
    ("small_clusters", small, "a.qcow2", true),
    ("large_clusters", large, "a.qcow2", true),
    ("narrow_refcounts", narrow, "a.qcow2", true),
    ("wide_refcounts", wide, "a.qcow2", true),
    ("compressed", compressed, "a.qcow2", true),
    ("overlay", overlay, "a.qcow2", true),
    ("preallocated", preallocated, "a.qcow2", false),
    ("data_file", data_file_sibling, "side.qcow2", false),
    ("bitmaps", bitmaps, "a.qcow2", true),
    ("a_tail_that_nothing_uses", tail, "a.qcow2", true),
    ("qed", qed, "a.qed", true),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> = TRIALS
        .iter()
        .map(|(name, make, image, shorter)| {
            case(format!("compacting::{name}"), move || compacts(*make, image, *shorter))
        })
        .collect();
    cases.push(case("compacting::what_is_encrypted", encrypted));
    cases.push(case("compacting::bitmaps_keep_their_bits", keeps_bitmaps));
    cases.push(case("compacting::space_goes_back", space));
    cases.push(case("compacting::refusals", refusals));
    cases
}

fn compacts(make: OnLab, image: &str, shorter: bool) {
    let lab = Lab::new();
    make(&lab);
    let before = lab.views();
    let file = || lab.path(image).metadata().unwrap();
    let (len, disk) = (file().len(), file().blocks());
    let plan = lab.run(&format!("compact {image} --dry-run --json")).expect(0).json();
    assert!(plan["views_changed"].as_array().unwrap().is_empty(), "{plan:#}");
    let report = lab.run(&format!("compact {image} --yes --json")).expect(0).json();
    let (wrote, planned) = (report["written_bytes"].as_u64(), plan["cost"]["write_bytes"].as_u64());
    assert!(wrote <= planned, "wrote {wrote:?}, planned {planned:?}");
    if plan["cost"]["exact"] == true {
        assert_eq!(wrote, planned);
        assert_eq!(report["freed_bytes"], plan["cost"]["freed_bytes"]);
    }
    lab.assert_clean();
    let after = lab.views();
    for (view, bytes) in &before {
        assert_same(&format!("{view}, read by QEMU"), &after[view], bytes);
        if !view.ends_with(".data") {
            assert_same(&format!("{view}, read by cowherd"), &lab.cat(view), bytes);
        }
    }
    // QEMU need not write the last cluster in full.
    assert!(file().len() <= len.next_multiple_of(2 * MIB), "{len} became {}", file().len());
    assert!(!shorter || file().len() < len, "{len} became {}", file().len());
    // The file system takes blocks of its own, to say where the pieces are.
    assert!(file().blocks() <= disk + 64, "{disk} blocks became {}", file().blocks());
    println!("{image}: {len} became {}, {disk} blocks became {}", file().len(), file().blocks());
    let files = lab.files();
    let again = lab.run(&format!("compact {image}")).expect(0);
    assert!(again.text().contains("nothing to do"), "{}", again.text());
    assert!(files == lab.files());
    // And it goes on living.
    let format = if image.ends_with(".qed") { "qed" } else { Q };
    lab.scribble(image, format, MIB, 99, 6);
    lab.assert_clean();
}

/// Data all over, of which most is taken away again.
fn fill(lab: &Lab, name: &str) {
    lab.io(name, Q, &["write -q -P 17 0 3M".to_owned()]);
    lab.scribble(name, Q, 4 * MIB, 5, 12);
    let holes: Vec<_> = (0..11).map(|i| format!("discard -q {} 256k", i * 320 * 1024)).collect();
    lab.io(name, Q, &holes);
    lab.scribble(name, Q, 4 * MIB, 6, 4);
}

fn made(lab: &Lab, options: &str) {
    layer(lab, "a.qcow2", None, options, 4 * MIB, 1, 0);
    fill(lab, "a.qcow2");
}

fn holes(lab: &Lab) {
    made(lab, "");
}

fn snapshots(lab: &Lab) {
    layer(lab, "a.qcow2", None, "cluster_size=4k", 4 * MIB, 1, 10);
    for i in 0..4 {
        lab.img(&format!("snapshot -c sn{i} a.qcow2"));
        lab.scribble("a.qcow2", Q, 4 * MIB, 20 + i, 5);
    }
    lab.img("snapshot -d sn0 a.qcow2");
    lab.img("snapshot -d sn2 a.qcow2");
}

fn shared(lab: &Lab) {
    made(lab, "cluster_size=16k");
    lab.img("snapshot -c kept a.qcow2");
    lab.img("snapshot -c twice a.qcow2");
    lab.scribble("a.qcow2", Q, 4 * MIB, 7, 2);
}

fn version_2(lab: &Lab) {
    made(lab, "compat=0.10,cluster_size=4k");
    lab.img("snapshot -c sn0 a.qcow2");
    lab.scribble("a.qcow2", Q, 4 * MIB, 7, 3);
}

fn extended(lab: &Lab) {
    made(lab, "extended_l2=on,cluster_size=16k");
    lab.img("snapshot -c sn0 a.qcow2");
    lab.scribble("a.qcow2", Q, 4 * MIB, 7, 3);
}

fn small(lab: &Lab) {
    made(lab, "cluster_size=512");
}

fn large(lab: &Lab) {
    layer(lab, "a.qcow2", None, "cluster_size=2M", 64 * MIB, 1, 0);
    lab.io("a.qcow2", Q, &["write -q -P 17 0 60M".to_owned()]);
    lab.io("a.qcow2", Q, &["discard -q 2M 30M".to_owned()]);
}

fn narrow(lab: &Lab) {
    made(lab, "refcount_bits=1,cluster_size=4k");
}

fn wide(lab: &Lab) {
    made(lab, "refcount_bits=64,cluster_size=4k");
    lab.img("snapshot -c sn0 a.qcow2");
}

fn compressed(lab: &Lab) {
    layer(lab, "whole.qcow2", None, "", 4 * MIB, 1, 20);
    lab.img("convert -c -O qcow2 whole.qcow2 a.qcow2");
    fill(lab, "a.qcow2");
}

fn overlay(lab: &Lab) {
    layer(lab, "base.qcow2", None, "", 4 * MIB, 1, 20);
    layer(lab, "a.qcow2", Some(("base.qcow2", Q)), "cluster_size=8k", 4 * MIB, 2, 0);
    fill(lab, "a.qcow2");
    layer(lab, "above.qcow2", Some(("a.qcow2", Q)), "", 4 * MIB, 3, 4);
}

fn preallocated(lab: &Lab) {
    made(lab, "preallocation=falloc,cluster_size=4k");
    lab.img("snapshot -c sn0 a.qcow2");
    lab.scribble("a.qcow2", Q, 4 * MIB, 7, 4);
    lab.img("snapshot -d sn0 a.qcow2");
}

fn bitmaps(lab: &Lab) {
    made(lab, "");
    lab.img("bitmap --add -g 4096 a.qcow2 first");
    lab.img("bitmap --add a.qcow2 second");
    lab.scribble("a.qcow2", Q, 4 * MIB, 30, 5);
}

fn tail(lab: &Lab) {
    made(lab, "");
    lab.run("compact a.qcow2 --yes").expect(0);
    let file = std::fs::OpenOptions::new().write(true).open(lab.path("a.qcow2")).unwrap();
    file.set_len(lab.path("a.qcow2").metadata().unwrap().len() + 10 * MIB).unwrap();
}

fn qed(lab: &Lab) {
    lab.img("create -q -f qed -o cluster_size=4k,table_size=2 a.qed 4M");
    lab.scribble("a.qed", "qed", 4 * MIB, 5, 10);
    // Space that nothing refers to, which QEMU never takes again.
    let file = std::fs::OpenOptions::new().append(true).open(lab.path("a.qed")).unwrap();
    std::io::Write::write_all(&mut &file, &[7; 40960]).unwrap();
    lab.scribble("a.qed", "qed", 4 * MIB, 6, 4);
}

fn space() {
    let lab = Lab::new();
    layer(&lab, "a.qcow2", None, "", 64 * MIB, 1, 0);
    lab.io("a.qcow2", Q, &["write -q -P 5 0 64M".to_owned()]);
    lab.img("snapshot -c old a.qcow2");
    lab.io("a.qcow2", Q, &["write -q -P 6 16M 16M".to_owned()]);
    // QEMU keeps what a deleted snapshot held.
    lab.img("snapshot -d old a.qcow2");
    let before = lab.bytes("a.qcow2", None);
    let disk = |lab: &Lab| lab.path("a.qcow2").metadata().unwrap().blocks() * 512;
    let was = disk(&lab);
    let report = lab.run("compact a.qcow2 --yes --json").expect(0).json();
    assert_same("the image", &lab.bytes("a.qcow2", None), &before);
    lab.assert_clean();
    assert!(disk(&lab) < 66 * MIB, "{was} became {}", disk(&lab));
    assert!(lab.path("a.qcow2").metadata().unwrap().len() < 66 * MIB);
    println!("{was} bytes on disk became {}; {report}", disk(&lab));
}

/// `qemu-io` and `qemu-img convert` with a key.
fn encrypted() {
    for format in ["luks", "aes"] {
        let lab = Lab::new();
        let secret = ["--object", "secret,id=key,data=moo"];
        let options = format!("encrypt.format={format},encrypt.key-secret=key,cluster_size=4k");
        let create = ["create", "-q", "-f", Q, "-o", &options, "a.qcow2", "4M"];
        lab.tool("qemu-img", &[&create[..1], &secret, &create[1..]].concat());
        let image = "driver=qcow2,file.filename=a.qcow2,encrypt.key-secret=key";
        let io = |commands: &[&str]| {
            let mut args = [&secret[..], &["--image-opts", image]].concat();
            commands.iter().for_each(|command| args.extend(["-c", command]));
            lab.tool("qemu-io", &args);
        };
        let read = || {
            let args = [&["convert"], &secret[..], &["--image-opts", image, "-O", "raw", "../out"]].concat();
            lab.tool("qemu-img", &args);
            std::fs::read(lab.path("../out")).unwrap()
        };
        io(&["write -q -P 3 0 3M", "discard -q 64k 2M", "write -q -P 4 3M 512k", "write -q -P 5 100k 64k"]);
        let check = || lab.tool("qemu-img", &[&["check"], &secret[..], &["--image-opts", image]].concat());
        let (before, len) = (read(), lab.path("a.qcow2").metadata().unwrap().len());
        lab.run("compact a.qcow2 --yes").expect(0);
        assert_same(format, &read(), &before);
        check();
        // LUKS knows where in the file a cluster lies.
        let now = lab.path("a.qcow2").metadata().unwrap().len();
        assert!(now < len || format == "luks", "{format}: {len} became {now}");
        io(&["write -q -P 9 1M 1M"]);
        check();
    }
}

/// The bits of each bitmap, as its table has them: a byte of all zeros or ones for a cluster that is not
/// stored.
fn bits(file: &[u8]) -> Vec<Vec<u8>> {
    let word = |at: usize, len: usize| file[at..at + len].iter().fold(0, |n, b| n << 8 | *b as usize);
    let cluster = 1 << word(20, 4);
    let mut at = word(100, 4);
    while word(at, 4) != 0x2385_2875 {
        at += 8 + word(at + 4, 4).next_multiple_of(8);
    }
    let (count, mut entry) = (word(at + 8, 4), word(at + 24, 8));
    let mut all = Vec::new();
    for _ in 0..count {
        let (table, len) = (word(entry, 8), word(entry + 8, 4));
        let mut bits = Vec::new();
        for i in 0..len {
            match word(table + i * 8, 8) {
                word if word > 1 => bits.extend(&file[word..word + cluster]),
                word => bits.push(word as u8),
            }
        }
        all.push(bits);
        entry += (24 + word(entry + 18, 2) + word(entry + 20, 4)).next_multiple_of(8);
    }
    all
}

fn keeps_bitmaps() {
    let lab = Lab::new();
    bitmaps(&lab);
    let at = |lab: &Lab| std::fs::read(lab.path("a.qcow2")).unwrap();
    let (before, info) = (bits(&at(&lab)), lab.img_json("info --output=json a.qcow2"));
    assert_eq!(before.len(), 2);
    let long = at(&lab).len();
    lab.run("compact a.qcow2 --yes").expect(0);
    assert!(at(&lab).len() < long);
    assert!(bits(&at(&lab)) == before, "a bitmap changed");
    let now = lab.img_json("info --output=json a.qcow2");
    assert_eq!(info["format-specific"]["data"]["bitmaps"], now["format-specific"]["data"]["bitmaps"]);
    lab.assert_clean();
}

fn refusals() {
    let lab = Lab::new();
    lab.img("create -q -f raw disk.img 1M");
    holes(&lab);
    let before = lab.files();
    for (line, code) in [
        ("compact disk.img --yes", 2),
        ("compact nothing.qcow2 --yes", 1),
        ("compact a.qcow2", 10),
        ("compact a.qcow2 --dry-run", 0),
    ] {
        lab.run(line).expect(code);
    }
    assert!(before == lab.files());
    for bit in [1u8, 2] {
        let mut bytes = before["a.qcow2"].clone();
        bytes[79] |= bit;
        std::fs::write(lab.path("a.qcow2"), &bytes).unwrap();
        let answer = lab.run("compact a.qcow2 --yes").expect(13);
        assert!(
            answer.err.contains("not closed cleanly") || answer.err.contains("corrupt"),
            "{}",
            answer.err
        );
    }
    // A reference that the refcounts do not know of.
    let mut bytes = before["a.qcow2"].clone();
    bytes[0x20000 + 3] = 0;
    std::fs::write(lab.path("a.qcow2"), &bytes).unwrap();
    lab.run("compact a.qcow2 --yes").expect(13);
    assert!(std::fs::read(lab.path("a.qcow2")).unwrap() == bytes);
}
