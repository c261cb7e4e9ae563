//! `serve` as QEMU reads it: bytes, map and depth of every view of herds that are built by seed, and of
//! those that the other tests know.

use std::io::Read;

use serde_json::Value;

use crate::lab::{Lab, Random, assert_same};
use crate::matrix::IMAGE;
use crate::matrix_shape::Shape;
use crate::served::Served;
use crate::{Case, OnLab, case, random, reading};

const NEEDS: &[&str] = &["qemu-img", "qemu-io", "qemu-nbd"];

pub(crate) fn cases() -> Vec<Case> {
    let known: [(&str, OnLab); 3] =
        [("plain", reading::plain), ("mixed", reading::mixed), ("packed", packed)];
    let mut cases: Vec<_> = known
        .into_iter()
        .map(|(name, make)| {
            case(format!("serving::{name}"), move || {
                let lab = Lab::new();
                make(&lab);
                every_view(&lab, name);
            })
        })
        .collect();
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let seeds = match number("COWHERD_SEED") {
        Some(seed) => vec![seed],
        None => (1..=8 + number("COWHERD_SEEDS").unwrap_or(0)).collect(),
    };
    for seed in seeds {
        cases.push(case(format!("serving::herd_{seed}"), move || herd(seed)));
        cases.push(case(format!("serving::shape_{seed}"), move || shape(seed)));
    }
    cases.push(case("serving::several_at_once", several));
    cases.push(case("serving::nothing_is_written", nothing_is_written));
    cases.push(case("serving::a_snapshot_while_somebody_writes", meanwhile));
    cases.push(case("serving::encryption_is_said_beforehand", encrypted));
    cases.push(case("serving::damage_is_an_error_and_no_end", damage));
    cases.into_iter().map(|case| case.needs(NEEDS)).collect()
}

/// The same without what QEMU finds out about data: that the file has a hole where a cluster lies.
fn as_data(runs: &[(u64, u64, u32)]) -> Vec<(u64, u64, u32)> {
    let mut out: Vec<(u64, u64, u32)> = Vec::new();
    for (start, length, status) in runs {
        let status = if *status == 2 { 0 } else { *status };
        match out.last_mut() {
            Some(last) if last.2 == status => last.1 += length,
            _ => out.push((*start, *length, status)),
        }
    }
    out
}

/// Start, length, zero and data, neighbours joined.
fn runs(map: &Value) -> Vec<(u64, u64, bool, bool)> {
    let mut runs: Vec<(u64, u64, bool, bool)> = Vec::new();
    for entry in map.as_array().unwrap() {
        let (zero, data) = (entry["zero"].as_bool().unwrap(), entry["data"].as_bool().unwrap());
        let length = entry["length"].as_u64().unwrap();
        match runs.last_mut() {
            Some(last) if (last.2, last.3) == (zero, data) => last.1 += length,
            _ => runs.push((entry["start"].as_u64().unwrap(), length, zero, data)),
        }
    }
    runs
}

/// Depths as a map of ours tells them, for what it tells.
fn assert_depths(what: &str, map: &Value, depths: &[(u64, u64, u32)]) {
    for entry in map.as_array().unwrap().iter().filter(|entry| entry["present"] == true) {
        let (start, length) = (entry["start"].as_u64().unwrap(), entry["length"].as_u64().unwrap());
        let depth = entry["depth"].as_u64().unwrap() as u32 + 1;
        let run = depths.iter().find(|run| run.0 <= start && start < run.0 + run.1).unwrap();
        assert!(start + length <= run.0 + run.1 && run.2 == depth, "{what}: {entry}: {run:?}");
    }
}

