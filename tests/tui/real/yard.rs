//! A small herd on disk, what each of its views reads, and the UI on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cowherd::chain::{Gate, Strips, ViewSpec};
use cowherd::error::Result;
use cowherd::forest::{Forest, ScanOptions};
use cowherd::image::qcow2::{CreateOptions, create};
use cowherd::image::{BackingRef, Format};
use cowherd::job::{self, Job, Leftover};
use cowherd::plan::HazardKind;
use cowherd::storage::{RealFile, TRASH, Trashed, Watch};
use cowherd::tui::{Begun, Engine, Floors, Operation, Options, Proposal, Running, Verified, Work};

use crate::common::{self, Random};
use crate::stage::{Shared, Stage};

/// `base.img` < `mid.qcow2` (sn1) < `top.qcow2` (sn1) < `leaf.qcow2`, and `side.qcow2` on `mid.qcow2`.
pub struct Yard {
    dir: tempfile::TempDir,
    pub before: BTreeMap<String, u64>,
}

impl Yard {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let yard = Self { dir, before: BTreeMap::new() };
        let mut random = Random::new(7);
        let base = RealFile::create_new(&yard.path("base.img")).unwrap();
        cowherd::storage::File::set_len(&base, 1 << 20).unwrap();
        common::scribble(&yard.path("base.img"), Format::Raw, &mut random);
        yard.overlay("mid.qcow2", "base.img", "raw", true, &mut random);
        yard.overlay("top.qcow2", "mid.qcow2", "qcow2", true, &mut random);
        yard.overlay("leaf.qcow2", "top.qcow2", "qcow2", false, &mut random);
        yard.overlay("side.qcow2", "mid.qcow2", "qcow2", false, &mut random);
        let before = common::fingerprints(yard.folder());
        Self { before, ..yard }
    }

    fn overlay(&self, name: &str, on: &str, format: &str, snapshot: bool, random: &mut Random) {
        let options = CreateOptions {
            cluster_size: 4096,
            virtual_size: 1 << 20,
            backing: Some(BackingRef { name: on.into(), format: Some(format.to_owned()) }),
            ..CreateOptions::default()
        };
        create(&RealFile::create_new(&self.path(name)).unwrap(), &options).unwrap();
        common::scribble(&self.path(name), Format::Qcow2, random);
        if snapshot {
            common::snapshot(&self.path(name), "sn1");
            common::scribble(&self.path(name), Format::Qcow2, random);
        }
    }

    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Files in the trash.
    pub fn trash(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(TRASH)) else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.contains("qcow2")).collect()
    }

    /// What an image is based on.
    pub fn backing(&self, name: &str) -> Option<String> {
        let forest = common::scanned(self.folder());
        let node = forest.get(forest.find(&self.path(name)).unwrap()).unwrap();
        node.backing.as_ref().map(|backing| backing.name.clone())
    }

    pub fn snapshots(&self, name: &str) -> Vec<String> {
        let forest = common::scanned(self.folder());
        let node = forest.get(forest.find(&self.path(name)).unwrap()).unwrap();
        node.snapshots.iter().map(|snapshot| snapshot.name.clone()).collect()
    }

    /// What `view` read before, or reads now.
    pub fn was(&self, view: &str) -> u64 {
        self.before[&self.path(view).to_string_lossy().into_owned()]
    }

    pub fn now(&self, view: &str) -> u64 {
        common::fingerprints(self.folder())[&self.path(view).to_string_lossy().into_owned()]
    }

    /// Every view reads as before but those of `named`, all is clean, and no job left anything behind.
    pub fn kept_but(&self, named: &[&str]) {
        let now = common::fingerprints(self.folder());
        let named: Vec<_> = named.iter().map(|name| self.path(name).to_string_lossy().into_owned()).collect();
        for (view, content) in self.before.iter().filter(|(view, _)| !named.contains(view)) {
            assert_eq!(now.get(view), Some(content), "{view}");
        }
        common::assert_clean(self.folder(), "after the job");
        assert!(job::leftovers(&[self.folder().to_path_buf()]).unwrap().is_empty(), "a journal was left");
    }

    pub fn stage(&self) -> Stage {
        self.stage_on(Floors::shared(), false)
    }

    /// Where jobs move so few bytes a second that a key can come in between.
    pub fn slow_stage(&self) -> Stage {
        self.stage_on(Arc::new(Slow), false)
    }

    pub fn stage_on(&self, engine: Arc<dyn Engine>, read_only: bool) -> Stage {
        let gate = Gate::for_paths([self.folder()]);
        let options = Options { read_only, gate, color: true, ..Options::default() };
        Stage::on_engine(100, 40, engine, Shared::default(), vec![self.folder().to_path_buf()], &options)
    }
}

/// The real floors, with slow jobs.
struct Slow;

impl Engine for Slow {
    fn scan(&self, paths: &[PathBuf], options: &ScanOptions) -> Result<Forest> {
        Floors.scan(paths, options)
    }

    fn leftovers(&self, paths: &[PathBuf]) -> Result<Vec<Leftover>> {
        Floors.leftovers(paths)
    }

    fn trash(&self, paths: &[PathBuf]) -> Result<Vec<Trashed>> {
        Floors.trash(paths)
    }

    fn plan(&self, forest: &Forest, operation: &Operation, gate: &Gate) -> Result<Proposal> {
        Floors.plan(forest, operation, gate)
    }

    fn watch(&self) -> Option<Watch> {
        None
    }

    fn strips(&self, view: &ViewSpec, gate: &Gate, going: &dyn Fn() -> bool) -> Result<Strips> {
        Floors.strips(view, gate, going)
    }

    fn verify(&self, views: &[ViewSpec; 2], gate: &Gate, begin: &mut dyn FnMut(Begun)) -> Result<Verified> {
        Floors.verify(views, gate, begin)
    }

    fn start(&self, proposal: Proposal, accepted: &[HazardKind], _: &Gate) -> Result<Box<dyn Running>> {
        assert_eq!(proposal.work, Work::Plan);
        let options = job::Options { accepted: accepted.to_vec(), rate_limit: Some(64 << 10) };
        Ok(Box::new(Job::start(proposal.plan, options)?))
    }

    fn free_space(&self, path: &Path) -> Option<u64> {
        Floors.free_space(path)
    }
}
