//! Commit: merging an overlay, and the layers between, down into a layer below.
//!
//! In order: whoever else reads the base, or reads beyond the end of the overlay, gets its own copy of
//! exactly what will change; the base takes over what the layers above it hold; images based on the
//! overlay are relinked to the base; a leaf stays, emptied (a guest or a domain names it); layers that
//! nothing reads any more go to the trash. After each step every view reads right, so an interrupted
//! commit is simply run again.

use std::path::{Path, PathBuf};

use super::draft::{Draft, quoted};
use super::unprotected;
use super::{Copy, CopyMode, Flow, HazardKind, Plan, Ranges, Scene, States};
use crate::chain::{Chain, Gate, ViewSpec};
use crate::error::{Error, Kind, Result};
use crate::forest::{Forest, Node, NodeId};
use crate::image::{Format, State};
use crate::text::Shown;

/// What may be chosen about a commit.
#[derive(Debug, Clone, Default)]
pub struct CommitOptions {
    /// The layer to merge into; the parent when nothing is said.
    pub base: Option<PathBuf>,
    /// Move the top to the trash even when nothing is based on it (a leaf normally stays, emptied).
    pub remove: bool,
    /// Keep the top's file as it is, even when it is a middle layer that nothing names any more.
    pub keep: bool,
    /// Let the other views that read what changes change too. The plan names each of them.
    pub no_protect: bool,
    /// Which backing names may be followed.
    pub gate: Gate,
}

/// Plans to merge `top` (an absolute path in `forest`) down into a layer below it.
///
/// Fails with [`Kind::NotFound`] when the forest does not know the image, with [`Kind::Usage`] when
/// the base is not below it, and as opening fails when its chain cannot be read.
pub fn commit<'a>(scene: impl Into<Scene<'a>>, top: &Path, options: &CommitOptions) -> Result<Plan> {
    let scene = scene.into();
    let forest = scene.forest;
    let unknown = || Error::new(Kind::NotFound, "is not part of the scanned folders").at(top);
    let top_id = forest.find(top).ok_or_else(unknown)?;
    let top_node = forest.get(top_id).ok_or_else(unknown)?;
    let mut draft = Draft::new("commit", scene.clone(), options.gate.clone());
    let chain = draft.opener().open(top)?;
    let depth = depth_of_base(&chain, options.base.as_deref())?;
    let known = |path: &Path| {
        forest.find(path).and_then(|id| Some((id, forest.get(id)?))).ok_or_else(|| {
            Error::new(
                Kind::NotFound,
                "is not part of the scanned folders, so what else depends on it is unknown",
            )
            .at(path)
            .remedy("name its folder as well")
        })
    };
    let base = &chain.layers()[depth];
    let between = chain.layers()[1..depth].iter().map(|l| known(&l.path)).collect::<Result<Vec<_>>>()?;
    let commit = Commit {
        forest,
        top_id,
        top: top_node,
        kept: kept(forest, top_id, &between),
        between,
        base_id: known(&base.path)?.0,
        base: base.path.clone(),
        format: base.image.format(),
        base_size: base.image.virtual_size(State::Active),
        top_size: chain.top().image.virtual_size(State::Active),
        options,
    };
    commit.look_at_files(&mut draft, &chain, depth)?;
    // First, while the layers between still are as they were when this was worked out.
    commit.protect_own_snapshots(&mut draft)?;
    commit.protect_readers(&mut draft)?;
    commit.protect_children(&mut draft)?;
    commit.take_over(&mut draft)?;
    commit.relink(&mut draft)?;
    commit.retire(&mut draft, &chain)?;
    draft.verify();
    commit.describe(draft)
}

fn depth_of_base(chain: &Chain, base: Option<&Path>) -> Result<usize> {
    let top = &chain.top().path;
    let usage = |what: String| Error::new(Kind::Usage, what).at(top);
    let Some(base) = base else {
        let alone = || usage("has no backing file, so there is nothing to commit into".to_owned());
        return (chain.layers().len() > 1).then_some(1).ok_or_else(alone);
    };
    let depth = chain.layers().iter().position(|layer| layer.path == base).filter(|depth| *depth > 0);
    depth.ok_or_else(|| usage(format!("is not based on {}", Shown::path(base))))
}

/// How many of the layers between (top first) can go: those above the first that something else is
/// based on as well.
fn kept(forest: &Forest, top: NodeId, between: &[(NodeId, &Node)]) -> usize {
    let mut above = top;
    for (i, (id, node)) in between.iter().enumerate() {
        if node.children.iter().any(|child| *child != above && forest.get(*child).is_some()) {
            return i;
        }
        above = *id;
    }
    between.len()
}

