//! Which views must read as which, once a plan is done; and the steps that make sure of it.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::Serialize;

use super::{Plan, Step, ViewId};
use crate::chain::{Basis, StateSpec, ViewSpec};
use crate::forest::{Forest, Node, NodeId};

/// A view after a plan, and the one before it that it must read as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// As it is named afterwards.
    pub view: ViewSpec,
    /// As it is named now.
    pub was: ViewSpec,
    /// Bytes of that.
    pub bytes: u64,
}

impl Plan {
    /// The same plan with a look, at its end, at every view that it must keep, or make: whether it reads as it
    /// must. Nothing is emptied or goes to the trash before.
    #[must_use]
    pub fn compared(mut self, basis: Basis) -> Self {
        let emptied = |kept: &Kept, step: &Step| {
            let active = kept.view.state == StateSpec::Active;
            active && matches!(step, Step::Empty { image, .. } if *image == kept.view.path)
        };
        let compare = |kept: &Kept| {
            let Kept { view, was, bytes } = kept.clone();
            Step::Compare { view, was, bytes, basis }
        };
        let gives_up = |step: &Step| matches!(step, Step::Empty { .. } | Step::Trash { .. });
        let place = self.steps.iter().position(gives_up).unwrap_or(self.steps.len());
        let rest = self.steps.split_off(place);
        // What is emptied reads through afterwards: that has to be seen too.
        let others = self.kept.iter().filter(|kept| !rest.iter().any(|step| emptied(kept, step)));
        self.steps.extend(others.map(compare));
        for step in rest {
            let looks: Vec<_> = self.kept.iter().filter(|kept| emptied(kept, &step)).map(compare).collect();
            self.steps.push(step);
            self.steps.extend(looks);
        }
        if basis == Basis::Content {
            // Once before and once afterwards, as far as it is stored.
            let read: u64 = self.kept.iter().map(|kept| kept.bytes.saturating_mul(2)).sum();
            self.cost.read_bytes = self.cost.read_bytes.saturating_add(read);
            self.cost.exact &= read == 0;
        }
        self
    }
}

/// The views of the images of `plan` that read through what it changes and that it does not name. `now_at` says what
/// an image is called afterwards.
pub(super) fn others(
    plan: &Plan,
    before: &Forest,
    gone: &[NodeId],
    now_at: impl Fn(&Path) -> ViewSpec,
) -> Vec<Kept> {
    let changes = |path: &Path| plan.files.iter().any(|file| file.changes && file.path == path);
    let touched = |node: &Node| {
        changes(&node.path)
            || node.data_file.as_ref().and_then(|d| d.resolved.as_deref()).is_some_and(changes)
    };
    let named: HashSet<&str> = plan.views_changed.iter().map(String::as_str).collect();
    let mut kept = Vec::new();
    for file in &plan.files {
        let Some(id) = before.find(&file.path).filter(|id| !gone.contains(id)) else { continue };
        let chain: Vec<&Node> =
            std::iter::once(id).chain(before.ancestors(id)).filter_map(|id| before.get(id)).collect();
        let Some(node) = chain.first().filter(|_| chain.iter().any(|node| touched(node))) else { continue };
        if chain.iter().any(|node| node.encrypted || node.format.is_none()) {
            continue;
        }
        let after = now_at(&node.path);
        let mut times = HashMap::<&str, usize>::new();
        for snapshot in node.snapshots.iter() {
            *times.entry(&snapshot.id).or_default() += 1;
        }
        let snapshots = node.snapshots.iter().filter(|s| times.get(s.id.as_str()) == Some(&1));
        let states = snapshots.map(|s| (StateSpec::Id(s.id.clone()), s.virtual_size));
        for (state, bytes) in std::iter::once((StateSpec::Active, node.virtual_size)).chain(states) {
            let view = match &state {
                StateSpec::Id(id) => ViewId::snapshot(&node.path, id),
                _ => ViewId::active(&node.path),
            };
            if !named.contains(view.in_full().as_str()) {
                let was = ViewSpec { path: node.path.clone(), state: state.clone(), format: node.format };
                kept.push(Kept { view: ViewSpec { state, ..after.clone() }, was, bytes });
            }
        }
    }
    kept
}
