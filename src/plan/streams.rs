//! A view, or a delta between two, as a stream for another system.

use std::path::Path;

use super::draft::Draft;
use super::export::by_id;
use super::{Plan, SnapNames, Step};
use crate::chain::{Gate, View, ViewSpec};
use crate::error::{Error, Kind, Result};
use crate::forest::Forest;
use crate::image::State;
use crate::stream::RbdDiff;
use crate::text::Shown;

impl SnapNames {
    /// The names that a stream of these views has unless they are given: those of the snapshots.
    ///
    /// Fails with [`Kind::Usage`] for a delta that says of no snapshot that it goes on it.
    pub fn of(self, view: &View, since: Option<&View>) -> Result<Self> {
        let name = |view: &View| match view.state() {
            State::Active => None,
            State::Snapshot(index) | State::VmState(index) => {
                let name = view.layers()[0].image.snapshots().get(index).map(|s| s.name.clone());
                name.filter(|name| !name.is_empty())
            }
        };
        let names =
            Self { from: self.from.or_else(|| since.and_then(name)), to: self.to.or_else(|| name(view)) };
        match (since, &names.from) {
            (Some(_), None) => {
                Err(Error::new(Kind::Usage, "a delta goes on a snapshot, and this has no name")
                    .remedy("say what the target calls it: --from-snap NAME"))
            }
            _ => Ok(names),
        }
    }
}

/// Plans the stream of `view` (on an absolute path in `forest`) in a new file at `out` (absolute), as
/// `rbd import-diff` takes it; with `since` only what differs from that.
///
/// Fails with [`Kind::NotFound`] when there is no such view, with [`Kind::Usage`] when the name is taken, and
/// as [`SnapNames::of`].
pub fn export_stream(
    forest: &Forest,
    view: &ViewSpec,
    since: Option<&ViewSpec>,
    names: SnapNames,
    out: &Path,
    gate: Gate,
) -> Result<Plan> {
    let mut draft = Draft::new("export", forest, gate);
    let opener = draft.opener();
    let (of, spec) = by_id(&opener, view)?;
    draft.layers_of(&of)?;
    let older = since.map(|since| by_id(&opener, since)).transpose()?;
    if let Some((older, _)) = &older {
        draft.layers_of(older)?;
    }
    let (older, since_spec) = older.unzip();
    let names = names.of(&of, older.as_ref())?;
    let (from_snap, to_snap) = (names.from.as_deref(), names.to.as_deref());
    let bytes = RbdDiff { view: &of, since: older.as_ref(), from_snap, to_snap }.size()?;
    let is_exact = older.as_ref().is_none_or(|older| of.is_related(older));
    let file = out.to_path_buf();
    draft.stream(Step::Stream { file, of: spec, since: since_spec, names, bytes }, is_exact)?;
    let what = view.name() + &since.map(|since| format!(" since {}", since.name())).unwrap_or_default();
    let title = format!("export {what} to {} for RBD", Shown::path(out));
    let undo = format!("remove {}; nothing else was changed", Shown::path(out));
    draft.finish(title, undo, Vec::new())
}
