//! Internal snapshots made external: one command against the recipes that there were for it. The proposal of 2013
//! had two steps: a full image of every snapshot, then each one rebased onto the one before it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::between::peak;
use crate::duel::{Pair, cowherd, has_qemu, output, qemu_img, run};
use crate::images::{BASE_CLUSTERS, DISK, LAYER_CLUSTERS, Order, create, fill, settle, some_clusters, sync};
use crate::place::Place;

/// Clusters written between two snapshots of the base: 100 MiB.
const BETWEEN: usize = 1600;
const ROUNDS: usize = 5;

/// A base of 2 GiB with three snapshots, and a layer of 200 MiB on it with three.
struct Snapshots {
    place: Place,
    work: PathBuf,
}

impl Snapshots {
    fn new(place: Place) -> Self {
        let work = place.path().join("work");
        std::fs::create_dir(&work).unwrap();
        let (base, layer) = (work.join("base.qcow2"), work.join("layer.qcow2"));
        create(&base, DISK, None);
        fill(&base, &some_clusters(BASE_CLUSTERS, 40), Order::Shuffled, 40);
        for i in 0..3 {
            snapshot(&base, &format!("sn{i}"));
            fill(&base, &some_clusters(BETWEEN, 41 + i), Order::Guest, 41 + i);
        }
        create(&layer, DISK, Some("base.qcow2"));
        let clusters = some_clusters(LAYER_CLUSTERS, 50);
        for (i, part) in clusters.chunks(LAYER_CLUSTERS / 4).enumerate() {
            fill(&layer, part, Order::Shuffled, 50 + i as u64);
            if i < 3 {
                snapshot(&layer, &format!("sn{i}"));
            }
        }
        settle(&work);
        Self { place, work }
    }

    fn target(&self, usual: f64, shares: f64) -> Option<f64> {
        Some(if self.place.shares() { shares } else { usual })
    }
}

fn snapshot(path: &Path, name: &str) {
    let none = &[] as &[&Path];
    let mut command = cowherd(&format!("snapshot create {} {name} --yes --quiet", path.display()), none);
    run(&mut command);
}

/// A base and its snapshots, each full at first for qemu-img.
pub(crate) fn base(place: Place) {
    let snapshots = Snapshots::new(place);
    let names = ["sn0", "sn1", "sn2"];
    let files: Vec<_> =
        names.iter().map(|sn| format!("base_{sn}.qcow2")).chain(["base.qcow2".into()]).collect();
    let mut theirs = Vec::new();
    for (file, sn) in files.iter().zip(names.iter().map(Some).chain([None])) {
        let state = sn.map_or(String::new(), |sn| format!("-l snapshot.name={sn}"));
        theirs.push(format!("convert {state} -O qcow2 base.qcow2 out/{file}"));
    }
    // In the folder of the results, from where both names lead to the same file.
    for pair in files.windows(2) {
        theirs.push(format!("rebase -F qcow2 -b {} {}", pair[0], pair[1]));
    }
    Duel {
        what: "export of a base with three snapshots (2 GiB)",
        ours: "export base.qcow2 --chain --out out".to_owned(),
        theirs,
        compare: files
            .iter()
            .zip(["@sn0", "@sn1", "@sn2", ""])
            .map(|(f, sn)| (f.clone(), format!("base.qcow2{sn}")))
            .collect(),
    }
    .run(&snapshots, snapshots.target(5.0, 40.0));
}

