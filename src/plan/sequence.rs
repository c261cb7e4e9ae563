//! One plan out of several operations, each planned for what the ones before it leave.
//!
//! No operation changes a view that it does not name, so neither does the sequence; and each finds the files
//! as a job will find them, so what it costs is known as well as for a plan of one operation.

use std::path::Path;
use std::sync::Arc;

use super::draft::SWITCH;
use super::rehearse::Meter;
use super::{
    CopyMode, Cost, Hazard, HazardKind, Plan, Scene, Step, is_one_switch, kept, linked_copy, named, targets,
};
use crate::chain::{Gate, ViewSpec};
use crate::error::Result;
use crate::forest::Forest;
use crate::image::Format;
use crate::storage::Rehearsal;
use crate::text::{Shown, human_size};

/// A plan in the making.
pub(super) struct Sequence<'a> {
    start: &'a Forest,
    /// As the operations so far leave it.
    forest: Forest,
    disk: Arc<Rehearsal>,
    plan: Plan,
    meter: Meter,
}

impl<'a> Sequence<'a> {
    pub(super) fn new(operation: &'static str, forest: &'a Forest, gate: Gate) -> Self {
        Self {
            start: forest,
            forest: forest.clone(),
            disk: Arc::default(),
            plan: Plan::blank(operation, forest.clone(), gate),
            meter: Meter::new(),
        }
    }

    /// Another one that begins alike and may go on differently.
    pub(super) fn fork(&self) -> Result<Self> {
        Ok(Self {
            start: self.start,
            forest: self.forest.clone(),
            disk: Arc::new(self.disk.fork()?),
            plan: self.plan.clone(),
            meter: self.meter.clone(),
        })
    }

    /// The forest as the operations so far leave it.
    pub(super) fn forest(&self) -> &Forest {
        &self.forest
    }

    pub(super) fn gate(&self) -> Gate {
        self.plan.gate.clone()
    }

    pub(super) fn cost(&self) -> Cost {
        self.meter.cost
    }

    /// Whether it can run as far as it is made.
    pub(super) fn can_run(&self) -> bool {
        self.plan.forbidden().is_none() && self.meter.missing_space().is_none()
    }

    /// Adds what `plan` plans for the forest and the files as they are by then.
    pub(super) fn then(&mut self, plan: impl FnOnce(Scene<'_>) -> Result<Plan>) -> Result<()> {
        let made = plan(Scene { forest: &self.forest, disk: self.disk.clone() })?;
        let mut cost = made.cost;
        // What a job does once is counted once, at the end.
        if !is_one_switch(&made.steps, &made.files) {
            cost.write_bytes -= Meter::marks(&made.steps);
        }
        if linked_copy(&made.steps, &made.files).is_some() {
            cost.write_bytes += SWITCH;
        }
        self.meter.add(cost, &made.rooms)?;
        self.plan.steps.extend(made.steps.into_iter().filter(Step::changes));
        for view in made.views_changed {
            if !self.plan.views_changed.contains(&view) {
                self.plan.views_changed.push(view);
            }
        }
        let about_all = [HazardKind::NoSpace, HazardKind::NamedBy, HazardKind::OtherWay];
        made.hazards.into_iter().filter(|h| !about_all.contains(&h.kind)).for_each(|h| self.hazard(h));
        for file in made.files {
            match self.plan.files.iter_mut().find(|known| known.path == file.path) {
                Some(known) => {
                    known.changes |= file.changes;
                    known.live &= file.live;
                }
                None => self.plan.files.push(file),
            }
        }
        self.plan.flows.extend(made.flows);
        self.plan.qemu_img.extend(made.qemu_img);
        self.forest = made.after;
        Ok(())
    }

    pub(super) fn hazard(&mut self, hazard: Hazard) {
        if !self.plan.hazards.contains(&hazard) {
            self.plan.hazards.push(hazard);
        }
    }

    /// The files that go to the trash.
    pub(super) fn trashed(&self) -> impl Iterator<Item = &Path> {
        self.plan.steps.iter().filter_map(|step| match step {
            Step::Trash { file } => Some(&**file),
            _ => None,
        })
    }

    /// Whether something was overwritten or dropped for good.
    pub(super) fn loses(&self) -> bool {
        self.plan.steps.iter().any(|step| match step {
            Step::Copy(copy) => copy.mode == CopyMode::Overwrite,
            Step::Snapshot { .. } | Step::Empty { .. } => true,
            _ => false,
        })
    }

    /// The plan.
    pub(super) fn finish(mut self, title: String, undo: String) -> Plan {
        // Nothing goes away before all others read without it.
        self.plan.steps.sort_by_key(|step| matches!(step, Step::Trash { .. }));
        self.verify();
        if !is_one_switch(&self.plan.steps, &self.plan.files) {
            self.meter.cost.write_bytes += Meter::marks(&self.plan.steps);
        }
        if linked_copy(&self.plan.steps, &self.plan.files).is_some() {
            self.meter.cost.write_bytes -= SWITCH;
        }
        if let Some((missing, folder)) = self.meter.missing_space() {
            let (missing, folder) = (human_size(missing), Shown::path(folder));
            let what = format!("{missing} more free space are needed on the file system of {folder}");
            self.hazard(Hazard::new(HazardKind::NoSpace, what));
        }
        let (cost, rooms) = (self.meter.cost, self.meter.rooms());
        let gone: Vec<_> = (self.start.ids())
            .filter(|id| self.start.get(*id).is_some_and(|node| self.forest.find(&node.path).is_none()))
            .collect();
        let named = |path: &Path| {
            let node = self.forest.find(path).and_then(|id| self.forest.get(id));
            ViewSpec { format: node.and_then(|node| node.format), ..ViewSpec::active(path) }
        };
        self.plan.kept = kept::others(&self.plan, self.start, &gone, named);
        let mut plan = Plan { title, undo, cost, rooms, after: self.forest, ..self.plan };
        plan.hazards.extend(named::hazards(&plan, &plan.after));
        plan.hazards.sort_by_key(|hazard| std::cmp::Reverse(hazard.severity));
        plan
    }

    /// Every image that is written and is still there has its references counted at the end.
    fn verify(&mut self) {
        let stays =
            |(path, format): &(&Path, Format)| *format != Format::Raw && self.forest.find(path).is_some();
        let written = targets(&self.plan.steps).into_iter().filter(stays);
        let steps: Vec<_> =
            written.map(|(path, format)| Step::Verify { image: path.to_path_buf(), format }).collect();
        self.plan.steps.extend(steps);
    }
}
