//! A chain that operations change: the same work by both sides, on fresh copies, both ending in a sync.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::between::peak;
use crate::duel::{Pair, cowherd, has_qemu, name, qemu_img, run};
use crate::images::{
    BASE_CLUSTERS, DISK, LAYER_CLUSTERS, Order, copy, create, fill, settle, some_clusters, sync,
};
use crate::place::Place;

pub(crate) const LAYERS: [&str; 5] = ["base.qcow2", "l1.qcow2", "l2.qcow2", "l3.qcow2", "l4.qcow2"];
/// Where removed images go.
const TRASH: &str = cowherd::storage::TRASH;

/// A base of 2 GiB and four layers of 200 MiB on a disk of 4 GiB, and a copy of the base with another
/// 200 MiB in it.
pub(crate) struct Herd {
    pub(crate) place: Place,
    template: PathBuf,
    pub(crate) work: PathBuf,
}

/// One operation.
pub(crate) struct Act<'a> {
    pub(crate) what: &'a str,
    pub(crate) rounds: usize,
    pub(crate) ours: &'a str,
    pub(crate) theirs: &'a str,
    /// The files that it touches.
    pub(crate) changed: &'a [&'a str],
    /// What must read afterwards as the top of the chain did.
    pub(crate) view: &'a str,
    /// How many times faster we want to be: on the usual file system, and on one that shares blocks.
    pub(crate) targets: (f64, f64),
    /// Whether the commands are given in the folder above the images.
    pub(crate) from_above: bool,
}

impl Herd {
    pub(crate) fn new(place: Place) -> Self {
        let (template, work) = (place.path().join("template"), place.path().join("work"));
        for dir in [&template, &work] {
            std::fs::create_dir(dir).unwrap();
        }
        for (i, name) in LAYERS.iter().enumerate() {
            let path = template.join(name);
            create(&path, DISK, i.checked_sub(1).map(|below| LAYERS[below]));
            let count = if i == 0 { BASE_CLUSTERS } else { LAYER_CLUSTERS };
            fill(&path, &some_clusters(count, 20 + i as u64), Order::Shuffled, 20 + i as u64);
        }
        let herd = Self { place, template, work };
        herd.fresh(&LAYERS);
        herd
    }

    /// Adds the copy of the base with something else in it.
    pub(crate) fn with_another_family(self) -> Self {
        let other = self.template.join("other.qcow2");
        copy(&self.template.join("base.qcow2"), &other);
        fill(&other, &some_clusters(LAYER_CLUSTERS, 30), Order::Shuffled, 30);
        self.fresh(&["other.qcow2"]);
        self
    }

    /// New copies of these files.
    fn fresh(&self, names: &[&str]) {
        let _ = std::fs::remove_dir_all(self.work.join(TRASH));
        for name in names {
            let to = self.work.join(name);
            let _ = std::fs::remove_file(&to);
            copy(&self.template.join(name), &to);
        }
        settle(&self.work);
    }

    pub(crate) fn duel(&self, act: &Act<'_>) {
        let folder = if act.from_above { self.place.path() } else { &self.work };
        let none = &[] as &[&Path];
        let mut ours = cowherd(&format!("{} --yes --quiet --progress none", act.ours), none);
        let mut theirs = qemu_img(act.theirs, none);
        for command in [&mut ours, &mut theirs] {
            command.current_dir(folder);
        }
        let (us, them) = act.targets;
        let target = Some(if self.place.shares() { them } else { us });
        let mut pair = Pair { target, ..Pair::default() };
        pair.ours.peak = self.prove(act, &ours);
        if has_qemu() {
            pair.theirs.peak = self.prove(act, &theirs);
        }
        let changed = || act.changed.iter().map(|name| self.work.join(name));
        let round = |command: &mut Command| {
            run(command);
            sync(changed());
        };
        for _ in 0..act.rounds {
            self.fresh(act.changed);
            pair.ours.measure(|| round(&mut ours));
            if has_qemu() {
                self.fresh(act.changed);
                pair.theirs.measure(|| round(&mut theirs));
            }
        }
        self.fresh(act.changed);
        pair.report(&format!("{}, {}", act.what, self.place.name()), &name(&ours), &name(&theirs));
    }

    /// Has it done once, looks at what came out, and gives the peak memory.
    fn prove(&self, act: &Act<'_>, command: &Command) -> u64 {
        self.fresh(act.changed);
        let memory = peak(command);
        run(&mut cowherd("compare", &[self.work.join(act.view), self.template.join("l4.qcow2")]));
        if has_qemu() {
            run(&mut qemu_img("check -q", &[self.work.join(act.view)]));
        }
        memory
    }
}
