//! Operations on a chain: the same work by both sides, on fresh copies of what it changes, both ending
//! in a sync.

use std::path::{Path, PathBuf};
use std::process::Command;

use cowherd::image::Preallocation;
use cowherd::image::qcow2;

use crate::duel::{Pair, cowherd, has_qemu, name, qemu_img, run};
use crate::images::{
    BASE_CLUSTERS, DISK, LAYER_CLUSTERS, Order, create, fill, settle, some_clusters, writable,
};

/// A base of 2 GiB and four layers of 200 MiB on a disk of 4 GiB, and a copy of the base with another
/// 200 MiB in it.
struct Herd {
    _folder: tempfile::TempDir,
    template: PathBuf,
    work: PathBuf,
}

const TERABYTE: u64 = 1 << 40;
const LAYERS: [&str; 5] = ["base.qcow2", "l1.qcow2", "l2.qcow2", "l3.qcow2", "l4.qcow2"];

impl Herd {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (template, work) = (folder.path().join("template"), folder.path().join("work"));
        for dir in [&template, &work] {
            std::fs::create_dir(dir).unwrap();
        }
        for (i, name) in LAYERS.iter().enumerate() {
            let path = template.join(name);
            create(&path, DISK, i.checked_sub(1).map(|below| LAYERS[below]));
            let count = if i == 0 { BASE_CLUSTERS } else { LAYER_CLUSTERS };
            fill(&path, &some_clusters(count, 20 + i as u64), Order::Shuffled, 20 + i as u64);
        }
        let other = template.join("other.qcow2");
        std::fs::copy(template.join("base.qcow2"), &other).unwrap();
        fill(&other, &some_clusters(LAYER_CLUSTERS, 30), Order::Shuffled, 30);
        for name in LAYERS.iter().chain(&["other.qcow2"]) {
            std::fs::copy(template.join(name), work.join(name)).unwrap();
        }
        Self { _folder: folder, template, work }
    }

    /// New copies of these files.
    fn fresh(&self, names: &[&str]) {
        for name in names {
            let to = self.work.join(name);
            let _ = std::fs::remove_file(&to);
            std::fs::copy(self.template.join(name), &to).unwrap();
        }
        settle(&self.work);
    }

    fn command(&self, mut command: Command) -> Command {
        command.current_dir(&self.work);
        command
    }

    /// `changed` are the files that the operation touches; afterwards `view` must read like the top of
    /// the chain did.
    fn duel(&self, what: &str, rounds: usize, ours: &str, theirs: &str, changed: &[&str], view: &str) {
        let mut ours =
            self.command(cowherd(&format!("{ours} --yes --quiet --progress none"), &[] as &[&Path]));
        let mut theirs = self.command(qemu_img(theirs, &[] as &[&Path]));
        let top = self.template.join("l4.qcow2");
        for command in [Some(&mut ours), has_qemu().then_some(&mut theirs)].into_iter().flatten() {
            self.fresh(changed);
            run(command);
            run(&mut cowherd("compare", &[self.work.join(view), top.clone()]));
            if has_qemu() {
                run(&mut qemu_img("check -q", &[self.work.join(view)]));
            }
        }
        let mut pair = Pair::default();
        for _ in 0..rounds {
            self.fresh(changed);
            pair.ours.measure(|| run(&mut ours));
            if has_qemu() {
                self.fresh(changed);
                pair.theirs.measure(|| run(&mut theirs));
            }
        }
        self.fresh(changed);
        pair.report(what, &name(&ours), &name(&theirs));
    }
}

/// Other bases for the top of a chain of five.
pub(crate) fn rebase() {
    let herd = Herd::new();
    let (changed, view) = (&["l4.qcow2"], "l4.qcow2");
    herd.duel(
        "rebase past one layer of 200 MiB",
        5,
        "rebase l4.qcow2 --base l2.qcow2",
        "rebase -b l2.qcow2 -F qcow2 l4.qcow2",
        changed,
        view,
    );
    herd.duel(
        "rebase past three layers",
        5,
        "rebase l4.qcow2 --base base.qcow2",
        "rebase -b base.qcow2 -F qcow2 l4.qcow2",
        changed,
        view,
    );
    herd.duel(
        "rebase to another family (2 GiB, 200 MiB apart)",
        3,
        "rebase l4.qcow2 --base other.qcow2",
        "rebase -b other.qcow2 -F qcow2 l4.qcow2",
        changed,
        view,
    );
    herd.duel("pull, to stand alone (2.6 GiB)", 3, "pull l4.qcow2", "rebase -b '' l4.qcow2", changed, view);
}

/// Four layers into their base.
pub(crate) fn layers() {
    let herd = Herd::new();
    herd.duel(
        "commit of four layers (800 MiB)",
        3,
        "commit l4.qcow2 --base base.qcow2 --keep",
        "commit -q -b base.qcow2 l4.qcow2",
        &LAYERS,
        "base.qcow2",
    );
}

/// Internal snapshots of a disk of 1 TiB with 16 million clusters: taken, applied, deleted, in turn.
pub(crate) fn snapshots() {
    let folder = tempfile::tempdir().unwrap();
    let (mine, other) = (folder.path().join("ours.qcow2"), folder.path().join("theirs.qcow2"));
    for path in [&mine, &other] {
        create(path, TERABYTE, None);
        qcow2::preallocate(writable(path).into(), Preallocation::Metadata).unwrap();
    }
    settle(folder.path());
    let words = [
        ("snapshot of 1 TiB, all allocated: create", "snapshot create", "sn1", "snapshot -c sn1"),
        ("snapshot of 1 TiB, all allocated: apply", "snapshot apply", "sn1", "snapshot -a sn1"),
        ("snapshot of 1 TiB, all allocated: delete", "snapshot delete", "sn1", "snapshot -d sn1"),
    ];
    let mut pairs = [Pair::default(), Pair::default(), Pair::default()];
    let mut commands: Vec<_> = words
        .iter()
        .map(|(_, verb, name, theirs)| {
            let mut ours = cowherd(verb, &[mine.as_os_str(), name.as_ref()]);
            ours.args(["--yes", "--accept", "no-undo", "--quiet", "--progress", "none"]);
            (ours, qemu_img(theirs, &[&other]))
        })
        .collect();
    for round in 0..3 {
        for (pair, (ours, theirs)) in pairs.iter_mut().zip(&mut commands) {
            pair.ours.measure(|| run(ours));
            if has_qemu() {
                pair.theirs.measure(|| run(theirs));
            }
        }
        if round == 0 && has_qemu() {
            run(&mut qemu_img("check -q", &[&mine]));
        }
    }
    for (pair, ((what, ..), (ours, theirs))) in pairs.iter().zip(words.iter().zip(&commands)) {
        pair.report(what, &name(ours), &name(theirs));
    }
}
