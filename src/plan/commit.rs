//! Commit: merging an overlay down into its backing file.
//!
//! In order: whoever else reads the base, or reads beyond the end of the overlay, gets its own copy of
//! exactly what will change; the base
//! takes over what the overlay holds; images based on the overlay are relinked to the base; a leaf
//! stays, emptied (a guest or a domain names it), a middle layer goes to the trash. After each step
//! every view reads right, so an interrupted commit is simply run again.

use std::path::{Path, PathBuf};

use super::draft::Draft;
use super::{Copy, CopyMode, Flow, HazardKind, Plan, Ranges};
use crate::chain::{Chain, Gate};
use crate::error::{Error, Kind, Result};
use crate::forest::{Forest, Node, NodeId, ProblemKind};
use crate::image::{Format, State};
use crate::text::{Shown, human_size};

/// What may be chosen about a commit.
#[derive(Debug, Clone, Default)]
pub struct CommitOptions {
    /// Move the top to the trash even when nothing is based on it (a leaf normally stays, emptied).
    pub remove: bool,
    /// Keep the top's file as it is, even when it is a middle layer that nothing names any more.
    pub keep: bool,
    /// Which backing names may be followed.
    pub gate: Gate,
}

/// Plans to merge `top` (an absolute path in `forest`) down into its parent.
///
/// Fails with [`Kind::NotFound`] when the forest does not know the image, with [`Kind::Usage`] when
/// it has no backing file, and as opening fails when its chain cannot be read.
pub fn commit(forest: &Forest, top: &Path, options: &CommitOptions) -> Result<Plan> {
    let unknown = || Error::new(Kind::NotFound, "is not part of the scanned folders").at(top);
    let top_id = forest.find(top).ok_or_else(unknown)?;
    let top_node = forest.get(top_id).ok_or_else(unknown)?;
    let mut draft = Draft::new("commit", forest, options.gate.clone());
    let chain = draft.opener().open(top)?;
    let Some(base) = chain.layers().get(1) else {
        return Err(
            Error::new(Kind::Usage, "has no backing file, so there is nothing to commit into").at(top)
        );
    };
    let base_id = forest.find(&base.path).ok_or_else(|| {
        Error::new(
            Kind::NotFound,
            "is not part of the scanned folders, so what else depends on it is unknown",
        )
        .at(&base.path)
        .remedy("name its folder as well")
    })?;
    let commit = Commit {
        forest,
        top_id,
        top: top_node,
        base_id,
        base: base.path.clone(),
        format: base.image.format(),
        base_size: base.image.virtual_size(State::Active),
        top_size: chain.top().image.virtual_size(State::Active),
        options,
    };
    commit.look_at_files(&mut draft, &chain)?;
    commit.protect_siblings(&mut draft)?;
    commit.protect_children(&mut draft)?;
    commit.take_over(&mut draft)?;
    commit.relink_children(&mut draft)?;
    commit.retire_top(&mut draft, &chain)?;
    draft.verify();
    commit.describe(draft)
}

struct Commit<'a> {
    forest: &'a Forest,
    top_id: NodeId,
    top: &'a Node,
    base_id: NodeId,
    base: PathBuf,
    format: Format,
    base_size: u64,
    top_size: u64,
    options: &'a CommitOptions,
}

fn name(path: &Path) -> Shown {
    Shown::new(&path.file_name().unwrap_or(path.as_os_str()).to_string_lossy())
}

