//! A plan in the making: what every operation does the same way.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::rehearse::{self, Meter};
use super::scene::Scene;
use super::{Copy, CopyMode, Flow, HazardKind, Kept, Plan, Step, ViewId, is_one_switch, linked_copy};
use super::{kept, named};
use crate::chain::{Gate, Opener, ViewSpec};
use crate::error::{Error, Kind, Result};
use crate::forest::{Forest, Node, NodeId, reference};
use crate::image::{self, BackingRef, Format, NewImage, Written};
use crate::storage::{Disk, Rehearsal};
use crate::text::Shown;

/// Bytes of the sector that makes a change true.
pub(super) const SWITCH: u64 = 512;

/// Nothing is ever overwritten.
fn free_to_make(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Ok(_) => Err(Error::new(Kind::Usage, "exists already; nothing is ever overwritten").at(path)),
        Err(_) => Ok(()),
    }
}

/// A path for a shell.
pub(super) fn quoted(path: &Path) -> String {
    format!("'{}'", Shown::path(path).as_str().replace('\'', "'\\''"))
}

/// Collects steps, cost, hazards and the forest to come.
pub(super) struct Draft<'a> {
    pub(super) before: &'a Forest,
    after: Forest,
    pub(super) plan: Plan,
    pub(super) meter: Meter,
    /// Images that are gone afterwards.
    gone: Vec<NodeId>,
    /// The files, as the steps so far leave them.
    disk: Arc<Rehearsal>,
    /// Images that have another name afterwards.
    renamed: Vec<(PathBuf, PathBuf)>,
    /// A file whose second name is known.
    pub(super) two_names: Option<PathBuf>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(operation: &'static str, scene: impl Into<Scene<'a>>, gate: Gate) -> Self {
        let Scene { forest, disk } = scene.into();
        let plan = Plan::blank(operation, forest.clone(), gate);
        Self {
            before: forest,
            after: forest.clone(),
            plan,
            meter: Meter::new(),
            gone: Vec::new(),
            disk,
            renamed: Vec::new(),
            two_names: None,
        }
    }

    /// Opens images for planning: without locks, which a job takes before it looks again.
    pub(super) fn opener(&self) -> Opener {
        let (gate, disk) = (self.plan.gate.clone(), self.disk.clone());
        Opener { gate, force_share: true, disk, ..Opener::default() }
    }

    pub(super) fn flow(&mut self, flow: Flow) {
        self.plan.flows.push(flow);
    }

    pub(super) fn view_changed(&mut self, path: &Path) {
        self.view_lost(&ViewId::active(path));
    }

    /// Says that `view` must read afterwards as `was`, of `bytes`, does now.
    pub(super) fn reads_as(&mut self, view: ViewSpec, was: ViewSpec, bytes: u64) {
        self.plan.kept.push(Kept { view, was, bytes });
    }

    /// How the active state of the image at `path` is named afterwards.
    fn now_at(&self, path: &Path) -> ViewSpec {
        let to = self.renamed.iter().find(|(from, _)| from == path).map_or(path, |(_, to)| to);
        let node = self.after.find(to).and_then(|id| self.after.get(id));
        ViewSpec { format: node.and_then(|node| node.format), ..ViewSpec::active(to) }
    }

    /// Names all views of an image.
    pub(super) fn views_lost(&mut self, node: &Node) {
        self.plan.views_changed.extend(ViewId::all(node).map(|view| view.in_full()));
    }

    pub(super) fn view_lost(&mut self, view: &ViewId) {
        self.plan.views_changed.push(view.in_full());
    }

    /// Rehearses a copy and adds it, unless it turns out to have nothing to do. Says whether it was
    /// added. What cannot be written is a hazard, not a failure.
    pub(super) fn copy(&mut self, step: Copy) -> Result<bool> {
        self.rehearse(step, false)
    }

    /// Like [`copy`](Self::copy), but a step with nothing to do is added too.
    pub(super) fn copy_always(&mut self, step: Copy) -> Result<()> {
        self.rehearse(step, true).map(|_| ())
    }

    fn rehearse(&mut self, mut step: Copy, always: bool) -> Result<bool> {
        let opener = self.opener();
        let is_exact = step.is_exact();
        match rehearse::copy(&mut step, &opener) {
            Ok(rehearse::Rehearsed { written, path, in_place, shares, read }) => {
                let needed = always || step.data_bytes + step.zero_bytes > 0;
                if needed {
                    self.flag_snapshots(&step);
                    self.meter.cost.read_bytes += read;
                    self.meter.wrote(&path, written)?;
                    self.grown(&step, written.extra_bytes, written.freed_bytes);
                    self.plan.steps.push(Step::Copy(step));
                }
                // Blocks under bytes in place are the file system's; what zeros free there is not known.
                self.meter.cost.exact &= !in_place && !shares && is_exact;
                Ok(needed)
            }
            Err(e) if matches!(e.kind(), Kind::Unsupported | Kind::Corrupt) => {
                let kind =
                    if e.kind() == Kind::Corrupt { HazardKind::Broken } else { HazardKind::Unsupported };
                self.hazard(kind, e.to_string());
                self.plan.steps.push(Step::Copy(step));
                Ok(true)
            }
            Err(e) => Err(e),
        }
    }

    fn grown(&mut self, step: &Copy, extra: u64, freed: u64) {
        let id = self.after.find(&step.into);
        if let Some(node) = id.and_then(|id| self.after.node_mut(id)) {
            node.disk_size = (node.disk_size + extra).saturating_sub(freed);
            node.virtual_size = match step.resize_to {
                Some(size) if step.mode == CopyMode::New => size,
                size => node.virtual_size.max(size.unwrap_or(0)),
            };
        }
    }

    /// Adds the step that bases `child` on `parent`, or on nothing.
    pub(super) fn relink(
        &mut self,
        child: NodeId,
        parent: Option<NodeId>,
        format: Option<Format>,
    ) -> Result<()> {
        let unknown = || Error::new(Kind::Internal, "an id of another forest");
        let child_node = self.before.get(child).ok_or_else(unknown)?;
        let parent_node = parent.map(|id| self.before.get(id).ok_or_else(unknown)).transpose()?;
        let keeps_absolute = child_node.backing.as_ref().is_some_and(|b| Path::new(&b.name).is_absolute());
        let backing = parent_node.map(|parent| match keeps_absolute {
            true => parent.path.clone(),
            false => reference(&child_node.path, &parent.path),
        });
        self.relink_by_name(child, backing, format)?;
        self.after = self.after.relinked(child, parent);
        Ok(())
    }

    /// Adds a step that costs nothing worth counting.
    pub(super) fn step(&mut self, step: Step) {
        self.plan.steps.push(step);
    }

    /// Adds the step that makes a new image, which may not exist yet, and the image to the forest to come. It
    /// gets the owner and mode of the file at `like`.
    pub(super) fn create(&mut self, image: &Path, new: NewImage, like: &Path) -> Result<()> {
        free_to_make(image)?;
        let file = Rehearsal::create(&self.disk, image)?;
        let written = new.create(&*file)?;
        // A raw one is a hole until something is copied into it.
        let room = if new.format() == Format::Raw { 0 } else { file.len()? };
        self.meter.created(image, written, room)?;
        self.after = self.after.with_new(image, &new);
        self.plan.steps.push(Step::Create { image: image.to_path_buf(), new, like: like.to_path_buf() });
        Ok(())
    }

    /// Adds the step that makes a new file of text, which may not exist yet.
    pub(super) fn write(&mut self, file: &Path, text: String, like: &Path) -> Result<()> {
        free_to_make(file)?;
        let bytes = text.len() as u64;
        self.meter.created(file, bytes, bytes)?;
        self.plan.steps.push(Step::Write { file: file.to_path_buf(), text, like: like.to_path_buf() });
        Ok(())
    }

    /// Adds the step that writes a stream into a new file.
    pub(super) fn stream(&mut self, step: Step, is_exact: bool) -> Result<()> {
        let Step::Stream { file, bytes, .. } = &step else {
            return Err(Error::new(Kind::Internal, "not a step that streams"));
        };
        let bytes = *bytes;
        free_to_make(file)?;
        self.meter.created(file, bytes, bytes)?;
        self.meter.cost.read_bytes += bytes;
        self.meter.cost.exact &= is_exact;
        self.plan.steps.push(step);
        Ok(())
    }

    /// Adds the step that has `child` name its backing file differently.
    pub(super) fn relink_by_name(
        &mut self,
        child: NodeId,
        backing: Option<PathBuf>,
        format: Option<Format>,
    ) -> Result<()> {
        let unknown = || Error::new(Kind::Internal, "an id of another forest");
        let node = self.before.get(child).ok_or_else(unknown)?;
        let of = node.format.unwrap_or(Format::Raw);
        if of == Format::Raw {
            let what = if node.format.is_some() { "raw" } else { "damaged" };
            self.hazard(
                HazardKind::Unsupported,
                format!("{} is {what}; its backing file cannot be changed", Shown::path(&node.path)),
            );
        } else {
            let named = backing
                .as_ref()
                .map(|name| BackingRef { name: name.into(), format: format.map(|f| f.name().to_owned()) });
            let file = self.disk.open(&node.path, true)?;
            match image::relink(&*file, of, named.as_ref(), false) {
                Ok(bytes) => self.meter.cost.write_bytes += bytes,
                Err(e) if matches!(e.kind(), Kind::Unsupported | Kind::Corrupt) => {
                    self.hazard(HazardKind::Unsupported, e.to_string());
                }
                Err(e) => return Err(e),
            }
        }
        self.plan.steps.push(Step::Relink { image: node.path.clone(), backing, format, of });
        Ok(())
    }

    /// Records the name that an image will have.
    pub(super) fn renamed(&mut self, id: NodeId, to: &Path) {
        self.renamed.extend(self.before.get(id).map(|node| (node.path.clone(), to.to_path_buf())));
        self.after = self.after.renamed(id, to);
    }

    /// Adds the step that empties an image; unless it `reverts`, its base has the content as well.
    pub(super) fn empty(&mut self, path: &Path, format: Format, reverts: bool) -> Result<()> {
        self.step_that_only_counts(Step::Empty { image: path.to_path_buf(), format, reverts })
    }

    /// Adds a step that changes one image by itself. What cannot be written is a hazard.
    pub(super) fn step_that_only_counts(&mut self, step: Step) -> Result<()> {
        match rehearse::alone(&step, &self.opener()) {
            Ok(Some((path, written))) => return self.counted(step, &path, written, true),
            Ok(None) => {}
            Err(e) if matches!(e.kind(), Kind::Unsupported | Kind::Corrupt) => {
                self.hazard(HazardKind::Unsupported, e.to_string());
            }
            Err(e) => return Err(e),
        }
        self.plan.steps.push(step);
        Ok(())
    }

    /// Adds a step that changes one image by itself, of which the cost is known.
    pub(super) fn counted(
        &mut self,
        step: Step,
        path: &Path,
        written: Written,
        is_exact: bool,
    ) -> Result<()> {
        if matches!(step, Step::Compact { .. }) {
            // What moves within a file is read there.
            self.meter.cost.read_bytes += written.data_bytes;
        }
        self.meter.wrote(path, written)?;
        self.meter.cost.exact &= is_exact;
        let id = step.image().and_then(|image| self.after.find(image));
        if let Some(node) = id.and_then(|id| self.after.node_mut(id)) {
            node.disk_size = (node.disk_size + written.extra_bytes).saturating_sub(written.freed_bytes);
        }
        self.plan.steps.push(step);
        Ok(())
    }

    /// Takes the steps back: they would change nothing.
    pub(super) fn nothing_to_do(&mut self) {
        self.plan.steps.clear();
    }

    /// Records what an image will be.
    pub(super) fn converted(&mut self, path: &Path, to: &NewImage) {
        let id = self.after.find(path);
        if let Some(node) = id.and_then(|id| self.after.node_mut(id)) {
            (node.format, node.virtual_size) = (Some(to.format()), to.virtual_size());
            node.cluster_size = if to.format() == Format::Raw { 0 } else { to.cluster_size() };
            if let Some(backing) = &mut node.backing {
                backing.format = to.backing().and_then(|backing| backing.format.clone());
            }
        }
    }

    /// Records the format that an image will say its backing file has.
    pub(super) fn based_on_format(&mut self, id: NodeId, format: Format) {
        let node = self.after.node_mut(id);
        let recorded = |node: &Node| node.format != Some(Format::Qed) || format == Format::Raw;
        if let Some(backing) = node.filter(|node| recorded(node)).and_then(|node| node.backing.as_mut()) {
            backing.format = Some(format.name().to_owned());
        }
    }

    /// Records the virtual size an image will have.
    pub(super) fn resized(&mut self, path: &Path, size: u64) {
        let id = self.after.find(path);
        if let Some(node) = id.and_then(|id| self.after.node_mut(id)) {
            node.virtual_size = size;
        }
    }

    /// Records the snapshots that an image will not have any more.
    pub(super) fn snapshots_gone(&mut self, path: &Path, indexes: &[usize]) {
        let id = self.after.find(path);
        if let Some(node) = id.and_then(|id| self.after.node_mut(id)) {
            let all = node.snapshots.iter().enumerate();
            let left = all.filter(|(index, _)| !indexes.contains(index)).map(|(_, one)| one.clone());
            node.snapshots = Arc::new(left.collect());
        }
    }

    /// Adds a verification of one image, if it has tables.
    pub(super) fn verify_image(&mut self, path: &Path, format: Format) {
        if format != Format::Raw {
            self.plan.steps.push(Step::Verify { image: path.to_path_buf(), format });
        }
    }

    /// Records that an image is not there any more.
    pub(super) fn gone(&mut self, id: NodeId) {
        self.gone.push(id);
    }

    /// Records that the plan knows two names of the file at `path`.
    pub(super) fn has_two_names(&mut self, path: &Path) {
        self.two_names = Some(path.to_path_buf());
    }

    /// Adds the step that moves a file to the trash.
    pub(super) fn trash(&mut self, id: NodeId) -> Result<()> {
        let node =
            self.before.get(id).ok_or_else(|| Error::new(Kind::Internal, "an id of another forest"))?;
        self.meter.cost.freed_after_trash_bytes += node.disk_size;
        self.plan.steps.push(Step::Trash { file: node.path.clone() });
        if let Some(data) = node.data_file.as_ref().and_then(|d| d.resolved.clone()) {
            self.plan.steps.push(Step::Trash { file: data });
        }
        self.gone(id);
        Ok(())
    }

    /// Adds a verification of every image with tables that data was copied into.
    pub(super) fn verify(&mut self) {
        let written = self.plan.steps.iter().filter_map(|s| match s {
            Step::Copy(copy) if copy.format != Format::Raw => {
                Some(Step::Verify { image: copy.into.clone(), format: copy.format })
            }
            _ => None,
        });
        let steps: Vec<_> = written.collect();
        self.plan.steps.extend(steps);
    }

    /// Bytes that the steps so far write.
    pub(super) fn written_so_far(&self) -> u64 {
        self.meter.cost.write_bytes
    }

    /// The plan.
    pub(super) fn finish(mut self, title: String, undo: String, qemu_img: Vec<String>) -> Result<Plan> {
        if !is_one_switch(&self.plan.steps, &self.plan.files) {
            self.meter.cost.write_bytes += Meter::marks(&self.plan.steps);
        }
        if linked_copy(&self.plan.steps, &self.plan.files).is_some() {
            // One switch for both.
            self.meter.cost.write_bytes -= SWITCH;
        }
        self.flag_the_rest();
        let others = kept::others(&self.plan, self.before, &self.gone, |path| self.now_at(path));
        self.plan.kept.extend(others);
        self.gone.sort();
        for id in self.gone.iter().rev() {
            self.after = self.after.removed(*id);
        }
        self.plan.hazards.extend(named::hazards(&self.plan, &self.after));
        self.plan.hazards.sort_by_key(|h| std::cmp::Reverse(h.severity));
        let (cost, rooms) = (self.meter.cost, self.meter.rooms());
        Ok(Plan { title, undo, qemu_img, cost, rooms, after: self.after, ..self.plan })
    }
}
