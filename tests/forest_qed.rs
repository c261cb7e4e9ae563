//! QED against QEMU: images made by qemu-img and qemu-io are mapped, read and checked as QEMU does.
//! Ignored, with the reason, where these programs are missing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cowherd::chain::{Chain, Opener};
use cowherd::forest::{self, ProblemKind, ScanOptions};
use cowherd::image::{ExtentKind, State};
use cowherd::storage::LockState;
use cowherd::units::Guest;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use tempfile::TempDir;

fn main() {
    let arguments = Arguments::from_args();
    let missing: Vec<_> = ["qemu-img", "qemu-io"]
        .into_iter()
        .filter(|program| Command::new(program).arg("--version").output().is_err())
        .collect();
    let tests: [(&str, fn()); 4] = [
        ("map_and_content_agree", map_and_content_agree),
        ("check_agrees", check_agrees),
        ("a_forest_of_qed_hangs_together", a_forest_of_qed_hangs_together),
        ("a_holder_is_named", a_holder_is_named),
    ];
    let trial = |(name, test): (&str, fn())| {
        let shown = match missing.as_slice() {
            [] => name.to_owned(),
            missing => format!("{name} (needs {})", missing.join(", ")),
        };
        let run = move || std::panic::catch_unwind(test).map_err(|_| Failed::without_message());
        Trial::test(shown, run).with_ignored_flag(!missing.is_empty())
    };
    libtest_mimic::run(&arguments, tests.into_iter().map(trial).collect()).exit();
}