/// A layer and its snapshots, on the export of its base.
pub(crate) fn layer(place: Place) {
    let snapshots = Snapshots::new(place);
    let none = &[] as &[&Path];
    let mut export = cowherd("export base.qcow2 --out older.qcow2 --yes --quiet --progress none", none);
    run(export.current_dir(&snapshots.work));
    settle(&snapshots.work);
    // The best recipe that there is: full as an overlay of the base first, then compared with the one before.
    let mut theirs = Vec::new();
    let files: Vec<_> = ["sn0", "sn1", "sn2"].iter().map(|sn| format!("layer_{sn}.qcow2")).collect();
    for (file, sn) in files.iter().zip(["sn0", "sn1", "sn2"]) {
        let state = format!("-l snapshot.name={sn}");
        theirs.push(format!("convert {state} -O qcow2 -B ../base.qcow2 -F qcow2 layer.qcow2 out/{file}"));
    }
    theirs.push("convert -O qcow2 -B ../base.qcow2 -F qcow2 layer.qcow2 out/layer.qcow2".to_owned());
    let files: Vec<_> = files.into_iter().chain(["layer.qcow2".to_owned()]).collect();
    let mut before = "../older.qcow2";
    for file in &files {
        theirs.push(format!("rebase -F qcow2 -b {before} {file}"));
        before = file;
    }
    let views = ["@sn0", "@sn1", "@sn2", ""].map(|sn| format!("layer.qcow2{sn}"));
    Duel {
        what: "export of a layer with three snapshots (200 MiB)",
        ours: "export layer.qcow2 --chain --since base.qcow2 -b older.qcow2 -F qcow2 --out out".to_owned(),
        theirs,
        compare: files.into_iter().zip(views).collect(),
    }
    .run(&snapshots, snapshots.target(20.0, 20.0));
}

struct Duel {
    what: &'static str,
    ours: String,
    /// One after the other; `rebase` in the folder of the results.
    theirs: Vec<String>,
    /// Files of the result, and the views that they must show.
    compare: Vec<(String, String)>,
}

impl Duel {
    fn run(&self, snapshots: &Snapshots, target: Option<f64>) {
        let (work, out) = (&snapshots.work, snapshots.work.join("out"));
        let none = &[] as &[&Path];
        let fresh = || {
            let _ = std::fs::remove_dir_all(&out);
            std::fs::create_dir(&out).unwrap();
            settle(&out);
        };
        let mut ours = cowherd(&format!("{} --yes --quiet --progress none --json", self.ours), none);
        ours.current_dir(work);
        let mut theirs: Vec<Command> = self.theirs.iter().map(|line| qemu_img(line, none)).collect();
        for (command, line) in theirs.iter_mut().zip(&self.theirs) {
            command.current_dir(if line.starts_with("rebase") { &out } else { work });
        }
        let mut pair = Pair { target, ..Pair::default() };
        fresh();
        let report: serde_json::Value = serde_json::from_slice(&output(&mut ours).stdout).unwrap();
        let mut room = (room_of(&out), 0);
        self.prove(work);
        fresh();
        pair.ours.peak = peak(&ours);
        if has_qemu() {
            fresh();
            for command in &mut theirs {
                pair.theirs.peak = pair.theirs.peak.max(peak(command));
                room.1 = room.1.max(room_of(&out));
            }
            self.prove(work);
        }
        for _ in 0..ROUNDS {
            fresh();
            pair.ours.measure(|| {
                run(&mut ours);
                sync(files_of(&out));
            });
            if has_qemu() {
                fresh();
                pair.theirs.measure(|| {
                    theirs.iter_mut().for_each(run);
                    sync(files_of(&out));
                });
            }
        }
        pair.report(
            &format!("{}, {}", self.what, snapshots.place.name()),
            "cowherd export",
            "convert, then rebase",
        );
        let mib = |bytes: u64| bytes >> 20;
        println!("  room taken at most         {:9} MiB, theirs {} MiB", mib(room.0), mib(room.1));
        println!("  written by us              {:9} MiB", mib(report["written_bytes"].as_u64().unwrap()));
        fresh();
    }

    /// Every file must show its view, and be sound.
    fn prove(&self, work: &Path) {
        for (file, view) in &self.compare {
            let file = work.join("out").join(file);
            let mut compare = cowherd("compare", &[file.as_os_str(), work.join(view).as_os_str()]);
            compare.arg("--allow").arg(work);
            run(&mut compare);
            if has_qemu() {
                run(&mut qemu_img("check -q", &[&file]));
            }
        }
    }
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Bytes that the files of a folder take.
fn room_of(folder: &Path) -> u64 {
    files_of(folder).iter().map(|file| file.metadata().unwrap().blocks() * 512).sum()
}
