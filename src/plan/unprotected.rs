//! What changes when others are not protected: which views, of which images, read something of it.
//!
//! Protection stops at the images directly above what changes, because the images on top of those read
//! through them. Without it the change shows all the way up, until a layer holds the place itself.

use super::draft::Draft;
use super::{Copy, HazardKind, States, ViewId};
use crate::chain::{Chain, View};
use crate::error::{Kind, Result};
use crate::forest::{Node, NodeId};
use crate::image::State;
use crate::text::Shown;

/// Names the views that `fill`, which is left out, would have kept: of the image it is for, and of all
/// that is based on that and not among `others`, whose views something else decides. Says whether there
/// are any.
pub(super) fn name_views(draft: &mut Draft<'_>, id: NodeId, fill: &Copy, others: &[NodeId]) -> Result<bool> {
    let (mut todo, mut any) = (vec![id], false);
    while let Some(next) = todo.pop() {
        let Some(node) = draft.before.get(next) else { continue };
        // The images on top see nothing but the active state.
        let states = if next == id { fill.states } else { States::All };
        let named = match changed(draft, node, fill, states) {
            Ok(named) => named,
            // Whether it reads what changes cannot be told.
            Err(e) if e.kind() != Kind::Internal => all(node, states),
            Err(e) => return Err(e),
        };
        if !named.is_empty() {
            any = true;
            let names: Vec<_> = named.iter().map(|view| Shown::new(&view.in_full()).into_string()).collect();
            let what = format!("not protected, and read something else afterwards: {}", names.join(", "));
            draft.hazard(HazardKind::Unprotected, what);
            named.iter().for_each(|view| draft.view_lost(view));
        }
        if fill.states != States::Snapshots {
            todo.extend(node.children.iter().filter(|child| !others.contains(child)));
        }
    }
    Ok(any)
}

/// The views of `node` that read through to what changes below the image that `fill` is for.
fn changed(draft: &Draft<'_>, node: &Node, fill: &Copy, states: States) -> Result<Vec<ViewId>> {
    let opener = draft.opener();
    let chain = opener.open(&node.path)?;
    let source = fill.open(&opener)?;
    let mut named = Vec::new();
    for state in of(&chain, states) {
        if reads(&chain.view(state), fill, &source)? {
            named.extend(name(node, state));
        }
    }
    Ok(named)
}

fn reads(view: &View, fill: &Copy, source: &super::Source) -> Result<bool> {
    let above = view.layers().iter().position(|layer| layer.path == fill.into);
    // One that does not lead there any more was changed by somebody else.
    let Some(above) = above else { return Ok(true) };
    for run in fill.changed(source, 1)? {
        let run = run?;
        for extent in view.extents(run.start, run.end) {
            let extent = extent?;
            let stays_zero = run.zero && extent.reads_zero();
            if extent.depth > above && !stays_zero {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn of(chain: &Chain, states: States) -> impl Iterator<Item = State> + use<> {
    let snapshots = match states {
        States::Active => 0,
        States::Snapshots | States::All => chain.top().image.snapshots().len(),
    };
    let active = (states != States::Snapshots).then_some(State::Active);
    active.into_iter().chain((0..snapshots).map(State::Snapshot))
}

fn name(node: &Node, state: State) -> Option<ViewId> {
    match state {
        State::Active => Some(ViewId::active(&node.path)),
        State::Snapshot(index) => Some(ViewId::snapshot(&node.path, &node.snapshots.get(index)?.id)),
        State::VmState(_) => None,
    }
}

fn all(node: &Node, states: States) -> Vec<ViewId> {
    let wanted = |view: &ViewId| match states {
        States::Active => view.snapshot.is_none(),
        States::Snapshots => view.snapshot.is_some(),
        States::All => true,
    };
    ViewId::all(node).filter(wanted).collect()
}