/// Runs a program that must succeed (or end with `code`); returns what it printed.
fn run(dir: &Path, code: i32, line: &[&str]) -> String {
    let out = Command::new(line[0]).args(&line[1..]).current_dir(dir).output().unwrap();
    assert_eq!(out.status.code(), Some(code), "{line:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

fn io(dir: &Path, image: &str, commands: &[&str]) {
    let mut line = vec!["qemu-io", "-f", "qed"];
    line.extend(commands.iter().flat_map(|c| ["-c", c]));
    line.push(image);
    run(dir, 0, &line);
}

/// base.img (raw) <- a.qed <- b.qed (small clusters) and c.qed, with data, zeros and scattered clusters.
fn herd() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().canonicalize().unwrap();
    fs::write(path.join("base.img"), vec![1; 8 << 20]).unwrap();
    let create = |line: &str| {
        let line: Vec<_> = line.split(' ').collect();
        run(&path, 0, &[&["qemu-img", "create", "-q", "-f", "qed"], &line[..]].concat());
    };
    create("-b base.img -F raw a.qed");
    create("-o cluster_size=4096,table_size=2 -b a.qed -F qed b.qed");
    create("-b a.qed -F qed c.qed");
    create("alone.qed 3T");
    io(
        &path,
        "a.qed",
        &["write -P 2 1M 200k", "write -P 3 64k 64k", "write -z 4M 1M", "write -P 4 1600k 64k"],
    );
    io(&path, "b.qed", &["write -P 5 5k 9k", "write -P 6 1M 40k", "write -z 1100k 64k", "write -P 7 7M 1M"]);
    io(&path, "alone.qed", &["write -P 8 0 10k", "write -P 9 2T 10k"]);
    (dir, path)
}

const IMAGES: [&str; 4] = ["a.qed", "b.qed", "c.qed", "alone.qed"];

fn open(path: &Path, image: &str) -> Chain {
    Opener::for_path(&path.join(image)).open(&path.join(image)).unwrap()
}

/// What `qemu-img map` says, one value per run: start, length, depth, zero, data, offset.
type Run = (u64, u64, u64, bool, bool, Option<u64>);

/// Neighbours that go on in the same way are one run; the two sides need not cut alike.
fn coalesce(runs: Vec<Run>) -> Vec<Run> {
    let mut out: Vec<Run> = Vec::new();
    for run in runs {
        if let Some(last) = out.last_mut() {
            let goes_on = last.5.map(|offset| offset + last.1) == run.5;
            if goes_on && (last.2, last.3, last.4) == (run.2, run.3, run.4) {
                last.1 += run.1;
                continue;
            }
        }
        out.push(run);
    }
    out
}

fn qemu_map(path: &Path, image: &str) -> Vec<Run> {
    let text = run(path, 0, &["qemu-img", "map", "--output=json", "-f", "qed", image]);
    let map: Vec<Value> = serde_json::from_str(&text).unwrap();
    let number = |run: &Value, key: &str| run[key].as_u64().unwrap();
    let flag = |run: &Value, key: &str| run[key].as_bool().unwrap();
    map.iter()
        .map(|r| {
            let offset = r["offset"].as_u64();
            (
                number(r, "start"),
                number(r, "length"),
                number(r, "depth"),
                flag(r, "zero"),
                flag(r, "data"),
                offset,
            )
        })
        .collect()
}

fn our_map(chain: &Chain) -> Vec<Run> {
    let view = chain.view(State::Active);
    view.extents(0, u64::MAX)
        .map(|extent| {
            let e = extent.unwrap();
            let (zero, data, offset) = match e.kind {
                ExtentKind::Data { host } => (false, true, Some(host.0)),
                _ => (true, false, None),
            };
            (e.start.0, e.len, e.depth as u64, zero, data, offset)
        })
        .collect()
}

fn map_and_content_agree() {
    let (_dir, path) = herd();
    for image in IMAGES {
        let chain = open(&path, image);
        assert_eq!(coalesce(our_map(&chain)), coalesce(qemu_map(&path, image)), "{image}");
    }
    for image in &IMAGES[..3] {
        run(&path, 0, &["qemu-img", "convert", "-f", "qed", "-O", "raw", image, "flat.raw"]);
        let flat = fs::File::open(path.join("flat.raw")).unwrap();
        let view = open(&path, image).view(State::Active);
        let (mut ours, mut theirs) = (vec![0; 1 << 20], vec![0; 1 << 20]);
        for at in (0..view.size()).step_by(1 << 20) {
            view.read_at(Guest(at), &mut ours).unwrap();
            flat.read_exact_at(&mut theirs, at).unwrap();
            assert!(ours == theirs, "{image} differs in the MiB at {at}");
        }
    }
}

fn check_agrees() {
    let (_dir, path) = herd();
    // Leaks: whole clusters that nothing references. Corruption: one entry of an L2 table doubled.
    let len = path.join("c.qed").metadata().unwrap().len();
    fs::OpenOptions::new().write(true).open(path.join("c.qed")).unwrap().set_len(len + 3 * 65536).unwrap();
    let l2 = entry(&path, "a.qed", 65536);
    let first = entry(&path, "a.qed", l2 + 8);
    let file = fs::OpenOptions::new().write(true).open(path.join("a.qed")).unwrap();
    file.write_all_at(&first.to_le_bytes(), l2 + 8 * 40).unwrap();
    file.write_all_at(&(1_u64 << 40).to_le_bytes(), l2 + 8 * 41).unwrap();
    for (image, code) in IMAGES.into_iter().zip([2, 0, 3, 0]) {
        let text = run(&path, code, &["qemu-img", "check", "--output=json", "-f", "qed", image]);
        let theirs: Value = serde_json::from_str(&text).unwrap();
        let ours = open_alone(&path, image).check().unwrap();
        let key = |key: &str| theirs[key].as_u64().unwrap_or(0);
        assert_eq!(
            (
                ours.corruptions,
                ours.leaks,
                ours.allocated_clusters,
                ours.fragmented_clusters,
                ours.total_clusters
            ),
            (
                key("corruptions"),
                key("leaks"),
                key("allocated-clusters"),
                key("fragmented-clusters"),
                key("total-clusters")
            ),
            "{image}: {theirs}"
        );
    }
}

fn entry(path: &Path, image: &str, at: u64) -> u64 {
    let mut bytes = [0; 8];
    fs::File::open(path.join(image)).unwrap().read_exact_at(&mut bytes, at).unwrap();
    u64::from_le_bytes(bytes)
}

fn open_alone(path: &Path, image: &str) -> std::sync::Arc<dyn cowherd::image::Image> {
    open(path, image).top().image.clone()
}

fn a_forest_of_qed_hangs_together() {
    let (_dir, path) = herd();
    let forest = forest::scan(std::slice::from_ref(&path), &ScanOptions::default()).unwrap();
    assert_eq!(forest.nodes.len(), 5);
    assert_eq!(forest.roots().len(), 2);
    assert!(forest.nodes.iter().all(|n| n.problems.is_empty()), "{:#?}", forest.nodes);
    for node in &forest.nodes {
        let text = run(&path, 0, &["qemu-img", "info", "--output=json", node.path.to_str().unwrap()]);
        let theirs: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(theirs["virtual-size"], node.virtual_size, "{}", node.name());
        assert_eq!(theirs["format"], node.format.unwrap().name());
        assert_eq!(theirs["actual-size"], node.disk_size);
        assert_eq!(theirs["backing-filename"].as_str(), node.backing.as_ref().map(|b| b.name.as_str()));
    }
    fs::remove_file(path.join("base.img")).unwrap();
    let forest = forest::scan(std::slice::from_ref(&path), &ScanOptions::default()).unwrap();
    let a = forest.get(forest.find(&path.join("a.qed")).unwrap()).unwrap();
    assert_eq!(a.problems.iter().map(|p| p.kind).collect::<Vec<_>>(), [ProblemKind::BackingMissing]);
}

fn a_holder_is_named() {
    let (_dir, path) = herd();
    let mut guest = Command::new("qemu-io")
        .args(["-f", "qed", "b.qed"])
        .current_dir(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let in_use = loop {
        let forest = forest::scan(std::slice::from_ref(&path), &ScanOptions::default()).unwrap();
        let id = forest.find(&path.join("b.qed")).unwrap();
        let base = forest.get(forest.find(&path.join("base.img")).unwrap()).unwrap().in_use.clone();
        match (forest.get(id).unwrap().in_use.clone(), base) {
            (Some(in_use), Some(base)) => break (in_use, base),
            _ => assert!(Instant::now() < deadline, "qemu-io never locked its image"),
        }
    };
    let pid = guest.id();
    guest.stdin.take().unwrap().write_all(b"quit\n").unwrap();
    guest.wait().unwrap();
    assert_eq!((in_use.0.mode, in_use.1.mode), (LockState::Write, LockState::Read));
    for held in [in_use.0, in_use.1] {
        let by = held.by.unwrap();
        assert_eq!((by.pid, by.program.as_str()), (pid, "qemu-io"));
    }
}
