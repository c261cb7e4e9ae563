//! Import: a chain of files as one image, whose internal snapshots are what the layers show.

use std::path::Path;

use super::draft::Draft;
use super::export::delta;
use super::file_names::FileNames;
use super::linear::{ChainOptions, links};
use super::{Copy, Flow, Plan, Ranges, SnapshotChange, Step};
use crate::chain::{Gate, StateSpec, View, ViewSpec};
use crate::error::{Error, Kind, Result};
use crate::forest::Forest;
use crate::image::{Format, NewImage, State};
use crate::text::Shown;

/// Plans one qcow2 image at `out` (absolute, not existing) from the chain below `image` (an absolute path in
/// `forest`): what each view of it shows, oldest first, becomes an internal snapshot called like the file it is
/// in, and what `image` shows the active state. They share what they have in common.
///
/// Fails with [`Kind::Usage`] when `out` is taken, or `new` is not a qcow2 of version 3.
pub fn import(
    forest: &Forest,
    image: &Path,
    out: &Path,
    new: &NewImage,
    how: ChainOptions,
    gate: Gate,
) -> Result<Plan> {
    if !matches!(new, NewImage::Qcow2(options) if options.version >= 3) {
        return Err(Error::new(Kind::Usage, "snapshots of their own size need a qcow2 image of version 3"));
    }
    let mut draft = Draft::new("import", forest, gate);
    let chain = draft.opener().open(image)?;
    draft.layers_of(&chain.view(State::Active))?;
    let mut names = FileNames::default();
    let mut before: Option<(View, ViewSpec)> = None;
    for link in links(&chain)? {
        let spec = link.spec();
        let ranges = match &before {
            None => {
                draft.create(out, new.clone().with(link.view.size(), None)?, image)?;
                Ranges::All
            }
            Some((older, since)) => {
                // What the image shows now becomes a snapshot before it shows the next view.
                delta(&link.view, older, since.clone(), how.by_content)
            }
        };
        let size = link.view.size();
        let resize_to = before.as_ref().filter(|(older, _)| older.size() != size).map(|_| size);
        draft.flow(Flow { from: spec.path.clone(), into: out.to_path_buf(), label: "import data" });
        let copy = Copy::into_new(spec.clone(), out, Format::Qcow2, ranges);
        draft.copy_always(Copy { resize_to, compress: how.compress, ..copy })?;
        let made = ViewSpec { format: Some(Format::Qcow2), ..ViewSpec::active(out) };
        if link.is_last(&chain) {
            draft.reads_as(made, spec.clone(), size);
        } else {
            let name = names.bare(&link.stem());
            draft.reads_as(ViewSpec { state: StateSpec::Name(name.clone()), ..made }, spec.clone(), size);
            let change = SnapshotChange::Create { name };
            draft.step_that_only_counts(Step::Snapshot { image: out.to_path_buf(), change })?;
        }
        before = Some((link.view, spec));
    }
    draft.verify_image(out, Format::Qcow2);
    let title = format!("import the chain of {} into {}", Shown::path(image), Shown::path(out));
    let undo = format!("remove {}; nothing else was changed", Shown::path(out));
    draft.finish(title, undo, Vec::new())
}
