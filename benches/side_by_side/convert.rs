//! Another format: a copy of a view, and the same file in place.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cowherd::image::Format;

use crate::between::peak;
use crate::duel::{Pair, Times, cowherd, has_qemu, output, qemu_img, run};
use crate::herd::Herd;
use crate::images::{
    BASE_CLUSTERS, CLUSTER, DISK, Order, content, create, create_qed, fill, lay_out, settle, some_clusters,
    sync,
};
use crate::place::Place;

/// How qemu-img copies: as it does by itself, and with all that makes it faster.
const THEIR_WAYS: [&str; 2] = ["", "-m 16 -W "];
/// Enough to compress.
const COMPRESSED_CLUSTERS: usize = 8 << 10;
const NONE: &[&Path] = &[];

/// A copy into each format, of a chain of five whose clusters are in no order.
pub(crate) fn copies(place: Place) {
    let herd = Herd::new(place);
    let (target, ways) = match herd.place.shares() {
        true => (2.0, &["-C "][..]),
        false => (1.3, &THEIR_WAYS[..]),
    };
    for format in ["raw", "qcow2", "qed"] {
        let what = format!("copy of a chain to {format} (2.6 GiB), {}", herd.place.name());
        let ours = format!("export l4.qcow2 --out out -O {format}");
        let theirs = ways.iter().map(|way| format!("convert {way}-O {format} l4.qcow2 out")).collect();
        Copying { what, ours, theirs, view: "l4.qcow2", format, target, rounds: 5 }.run(&herd.work);
    }
}

/// Compressed copies.
pub(crate) fn compressed() {
    let place = Place::usual();
    let work = place.path();
    create(&work.join("disk.qcow2"), DISK, None);
    fill(&work.join("disk.qcow2"), &some_clusters(COMPRESSED_CLUSTERS, 60), Order::Shuffled, 60);
    settle(work);
    for (codec, target, rounds) in [("zlib", 1.5, 3), ("zstd", 1.0, 5)] {
        let options = format!("-o compression_type={codec}");
        Copying {
            what: format!("compressed copy, {codec} (512 MiB, half of it noise), {}", place.name()),
            ours: format!("export disk.qcow2 --out out -c {options}"),
            theirs: THEIR_WAYS
                .iter()
                .map(|way| format!("convert {way}-c -O qcow2 {options} disk.qcow2 out"))
                .collect(),
            view: "disk.qcow2",
            format: "qcow2",
            target,
            rounds,
        }
        .run(work);
    }
}

/// A copy by both sides, and by the other side in several ways.
struct Copying<'a> {
    what: String,
    ours: String,
    theirs: Vec<String>,
    view: &'a str,
    format: &'a str,
    target: f64,
    rounds: usize,
}

impl Copying<'_> {
    fn run(&self, work: &Path) {
        let out = work.join("out");
        let fresh = || {
            let _ = std::fs::remove_file(&out);
            settle(work);
        };
        let mut ours = cowherd(&format!("{} --yes --quiet --progress none", self.ours), NONE);
        ours.current_dir(work);
        let mut theirs: Vec<Command> = self.theirs.iter().map(|line| qemu_img(line, NONE)).collect();
        theirs.iter_mut().for_each(|command| {
            command.current_dir(work);
        });
        if !has_qemu() {
            theirs.clear();
        }
        let prove = |command: &Command| {
            fresh();
            let memory = peak(command);
            run(&mut cowherd("compare", &[&out, &work.join(self.view)]));
            if has_qemu() && self.format != "raw" {
                run(&mut qemu_img(&format!("check -q -f {}", self.format), &[&out]));
            }
            println!("  a copy takes {} MiB", out.metadata().unwrap().blocks() >> 11);
            memory
        };
        println!();
        let our_peak = prove(&ours);
        let mut sides = vec![Times::with_peak(our_peak)];
        sides.extend(theirs.iter().map(|command| Times::with_peak(prove(command))));
        for _ in 0..self.rounds {
            for (times, command) in sides.iter_mut().zip(std::iter::once(&mut ours).chain(&mut theirs)) {
                fresh();
                times.measure(|| {
                    run(command);
                    sync([&out]);
                });
            }
        }
        fresh();
        let mut sides = sides.into_iter();
        let ours = sides.next().unwrap_or_default();
        let best = sides.zip(&self.theirs).min_by(|(a, _), (b, _)| a.median().total_cmp(&b.median()));
        let (theirs, how) = best.unwrap_or((Times::default(), &self.what));
        Pair { ours, theirs, target: Some(self.target) }.report(&self.what, "cowherd export", how);
    }
}