pub(super) struct Commit<'a> {
    pub(super) forest: &'a Forest,
    pub(super) top_id: NodeId,
    pub(super) top: &'a Node,
    /// The layers between top and base, top first.
    pub(super) between: Vec<(NodeId, &'a Node)>,
    /// The place in `between` from which on they stay, because others are based on them.
    pub(super) kept: usize,
    pub(super) base_id: NodeId,
    pub(super) base: PathBuf,
    pub(super) format: Format,
    pub(super) base_size: u64,
    pub(super) top_size: u64,
    pub(super) options: &'a CommitOptions,
}

pub(super) fn name(path: &Path) -> Shown {
    Shown::new(&path.file_name().unwrap_or(path.as_os_str()).to_string_lossy())
}

impl Commit<'_> {
    pub(super) fn children(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.top.children.iter().filter_map(|id| Some((*id, self.forest.get(*id)?)))
    }

    /// Who reads the base and will go on reading it: all its children but the one that is merged.
    pub(super) fn readers(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        let stays = self.kept < self.between.len();
        let merged = (!stays).then(|| self.between.last().map_or(self.top_id, |(id, _)| *id));
        let all = self.forest.get(self.base_id).map(|n| n.children.as_slice()).unwrap_or_default();
        let others = all.iter().filter(move |id| Some(**id) != merged);
        others.filter_map(|id| Some((*id, self.forest.get(*id)?)))
    }

    fn is_leaf(&self) -> bool {
        self.top.children.is_empty()
    }

    /// Whether the top's file goes away.
    pub(super) fn trashes_top(&self) -> bool {
        !self.options.keep && (self.options.remove || !self.is_leaf())
    }

    /// Whether the top is based on something else than the base and stays.
    fn relinks_top(&self) -> bool {
        !self.trashes_top() && !self.between.is_empty()
    }

    /// Whether anything happens to the top's file at all.
    pub(super) fn changes_top(&self) -> bool {
        !self.options.keep || self.relinks_top()
    }

    /// The layers between that go away.
    pub(super) fn trashed(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.between[..self.kept].iter().copied()
    }

    fn protect_readers(&self, draft: &mut Draft<'_>) -> Result<()> {
        for (id, reader) in self.readers() {
            let what = name(&reader.path);
            let reads = self.protect(draft, id, reader, self.committed(), States::All)?;
            let so = match (reads, self.options.no_protect) {
                (false, _) => "nothing that it reads will change",
                (true, false) => "it gets its own copy of what will change",
                (true, true) => "it is not protected from what will change",
            };
            let base = name(&self.base);
            draft.hazard(HazardKind::OtherChildren, format!("{what} is based on {base} too; {so}"));
        }
        Ok(())
    }

    /// What changes in the base.
    fn committed(&self) -> Ranges {
        let stays = self.between.get(self.kept..).unwrap_or_default();
        let stays = if self.options.no_protect { &[] } else { stays };
        let unit = stays.last().map_or(1, |(_, node)| node.cluster_size.max(1));
        Ranges::Committed { top: self.top.path.clone(), base: self.base.clone(), unit }
    }

    /// Adds a fill step, unless nothing needs filling. An image that cannot be protected stands in
    /// the way of the whole commit. Says whether the step was needed. When nobody is to be protected, it
    /// is left out and the views are named.
    fn protect(
        &self,
        draft: &mut Draft<'_>,
        id: NodeId,
        node: &Node,
        ranges: Ranges,
        states: States,
    ) -> Result<bool> {
        if self.options.no_protect {
            draft.file(&node.path, false)?;
            let fill = Copy::fill(&node.path, node.format.unwrap_or(Format::Raw), states, ranges);
            let others: Vec<_> = self.trashed().map(|(id, _)| id).chain([self.top_id]).collect();
            return unprotected::name_views(draft, id, &fill, &others);
        }
        let Some(format) = node.format else {
            draft.file(&node.path, false)?;
            draft.hazard(HazardKind::Broken, format!("{} depends on this and is damaged", name(&node.path)));
            return Ok(false);
        };
        let fills = draft.copy(Copy::fill(&node.path, format, states, ranges))?;
        draft.file(&node.path, fills)?;
        if fills {
            draft.sound(&node.path, format);
            draft.flow(Flow { from: self.base.clone(), into: node.path.clone(), label: "protect" });
        }
        Ok(fills)
    }

    fn take_over(&self, draft: &mut Draft<'_>) -> Result<()> {
        let step = Copy {
            mode: CopyMode::Overwrite,
            from: ViewSpec::active(&self.top.path),
            into: self.base.clone(),
            format: self.format,
            states: States::Active,
            ranges: self.committed(),
            resize_to: (self.top_size > self.base_size).then_some(self.top_size),
            compress: false,
            sparse: false,
            data_bytes: 0,
            zero_bytes: 0,
        };
        let base = ViewSpec { format: Some(self.format), ..ViewSpec::active(&self.base) };
        draft.reads_as(base, ViewSpec { format: self.top.format, ..step.from.clone() }, self.top_size);
        for layer in self.between.iter().rev().map(|(_, node)| *node).chain([self.top]) {
            draft.flow(Flow { from: layer.path.clone(), into: self.base.clone(), label: "commit data" });
        }
        draft.copy_always(step)
    }

    /// What is based on a short top sees zeros beyond its end, and would see the longer base there.
    fn protect_children(&self, draft: &mut Draft<'_>) -> Result<()> {
        for (id, child) in self.children() {
            draft.file(&child.path, true)?;
            let sizes = child.snapshots.iter().map(|s| s.virtual_size).chain([child.virtual_size]);
            if sizes.max() > Some(self.top_size) && self.base_size > self.top_size {
                let ranges = Ranges::BeyondEnd { top: self.top.path.clone(), base: self.base.clone() };
                self.protect(draft, id, child, ranges, States::All)?;
            }
        }
        Ok(())
    }

    /// Internal snapshots of a top that stays read through what will change too, and from then on
    /// without the layers between.
    fn protect_own_snapshots(&self, draft: &mut Draft<'_>) -> Result<()> {
        if self.trashes_top() || self.top.snapshots.is_empty() {
            return Ok(());
        }
        self.protect(draft, self.top_id, self.top, self.committed(), States::Snapshots).map(|_| ())
    }

    fn relink(&self, draft: &mut Draft<'_>) -> Result<()> {
        for (id, _) in self.children() {
            draft.relink(id, Some(self.base_id), Some(self.format))?;
        }
        if self.relinks_top() {
            draft.relink(self.top_id, Some(self.base_id), Some(self.format))?;
        }
        Ok(())
    }

    fn retire(&self, draft: &mut Draft<'_>, chain: &Chain) -> Result<()> {
        if self.trashes_top() {
            draft.trash(self.top_id)?;
        } else if !self.options.keep {
            draft.empty(&self.top.path, chain.top().image.format(), false)?;
        }
        self.trashed().try_for_each(|(id, _)| draft.trash(id))
    }

    fn describe(&self, mut draft: Draft<'_>) -> Result<Plan> {
        draft.view_changed(&self.base);
        let top = self.trashes_top().then_some((self.top_id, self.top));
        for (_, node) in top.into_iter().chain(self.trashed()) {
            draft.views_lost(node);
        }
        let title = format!("commit {} into {}", name(&self.top.path), name(&self.base));
        let kept = if self.options.no_protect { "what is not named" } else { "every other view" };
        let undo = format!("cannot be undone: what the base held before is overwritten ({kept} is kept)");
        draft.finish(title, undo, self.qemu_img())
    }

    fn qemu_img(&self) -> Vec<String> {
        let protected = self.readers().filter(|_| !self.options.no_protect);
        let mut lines: Vec<String> = protected
            .map(|(_, s)| format!("# qemu-img has nothing for this: {} would silently change", name(&s.path)))
            .collect();
        let keep = if self.trashes_top() || self.options.keep { " -d" } else { "" };
        let into = match self.between.is_empty() {
            true => String::new(),
            false => format!(" -b {}", quoted(&self.base)),
        };
        lines.push(format!("qemu-img commit{keep}{into} {}", quoted(&self.top.path)));
        let top = self.relinks_top().then_some(self.top);
        for node in self.children().map(|(_, n)| n).chain(top) {
            let (base, format) = (quoted(&self.base), self.format);
            lines.push(format!("qemu-img rebase -u -b {base} -F {format} {}", quoted(&node.path)));
        }
        let top = self.trashes_top().then_some(self.top);
        lines.extend(
            top.into_iter().chain(self.trashed().map(|(_, n)| n)).map(|n| format!("rm {}", quoted(&n.path))),
        );
        lines
    }
}
