//! Cleaning up, on random herds with random wishes: what is to stay reads as before, what is to go is gone, it
//! costs what was predicted, and not more than committing each layer or pulling each.
//!
//! `COWHERD_CASES` sets how many herds (a seeded few by default), `COWHERD_SEED` which one is first. A failure
//! prints its seed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../promise/ledger.rs"]
mod ledger;

mod each;
mod wishes;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use common::{Herd, Random, assert_clean, fingerprints, herd, scanned};
use cowherd::chain::{Gate, ViewSpec};
use cowherd::forest::{Forest, Node};
use cowherd::job::{Job, Options};
use cowherd::plan::{CopyMode, HazardKind, Step, ViewId, Wishes, cleanup};
use cowherd::storage::{RecorderDisk, Trace};
use ledger::Room;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

#[derive(Debug, Default)]
struct Tally {
    ran: usize,
    refused: usize,
    exact: usize,
    merged: usize,
    compared: usize,
    gone: usize,
    kept: usize,
}

#[test]
fn wishes_on_random_herds_are_fulfilled_and_nothing_else_changes() {
    let (first, cases) = (number("COWHERD_SEED", 1), number("COWHERD_CASES", 60));
    let mut tally = Tally::default();
    for seed in first..first + cases {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let mut random = Random::new(seed);
        let (images, snapshots) = (3 + random.below(6), *random.pick(&[0, 0, 1, 2]));
        herd(&dir, Herd { images, snapshots }, &mut random);
        let forest = scanned(&dir);
        let goes = wishes::any(&forest, &mut random);
        let names: Vec<_> = goes.iter().map(ToString::to_string).collect();
        let shape: Vec<_> = forest.nodes.iter().map(|n| (n.name(), parent(n))).collect();
        let what = format!("COWHERD_SEED={seed}: {names:?} of {shape:?}");
        clean_up(&dir, &forest, &goes, &what, &mut tally);
    }
    println!("{cases} herds from seed {first}: {tally:?}");
    assert!(tally.ran * 2 > cases as usize, "{tally:?}");
}

fn parent(node: &Node) -> Option<String> {
    let path = node.backing.as_ref()?.resolved.as_ref()?;
    Some(path.file_name()?.to_string_lossy().into_owned())
}

fn clean_up(dir: &Path, forest: &Forest, goes: &BTreeSet<ViewId>, what: &str, tally: &mut Tally) {
    let before = fingerprints(dir);
    let mut plan = cleanup(forest, goes, Gate::for_paths([dir])).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(fingerprints(dir), before, "{what}: planning changed something");
    let unnamed = plan.views_changed.iter().find(|view| !goes.iter().any(|id| full(id) == **view));
    assert!(unnamed.is_none(), "{what}: {unnamed:?} is not to go");
    if plan.forbidden().is_some() {
        assert!(Job::start(plan, Options::default()).is_err(), "{what}: ran though forbidden");
        tally.refused += 1;
        return;
    }
    let (cost, after, steps) = (plan.cost, plan.after.clone(), plan.steps.clone());
    let shown: Vec<_> = steps.iter().map(Step::describe).collect();
    let dearest = [each::commits(dir, goes), each::pulls(dir, goes)].into_iter().flatten().min();
    // A job of several steps marks the images that it writes, which single switches need not.
    let marks = 1536 * cowherd::plan::targets(&steps).len() as u64;
    if let Some(dearest) = dearest {
        tally.compared += 1;
        assert!(
            cost.write_bytes <= dearest + marks,
            "{what}: {} over {dearest}: {shown:#?}",
            cost.write_bytes
        );
    }
    // The record keeps no times.
    plan.files.iter_mut().for_each(|file| file.stamp = file.stamp.without_times());
    let (trace, room) = (Trace::default(), Room::of(dir));
    let disk = Arc::new(RecorderDisk::new(trace.clone(), HashMap::new()));
    let accepted = vec![HazardKind::NoUndo, HazardKind::BackingFormat];
    let report = Job::start_on(disk, plan, Options { accepted, ..Options::default() })
        .and_then(Job::wait)
        .unwrap_or_else(|e| panic!("{what}: {e}: {shown:#?}"));

    let now = fingerprints(dir);
    assert_views(forest, goes, &before, &now, &steps, &format!("{what}: {shown:#?}"));
    assert_clean(dir, what);
    let real = room.follow(&trace.events());
    assert_eq!(report.written_bytes, real.written, "{what}: the report is not what was written");
    let dear = format!("{what}: {real:?} {report:?} is dearer than {cost:?} for {shown:#?}");
    assert!(real.written <= cost.write_bytes && real.peak_extra <= cost.peak_extra_bytes, "{dear}");
    if cost.exact {
        let predicted = (cost.write_bytes, cost.freed_bytes);
        assert_eq!(
            (real.written, report.freed_bytes),
            predicted,
            "{what}: an exact figure was wrong: {shown:#?}"
        );
    }
    assert_eq!(shape(&scanned(dir)), shape(&after), "{what}: the forest is not as predicted");
    assert_eq!(report.freed.in_trash_bytes > 0, !report.trashed.is_empty(), "{what}: {report:?}");

    tally.ran += 1;
    tally.exact += usize::from(cost.exact);
    tally.merged += usize::from(steps.iter().any(overwrites));
    tally.gone += goes.len();
    tally.kept += before.len() - goes.len();
}