/// From one format to another where it lies.
pub(crate) fn in_place() {
    let known = Command::new(env!("CARGO_BIN_EXE_cowherd"))
        .args(["convert", "--help"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !known.is_ok_and(|status| status.success()) {
        println!("\nconvert: ignored: this cowherd has no such command");
        return;
    }
    for (from, to) in [(Format::Qed, "qcow2"), (Format::Qcow2, "qed"), (Format::Raw, "qcow2")] {
        let place = Place::usual();
        InPlace::new(&place, from, to).run();
    }
}

struct InPlace {
    from: Format,
    to: &'static str,
    template: PathBuf,
    work: PathBuf,
}

impl InPlace {
    /// A disk of 4 GiB with 2 GiB in it.
    fn new(place: &Place, from: Format, to: &'static str) -> Self {
        let (template, work) = (place.path().join("template"), place.path().join("work"));
        std::fs::create_dir(&work).unwrap();
        let clusters = some_clusters(BASE_CLUSTERS, 70);
        let mut bytes = vec![0; CLUSTER as usize];
        match from {
            Format::Raw => std::fs::File::create_new(&template).unwrap().set_len(DISK).unwrap(),
            Format::Qed => create_qed(&template, DISK),
            Format::Qcow2 => create(&template, DISK, None),
        }
        lay_out(&template, from, &clusters, Order::Guest, |target, cluster, host| {
            content(cluster, 70, &mut bytes);
            target.file().write_at(host, &bytes).unwrap();
        });
        Self { from, to, template, work }
    }

    fn run(&self) {
        let (disk, out) = (self.work.join("disk"), self.work.join("out"));
        let fresh = || {
            let _ = std::fs::remove_file(&out);
            let _ = std::fs::remove_file(&disk);
            copy_sparse(&self.template, &disk);
            settle(&self.work);
        };
        let line = format!("convert disk --to {} --in-place -f {}", self.to, self.from.name());
        let ours = |more: &str| {
            let mut command =
                cowherd(&format!("{line} --accept backing-format --progress none {more}"), NONE);
            command.current_dir(&self.work);
            command
        };
        let mut quiet = ours("--yes --quiet");
        let mut theirs =
            qemu_img(&format!("convert -m 16 -W -f {} -O {} disk out", self.from.name(), self.to), NONE);
        theirs.current_dir(&self.work);
        fresh();
        let plan: serde_json::Value =
            serde_json::from_slice(&output(&mut ours("--dry-run --json")).stdout).unwrap();
        let before = disk.metadata().unwrap().blocks() * 512;
        let report: serde_json::Value =
            serde_json::from_slice(&output(&mut ours("--yes --json")).stdout).unwrap();
        let after = disk.metadata().unwrap().blocks() * 512;
        run(&mut cowherd("compare", &[&disk, &self.template]));
        if has_qemu() {
            run(&mut qemu_img(&format!("check -q -f {}", self.to), &[&disk]));
        }
        let mut pair = Pair { target: Some(100.0), ..Pair::default() };
        fresh();
        pair.ours.peak = peak(&quiet);
        let mut their_room = 0;
        if has_qemu() {
            fresh();
            pair.theirs.peak = peak(&theirs);
            their_room = out.metadata().unwrap().blocks() * 512;
        }
        for _ in 0..5 {
            fresh();
            pair.ours.measure(|| {
                run(&mut quiet);
                sync([&disk]);
            });
            if has_qemu() {
                fresh();
                pair.theirs.measure(|| {
                    run(&mut theirs);
                    sync([&out]);
                });
            }
        }
        let what = format!(
            "{} to {}, in place (4 GiB with 2 GiB in it), usual file system",
            self.from.name(),
            self.to
        );
        pair.report(&what, "cowherd convert", "qemu-img convert");
        let kib = |bytes: u64| bytes >> 10;
        println!(
            "  written                    {:9} KiB, theirs {} KiB",
            kib(number(&report["written_bytes"])),
            kib(their_room)
        );
        println!(
            "  more room at most          {:9} KiB planned, {} KiB at the end; theirs {} KiB",
            kib(number(&plan["cost"]["peak_extra_bytes"])),
            kib(after.saturating_sub(before)),
            kib(their_room)
        );
    }
}

fn number(value: &serde_json::Value) -> u64 {
    value.as_u64().unwrap()
}

/// A copy with the same holes, that shares nothing.
fn copy_sparse(from: &Path, to: &Path) {
    run(Command::new("cp").args(["--sparse=always", "--reflink=never"]).args([from, to]));
}
