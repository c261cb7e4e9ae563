//! One operation on one herd with every call to the host failing in turn, once and for ever: the failure
//! is told, nothing is lost, and what was left can be recovered once the host is well again.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use cowherd::chain::Gate;
use cowherd::error::Kind;
use cowherd::job::{self, Job, Recovery};
use cowherd::storage::Disk;

use crate::acts::Act;
use crate::common::{Random, fingerprints};
use crate::faulty::{FaultyDisk, Fuse};
use crate::herds::{self, Kind as Herd};
use crate::judge::{Views, assert_kept, options, sizes, unrecovered};
use crate::world::World;

/// EIO, then ENOSPC and EFBIG, which only what takes room can meet.
const ERRORS: [i32; 3] = [5, 28, 27];

/// Has `wanted` calls of `act` fail, or each of them when that is less; gives how many runs that took.
pub(crate) fn trial(kind: Herd, act: &Act, wanted: u64, seed: u64) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    let mut random = Random::new(seed);
    // Not every herd is one for every operation.
    loop {
        World::default().set_up(&dir);
        herds::make(&dir, kind, &mut random);
        if act.plan(&dir).is_some() {
            break;
        }
    }
    let (world, before) = (World::of(&dir, &HashMap::new()), fingerprints(&dir));
    let sizes = sizes(&dir);
    let run = |fuse: &Arc<Fuse>| {
        world.set_up(&dir);
        let plan = act.plan(&dir).unwrap();
        let named = plan.views_changed.clone();
        let disk: Arc<dyn Disk> = Arc::new(FaultyDisk(fuse.clone()));
        (named, Job::start_on(disk, plan, options()).and_then(Job::wait))
    };
    let fuse = Fuse::new(u64::MAX, false, 0);
    let (named, done) = run(&fuse);
    done.unwrap_or_else(|e| panic!("{}::{} seed {seed}, undisturbed: {e}", act.name, kind.name()));
    let (sorts, after) = (fuse.calls(), fingerprints(&dir));
    let calls = sorts.len() as u64;
    let judge = Judge { dir: &dir, before: &before, after: &after, named: &named };
    let mut runs = 0;
    for i in 0..wanted.min(calls) {
        let first = if wanted < calls { random.below(calls) } else { i };
        // A few of them meet one error in one way, all of them meet all.
        let errors = if sorts[first as usize] { &ERRORS[..] } else { &ERRORS[..1] };
        let ways: Vec<(i32, bool)> = match wanted < calls {
            true => vec![(*random.pick(errors), random.one_in(2))],
            false => errors.iter().flat_map(|errno| [(*errno, false), (*errno, true)]).collect(),
        };
        for (errno, for_ever) in ways {
            let what = format!(
                "{}::{} COWHERD_SEED={seed} call {first} of {calls} fails with {errno}, for ever: {for_ever}",
                act.name,
                kind.name()
            );
            let fuse = Fuse::new(first, for_ever, errno);
            let (_, outcome) = run(&fuse);
            runs += 1;
            let failed = outcome.is_err();
            if let Err(e) = outcome {
                assert!(e.kind() != Kind::Internal, "{what}: {e}");
                assert!(!e.to_string().is_empty(), "{what}");
            }
            judge.is_kept(&unrecovered(&dir, &before, &sizes), &format!("{what}, and then"));
            judge.recovers(&what, failed);
        }
    }
    runs
}

struct Judge<'a> {
    dir: &'a Path,
    before: &'a Views,
    after: &'a Views,
    named: &'a [String],
}

impl Judge<'_> {
    fn is_kept(&self, now: &Views, what: &str) {
        assert_kept(self.dir, self.before, self.named, now, what);
    }

    /// With a host that is well again.
    fn recovers(&self, what: &str, failed: bool) {
        job::discard_unbegun(self.dir).unwrap();
        let folders = [self.dir.to_path_buf()];
        for left in job::leftovers_below(&folders).unwrap() {
            assert!(failed, "{what}: it succeeded and left {left:?}");
            let gate = Gate::for_paths([self.dir]);
            let done = Job::recover(&left.journal, Recovery::Finish, gate, options()).and_then(Job::wait);
            done.unwrap_or_else(|e| panic!("{what}: recover: {e}"));
        }
        let now = fingerprints(self.dir);
        self.is_kept(&now, &format!("{what}, and recovered"));
        let is = |views: &Views| self.named.iter().all(|name| now.get(name) == views.get(name));
        assert!(is(self.before) || is(self.after), "{what}: {:?} is neither old nor new", self.named);
        assert!(job::leftovers_below(&folders).unwrap().is_empty(), "{what}");
    }
}