fn shape(forest: &Forest) -> Vec<(String, Option<String>, u64, usize)> {
    let one = |n: &Node| (n.name(), parent(n), n.virtual_size, n.snapshots.len());
    let mut all: Vec<_> = forest.nodes.iter().map(one).collect();
    all.sort();
    all
}

fn overwrites(step: &Step) -> bool {
    matches!(step, Step::Copy(copy) if copy.mode == CopyMode::Overwrite)
}

/// As fingerprints name it.
fn full(view: &ViewId) -> String {
    let image = view.image.to_string_lossy();
    view.snapshot.as_ref().map_or_else(|| image.to_string(), |id| format!("{image}@#{id}"))
}

fn assert_views(
    forest: &Forest,
    goes: &BTreeSet<ViewId>,
    before: &BTreeMap<String, u64>,
    now: &BTreeMap<String, u64>,
    steps: &[Step],
    what: &str,
) {
    for view in forest.nodes.iter().flat_map(ViewId::all) {
        let name = full(&view);
        if !goes.contains(&view) {
            assert_eq!(now.get(&name), before.get(&name), "{name} changed: {what}");
            continue;
        }
        let Some(hash) = now.get(&name) else { continue };
        assert!(view.snapshot.is_none(), "{name} is still there: {what}");
        let node = forest.get(forest.find(&view.image).unwrap()).unwrap();
        let stays: Vec<_> = ViewId::all(node).filter(|view| !goes.contains(view)).collect();
        // An image of which a snapshot stays shows that; otherwise it is what others were merged into.
        let store = steps.iter().any(|step| overwrites(step) && step.image() == Some(&view.image));
        let gave_way = stays.iter().any(|stays| now.get(&full(stays)) == Some(hash));
        assert!(if stays.is_empty() { store } else { gave_way }, "{name} is still there: {what}");
    }
}

#[test]
fn the_last_of_a_line_stay_and_what_lines_share() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    wishes::line(
        &dir,
        &[("base", None), ("a", Some("base")), ("b", Some("a")), ("c", Some("b")), ("d", Some("a"))],
    );
    let forest = scanned(&dir);
    let going = |wishes: Wishes| -> Vec<String> {
        let going = wishes.going(&forest, SystemTime::now()).unwrap();
        going.iter().map(ToString::to_string).collect()
    };
    let last = |n| Wishes { keep_last: Some(n), ..Wishes::default() };
    // base and a are below two lines.
    assert_eq!(going(last(1)), ["b"]);
    assert_eq!(going(last(2)), [""; 0]);
    let pinned = vec![ViewSpec::active(&dir.join("b"))];
    assert_eq!(going(Wishes { pinned, ..last(1) }), [""; 0]);
    let delete = vec![ViewSpec::active(&dir.join("base")), ViewSpec::active(&dir.join("d"))];
    assert_eq!(going(Wishes { delete, ..Wishes::default() }), ["base", "d"]);
    let hour = Some(std::time::Duration::from_secs(3600));
    assert_eq!(going(Wishes { older_than: hour, ..Wishes::default() }), [""; 0]);
    let none = Some(std::time::Duration::ZERO);
    assert_eq!(going(Wishes { older_than: none, ..Wishes::default() }), ["b"]);
}
