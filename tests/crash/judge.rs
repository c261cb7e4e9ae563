//! One operation on one herd through all the states that power cuts leave of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cowherd::chain::Gate;
use cowherd::error::Result;
use cowherd::forest::NodeId;
use cowherd::image::{self, Format, Severity};
use cowherd::job::{self, Job, Options, Recovery, Report};
use cowherd::plan::{HazardKind, Plan};
use cowherd::storage::{Disk, FileId, RealFile, RecorderDisk, Trace};

use crate::acts::Act;
use crate::common::{Random, fingerprints, fingerprints_where, scanned};
use crate::herds::{self, Kind};
use crate::qemu;
use crate::world::{Story, World};

/// Herds are made until there are enough states, but not for ever.
const MOST_HERDS: u64 = 2000;
/// States of one herd at most, so that there are several.
const FROM_ONE_HERD: usize = 400;

pub(crate) type Views = BTreeMap<String, u64>;

/// Takes `act` through at least `wanted` states; gives how many, and how many of them in a recovery.
pub(crate) fn trial(kind: Kind, act: &Act, wanted: usize, seed: u64) -> (usize, usize) {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    let (mut states, mut second) = (0, 0);
    for seed in seed..seed + MOST_HERDS {
        if states >= wanted {
            break;
        }
        World::default().set_up(&dir);
        let mut random = Random::new(seed.wrapping_mul(1000) + act.name.len() as u64);
        herds::make(&dir, kind, &mut random);
        let Some(plan) = act.plan(&dir) else { continue };
        let what = format!("{}::{} COWHERD_SEED={seed}", act.name, kind.name());
        let run = Run::new(&dir, plan, what, act.leaves_files());
        let (some, cut_twice) = run.all((wanted - states).min(FROM_ONE_HERD), &mut random);
        states += some + cut_twice;
        second += cut_twice;
    }
    assert!(states >= wanted, "{}::{}: only {states} states found", act.name, kind.name());
    (states, second)
}

/// An operation that was done once, with everything that happened.
struct Run<'a> {
    dir: &'a Path,
    what: String,
    story: Story,
    before: Views,
    after: Views,
    named: Vec<String>,
    /// Bytes of each disk before.
    sizes: BTreeMap<PathBuf, u64>,
    /// Named views that may be a mixture until recovery: bytes in place have nothing to hide behind.
    in_place: Vec<String>,
    /// Whether a way back leads to the very bytes that were there.
    leaves_files: bool,
    seen: std::cell::RefCell<HashSet<u64>>,
}

pub(crate) fn options() -> Options {
    let accepted = vec![HazardKind::NoUndo, HazardKind::BackingFormat, HazardKind::ViewChanges];
    Options { accepted, ..Options::default() }
}

impl<'a> Run<'a> {
    fn new(dir: &'a Path, mut plan: Plan, what: String, leaves_files: bool) -> Self {
        let before = fingerprints(dir);
        let sizes = sizes(dir);
        let named = plan.views_changed.clone();
        let in_place = plan.hazards.iter().any(|h| h.kind == HazardKind::InPlace);
        for file in &mut plan.files {
            file.stamp = file.stamp.without_times();
        }
        let trace = Trace::default();
        let disk: Arc<dyn Disk> = Arc::new(RecorderDisk::new(trace.clone(), HashMap::new()));
        let world = World::of(dir, &HashMap::new());
        let job = Job::start_on(disk, plan, options()).unwrap_or_else(|e| panic!("{what}: {e}"));
        job.wait().unwrap_or_else(|e| panic!("{what}: {e}"));
        let story = Story { before: world, events: trace.events() };
        let after = fingerprints(dir);
        let in_place = if in_place { named.clone() } else { Vec::new() };
        let seen = HashSet::new().into();
        Self { dir, what, story, before, after, named, sizes, in_place, leaves_files, seen }
    }

    /// Judges at most `most` states; gives how many, and how many in which recovery was cut off.
    fn all(&self, most: usize, random: &mut Random) -> (usize, usize) {
        let (mut judged, mut second) = (0, 0);
        // In no order, so that a part of them is a part of all.
        let mut cuts: Vec<usize> = (0..=self.story.events.len()).collect();
        for i in (1..cuts.len()).rev() {
            cuts.swap(i, random.below(i as u64 + 1) as usize);
        }
        for cut in cuts {
            for world in self.story.states(cut, random) {
                if judged + second >= most {
                    return (judged, second);
                }
                if self.seen.borrow_mut().insert(world.hash()) {
                    let what = format!("{} cut after {cut}, state {judged}", self.what);
                    second += self.judge(&world, &what, judged, random);
                    judged += 1;
                }
            }
        }
        (judged, second)
    }