fn every_view(lab: &Lab, what: &str) {
    for (view, bytes) in lab.views() {
        let what = format!("{what}: {view}");
        // QEMU reads a snapshot with the size that its image has now, not with its own.
        let expected = lab.cat(&view);
        assert_same(&what, &expected, &bytes[..expected.len()]);
        let map = lab.run(&format!("map --json {view}")).expect(0).json();

        let served = Served::new(lab, &view);
        let copy = lab.outside().join("copy");
        lab.tool("qemu-img", &["convert", "-f", "raw", "-O", "raw", &served.uri, copy.to_str().unwrap()]);
        assert_same(&what, &std::fs::read(&copy).unwrap(), &expected);
        let theirs: Value = serde_json::from_slice(
            &lab.tool("qemu-img", &["map", "-f", "raw", "--output=json", &served.uri]),
        )
        .unwrap();
        assert_eq!(runs(&theirs), runs(&map), "{what}: map");
        let status = served.status();
        assert_depths(&what, &map, &status[1]);
        drop(served);

        if !view.contains('@') {
            let info = lab.img_json(&format!("info --output=json {view}"));
            let format = info["format"].as_str().unwrap();
            let theirs = Served::by_qemu(lab, &view, format, &["--read-only"]).status();
            let allocation = as_data(&theirs[0]);
            assert_eq!(status[0], allocation, "{what}: allocation as qemu-nbd tells it");
            assert_eq!(status[1], theirs[1], "{what}: depth as qemu-nbd tells it");
        }
    }
}

/// Compressed clusters of both kinds, subclusters, version 2, and overlays of them.
fn packed(lab: &Lab) {
    lab.img("create -q -f qcow2 -o compat=0.10,cluster_size=512 old 2M");
    lab.scribble("old", "qcow2", 2 << 20, 41, 16);
    for kind in ["zlib", "zstd"] {
        lab.img(&format!("convert -c -O qcow2 -o compression_type={kind},cluster_size=16k old {kind}"));
        lab.img(&format!("create -q -f qcow2 -b {kind} -F qcow2 -o extended_l2=on {kind}-sub 2100k"));
        lab.scribble(&format!("{kind}-sub"), "qcow2", 2 << 20, 42, 16);
        lab.img(&format!("snapshot -c sn0 {kind}-sub"));
        lab.scribble(&format!("{kind}-sub"), "qcow2", 2 << 20, 43, 8);
    }
}

fn seeded(seed: u64) -> Random {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for _ in 0..8 {
        random.next();
    }
    random
}

fn herd(seed: u64) {
    let lab = Lab::new();
    random::herd(&lab, &mut seeded(seed));
    every_view(&lab, &format!("seed {seed}"));
}

/// One image of any shape, with compressed clusters where it may have them.
fn shape(seed: u64) {
    let mut random = seeded(seed + 1000);
    let lab = Lab::new();
    let shape = Shape::any(&mut random);
    let size = shape.make(&lab, &mut random).len() as u64;
    if shape.compresses {
        // QEMU packs only what is not there yet.
        let clusters = size / shape.cluster;
        let step = clusters.div_ceil(12).max(1);
        let packed: Vec<_> = (0..clusters)
            .step_by(step as usize)
            .map(|at| format!("write -q -c -P {} {} {}", at % 255 + 1, at * shape.cluster, shape.cluster))
            .collect();
        lab.io(IMAGE, "qcow2", &packed);
    }
    lab.scribble(IMAGE, "qcow2", size, random.next(), 12);
    if shape.snapshots > 0 {
        lab.img(&format!("snapshot -c sn0 {IMAGE}"));
        lab.scribble(IMAGE, "qcow2", size, random.next(), 6);
    }
    let what = format!("seed {seed}: {shape}");
    let expected = lab.cat(IMAGE);
    assert_same(&what, &lab.bytes(IMAGE, None), &expected);
    for view in [IMAGE.to_owned(), format!("{IMAGE}@sn0")] {
        if view.contains('@') && shape.snapshots == 0 {
            continue;
        }
        let (expected, map) = (lab.cat(&view), lab.run(&format!("map --json {view}")).expect(0).json());
        let served = Served::new(&lab, &view);
        let copy = lab.outside().join("copy");
        lab.tool("qemu-img", &["convert", "-f", "raw", "-O", "raw", &served.uri, copy.to_str().unwrap()]);
        assert_same(&what, &std::fs::read(&copy).unwrap(), &expected);
        let theirs = lab.tool("qemu-img", &["map", "-f", "raw", "--output=json", &served.uri]);
        assert_eq!(runs(&serde_json::from_slice(&theirs).unwrap()), runs(&map), "{what}: map");
        assert_depths(&what, &map, &served.status()[1]);
    }
}

