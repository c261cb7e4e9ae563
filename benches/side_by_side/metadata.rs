//! What needs only tables: `info`, `map`, `check`.

use std::path::Path;

use cowherd::image::{Format, Preallocation, qcow2};

use crate::duel::{cowherd, duel, qemu_img};
use crate::images::{
    BASE_CLUSTERS, CLUSTER, DISK, LAYER_CLUSTERS, Order, create, create_qed, lay_out, settle, some_clusters,
    writable,
};
use crate::verdict;

const TERABYTE: u64 = 1 << 40;
/// Short commands are told apart by many rounds only.
const MANY: usize = 41;

fn info(what: &str, image: &Path) {
    let (ours, theirs) = (cowherd("info --json", &[image]), qemu_img("info --output=json", &[image]));
    duel(what, MANY, ours, theirs, verdict::info);
}

fn map(what: &str, rounds: usize, image: &Path) {
    let (ours, theirs) = (cowherd("map --json", &[image]), qemu_img("map --output=json", &[image]));
    duel(what, rounds, ours, theirs, verdict::map);
}

fn check(what: &str, rounds: usize, image: &Path) {
    let (ours, theirs) = (cowherd("check --json", &[image]), qemu_img("check --output=json", &[image]));
    duel(what, rounds, ours, theirs, verdict::check);
}

/// One image of a usual size, mapped without content.
pub(crate) fn small() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base.qcow2");
    create(&base, DISK, None);
    lay_out(&base, Format::Qcow2, &some_clusters(BASE_CLUSTERS, 1), Order::Shuffled, |_, _, _| ());
    settle(folder.path());
    info("info of one image", &base);
    check("check of 2 GiB in 4 GiB, fragmented", MANY, &base);
}

/// A base of 2 GiB and four layers of 200 MiB.
pub(crate) fn chain() {
    for (order, name) in [(Order::Shuffled, "fragmented"), (Order::Guest, "in order")] {
        let folder = tempfile::tempdir().unwrap();
        let layer = |i: usize| folder.path().join(format!("layer{i}.qcow2"));
        for i in 0_usize..5 {
            let below = i.checked_sub(1).map(|below| format!("layer{below}.qcow2"));
            create(&layer(i), DISK, below.as_deref());
            let count = if i == 0 { BASE_CLUSTERS } else { LAYER_CLUSTERS };
            let clusters = some_clusters(count, i as u64);
            lay_out(&layer(i), Format::Qcow2, &clusters, order, |_, _, _| ());
        }
        settle(folder.path());
        if order == Order::Guest {
            let (ours, theirs) = ("info --chain --json", "info --backing-chain --output=json");
            let (ours, theirs) = (cowherd(ours, &[layer(4)]), qemu_img(theirs, &[layer(4)]));
            duel("info of a chain of 5", MANY, ours, theirs, verdict::info);
        }
        map(&format!("map of a chain of 5, {name}"), 15, &layer(4));
    }
}

/// Disks of 1 TiB with every cluster allocated, their data in holes of the file.
pub(crate) fn terabyte() {
    let folder = tempfile::tempdir().unwrap();
    let full = folder.path().join("full.qcow2");
    create(&full, TERABYTE, None);
    qcow2::preallocate(writable(&full).into(), Preallocation::Metadata).unwrap();
    settle(folder.path());
    map("map of 1 TiB, all allocated", 7, &full);
    check("check of 1 TiB, all allocated", 7, &full);

    // More would take qemu-img minutes: it looks up one refcount for each cluster.
    let pieces = folder.path().join("pieces.qcow2");
    create(&pieces, TERABYTE / 64, None);
    let all: Vec<u64> = (0..TERABYTE / 64 / CLUSTER).collect();
    lay_out(&pieces, Format::Qcow2, &all, Order::Shuffled, |_, _, _| ());
    settle(folder.path());
    check("check of 16 GiB, all allocated, fragmented", 3, &pieces);
}

/// QED, which has no refcounts.
pub(crate) fn qed() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image.qed");
    create_qed(&image, DISK);
    lay_out(&image, Format::Qed, &some_clusters(BASE_CLUSTERS, 1), Order::Shuffled, |_, _, _| ());
    settle(folder.path());
    let (ours, theirs) = (cowherd("check --json", &[&image]), qemu_img("check --output=json", &[&image]));
    duel("check of QED, 2 GiB in 4 GiB, fragmented", MANY, ours, theirs, verdict::check_qed);
    map("map of QED, 2 GiB in 4 GiB, fragmented", 15, &image);
}
