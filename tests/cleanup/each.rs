//! The two plain ways, one operation after the other on a copy of the herd: what they write is what cleaning up
//! must not exceed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cowherd::chain::{Gate, StateSpec};
use cowherd::forest::{Forest, Node};
use cowherd::job::{Job, Options};
use cowherd::plan::{
    self, CommitOptions, DeleteOptions, HazardKind, Plan, RebaseOptions, SnapshotRequest, ViewId,
};

use crate::common::scanned;

/// Every layer that goes is merged into the lowest of its neighbours that go too, one at a time; where it has
/// none, it is pulled.
pub(crate) fn commits(dir: &Path, goes: &BTreeSet<ViewId>) -> Option<u64> {
    let mut herd = Copy::of(dir, goes);
    herd.trash_leaves()?;
    herd.drop_snapshots()?;
    loop {
        let forest = scanned(herd.path());
        // From the bottom, the first one that lies on another that goes.
        let next = forest.ids().find_map(|id| {
            let (node, base) = (forest.get(id)?, forest.get(forest.parent(id)?)?);
            (herd.all_goes(node) && herd.all_goes(base)).then(|| (node.path.clone(), base.path.clone()))
        });
        let Some((top, base)) = next else { break };
        let lowest = forest.find(&base).and_then(|id| forest.get(id))?;
        for snapshot in lowest.snapshots.iter() {
            herd.run(|forest, gate| {
                let spec = StateSpec::Id(snapshot.id.clone());
                plan::snapshot(forest, &base, &SnapshotRequest::Delete(spec), gate)
            })?;
        }
        herd.stores.insert(base.file_name()?.into());
        herd.run(|forest, gate| {
            let options = CommitOptions { remove: true, gate, ..CommitOptions::default() };
            plan::commit(forest, &top, &options)
        })?;
    }
    herd.delete_all()?;
    herd.give_way()?;
    Some(herd.written)
}

/// Every layer that goes is pulled into what is based on it, one at a time, from the top.
pub(crate) fn pulls(dir: &Path, goes: &BTreeSet<ViewId>) -> Option<u64> {
    let mut herd = Copy::of(dir, goes);
    herd.trash_leaves()?;
    herd.drop_snapshots()?;
    herd.delete_all()?;
    herd.give_way()?;
    Some(herd.written)
}

struct Copy<'a> {
    dir: tempfile::TempDir,
    goes: &'a BTreeSet<ViewId>,
    /// Images that stay because others were merged into them.
    stores: BTreeSet<PathBuf>,
    written: u64,
}

impl<'a> Copy<'a> {
    fn of(dir: &Path, goes: &'a BTreeSet<ViewId>) -> Self {
        let copy = tempfile::tempdir().unwrap();
        for entry in dir.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let to = copy.path().join(path.file_name().unwrap());
                // As sparse as it is.
                let done =
                    std::process::Command::new("cp").arg("--sparse=always").arg(&path).arg(&to).status();
                assert!(done.unwrap().success());
            }
        }
        Self { dir: copy, goes, stores: BTreeSet::new(), written: 0 }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn goes(&self, image: &Path, id: Option<&str>) -> bool {
        let name = image.file_name().unwrap();
        self.goes.iter().any(|view| view.image.file_name() == Some(name) && view.snapshot.as_deref() == id)
    }

    fn all_goes(&self, node: &Node) -> bool {
        self.goes(&node.path, None) && node.snapshots.iter().all(|one| self.goes(&node.path, Some(&one.id)))
    }

    /// Plans, counts, and does it; nothing when it cannot be done.
    fn run(&mut self, make: impl FnOnce(&Forest, Gate) -> cowherd::error::Result<Plan>) -> Option<()> {
        let dir = self.path().canonicalize().unwrap();
        let plan = make(&scanned(&dir), Gate::for_paths([&dir])).ok()?;
        if plan.forbidden().is_some() {
            return None;
        }
        self.written += plan.cost.write_bytes;
        let accepted = vec![HazardKind::NoUndo, HazardKind::BackingFormat];
        Job::start(plan, Options { accepted, ..Options::default() }).and_then(Job::wait).unwrap();
        Some(())
    }

    fn delete(&mut self, image: &Path) -> Option<()> {
        self.run(|forest, gate| {
            plan::delete(forest, image, &DeleteOptions { gate, ..DeleteOptions::default() })
        })
    }

    fn trash_leaves(&mut self) -> Option<()> {
        loop {
            let forest = scanned(self.path());
            let leaf = forest.nodes.iter().find(|node| node.children.is_empty() && self.all_goes(node));
            let Some(leaf) = leaf else { return Some(()) };
            self.delete(&leaf.path)?;
        }
    }

    /// Of images that stay for something else.
    fn drop_snapshots(&mut self) -> Option<()> {
        let forest = scanned(self.path());
        for node in &forest.nodes {
            if self.all_goes(node) {
                continue;
            }
            let goes = |id: &str| self.goes(&node.path, Some(id));
            let ids: Vec<_> = node.snapshots.iter().map(|one| one.id.clone()).filter(|id| goes(id)).collect();
            for id in ids {
                let request = SnapshotRequest::Delete(StateSpec::Id(id));
                self.run(|forest, gate| plan::snapshot(forest, &node.path, &request, gate))?;
            }
        }
        Some(())
    }

    /// What is on top first.
    fn delete_all(&mut self) -> Option<()> {
        loop {
            let forest = scanned(self.path());
            let going = forest.ids().filter(|id| {
                let node = forest.get(*id).unwrap();
                let store = self.stores.contains(Path::new(node.path.file_name().unwrap()));
                self.all_goes(node) && !store
            });
            let Some(highest) = going.max_by_key(|id| forest.ancestors(*id).len()) else { return Some(()) };
            self.delete(&forest.get(highest)?.path.clone())?;
        }
    }

    fn give_way(&mut self) -> Option<()> {
        let forest = scanned(self.path());
        let mut images: Vec<_> = forest
            .ids()
            .filter(|id| {
                let node = forest.get(*id).unwrap();
                let store = self.stores.contains(Path::new(node.path.file_name().unwrap()));
                self.goes(&node.path, None) && !self.all_goes(node) && !store
            })
            .collect();
        images.sort_by_key(|id| std::cmp::Reverse(forest.ancestors(*id).len()));
        for image in images.into_iter().filter_map(|id| forest.get(id)).map(|node| node.path.clone()) {
            let forest = scanned(self.path());
            let id = forest.find(&image)?;
            let base = forest.parent(id).and_then(|id| Some(forest.get(id)?.path.clone()));
            let node = forest.get(id)?;
            for child in node.children.iter().filter_map(|id| forest.get(*id)) {
                self.run(|forest, gate| {
                    let options = RebaseOptions { base: base.clone(), gate, ..RebaseOptions::default() };
                    match options.base {
                        Some(_) => plan::pull(forest, &child.path, &options),
                        None => plan::rebase(forest, &child.path, &options),
                    }
                })?;
            }
            let last =
                node.snapshots.iter().max_by_key(|one| (one.date.clone(), one.id.parse::<u64>().unwrap()))?;
            let request = SnapshotRequest::Apply(StateSpec::Id(last.id.clone()));
            self.run(|forest, gate| plan::snapshot(forest, &image, &request, gate))?;
        }
        Some(())
    }
}