    /// Gives how many states of a recovery that was cut off were judged as well.
    fn judge(&self, world: &World, what: &str, number: usize, random: &mut Random) -> usize {
        let once = world.set_up(self.dir);
        let bare = unrecovered(self.dir, &self.before, &self.sizes);
        self.assert_kept(&bare, &format!("{what}, unrecovered"));
        for name in self.named.iter().filter(|name| !self.in_place.contains(name)) {
            // What goes away with its file need not be right until then.
            let Some(after) = self.after.get(name) else { continue };
            let now = bare.get(name);
            assert!(
                now == self.before.get(name) || now == Some(after),
                "{what}, unrecovered: {name} is neither old nor new"
            );
        }
        if number.is_multiple_of(50) {
            qemu::reads_the_same(self.dir, what);
        }
        let story = self.recover(&once, Recovery::Finish, what).1;
        self.assert_recovered(&story.before, what);
        let mut second = 0;
        if number.is_multiple_of(4) && !story.events.is_empty() {
            let what = format!("{what}, and in recovery");
            second += (0..3).filter(|_| self.cut_again(&story, &what, random)).count();
        }
        if number.is_multiple_of(3) {
            second += self.roll_back(world, what, random);
        }
        second
    }

    fn assert_kept(&self, now: &Views, what: &str) {
        assert_kept(self.dir, &self.before, &self.named, now, what);
        // What is new is whole from the moment it has a name.
        for (view, is) in now.iter().filter(|(view, _)| !self.before.contains_key(*view)) {
            assert!(self.after.get(view) == Some(is), "{what}: {view} is not what it was to be");
        }
    }

    /// Recovers what is there; gives the outcomes, and all that was done.
    fn recover(
        &self,
        once: &HashMap<FileId, FileId>,
        how: Recovery,
        what: &str,
    ) -> (Vec<Result<Report>>, Story) {
        let before = World::of(self.dir, once);
        let trace = Trace::default();
        let disk: Arc<dyn Disk> = Arc::new(RecorderDisk::new(trace.clone(), once.clone()));
        let mut outcomes = Vec::new();
        job::discard_unbegun(self.dir).unwrap();
        for left in job::leftovers_below(&[self.dir.to_path_buf()]).unwrap() {
            assert!(!left.running, "{what}: {left:?}");
            let gate = Gate::for_paths([self.dir]);
            let outcome =
                Job::recover_on(disk.clone(), &left.journal, how, gate, options()).and_then(Job::wait);
            if how == Recovery::Finish {
                outcome.as_ref().unwrap_or_else(|e| panic!("{what}: recover: {e}\n{left:#?}"));
            }
            outcomes.push(outcome);
        }
        (outcomes, Story { before, events: trace.events() })
    }

    /// After recovery from `world` every view is old or new as a whole, and there is nothing more to do.
    fn assert_recovered(&self, world: &World, what: &str) {
        let now = fingerprints(self.dir);
        self.assert_kept(&now, what);
        let is = |views: &Views| self.named.iter().all(|name| now.get(name) == views.get(name));
        let (old, new) = (is(&self.before), is(&self.after));
        assert!(old || new, "{what}: what was named is neither old nor new: {:?} {now:#?}", self.named);
        let left = job::leftovers_below(&[self.dir.to_path_buf()]).unwrap();
        assert!(left.is_empty(), "{what}: {left:#?}");
        assert!(world.hash() != 0);
        let hidden = hidden_files(self.dir);
        assert!(hidden.is_empty(), "{what}: {hidden:?} left behind");
    }

