//! Overlay: an external snapshot. A new, empty image on top; what it is based on keeps what it holds
//! for as long as nobody writes to it.

use std::path::Path;

use super::draft::{Draft, quoted};
use super::{HazardKind, Plan};
use crate::chain::{Gate, ViewSpec};
use crate::error::{Error, Kind, Result};
use crate::forest::{Forest, reference};
use crate::image::{BackingRef, Format, NewImage};
use crate::text::Shown;

/// Plans a new qcow2 image at `new` (absolute, not existing) on top of `image` (an absolute path in
/// `forest`). `format` is that of `image`, when it must not be taken from its content.
///
/// Fails with [`Kind::NotFound`] when the forest does not know the image, with [`Kind::Usage`] when
/// the new name is taken.
pub fn overlay(
    forest: &Forest,
    image: &Path,
    format: Option<Format>,
    new: &Path,
    gate: Gate,
) -> Result<Plan> {
    let unknown = || Error::new(Kind::NotFound, "is not part of the scanned folders").at(image);
    let node = forest.find(image).and_then(|id| forest.get(id)).ok_or_else(unknown)?;
    let damaged = || Error::corrupt("is too damaged to be a base").at(image);
    let looks = node.format.ok_or_else(damaged)?;
    let mut draft = Draft::new("overlay", forest, gate);
    // The chain below must hold, or the new image would be broken from its first day.
    for layer in draft.opener().open(image)?.layers() {
        draft.file(&layer.path, false)?;
    }
    if looks == Format::Raw && format.is_none() && !forest.records_format_of(image) {
        let what = format!("the format of {} is recorded nowhere; it looks raw", Shown::new(&node.name()));
        draft.hazard(HazardKind::BackingFormat, what);
    }
    let format = format.unwrap_or(looks);
    let below = BackingRef { name: reference(new, image).into(), format: Some(format.name().to_owned()) };
    draft.create(new, NewImage::of(Format::Qcow2, node.virtual_size, Some(below))?, image)?;
    let made = ViewSpec { format: Some(Format::Qcow2), ..ViewSpec::active(new) };
    let was = ViewSpec { format: Some(format), ..ViewSpec::active(image) };
    draft.reads_as(made, was, node.virtual_size);
    let title = format!("overlay {} over {}", Shown::path(new), Shown::new(&node.name()));
    let undo = format!("cowherd delete {}; what it is based on does not change", Shown::path(new));
    let line = format!("qemu-img create -f qcow2 -b {} -F {format} {}", quoted(image), quoted(new));
    draft.finish(title, undo, vec![line])
}
