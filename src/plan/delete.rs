//! Delete one layer: what its children read of it is copied into them, they are relinked to what it was
//! based on, and its file goes to the trash. Only the view of the layer itself is gone.

use std::path::Path;

use super::draft::{Draft, quoted};
use super::unprotected;
use super::{CommitOptions, Copy, Flow, HazardKind, Plan, Ranges, Scene, States, commit};
use crate::chain::Gate;
use crate::error::{Error, Kind, Result};
use crate::forest::{Forest, Node, NodeId};
use crate::image::Format;
use crate::text::{Shown, human_size};

/// What may be chosen about a deletion.
#[derive(Debug, Clone, Default)]
pub struct DeleteOptions {
    /// Let the views that read the layer change. The plan names each of them.
    pub no_protect: bool,
    /// Which backing names may be followed.
    pub gate: Gate,
}

/// Plans to take `image` (an absolute path in `forest`) out of its chain.
///
/// Merging it down into its parent instead would change what the parent shows, so that is never chosen
/// by itself; the plan says what it would cost.
///
/// Fails with [`Kind::NotFound`] when the forest does not know the image, and as opening fails.
pub fn delete<'a>(scene: impl Into<Scene<'a>>, image: &Path, options: &DeleteOptions) -> Result<Plan> {
    let scene = scene.into();
    let forest = scene.forest;
    let unknown = || Error::new(Kind::NotFound, "is not part of the scanned folders").at(image);
    let id = forest.find(image).ok_or_else(unknown)?;
    let node = forest.get(id).ok_or_else(unknown)?;
    let mut draft = Draft::new("delete", scene.clone(), options.gate.clone());
    draft.file(image, true)?;
    let parent = forest.parent(id);
    let base = parent.and_then(|id| forest.get(id));
    if node.backing.is_some() && base.is_none() && !node.children.is_empty() {
        return Err(
            Error::new(Kind::NotFound, "its backing file is not part of the scanned folders").at(image)
        );
    }
    // What the layer recorded of its base is recorded for its children; QED can record nothing but raw.
    let records = |base: &Node| {
        let can = |child: &Node| child.format != Some(Format::Qed) || base.format == Some(Format::Raw);
        node.children.iter().filter_map(|id| forest.get(*id)).any(can)
    };
    let unrecorded = node.backing.as_ref().is_some_and(|backing| backing.format.is_none());
    if let Some(base) = base.filter(|base| unrecorded && records(base)) {
        let what = format!(
            "{} does not record the format of its backing file; it looks like {}",
            Shown::new(&node.name()),
            base.format.map_or("nothing known", |format| format.name())
        );
        draft.hazard(HazardKind::BackingFormat, what);
    }
    for child_id in &node.children {
        let Some(child) = forest.get(*child_id) else { continue };
        match options.no_protect {
            true => let_change(&mut draft, *child_id, child, base)?,
            false => pull_into(&mut draft, child, node, base)?,
        }
        draft.relink(*child_id, parent, base.and_then(|b| b.format))?;
    }
    if !node.snapshots.is_empty() {
        let what = format!(
            "{} goes to the trash with {} internal snapshots",
            Shown::new(&node.name()),
            node.snapshots.len()
        );
        draft.hazard(HazardKind::NoUndo, what);
    }
    draft.verify();
    let cost = draft.written_so_far();
    if let Some(base) = base.filter(|_| !node.children.is_empty() && !options.no_protect) {
        let gate = options.gate.clone();
        let down = CommitOptions { remove: true, gate, ..CommitOptions::default() };
        if let Ok(other) = commit(forest, image, &down) {
            let what = format!(
                "pulling it up into {} children writes {}; committing it down would write {}, and change what {} shows",
                node.children.len(),
                human_size(cost),
                human_size(other.cost.write_bytes),
                Shown::new(&base.name())
            );
            draft.hazard(HazardKind::OtherWay, what);
        }
    }
    draft.trash(id)?;
    draft.views_lost(node);
    let name = Shown::new(&node.name()).into_string();
    let undo = format!("cowherd trash restore {name}, for as long as what it is based on does not change");
    draft.finish(format!("delete {name}"), undo, qemu_img(forest, node, base))
}

fn let_change(draft: &mut Draft<'_>, id: NodeId, child: &Node, base: Option<&Node>) -> Result<()> {
    draft.file(&child.path, true)?;
    let ranges = Ranges::Dropped { image: child.path.clone(), base: base.map(|b| b.path.clone()) };
    let fill = Copy::fill(&child.path, child.format.unwrap_or(Format::Raw), States::All, ranges);
    unprotected::name_views(draft, id, &fill, &[]).map(|_| ())
}

fn pull_into(draft: &mut Draft<'_>, child: &Node, gone: &Node, base: Option<&Node>) -> Result<()> {
    draft.file(&child.path, true)?;
    let Some(format) = child.format else {
        let what = format!("{} depends on this and is damaged", Shown::new(&child.name()));
        draft.hazard(HazardKind::Broken, what);
        return Ok(());
    };
    let chain = draft.opener().open(&child.path)?;
    for layer in chain.layers().iter().skip(2) {
        draft.file(&layer.path, false)?;
    }
    if chain.layers().iter().any(|l| l.image.encryption().is_some()) {
        let what =
            format!("a layer of {} is encrypted; its content cannot be copied", Shown::new(&child.name()));
        draft.hazard(HazardKind::Unsupported, what);
    }
    draft.flow(Flow { from: gone.path.clone(), into: child.path.clone(), label: "stream data" });
    let ranges = Ranges::Dropped { image: child.path.clone(), base: base.map(|b| b.path.clone()) };
    if draft.copy(Copy::fill(&child.path, format, States::All, ranges))? {
        draft.sound(&child.path, format);
    }
    Ok(())
}

fn qemu_img(forest: &Forest, node: &Node, base: Option<&Node>) -> Vec<String> {
    let onto = base.map_or_else(
        || "-b ''".to_owned(),
        |b| format!("-b {} -F {}", quoted(&b.path), b.format.map_or("raw", |f| f.name())),
    );
    let children = node.children.iter().filter_map(|id| forest.get(*id));
    let mut lines: Vec<_> = children.map(|c| format!("qemu-img rebase {onto} {}", quoted(&c.path))).collect();
    lines.push(format!("rm {}", quoted(&node.path)));
    lines
}
