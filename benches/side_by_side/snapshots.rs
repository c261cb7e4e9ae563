//! Internal snapshots: taken, applied, deleted, in turn.

use std::path::Path;

use cowherd::image::qcow2;
use cowherd::image::{Format, Preallocation};

use crate::between::peak;
use crate::duel::{Pair, cowherd, has_qemu, name, qemu_img, run};
use crate::images::{BASE_CLUSTERS, DISK, Order, create, lay_out, settle, some_clusters, sync, writable};

const TERABYTE: u64 = 1 << 40;

/// Of a disk of a usual size.
pub(crate) fn small() {
    duel("4 GiB, half allocated", 15, 1.0, |path| {
        create(path, DISK, None);
        lay_out(path, Format::Qcow2, &some_clusters(BASE_CLUSTERS, 1), Order::Shuffled, |_, _, _| ());
    });
}

/// Of a disk of 1 TiB with 16 million clusters.
pub(crate) fn huge() {
    duel("1 TiB, all allocated", 1, 10.0, |path| {
        create(path, TERABYTE, None);
        qcow2::preallocate(writable(path).into(), Preallocation::Metadata).unwrap();
    });
}

fn duel(disk: &str, rounds: usize, target: f64, make: impl Fn(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let (mine, other) = (folder.path().join("ours.qcow2"), folder.path().join("theirs.qcow2"));
    for path in [&mine, &other] {
        make(path);
    }
    settle(folder.path());
    let mut acts: Vec<_> = [("create", "-c"), ("apply", "-a"), ("delete", "-d")]
        .map(|(verb, flag)| {
            let mut ours = cowherd(&format!("snapshot {verb}"), &[mine.as_os_str(), "sn1".as_ref()]);
            ours.args(["--yes", "--accept", "no-undo", "--quiet", "--progress", "none"]);
            let theirs = qemu_img(&format!("snapshot {flag} sn1"), &[&other]);
            (verb, ours, theirs, Pair { target: Some(target), ..Pair::default() })
        })
        .into();
    for round in 0..=rounds {
        for (_, ours, theirs, pair) in &mut acts {
            let sides = [(ours, &mine, &mut pair.ours), (theirs, &other, &mut pair.theirs)];
            for (command, path, times) in sides.into_iter().take(if has_qemu() { 2 } else { 1 }) {
                match round {
                    0 => times.peak = peak(command),
                    _ => times.measure(|| {
                        run(command);
                        sync([path]);
                    }),
                }
            }
        }
        if has_qemu() {
            run(&mut qemu_img("check -q", &[&mine]));
        }
    }
    for (verb, ours, theirs, pair) in &acts {
        pair.report(&format!("snapshot of {disk}: {verb}"), &name(ours), &name(theirs));
    }
}
