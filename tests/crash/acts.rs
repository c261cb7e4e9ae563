//! The operations, each on the same herd.

use std::path::Path;

use cowherd::chain::{Basis, Gate, StateSpec, ViewSpec};
use cowherd::error::Result;
use cowherd::forest::{Forest, ScanOptions, scan};
use cowherd::image::{Format, NewImage};
use cowherd::plan::{
    self, ChainOptions, CommitOptions, ConvertOptions, DeleteOptions, ExportOptions, Plan, RebaseOptions,
    Since, SnapshotRequest, ViewId, Wanted,
};

use crate::common::scanned;
use crate::herds::Kind;

/// An operation.
pub(crate) struct Act {
    pub(crate) name: &'static str,
    plan: fn(&Path) -> Result<Plan>,
    /// For which herds it is one at all.
    fits: fn(Kind) -> bool,
}

impl Act {
    pub(crate) fn fits(&self, kind: Kind) -> bool {
        (self.fits)(kind)
    }

    /// Whether what lies in the files stays as it is until the switch, so that a way back leads to the very bytes.
    pub(crate) fn leaves_files(&self) -> bool {
        ["convert_to_qcow2", "convert_to_qed", "convert_overlay"].contains(&self.name)
    }

    /// Its plan for the herd in `dir`; nothing when that herd is not one for it.
    pub(crate) fn plan(&self, dir: &Path) -> Option<Plan> {
        (self.plan)(dir).ok().filter(|plan| plan.forbidden().is_none() && !plan.steps.is_empty())
    }
}

const fn act(name: &'static str, plan: fn(&Path) -> Result<Plan>) -> Act {
    only(name, |_| true, plan)
}

const fn saved(name: &'static str, plan: fn(&Path) -> Result<Plan>) -> Act {
    only(name, |kind| kind != Kind::Qed, plan)
}

const fn only(name: &'static str, fits: fn(Kind) -> bool, plan: fn(&Path) -> Result<Plan>) -> Act {
    Act { name, plan, fits }
}

pub(crate) const ALL: &[Act] = &[
    act("commit_leaf", |dir| commit(dir, "l3", None)),
    act("commit_middle", |dir| commit(dir, "l2", None)),
    act("commit_beside", |dir| commit(dir, "l1", None)),
    act("commit_over_layers", |dir| commit(dir, "l3", Some("base"))),
    act("commit_compared", |dir| Ok(commit(dir, "l3", Some("l1"))?.compared(Basis::Content))),
    act("pull_compared", |dir| Ok(rebase(dir, pull, "l3", Some("base"), false)?.compared(Basis::Content))),
    act("pull", |dir| rebase(dir, pull, "l3", Some("base"), false)),
    act("pull_alone", |dir| rebase(dir, pull, "l3", None, false)),
    act("pull_middle", |dir| rebase(dir, pull, "l2", Some("base"), false)),
    act("rebase_down", |dir| rebase(dir, based, "l3", Some("base"), false)),
    act("rebase_unrelated", |dir| rebase(dir, based, "l3", Some("other"), false)),
    act("rebase_none", |dir| rebase(dir, based, "l2", None, false)),
    act("rebase_unsafe", |dir| rebase(dir, based, "l3", Some("other"), true)),
    act("overlay", |dir| plan::overlay(&scanned(dir), &dir.join("l3"), None, &dir.join("new"), gate(dir))),
    act("delete_middle", |dir| delete(dir, "l1")),
    act("delete_root", |dir| delete(dir, "base")),
    act("delete_leaf", |dir| delete(dir, "l3")),
    act("cleanup_leaf", |dir| cleanup(dir, &["side", "l3"])),
    act("cleanup_line", |dir| cleanup(dir, &["l1", "l2"])),
    act("cleanup_bottom", |dir| cleanup(dir, &["base", "l1", "l2"])),
    act("rename", |dir| plan::rename(&scanned(dir), &dir.join("l1"), &dir.join("new"), gate(dir))),
    act("revert", |dir| plan::revert(&scanned(dir), &dir.join("l3"), gate(dir))),
    act("compact", |dir| plan::compact(&scanned(dir), &dir.join("side"), gate(dir))),
    act("grow", |dir| plan::resize(&scanned(dir), &dir.join("l3"), 300 << 10, false, gate(dir))),
    act("shrink", |dir| plan::resize(&scanned(dir), &dir.join("l3"), 8 << 10, true, gate(dir))),
    only(
        "convert_to_qcow2",
        |kind| matches!(kind, Kind::Qed | Kind::Raw),
        |dir| convert(dir, "base", Format::Qcow2, Wanted::default()),
    ),
    only(
        "convert_to_qed",
        |kind| !matches!(kind, Kind::Qed | Kind::Subclusters),
        |dir| convert(dir, "base", Format::Qed, Wanted::default()),
    ),
    only(
        "convert_to_raw",
        |kind| kind != Kind::Raw,
        |dir| convert(dir, "base", Format::Raw, Wanted::default()),
    ),
    only(
        "convert_overlay",
        |kind| !matches!(kind, Kind::Subclusters | Kind::DataFile),
        |dir| {
            let format = scanned(dir).find(&dir.join("l1")).and_then(|id| scanned(dir).get(id)?.format);
            let to = if format == Some(Format::Qed) { Format::Qcow2 } else { Format::Qed };
            convert(dir, "l1", to, Wanted::default())
        },
    ),
    only(
        "convert_version",
        |kind| matches!(kind, Kind::Version2 | Kind::Version3 | Kind::Raw),
        |dir| {
            let version = if is_version_2(&dir.join("l1")) { 3 } else { 2 };
            convert(dir, "l1", Format::Qcow2, Wanted { version: Some(version), ..Wanted::default() })
        },
    ),
    only(
        "convert_refcounts",
        |kind| !matches!(kind, Kind::Version2 | Kind::Qed),
        |dir| convert(dir, "l1", Format::Qcow2, Wanted { refcount_bits: Some(32), ..Wanted::default() }),
    ),
    act("export_delta", export),
    act("export_chain", |dir| {
        let (new, how) = (NewImage::of(Format::Qcow2, 0, None)?, ChainOptions::default());
        plan::export_chain(&scanned(dir), &dir.join("l3"), dir, &new, how, gate(dir))
    }),
    act("import", |dir| {
        let (new, how) = (NewImage::of(Format::Qcow2, 0, None)?, ChainOptions::default());
        plan::import(&scanned(dir), &dir.join("l3"), &dir.join("new"), &new, how, gate(dir))
    }),
    saved("snapshot_create", |dir| snapshot(dir, &SnapshotRequest::Create { name: "new".into() })),
    saved("snapshot_apply", |dir| snapshot(dir, &SnapshotRequest::Apply(first()))),
    saved("snapshot_delete", |dir| snapshot(dir, &SnapshotRequest::Delete(first()))),
    saved("snapshot_rename", |dir| snapshot(dir, &SnapshotRequest::Rename(first(), "new".into()))),
];

