//! A layer committed into its base, both sides ending in a sync.

use std::path::Path;
use std::process::Command;

use crate::between::peak;
use crate::duel::{Pair, cowherd, has_qemu, output, qemu_img, run};
use crate::images::{DISK, LAYER_CLUSTERS, Order, copy, create, fill, settle, some_clusters, sync};
use crate::place::Place;
use crate::verdict;

const BASE_CLUSTERS: usize = 8 << 10;
const ROUNDS: usize = 7;

/// A layer of 200 MiB on a disk of 4 GiB.
pub(crate) fn layer(place: Place) {
    let template = place.path().join("template");
    let work = place.path().join("work");
    for dir in [&template, &work] {
        std::fs::create_dir(dir).unwrap();
    }
    create(&template.join("base.qcow2"), DISK, None);
    fill(&template.join("base.qcow2"), &some_clusters(BASE_CLUSTERS, 7), Order::Shuffled, 7);
    create(&template.join("top.qcow2"), DISK, Some("base.qcow2"));
    fill(&template.join("top.qcow2"), &some_clusters(LAYER_CLUSTERS, 8), Order::Shuffled, 8);

    let (base, top) = (work.join("base.qcow2"), work.join("top.qcow2"));
    let mut ours = cowherd("commit --yes --quiet --progress none", &[&top]);
    let mut theirs = qemu_img("commit -q", &[&top]);
    let mut pair = Pair { target: Some(if place.shares() { 6.0 } else { 2.0 }), ..Pair::default() };
    if has_qemu() {
        let result = place.path().join("ours.qcow2");
        fresh(&template, &work);
        pair.ours.peak = peak(&ours);
        std::fs::rename(&base, &result).unwrap();
        fresh(&template, &work);
        pair.theirs.peak = peak(&theirs);
        let files = [&result, &base];
        verdict::equal(&output(&mut cowherd("compare", &files)), &output(&mut qemu_img("compare", &files)));
        run(&mut qemu_img("check -q", &[&result]));
        std::fs::remove_file(&result).unwrap();
    }
    let round = |command: &mut Command| {
        run(command);
        sync([&base, &top]);
    };
    for _ in 0..ROUNDS {
        fresh(&template, &work);
        pair.ours.measure(|| round(&mut ours));
        if has_qemu() {
            fresh(&template, &work);
            pair.theirs.measure(|| round(&mut theirs));
        }
    }
    pair.report(
        &format!("commit of one layer (200 MiB), {}", place.name()),
        "cowherd commit",
        "qemu-img commit",
    );
}

/// New copies of the template, on the disk and in the page cache.
fn fresh(template: &Path, work: &Path) {
    for name in ["base.qcow2", "top.qcow2"] {
        let to = work.join(name);
        let _ = std::fs::remove_file(&to);
        copy(&template.join(name), &to);
    }
    settle(work);
}
