//! Compact: what is free in an image goes back to the host, in place. No view changes.

use std::path::Path;

use super::draft::Draft;
use super::{HazardKind, Plan, Step};
use crate::chain::Gate;
use crate::error::{Error, Kind, Result};
use crate::forest::Forest;
use crate::image::{self, Format};
use crate::text::Shown;

/// Plans to make the file of `image` (an absolute path in `forest`) as short as what it holds, and to
/// punch out what is free in it. There are no steps when that would give nothing back.
///
/// Fails with [`Kind::NotFound`] when the forest does not know the image, with [`Kind::Usage`] for a raw
/// one.
pub fn compact(forest: &Forest, image: &Path, gate: Gate) -> Result<Plan> {
    let unknown = || Error::new(Kind::NotFound, "is not part of the scanned folders").at(image);
    let node = forest.find(image).and_then(|id| forest.get(id)).ok_or_else(unknown)?;
    let format = node.format.ok_or_else(|| Error::corrupt("is too damaged to be compacted").at(image))?;
    if format == Format::Raw {
        return Err(Error::new(Kind::Usage, "a raw image has nothing to compact").at(image).remedy(
            "what a guest has discarded in it is given back with `fallocate --dig-holes`, or by the guest",
        ));
    }
    let mut draft = Draft::new("compact", forest, gate);
    draft.file(image, true)?;
    let name = Shown::new(&node.name()).into_string();
    let files = draft.opener().files(image, format)?;
    let step = Step::Compact { image: image.to_path_buf(), format };
    let undo = "there is nothing to undo: no view changes".to_owned();
    match image::compact(files, format, true, &mut |_| Ok(())) {
        Ok(would) if !would.changes => {
            return draft.finish(format!("compact {name}: nothing in it is free"), undo, Vec::new());
        }
        Ok(would) => draft.counted(step, image, would.written, would.exact)?,
        Err(e) if e.kind() == Kind::Corrupt => draft.hazard(HazardKind::Broken, e.to_string()),
        Err(e) if e.kind() == Kind::Unsupported => draft.hazard(HazardKind::Unsupported, e.to_string()),
        Err(e) => return Err(e),
    }
    draft.verify_image(image, format);
    let line = "# qemu-img has nothing for this: convert makes a copy, which loses the internal snapshots";
    draft.finish(format!("compact {name}"), undo, vec![line.to_owned()])
}