fn gate(dir: &Path) -> Gate {
    Gate::for_paths([dir])
}

fn first() -> StateSpec {
    StateSpec::Name("sn1".into())
}

fn pull(forest: &Forest, image: &Path, options: &RebaseOptions) -> Result<Plan> {
    plan::pull(forest, image, options)
}

fn based(forest: &Forest, image: &Path, options: &RebaseOptions) -> Result<Plan> {
    plan::rebase(forest, image, options)
}

/// All of these images goes, with their snapshots.
fn cleanup(dir: &Path, images: &[&str]) -> Result<Plan> {
    let forest = scanned(dir);
    let named = |path: &Path| images.iter().any(|image| path == dir.join(image));
    let goes = forest.nodes.iter().filter(|node| named(&node.path)).flat_map(ViewId::all).collect();
    plan::cleanup(&forest, &goes, gate(dir))
}

fn commit(dir: &Path, top: &str, base: Option<&str>) -> Result<Plan> {
    let base = base.map(|base| dir.join(base));
    let options = CommitOptions { base, gate: gate(dir), ..CommitOptions::default() };
    plan::commit(&scanned(dir), &dir.join(top), &options)
}

fn convert(dir: &Path, name: &str, to: Format, wishes: Wanted) -> Result<Plan> {
    let options = ConvertOptions { to, wishes, backing_format: None, no_compact: false, gate: gate(dir) };
    // What looks like nothing in particular is an image once it is named.
    let image = dir.join(name);
    let paths = [dir.to_path_buf(), image.clone()];
    let forest = scan(&paths, &ScanOptions { gate: gate(dir), ..ScanOptions::default() })?;
    plan::convert(&forest, &image, &options)
}

fn is_version_2(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|bytes| bytes.get(4..8) == Some(&2u32.to_be_bytes()))
}

fn export(dir: &Path) -> Result<Plan> {
    let l1 = dir.join("l1");
    let format = scanned(dir).find(&l1).and_then(|id| scanned(dir).get(id)?.format);
    let options = ExportOptions {
        new: NewImage::of(Format::Qcow2, 0, None)?,
        delta: Some(Since { view: ViewSpec::active(&l1), older: l1, format }),
        vm_state: None,
        compress: false,
        by_content: false,
    };
    plan::export(&scanned(dir), &ViewSpec::active(&dir.join("l3")), &dir.join("new"), &options, gate(dir))
}

fn delete(dir: &Path, image: &str) -> Result<Plan> {
    let options = DeleteOptions { gate: gate(dir), ..DeleteOptions::default() };
    plan::delete(&scanned(dir), &dir.join(image), &options)
}

type Rebase = fn(&Forest, &Path, &RebaseOptions) -> Result<Plan>;

fn rebase(dir: &Path, operation: Rebase, image: &str, base: Option<&str>, is_unsafe: bool) -> Result<Plan> {
    let base = base.map(|base| dir.join(base));
    // What looks like nothing in particular is an image once it is named.
    let paths: Vec<_> = std::iter::once(dir.to_path_buf()).chain(base.clone()).collect();
    let forest = scan(&paths, &ScanOptions { gate: gate(dir), ..ScanOptions::default() })?;
    let format = base.as_deref().and_then(|base| forest.get(forest.find(base)?)?.format);
    let options = RebaseOptions { base, format, is_unsafe, gate: gate(dir) };
    operation(&forest, &dir.join(image), &options)
}

fn snapshot(dir: &Path, request: &SnapshotRequest) -> Result<Plan> {
    plan::snapshot(&scanned(dir), &dir.join("l3"), request, gate(dir))
}
