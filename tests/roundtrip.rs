//! Random mixed chains, exported as linear ones and imported again: every view reads as it did.
//!
//! `COWHERD_CASES` sets how many, `COWHERD_SEED` which one is first. A failure prints its seed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/mod.rs"]
mod common;

use std::path::{Path, PathBuf};

use common::{Herd, Random, assert_clean, fingerprints, herd, scanned};
use cowherd::chain::Gate;
use cowherd::image::{Format, NewImage};
use cowherd::job::{Job, Options};
use cowherd::plan::{self, ChainOptions, HazardKind, Plan};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn run(plan: Plan, what: &str) {
    let options = Options { accepted: vec![HazardKind::BackingFormat], ..Options::default() };
    let cost = plan.cost;
    let report = Job::start(plan, options).and_then(Job::wait).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert!(report.written_bytes <= cost.write_bytes, "{what}: {report:?} for {cost:?}");
}

/// The image on top of the longest chain.
fn top(dir: &Path) -> PathBuf {
    let forest = scanned(dir);
    let longest = forest.ids().max_by_key(|id| forest.ancestors(*id).len()).unwrap();
    forest.get(longest).unwrap().path.clone()
}

#[test]
fn random_chains_come_back_as_they_were() {
    let (first, cases) = (number("COWHERD_SEED", 1), number("COWHERD_CASES", 60));
    let mut views = 0;
    for seed in first..first + cases {
        let what = format!("seed {seed}");
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let mut random = Random::new(seed);
        herd(&dir, Herd { images: 2 + random.below(5), snapshots: 2 }, &mut random);
        let (top, before) = (top(&dir), fingerprints(&dir));
        let format = *random.pick(&[Format::Qcow2, Format::Qed]);
        let how = ChainOptions {
            compress: format == Format::Qcow2 && random.one_in(3),
            by_content: random.one_in(3),
            ..ChainOptions::default()
        };
        let out = dir.join("out");
        let new = NewImage::of(format, 0, None).unwrap();
        let gate = || Gate::for_paths([&dir]);
        run(plan::export_chain(&scanned(&dir), &top, &out, &new, how.clone(), gate()).unwrap(), &what);

        let list: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(out.join("manifest.json")).unwrap()).unwrap();
        let list = list["chain"].as_array().unwrap();
        let files: Vec<PathBuf> =
            list.iter().map(|entry| out.join(entry["file"].as_str().unwrap())).collect();
        let all = dir.join("all.qcow2");
        let how = ChainOptions { compress: random.one_in(3), ..how };
        let new = NewImage::of(Format::Qcow2, 0, None).unwrap();
        let last = files.last().unwrap();
        run(plan::import(&scanned(&dir), last, &all, &new, how, gate()).unwrap(), &what);
        assert_clean(&dir, &what);

        let after = fingerprints(&dir);
        for (view, hash) in &before {
            assert_eq!(after.get(view), Some(hash), "{what}: {view} changed");
        }
        let text = |path: &Path| path.to_string_lossy().into_owned();
        for (i, (entry, file)) in list.iter().zip(&files).enumerate() {
            let id = entry["snapshot"]["id"].as_str().map_or(String::new(), |id| format!("@#{id}"));
            let original = format!("{}{id}", entry["image"].as_str().unwrap());
            let imported = match i + 1 == files.len() {
                true => text(&all),
                false => format!("{}@#{}", text(&all), i + 1),
            };
            let hash = before.get(&original);
            assert!(hash.is_some(), "{what}: {original}");
            assert_eq!(after.get(&text(file)), hash, "{what}: {} is not {original}", file.display());
            assert_eq!(after.get(&imported), hash, "{what}: {imported} is not {original}");
            views += 1;
        }
    }
    println!("{cases} chains from seed {first}: {views} views came back as they were");
}
