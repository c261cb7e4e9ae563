//! The promise, on random herds: after an operation every view that its plan does not name reads
//! exactly as before, the named ones as documented, and every check is clean.
//!
//! `COWHERD_CASES` sets how many cases run (a seeded few by default), `COWHERD_SEED` which one is
//! first. A failure prints its seed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

use std::fmt;
use std::path::{Path, PathBuf};

use common::{Herd, Random, assert_clean, fingerprints, herd, scanned};
use cowherd::chain::{Gate, Opener};
use cowherd::error::Result;
use cowherd::forest::{Forest, Node, NodeId};
use cowherd::image::State;
use cowherd::job::{Job, Options};
use cowherd::plan::{
    CommitOptions, CopyMode, DeleteOptions, HazardKind, Plan, RebaseOptions, Step, commit, compact, delete,
    pull, rebase, revert,
};
use cowherd::units::Guest;

/// Operations on each herd.
const STEPS: u64 = 8;

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

/// An operation on one image of a herd.
#[derive(Clone)]
enum Act {
    Commit { top: PathBuf, base: PathBuf, remove: bool, keep: bool, no_protect: bool },
    Pull { image: PathBuf, base: Option<PathBuf> },
    Rebase { image: PathBuf, base: Option<PathBuf> },
    Delete { image: PathBuf, no_protect: bool },
    Revert { image: PathBuf, base: PathBuf },
    Compact { image: PathBuf },
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |p: &Path| p.file_name().unwrap().to_string_lossy().into_owned();
        let onto = |p: &Option<PathBuf>| p.as_deref().map_or("nothing".to_owned(), name);
        match self {
            Self::Commit { top, base, remove, keep, no_protect } => write!(
                f,
                "commit {} into {} (remove {remove}, keep {keep}, no protection {no_protect})",
                name(top),
                name(base)
            ),
            Self::Pull { image, base } => write!(f, "pull {} onto {}", name(image), onto(base)),
            Self::Rebase { image, base } => write!(f, "rebase {} onto {}", name(image), onto(base)),
            Self::Delete { image, no_protect } => {
                write!(f, "delete {} (no protection {no_protect})", name(image))
            }
            Self::Revert { image, .. } => write!(f, "revert {}", name(image)),
            Self::Compact { image } => write!(f, "compact {}", name(image)),
        }
    }
}

impl Act {
    /// Whether views may be named that are still there afterwards.
    fn no_protect(&self) -> bool {
        matches!(self, Self::Commit { no_protect: true, .. } | Self::Delete { no_protect: true, .. })
    }

    /// Something to do in this forest; nothing when there is nothing with a backing file.
    fn any(forest: &Forest, random: &mut Random) -> Option<Self> {
        let path = |id: NodeId| forest.get(id).unwrap().path.clone();
        let tops: Vec<_> = forest.ids().filter(|id| forest.parent(*id).is_some()).collect();
        if tops.is_empty() {
            return None;
        }
        let id = *random.pick(&tops);
        let (image, below) = (path(id), forest.ancestors(id));
        Some(match random.below(11) {
            0..4 => {
                let base = path(*random.pick(&below));
                let (remove, keep) = (random.one_in(4), random.one_in(4));
                Self::Commit { top: image, base, remove, keep, no_protect: random.one_in(4) }
            }
            4 => {
                let lower: Vec<_> = below.iter().skip(1).map(|id| Some(path(*id))).chain([None]).collect();
                Self::Pull { image, base: random.pick(&lower).clone() }
            }
            5 | 6 => {
                let others = forest.ids().filter(|other| {
                    *other != id
                        && !forest.ancestors(*other).contains(&id)
                        && forest.parent(id) != Some(*other)
                });
                let others: Vec<_> = others.map(|id| Some(path(id))).chain([None]).collect();
                Self::Rebase { image, base: random.pick(&others).clone() }
            }
            7 | 8 => Self::Compact { image },
            9 => Self::Revert { image, base: path(below[0]) },
            _ => Self::Delete { image, no_protect: random.one_in(4) },
        })
    }

    /// Whether protecting others takes a copy. Where it takes none, none can be missing.
    fn fills(&self, forest: &Forest, dir: &Path) -> bool {
        let no_protect = false;
        let protecting = match self.clone() {
            Self::Commit { top, base, remove, keep, .. } => {
                Self::Commit { top, base, remove, keep, no_protect }
            }
            Self::Delete { image, .. } => Self::Delete { image, no_protect },
            other => other,
        };
        let fills = |step: &Step| matches!(step, Step::Copy(copy) if copy.mode == CopyMode::Fill);
        protecting.plan(forest, dir).unwrap().steps.iter().any(fills)
    }