impl Commit<'_> {
    fn children(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.top.children.iter().filter_map(|id| Some((*id, self.forest.get(*id)?)))
    }

    fn siblings(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        let all = self.forest.get(self.base_id).map(|n| n.children.as_slice()).unwrap_or_default();
        let others = all.iter().filter(|id| **id != self.top_id);
        others.filter_map(|id| Some((*id, self.forest.get(*id)?)))
    }

    fn is_leaf(&self) -> bool {
        self.top.children.is_empty()
    }

    /// Whether the top's file goes away.
    fn trashes_top(&self) -> bool {
        !self.options.keep && (self.options.remove || !self.is_leaf())
    }

    /// Whether anything happens to the top's file at all.
    fn changes_top(&self) -> bool {
        !self.options.keep
    }

    fn look_at_files(&self, draft: &mut Draft<'_>, chain: &Chain) -> Result<()> {
        draft.file(&self.top.path, self.changes_top())?;
        draft.file(&self.base, true)?;
        for layer in chain.layers().iter().skip(2) {
            draft.file(&layer.path, false)?;
        }
        if !chain.top().image.snapshots().is_empty() {
            draft.hazard(
                HazardKind::SnapshotsReadThrough,
                format!(
                    "internal snapshots of {} read through {}, which this commit changes; delete them or export them first",
                    name(&self.top.path),
                    name(&self.base)
                ),
            );
        }
        if let Some(how) = chain.layers().iter().find_map(|l| l.image.encryption().map(|_| &l.path)) {
            draft.hazard(
                HazardKind::Unsupported,
                format!("{} is encrypted; its content cannot be copied", name(how)),
            );
        }
        // QED can record nothing but raw, so there it is only missing for a raw file.
        let records = self.top.format != Some(Format::Qed) || self.format == Format::Raw;
        if records && self.top.backing.as_ref().is_some_and(|b| b.format.is_none()) {
            draft.hazard(
                HazardKind::BackingFormat,
                format!(
                    "{} does not record the format of its backing file; it looks like {}",
                    name(&self.top.path),
                    self.format
                ),
            );
        }
        if self.top_size > self.base_size {
            draft.hazard(
                HazardKind::SizeDiffers,
                format!(
                    "{} grows from {} to {}",
                    name(&self.base),
                    human_size(self.base_size),
                    human_size(self.top_size)
                ),
            );
        }
        let bitmaps =
            chain.layers().get(1).map_or(Vec::new(), |base| base.image.details().bitmaps().to_vec());
        if !bitmaps.is_empty() {
            let names: Vec<_> = bitmaps.iter().map(|b| Shown::new(b).into_string()).collect();
            draft.hazard(
                HazardKind::BitmapsLost,
                format!(
                    "{} has dirty bitmaps that do not see this commit: {}",
                    name(&self.base),
                    names.join(", ")
                ),
            );
        }
        let external = chain.layers().get(1).is_some_and(|base| base.data.is_some());
        if self.format == Format::Raw || external {
            let how = if external { "keeps its data in another file, which" } else { "is raw and" };
            draft.hazard(
                HazardKind::InPlace,
                format!(
                    "{} {how} is overwritten in place: if interrupted, it alone is a mixture until the commit is run again",
                    name(&self.base)
                ),
            );
        }
        let relatives = self.siblings().chain(self.children()).map(|(_, n)| n).chain([self.top]);
        for node in relatives {
            if let Some(wrong) = node.problems.iter().find(|p| p.kind == ProblemKind::BackingFormatWrong) {
                draft.hazard(HazardKind::Broken, format!("{}: {}", name(&node.path), wrong.message));
            }
        }
        draft.sound(&self.base, self.format);
        Ok(())
    }

    fn protect_siblings(&self, draft: &mut Draft<'_>) -> Result<()> {
        for (_, sibling) in self.siblings() {
            let what = name(&sibling.path);
            let step = Copy {
                mode: CopyMode::Fill,
                from: sibling.path.clone(),
                into: sibling.path.clone(),
                format: sibling.format.unwrap_or(Format::Raw),
                ranges: Ranges::Committed { top: self.top.path.clone(), base: self.base.clone() },
                grow_to: None,
                data_bytes: 0,
                zero_bytes: 0,
            };
            let copies = self.protect(draft, sibling, step)?;
            if !sibling.snapshots.is_empty() {
                draft.hazard(
                    HazardKind::SnapshotsReadThrough,
                    format!(
                        "internal snapshots of {what} read through {}, which this commit changes",
                        name(&self.base)
                    ),
                );
            }
            let so = if copies {
                "it gets its own copy of what will change"
            } else {
                "nothing that it reads will change"
            };
            let base = name(&self.base);
            draft.hazard(HazardKind::OtherChildren, format!("{what} is based on {base} too; {so}"));
        }
        Ok(())
    }

    /// Adds a fill step, unless nothing needs filling. An image that cannot be protected stands in
    /// the way of the whole commit. Says whether the step was needed.
    fn protect(&self, draft: &mut Draft<'_>, node: &Node, step: Copy) -> Result<bool> {
        let Some(format) = node.format else {
            draft.file(&node.path, false)?;
            draft.hazard(HazardKind::Broken, format!("{} depends on this and is damaged", name(&node.path)));
            return Ok(false);
        };
        let fills = draft.copy(step)?;
        draft.file(&node.path, fills)?;
        if fills {
            draft.sound(&node.path, format);
        }
        Ok(fills)
    }

    fn take_over(&self, draft: &mut Draft<'_>) -> Result<()> {
        let step = Copy {
            mode: CopyMode::Overwrite,
            from: self.top.path.clone(),
            into: self.base.clone(),
            format: self.format,
            ranges: Ranges::Committed { top: self.top.path.clone(), base: self.base.clone() },
            grow_to: (self.top_size > self.base_size).then_some(self.top_size),
            data_bytes: 0,
            zero_bytes: 0,
        };
        draft.flow(Flow { from: self.top.path.clone(), into: self.base.clone(), label: "commit data" });
        draft.copy_always(step)
    }

    /// What is based on a short top sees zeros beyond its end, and would see the longer base there.
    fn protect_children(&self, draft: &mut Draft<'_>) -> Result<()> {
        for (_, child) in self.children() {
            draft.file(&child.path, true)?;
            if child.virtual_size > self.top_size && self.base_size > self.top_size {
                let step = Copy {
                    mode: CopyMode::Fill,
                    from: child.path.clone(),
                    into: child.path.clone(),
                    format: child.format.unwrap_or(Format::Raw),
                    ranges: Ranges::BeyondEnd { top: self.top.path.clone(), base: self.base.clone() },
                    grow_to: None,
                    data_bytes: 0,
                    zero_bytes: 0,
                };
                self.protect(draft, child, step)?;
            }
            let longer = |size: u64| size > self.top_size && self.base_size > self.top_size;
            if child.snapshots.iter().any(|s| longer(s.virtual_size)) {
                draft.hazard(
                    HazardKind::SnapshotsReadThrough,
                    format!(
                        "internal snapshots of {} would see data of {} beyond the end of {}",
                        name(&child.path),
                        name(&self.base),
                        name(&self.top.path)
                    ),
                );
            }
        }
        Ok(())
    }

    fn relink_children(&self, draft: &mut Draft<'_>) -> Result<()> {
        for (id, _) in self.children() {
            draft.relink(id, self.base_id, self.format)?;
        }
        Ok(())
    }

    fn retire_top(&self, draft: &mut Draft<'_>, chain: &Chain) -> Result<()> {
        if self.trashes_top() {
            draft.trash(self.top_id)
        } else if self.changes_top() {
            draft.empty(&self.top.path, chain.top().image.format())
        } else {
            Ok(())
        }
    }

    fn describe(&self, mut draft: Draft<'_>) -> Result<Plan> {
        draft.view_changed(&self.base);
        if self.trashes_top() {
            draft.view_changed(&self.top.path);
        }
        let title = format!("commit {} into {}", name(&self.top.path), name(&self.base));
        let undo = "cannot be undone: what the base held before is overwritten (every other view is kept)";
        draft.finish(title, undo.to_owned(), self.qemu_img())
    }

    fn qemu_img(&self) -> Vec<String> {
        let quoted = |p: &Path| format!("'{}'", Shown::path(p).as_str().replace('\'', "'\\''"));
        let mut lines: Vec<String> = self
            .siblings()
            .map(|(_, s)| format!("# qemu-img has nothing for this: {} would silently change", name(&s.path)))
            .collect();
        let keep = if self.trashes_top() || self.options.keep { " -d" } else { "" };
        lines.push(format!("qemu-img commit{keep} {}", quoted(&self.top.path)));
        for (_, child) in self.children() {
            let (base, format) = (quoted(&self.base), self.format);
            lines.push(format!("qemu-img rebase -u -b {base} -F {format} {}", quoted(&child.path)));
        }
        if self.trashes_top() {
            lines.push(format!("rm {}", quoted(&self.top.path)));
        }
        lines
    }
}