    /// Undoes it where that is possible: all views are old then. Gives how many states were judged in which
    /// that was cut off as well.
    fn roll_back(&self, world: &World, what: &str, random: &mut Random) -> usize {
        let once = world.set_up(self.dir);
        let left = job::leftovers_below(&[self.dir.to_path_buf()]).unwrap();
        if left.is_empty() {
            return 0;
        }
        let (outcomes, story) = self.recover(&once, Recovery::RollBack, what);
        self.assert_kept(&unrecovered(self.dir, &self.before, &self.sizes), &format!("{what}, rolled back"));
        if !outcomes.iter().all(Result::is_ok) {
            self.recover(&once, Recovery::Finish, what);
            self.assert_recovered(world, what);
            return 0;
        }
        assert_eq!(fingerprints(self.dir), self.before, "{what}, rolled back");
        if self.leaves_files {
            let now = World::of(self.dir, &once);
            let other = self.story.before.differs_from(&now);
            assert!(other.is_none(), "{what}, rolled back: {other:?} is not what it was, byte for byte");
        }
        usize::from(self.cut_again(&story, &format!("{what}, and while it is rolled back"), random))
    }

    /// Cuts the power during what `story` tells, and recovers from that. Gives whether it left anything new.
    fn cut_again(&self, story: &Story, what: &str, random: &mut Random) -> bool {
        let cut = random.below(story.events.len() as u64 + 1) as usize;
        let states = story.states(cut, random);
        let again = random.pick(&states);
        let is_new = self.seen.borrow_mut().insert(again.hash());
        if is_new {
            let what = format!("{what} after {cut}");
            let once = again.set_up(self.dir);
            self.assert_kept(&unrecovered(self.dir, &self.before, &self.sizes), &what);
            self.recover(&once, Recovery::Finish, &what);
            self.assert_recovered(again, &what);
        }
        is_new
    }
}

/// Views that the plan does not name read as before, and the structure of every image is sound. The only
/// operation that gives an image another name calls it `new`.
pub(crate) fn assert_kept(dir: &Path, before: &Views, named: &[String], now: &Views, what: &str) {
    let name = |name: &str| dir.join(name).to_string_lossy().into_owned();
    for (view, old) in before.iter().filter(|(view, _)| !named.contains(view)) {
        let is = now.get(view).or_else(|| now.get(&view.replacen(&name("l1"), &name("new"), 1)));
        assert!(is == Some(old), "{what}: {view} changed: {is:?}");
    }
    for node in scanned(dir).nodes.iter().filter(|n| n.format != Some(Format::Raw) && !is_fenced(&n.path)) {
        let file = Arc::new(RealFile::open(&node.path, false).unwrap());
        let report = image::open(file, node.format).unwrap().check().unwrap();
        let bad = report.findings.iter().find(|f| f.severity == Severity::Corruption);
        assert!(bad.is_none(), "{what}: {}: {bad:?}", node.path.display());
    }
}

/// Bytes of each disk.
pub(crate) fn sizes(dir: &Path) -> BTreeMap<PathBuf, u64> {
    scanned(dir).nodes.iter().map(|node| (node.path.clone(), node.virtual_size)).collect()
}

/// What there is to read before recovery. Behind a fence there is nothing, which is as right as what was there
/// `before`; and a raw image that is about to become another one is longer than it was, for want of another
/// place for tables.
pub(crate) fn unrecovered(dir: &Path, before: &Views, sizes: &BTreeMap<PathBuf, u64>) -> Views {
    let mut now = fingerprints_where(dir, sizes, is_fenced);
    let refused = refused(dir);
    for (view, old) in before {
        let path = Path::new(view.split('@').next().unwrap_or_default());
        if refused.iter().any(|refused| refused == path) {
            now.entry(view.clone()).or_insert(*old);
        }
    }
    now
}

/// Whether nobody may open the image.
pub(crate) fn is_fenced(path: &Path) -> bool {
    let file = RealFile::open(path, false).unwrap();
    let format = image::probe(&file).unwrap();
    image::is_fenced(&file, format).unwrap_or(false)
}

/// Images behind a fence, and those that read through one.
pub(crate) fn refused(dir: &Path) -> Vec<PathBuf> {
    let forest = scanned(dir);
    let ids = (0..forest.nodes.len()).map(|i| NodeId(i as u32));
    let behind = |id: &NodeId| {
        let path = |id: NodeId| forest.get(id).is_some_and(|node| is_fenced(&node.path));
        path(*id) || forest.ancestors(*id).into_iter().any(path)
    };
    ids.filter(behind).filter_map(|id| Some(forest.get(id)?.path.clone())).collect()
}

/// Journals, and files that were not given their name.
fn hidden_files(dir: &Path) -> Vec<PathBuf> {
    let names = dir.read_dir().unwrap().map(|entry| entry.unwrap().path());
    names.filter(|p| p.is_file() && p.file_name().unwrap().to_string_lossy().starts_with('.')).collect()
}
