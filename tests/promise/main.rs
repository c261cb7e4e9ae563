//! The promise, on random herds: after an operation every view that its plan does not name reads
//! exactly as before, the named ones as documented, every check is clean, and it cost what was predicted.
//!
//! `COWHERD_CASES` sets how many sequences run (a seeded few by default), `COWHERD_SEED` which one is
//! first. A failure prints its seed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod acts;
mod ledger;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use acts::{Act, content};
use common::{Herd, Random, assert_clean, fingerprints, herd, scanned};
use cowherd::chain::Basis;
use cowherd::forest::{Forest, Node};
use cowherd::job::{Job, Options};
use cowherd::plan::{HazardKind, Plan, Step};
use cowherd::storage::{RecorderDisk, Trace};
use ledger::Room;

/// Operations that run on each herd.
const STEPS: usize = 8;
/// Operations that are tried for that.
const TRIES: usize = 100;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

#[test]
fn operations_on_random_herds_keep_every_view() {
    let (first, cases) = (number("COWHERD_SEED", 1), number("COWHERD_CASES", 100));
    let (mut ran, mut refused, mut exact) = (0, 0, 0);
    for seed in first..first + cases {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let mut random = Random::new(seed);
        let images = 2 + random.below(6);
        let snapshots = *random.pick(&[0, 1, 2, 2]);
        let made = herd(&dir, Herd { images, snapshots }, &mut random);
        let (mut history, mut ran_here) = (Vec::new(), 0);
        for attempt in 0..TRIES {
            if ran_here == STEPS {
                break;
            }
            let forest = scanned(&dir);
            let act = Act::any(&forest, attempt, &mut random);
            history.push(act.to_string());
            let what = format!("seed {seed} step {attempt}: {history:#?} of {made:#?}");
            match operate(&dir, &forest, &act, &what) {
                Some(is_exact) => {
                    ran_here += 1;
                    exact += usize::from(is_exact);
                }
                None => refused += 1,
            }
        }
        assert_eq!(ran_here, STEPS, "seed {seed}: {history:#?}");
        ran += ran_here;
    }
    println!(
        "{cases} sequences from seed {first}: {ran} operations ran ({exact} at an exact cost), {refused} were \
         refused"
    );
}

/// Runs one operation and judges it; gives whether its cost was exact, or nothing when it was refused.
fn operate(dir: &Path, forest: &Forest, act: &Act, what: &str) -> Option<bool> {
    let before = fingerprints(dir);
    let expected = act.expected(dir);
    let mut plan = act.plan(forest, dir).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(fingerprints(dir), before, "{what}: planning changed something");
    if act.no_protect() && !act.fills(forest, dir) {
        let kind = HazardKind::Unprotected;
        assert!(plan.hazards.iter().all(|h| h.kind != kind), "{what}: {:#?}", plan.hazards);
    }
    let (changed, after, cost) = (plan.views_changed.clone(), plan.after.clone(), plan.cost);
    let steps: Vec<_> = plan.steps.iter().map(cowherd::plan::Step::describe).collect();
    if plan.forbidden().is_some() {
        assert!(Job::start(plan, Options::default()).is_err(), "{what}: ran though forbidden");
        assert_eq!(fingerprints(dir), before, "{what}: a refusal changed something");
        return None;
    }
    // The record keeps no times.
    plan.files.iter_mut().for_each(|file| file.stamp = file.stamp.without_times());
    let (trace, room) = (Trace::default(), Room::of(dir));
    let kept = plan.kept.len() as u64;
    // The job has a look itself, every third time.
    let compares = before.len().is_multiple_of(3) && kept > 0;
    let plan = if compares { plan.compared(Basis::Content) } else { plan };
    // A conversion proves what it does, whether it is asked to or not.
    let converted = plan.steps.iter().find(|step| matches!(step, Step::Convert { .. }));
    let converted = converted.and_then(|step| forest.get(forest.find(step.image()?)?));
    let proved = converted.map_or(0, |node| 1 + node.snapshots.len() as u64);
    // Every other time as on a file system that shares blocks, where data takes another way. The plan does not
    // know of that here, so it is held to a bound alone.
    let shares = before.len().is_multiple_of(2);
    let report = run(plan, &trace, shares).unwrap_or_else(|e| panic!("{what}: {e}"));
    let views = proved + if compares { kept } else { 0 };
    assert_eq!(report.compared.map(|c| c.views), (views > 0).then_some(views), "{what}: {steps:#?}");

    let now = fingerprints(dir);
    for (view, old) in &before {
        let moved = matches!(act, Act::Rename { image, .. } if view.starts_with(&*image.to_string_lossy()));
        assert!(moved || changed.contains(view) || now.get(view) == Some(old), "{what}: {view} changed");
    }
    if let Some((image, expected)) = expected {
        assert!(content(dir, &image) == expected, "{what}: {} is not as documented", image.display());
    }
    act.assert_views(forest, &before, &now, &changed, what);
    assert_clean(dir, what);

    let real = room.follow(&trace.events());
    assert_eq!(report.written_bytes, real.written, "{what}: the report is not what was written: {steps:#?}");
    let dear = format!("{what}: {real:?} {report:?} is dearer than {cost:?} for {steps:#?}");
    assert!(real.written <= cost.write_bytes && real.peak_extra <= cost.peak_extra_bytes, "{dear}");
    if cost.exact && !shares {
        let predicted = (cost.write_bytes, cost.freed_bytes);
        assert_eq!((real.written, report.freed_bytes), predicted, "{what}: an exact figure was wrong");
    }
    let shape = |f: &Forest| -> Vec<_> {
        let parent = |n: &Node| n.backing.as_ref().and_then(|b| b.resolved.clone());
        let mut all: Vec<_> = f.nodes.iter().map(|n| (n.path.clone(), parent(n), n.virtual_size)).collect();
        all.sort();
        all
    };
    assert_eq!(shape(&scanned(dir)), shape(&after), "{what}: the forest is not as predicted");
    Some(cost.exact)
}

fn run(plan: Plan, trace: &Trace, shares: bool) -> cowherd::error::Result<cowherd::job::Report> {
    let disk = Arc::new(RecorderDisk::new(trace.clone(), HashMap::new()).sharing(shares));
    let accepted = vec![HazardKind::NoUndo, HazardKind::BackingFormat, HazardKind::Unprotected];
    Job::start_on(disk, plan, Options { accepted, ..Options::default() })?.wait()
}
