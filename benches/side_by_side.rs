//! Side by side with qemu-img, in one run on one machine: `cargo bench`.
//!
//! Each side runs the command that an operator would type, as a process of its own. The sides take
//! turns, on fresh and synced copies where they write; the first round only warms up. Only the
//! ratios travel to other machines.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File as StdFile;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cowherd::image::qcow2::{self, CreateOptions};
use cowherd::image::{self, BackingRef, Format};
use cowherd::storage::{File, RealFile};
use cowherd::units::Guest;

const CLUSTER: u64 = 64 << 10;
const IMAGES: usize = 1000;
const DISK: u64 = 4 << 30;
const BASE_CLUSTERS: usize = 8 << 10;
const TOP_CLUSTERS: usize = 3200;
const SCAN_ROUNDS: usize = 3;
const COMMIT_ROUNDS: usize = 7;

fn main() {
    // `cargo test --benches` runs this too; a measurement is not a test.
    if !std::env::args().any(|a| a == "--bench") {
        println!("side_by_side: measures only under cargo bench");
        return;
    }
    let qemu = quiet(Command::new("qemu-img").arg("--version")).is_some_and(|ok| ok);
    if !qemu {
        println!("qemu-img is not installed: cowherd's own times follow, and no ratios");
    }
    scan(qemu);
    commit(qemu);
}

/// A folder of images against one `qemu-img info` each.
fn scan(qemu: bool) {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..IMAGES).map(|i| folder.path().join(format!("image{i:04}.qcow2"))).collect();
    for (i, path) in paths.iter().enumerate() {
        // A hundred families of ten.
        let parent = (i % 10 > 0).then(|| format!("image{:04}.qcow2", i / 10 * 10));
        create(path, 1 << 30, parent.as_deref());
    }
    let mut ours = Times::default();
    let mut theirs = Times::default();
    for round in 0..=SCAN_ROUNDS {
        let time = run(cowherd().args(["tree", "--json"]).arg(folder.path()));
        ours.add(round, time);
        if qemu {
            let start = Instant::now();
            for path in &paths {
                run(Command::new("qemu-img").args(["info", "--output=json"]).arg(path));
            }
            theirs.add(round, start.elapsed());
        }
    }
    report("scan of 1,000 images", "cowherd tree", &ours, "1,000 times qemu-img info", &theirs);
}

/// A layer of 200 MiB on a disk of 4 GiB, both sides ending in a sync.
fn commit(qemu: bool) {
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("template");
    let work = folder.path().join("work");
    for dir in [&template, &work] {
        std::fs::create_dir(dir).unwrap();
    }
    let mut random = Random(0x5eed);
    create(&template.join("base.qcow2"), DISK, None);
    fill(&template.join("base.qcow2"), BASE_CLUSTERS, &mut random);
    create(&template.join("top.qcow2"), DISK, Some("base.qcow2"));
    fill(&template.join("top.qcow2"), TOP_CLUSTERS, &mut random);

    let mut ours = Times::default();
    let mut theirs = Times::default();
    for round in 0..=COMMIT_ROUNDS {
        fresh(&template, &work);
        let time = run(cowherd()
            .args(["commit", "--yes", "--quiet", "--progress", "none"])
            .arg(work.join("top.qcow2")));
        ours.add(round, time);
        if !qemu {
            continue;
        }
        let result = folder.path().join("ours.qcow2");
        std::fs::rename(work.join("base.qcow2"), &result).unwrap();
        fresh(&template, &work);
        theirs.add(round, run(Command::new("qemu-img").args(["commit", "-q"]).arg(work.join("top.qcow2"))));
        if round == 0 {
            // A fast wrong answer is worth nothing.
            run(cowherd().arg("compare").arg(&result).arg(work.join("base.qcow2")));
            run(Command::new("qemu-img").args(["check", "-q"]).arg(&result));
        }
    }
    report("commit of 200 MiB (disk 4 GiB, synced)", "cowherd commit", &ours, "qemu-img commit", &theirs);
}

fn cowherd() -> Command {
    Command::new(env!("CARGO_BIN_EXE_cowherd"))
}

/// Whether a program ran and was content; `None` when it could not be started.
fn quiet(command: &mut Command) -> Option<bool> {
    let run = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    run.ok().map(|status| status.success())
}

/// Runs a command that must succeed, and measures it.
fn run(command: &mut Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status().unwrap();
    let time = start.elapsed();
    assert!(status.success(), "{command:?} failed: {status}");
    time
}

fn create(path: &Path, size: u64, backing: Option<&str>) {
    let file = RealFile::create_new(path).unwrap();
    let backing = backing.map(|name| BackingRef { name: name.into(), format: Some("qcow2".into()) });
    qcow2::create(&file, &CreateOptions { virtual_size: size, backing, ..Default::default() }).unwrap();
}

/// Writes `count` clusters all over the disk, in three passes, so that neighbours on the disk are
/// no neighbours in the file.
fn fill(path: &Path, count: usize, random: &mut Random) {
    let mut clusters: Vec<u64> = (0..DISK / CLUSTER).collect();
    for i in 0..count {
        let other = i + random.next() as usize % (clusters.len() - i);
        clusters.swap(i, other);
    }
    clusters.truncate(count);
    let file: Arc<dyn File> = Arc::new(RealFile::open(path, true).unwrap());
    let mut bytes = vec![0; CLUSTER as usize];
    for pass in clusters.chunks_mut(count.div_ceil(3)) {
        pass.sort_unstable();
        let mut target = image::write(file.clone(), Format::Qcow2, false).unwrap();
        for cluster in pass.iter() {
            bytes.chunks_exact_mut(8).for_each(|word| word.copy_from_slice(&random.next().to_le_bytes()));
            let (host, _) = target.allocate(Guest(cluster * CLUSTER), CLUSTER).unwrap();
            target.file().write_at(host.0, &bytes).unwrap();
            target.map(Guest(cluster * CLUSTER), host, CLUSTER).unwrap();
        }
        target.finish().unwrap();
    }
}

/// New copies of the template, on the disk and in the page cache.
fn fresh(template: &Path, work: &Path) {
    for name in ["base.qcow2", "top.qcow2"] {
        let to = work.join(name);
        let _ = std::fs::remove_file(&to);
        std::fs::copy(template.join(name), &to).unwrap();
        StdFile::open(&to).unwrap().sync_all().unwrap();
    }
}

/// Measured rounds, without the first.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn add(&mut self, round: usize, time: Duration) {
        if round > 0 {
            self.0.push(time);
        }
    }

    fn sorted(&self) -> Vec<f64> {
        let mut seconds: Vec<_> = self.0.iter().map(Duration::as_secs_f64).collect();
        seconds.sort_unstable_by(f64::total_cmp);
        seconds
    }

    fn median(&self) -> f64 {
        let sorted = self.sorted();
        sorted[sorted.len() / 2]
    }
}

fn report(what: &str, our_name: &str, ours: &Times, their_name: &str, theirs: &Times) {
    println!("\n{what}");
    for (name, times) in [(our_name, ours), (their_name, theirs)] {
        if let (Some(low), Some(high)) = (times.sorted().first(), times.sorted().last()) {
            println!(
                "  {name:28}{:9.1} ms   ({:.1} to {:.1} in {} rounds)",
                times.median() * 1e3,
                low * 1e3,
                high * 1e3,
                times.0.len()
            );
        }
    }
    if !theirs.0.is_empty() {
        println!("  ratio of the medians        {:9.1}", theirs.median() / ours.median());
    }
}

/// The same numbers every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
