//! What guests read, compared: `compare`.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use cowherd::image::qcow2::{CreateOptions, Writer};
use cowherd::image::{Format, Target};
use cowherd::units::Guest;

use crate::duel::{cowherd, duel, has_qemu, output, qemu_img};
use crate::images::{
    BASE_CLUSTERS, CLUSTER, DISK, LAYER_CLUSTERS, Order, Random, content, create, create_with, fill, settle,
    some_clusters, writable,
};
use crate::verdict;

/// Compares two images that hold the same, then once more with one byte changed in the second.
fn compare(what: &str, rounds: usize, format: Format, a: &Path, b: &Path) {
    let ours = || cowherd(&format!("compare -f {format}"), &[a, b]);
    let theirs = || qemu_img(&format!("compare -f {format} -F {format}"), &[a, b]);
    duel(what, rounds, ours(), theirs(), verdict::equal);
    if has_qemu() {
        spoil(b);
        verdict::different(&output(ours().arg("--json")), &output(&mut theirs()));
        spoil(b);
    }
}

/// Flips one byte of data, near the end of the file; twice restores it.
fn spoil(path: &Path) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    // Behind the data lie a few tables and refcounts; what is not data there is not noise.
    let mut at = file.metadata().unwrap().len() / CLUSTER * 3 / 4 * CLUSTER;
    let mut bytes = vec![0; CLUSTER as usize];
    loop {
        file.read_exact_at(&mut bytes, at).unwrap();
        if bytes.iter().filter(|b| **b == 0).count() < 1000 {
            break;
        }
        at -= CLUSTER;
    }
    file.write_all_at(&[bytes[7] ^ 1], at + 7).unwrap();
}

/// Unrelated images, and two tops of one chain.
pub(crate) fn qcow2() {
    let folder = tempfile::tempdir().unwrap();
    let image = |name: &str| folder.path().join(format!("{name}.qcow2"));
    let all = some_clusters(BASE_CLUSTERS, 1);
    for (name, order) in [("frag", Order::Shuffled), ("seq", Order::Guest)] {
        create(&image(name), DISK, None);
        fill(&image(name), &all, order, 1);
    }
    create(&image("middle"), DISK, Some("frag.qcow2"));
    fill(&image("middle"), &some_clusters(LAYER_CLUSTERS, 2), Order::Shuffled, 2);
    for (name, order) in [("left", Order::Shuffled), ("right", Order::Guest)] {
        create(&image(name), DISK, Some("middle.qcow2"));
        fill(&image(name), &some_clusters(LAYER_CLUSTERS, 3), order, 3);
    }
    settle(folder.path());
    let (frag, seq) = (image("frag"), image("seq"));
    compare("compare of unrelated images, 2 GiB, fragmented and in order", 7, Format::Qcow2, &frag, &seq);
    let (left, right) = (image("left"), image("right"));
    compare("compare of two tops of one chain, 200 MiB on 2.2 GiB", 7, Format::Qcow2, &left, &right);
}

/// Raw files: full ones, and ones with little in them.
pub(crate) fn raw() {
    let folder = tempfile::tempdir().unwrap();
    let image = |name: &str| folder.path().join(format!("{name}.img"));
    let full: Vec<u64> = (0..(1 << 30) / CLUSTER).collect();
    let mut far = Random::new(4);
    let mut sparse: Vec<u64> = (0..1600).map(|_| far.next() % ((64 << 30) / CLUSTER)).collect();
    sparse.sort_unstable();
    let mut bytes = vec![0; CLUSTER as usize];
    for (name, clusters, size) in [
        ("full a", &full, 1 << 30),
        ("full b", &full, 1 << 30),
        ("sparse a", &sparse, 64 << 30),
        ("sparse b", &sparse, 64 << 30),
    ] {
        let file = std::fs::File::create_new(image(name)).unwrap();
        file.set_len(size).unwrap();
        for cluster in clusters {
            content(*cluster, 5, &mut bytes);
            file.write_all_at(&bytes, cluster * CLUSTER).unwrap();
        }
    }
    settle(folder.path());
    compare("compare of raw, full, 1 GiB", 7, Format::Raw, &image("full a"), &image("full b"));
    let (a, b) = (image("sparse a"), image("sparse b"));
    compare("compare of raw, 100 MiB in 64 GiB", 9, Format::Raw, &a, &b);
}

/// Compressed images against the same uncompressed: 256 MiB, half of which compresses.
pub(crate) fn compressed() {
    let folder = tempfile::tempdir().unwrap();
    let clusters = some_clusters(4096, 6);
    let plain = folder.path().join("plain.qcow2");
    create(&plain, DISK, None);
    fill(&plain, &clusters, Order::Guest, 6);
    for (name, zstd) in [("zlib", false), ("zstd", true)] {
        let packed = folder.path().join(format!("{name}.qcow2"));
        create_with(&packed, CreateOptions { virtual_size: DISK, zstd, ..Default::default() }, None);
        pack(&packed, &clusters, 6);
        settle(folder.path());
        let what = format!("compare of {name} and plain, 256 MiB, half of it compressed");
        compare(&what, 7, Format::Qcow2, &packed, &plain);
    }
}

/// Like [`fill`], compressed where that makes a cluster smaller.
fn pack(path: &Path, clusters: &[u64], seed: u64) {
    let mut writer = Writer::open(writable(path), false).unwrap();
    let mut bytes = vec![0; CLUSTER as usize];
    for cluster in clusters {
        content(*cluster, seed, &mut bytes);
        let at = Guest(cluster * CLUSTER);
        if !writer.put_compressed(at, &bytes).unwrap() {
            let (host, _) = writer.allocate(at, CLUSTER).unwrap();
            writer.file().write_at(host.0, &bytes).unwrap();
            writer.map(at, host, CLUSTER).unwrap();
        }
    }
    Box::new(writer).finish().unwrap();
}
