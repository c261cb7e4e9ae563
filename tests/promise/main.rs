//! The promise, on random herds: after an operation every view that its plan does not name reads
//! exactly as before, the named ones as documented, and every check is clean.
//!
//! `COWHERD_CASES` sets how many cases run (a seeded few by default), `COWHERD_SEED` which one is
//! first. A failure prints its seed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

use std::path::Path;

use common::{Herd, Random, assert_clean, fingerprints, herd, scanned};
use cowherd::chain::{Gate, Opener};
use cowherd::image::State;
use cowherd::job::{Job, Options};
use cowherd::plan::{CommitOptions, HazardKind, commit};
use cowherd::units::Guest;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn content(dir: &Path, path: &Path) -> Vec<u8> {
    let opener = Opener { gate: Gate::for_paths([dir]), ..Opener::default() };
    let view = opener.open(path).unwrap().view(State::Active);
    let mut out = vec![0; view.size() as usize];
    view.read_at(Guest(0), &mut out).unwrap();
    out
}

#[test]
fn commits_on_random_herds_keep_every_view() {
    let (first, cases) = (number("COWHERD_SEED", 1), number("COWHERD_CASES", 60));
    let (mut ran, mut refused) = (0, 0);
    for seed in first..first + cases {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let mut random = Random::new(seed);
        let images = 2 + random.below(5);
        let snapshots = *random.pick(&[0, 1, 1, 1, 2]);
        let mut made = herd(&dir, Herd { images, snapshots }, &mut random);
        for step in 0..3 {
            made.retain(|m| m.path.exists());
            let forest = scanned(&dir);
            let tops: Vec<_> = forest.ids().filter(|id| forest.parent(*id).is_some()).collect();
            if tops.is_empty() {
                break;
            }
            let top = *random.pick(&tops);
            let node = forest.get(top).unwrap();
            let mut below = Vec::new();
            let mut at = top;
            while let Some(id) = forest.parent(at) {
                below.push(id);
                at = id;
            }
            let base = forest.get(*random.pick(&below)).unwrap();
            let options = CommitOptions {
                base: Some(base.path.clone()),
                remove: random.one_in(4),
                keep: random.one_in(4),
                gate: Gate::for_paths([&dir]),
            };
            let what = format!(
                "seed {seed} step {step}: commit {} into {} of {:#?}",
                node.path.display(),
                base.path.display(),
                made
            );
            let before = fingerprints(&dir);
            let (top_bytes, base_bytes) = (content(&dir, &node.path), content(&dir, &base.path));
            let plan = commit(&forest, &node.path, &options).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(fingerprints(&dir), before, "{what}: planning changed something");
            let (changed, after, cost) = (plan.views_changed.clone(), plan.after.clone(), plan.cost);
            if plan.forbidden().is_some() {
                assert!(Job::start(plan, Options::default()).is_err(), "{what}: ran though forbidden");
                assert_eq!(fingerprints(&dir), before, "{what}: a refusal changed something");
                refused += 1;
                continue;
            }
            let accepted = vec![HazardKind::NoUndo];
            let job = Job::start(plan, Options { accepted, ..Options::default() })
                .unwrap_or_else(|e| panic!("{what}: {e}"));
            let report = job.wait().unwrap_or_else(|e| panic!("{what}: {e}"));
            ran += 1;

            let now = fingerprints(&dir);
            for (view, old) in &before {
                let named = changed.contains(view)
                    || changed.iter().any(|c| !Path::new(c).exists() && view.starts_with(c));
                assert!(named || now.get(view) == Some(old), "{what}: {view} changed");
            }
            let mut expected = base_bytes;
            expected.resize(expected.len().max(top_bytes.len()), 0);
            expected[..top_bytes.len()].copy_from_slice(&top_bytes);
            assert!(content(&dir, &base.path) == expected, "{what}: the base is not what was committed");
            assert_clean(&dir, &what);
            assert!(report.written_bytes <= cost.write_bytes, "{what}: {report:?} is dearer than {cost:?}");
            if cost.exact {
                assert_eq!(report.written_bytes, cost.write_bytes, "{what}: an exact figure was wrong");
            }
            let shape = |f: &cowherd::forest::Forest| -> Vec<_> {
                let parent = |n: &cowherd::forest::Node| n.backing.as_ref().and_then(|b| b.resolved.clone());
                f.nodes.iter().map(|n| (n.path.clone(), parent(n), n.virtual_size)).collect()
            };
            assert_eq!(shape(&scanned(&dir)), shape(&after), "{what}: the forest is not as predicted");
        }
    }
    println!("{cases} herds from seed {first}: {ran} commits ran, {refused} were refused");
    assert!(ran > 0);
}