    fn plan(&self, forest: &Forest, dir: &Path) -> Result<Plan> {
        let gate = Gate::for_paths([dir]);
        let onto = |base: &Option<PathBuf>| RebaseOptions {
            base: base.clone(),
            gate: gate.clone(),
            ..RebaseOptions::default()
        };
        match self {
            Self::Commit { top, base, remove, keep, no_protect } => {
                let (base, gate) = (Some(base.clone()), gate.clone());
                let (remove, keep, no_protect) = (*remove, *keep, *no_protect);
                commit(forest, top, &CommitOptions { base, remove, keep, no_protect, gate })
            }
            Self::Pull { image, base } => pull(forest, image, &onto(base)),
            Self::Rebase { image, base } => rebase(forest, image, &onto(base)),
            Self::Delete { image, no_protect } => {
                delete(forest, image, &DeleteOptions { no_protect: *no_protect, gate: gate.clone() })
            }
            Self::Revert { image, .. } => revert(forest, image, gate.clone()),
            Self::Compact { image } => compact(forest, image, gate.clone()),
        }
    }
}

#[test]
fn operations_on_random_herds_keep_every_view() {
    let (first, cases) = (number("COWHERD_SEED", 1), number("COWHERD_CASES", 60));
    let (mut ran, mut refused) = (0, 0);
    for seed in first..first + cases {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let mut random = Random::new(seed);
        let images = 2 + random.below(6);
        let snapshots = *random.pick(&[0, 1, 2, 2]);
        let made = herd(&dir, Herd { images, snapshots }, &mut random);
        let mut history = Vec::new();
        for step in 0..STEPS {
            let forest = scanned(&dir);
            let Some(act) = Act::any(&forest, &mut random) else { break };
            history.push(act.to_string());
            let what = format!("seed {seed} step {step}: {history:#?} of {made:#?}");
            let before = fingerprints(&dir);
            let merged = match &act {
                Act::Commit { top, base, .. } => Some((content(&dir, top), content(&dir, base))),
                _ => None,
            };
            let plan = act.plan(&forest, &dir).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(fingerprints(&dir), before, "{what}: planning changed something");
            if act.no_protect() && !act.fills(&forest, &dir) {
                let kind = HazardKind::Unprotected;
                assert!(plan.hazards.iter().all(|h| h.kind != kind), "{what}: {:#?}", plan.hazards);
            }
            let (changed, after, cost) = (plan.views_changed.clone(), plan.after.clone(), plan.cost);
            let steps: Vec<_> = plan.steps.iter().map(cowherd::plan::Step::describe).collect();
            if plan.forbidden().is_some() {
                assert!(Job::start(plan, Options::default()).is_err(), "{what}: ran though forbidden");
                assert_eq!(fingerprints(&dir), before, "{what}: a refusal changed something");
                refused += 1;
                continue;
            }
            let accepted = vec![HazardKind::NoUndo, HazardKind::BackingFormat, HazardKind::Unprotected];
            let job = Job::start(plan, Options { accepted, ..Options::default() })
                .unwrap_or_else(|e| panic!("{what}: {e}"));
            let report = job.wait().unwrap_or_else(|e| panic!("{what}: {e}"));
            ran += 1;

            let now = fingerprints(&dir);
            for (view, old) in &before {
                assert!(changed.contains(view) || now.get(view) == Some(old), "{what}: {view} changed");
            }
            if let (Act::Commit { base, .. }, Some((top, mut expected))) = (&act, merged) {
                expected.resize(expected.len().max(top.len()), 0);
                expected[..top.len()].copy_from_slice(&top);
                assert!(content(&dir, base) == expected, "{what}: the base is not what was committed");
            } else if let Act::Revert { image, base } = &act {
                let mut expected = content(&dir, base);
                expected.resize(forest.get(forest.find(image).unwrap()).unwrap().virtual_size as usize, 0);
                assert!(content(&dir, image) == expected, "{what}: the overlay is not what it is based on");
            } else if !act.no_protect() {
                assert!(changed.iter().all(|c| !Path::new(c).exists()), "{what}: {changed:?} are named");
            }
            assert_clean(&dir, &what);
            assert!(
                report.written_bytes <= cost.write_bytes,
                "{what}: {report:?} is dearer than {cost:?} for {steps:#?}"
            );
            if cost.exact {
                assert_eq!(report.written_bytes, cost.write_bytes, "{what}: an exact figure was wrong");
            }
            let shape = |f: &Forest| -> Vec<_> {
                let parent = |n: &Node| n.backing.as_ref().and_then(|b| b.resolved.clone());
                f.nodes.iter().map(|n| (n.path.clone(), parent(n), n.virtual_size)).collect()
            };
            assert_eq!(shape(&scanned(&dir)), shape(&after), "{what}: the forest is not as predicted");
        }
    }
    println!("{cases} herds from seed {first}: {ran} operations ran, {refused} were refused");
    assert!(ran > 0);
}