fn several() {
    let lab = Lab::new();
    reading::plain(&lab);
    let expected = lab.cat("l3.qcow2@sn2");
    let served = Served::new(&lab, "l3.qcow2@sn2");
    std::thread::scope(|scope| {
        for n in 0..6 {
            let (lab, served, expected) = (&lab, &served, &expected);
            scope.spawn(move || {
                let copy = lab.outside().join(format!("copy{n}"));
                let to = copy.to_str().unwrap();
                lab.tool("qemu-img", &["convert", "-f", "raw", "-O", "raw", &served.uri, to]);
                assert_same("one of several", &std::fs::read(&copy).unwrap(), expected);
            });
        }
    });
}

/// An internal snapshot stays what it is while the image it is in is written.
fn meanwhile() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 a 4M");
    lab.scribble("a", "qcow2", 4 << 20, 51, 16);
    lab.img("snapshot -c sn0 a");
    let expected = lab.cat("a@sn0");
    let writer = Served::by_qemu(&lab, "a", "qcow2", &[]);
    lab.run("cat a").expect(11);
    let served = Served::new(&lab, "a@sn0");
    let copy = lab.outside().join("copy");
    for seed in 0..4 {
        lab.scribble(&writer.uri, "raw", 4 << 20, 60 + seed, 12);
        lab.tool("qemu-img", &["convert", "-f", "raw", "-O", "raw", &served.uri, copy.to_str().unwrap()]);
        assert_same("a@sn0", &std::fs::read(&copy).unwrap(), &expected);
    }
}

fn nothing_is_written() {
    let lab = Lab::new();
    reading::plain(&lab);
    let before = lab.files();
    let served = Served::new(&lab, "l4.qcow2");
    for command in ["write 0 64k", "write -z 0 64k", "discard 0 64k"] {
        let done = lab.try_tool("qemu-io", &["-f", "raw", "-c", command, &served.uri]);
        assert!(!done.status.success(), "{command}");
    }
    lab.tool("qemu-io", &["-r", "-f", "raw", "-c", "read 0 4M", &served.uri]);
    assert!(before == lab.files());
}

fn encrypted() {
    let lab = Lab::new();
    let secret = ["--object", "secret,id=s,data=secret"];
    let options = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10";
    lab.tool(
        "qemu-img",
        &[&["create", "-q"][..], &secret, &["-f", "qcow2", "-o", options, "a", "1M"]].concat(),
    );
    let image = "driver=qcow2,encrypt.key-secret=s,file.filename=a";
    lab.tool("qemu-io", &[&secret[..], &["--image-opts", "-c", "write -q 64k 64k", image]].concat());
    let mut served = Served::new(&lab, "a");
    assert!(
        !lab.try_tool("qemu-io", &["-r", "-f", "raw", "-c", "read 64k 512", &served.uri]).status.success()
    );
    lab.tool("qemu-io", &["-r", "-f", "raw", "-c", "read -P 0 512k 512", &served.uri]);
    served.child.kill().unwrap();
    let mut said = String::new();
    served.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("a is encrypted (LUKS)"), "{said}");
}

/// A cluster that cannot be unpacked fails for who reads it; everything else is served on.
fn damage() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 a 4M");
    lab.io("a", "qcow2", &["write -q -c -P 5 1M 64k".to_owned(), "write -q -P 6 2M 64k".to_owned()]);
    let map = lab.img_json("map --output=json a");
    assert!(map.as_array().unwrap().iter().any(|entry| entry["compressed"] == true));
    // Where its compressed bytes lie is in its L2 entry alone; they are few and the first after the tables.
    let mut bytes = std::fs::read(lab.path("a")).unwrap();
    let packed = bytes[5 << 16..6 << 16].iter().position(|byte| *byte != 0).unwrap() + (5 << 16);
    bytes[packed..packed + 16].fill(0xff);
    std::fs::write(lab.path("a"), &bytes).unwrap();
    lab.run("cat a").expect(13);

    let served = Served::new(&lab, "a");
    let copy = lab.outside().join("copy");
    let convert = ["convert", "-f", "raw", "-O", "raw", &served.uri, copy.to_str().unwrap()];
    assert!(!lab.try_tool("qemu-img", &convert).status.success());
    lab.tool("qemu-io", &["-r", "-f", "raw", "-c", "read -P 6 2M 64k", &served.uri]);
    lab.tool("qemu-io", &["-r", "-f", "raw", "-c", "read -P 0 0 1M", &served.uri]);
}
