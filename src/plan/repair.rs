//! Repair: sound metadata in place of damaged, one switch. No view changes.

use std::path::Path;

use super::draft::{Draft, quoted};
use super::{Plan, Step};
use crate::chain::Gate;
use crate::error::{Error, Kind, Result};
use crate::forest::Forest;
use crate::image::{Format, Repair};
use crate::text::Shown;

/// Plans to mend the metadata of `image` (an absolute path in `forest`).
///
/// Fails with [`Kind::NotFound`] when the forest does not know the image, and when its format has
/// no metadata or its header cannot be read.
pub fn repair(forest: &Forest, image: &Path, what: Repair, gate: Gate) -> Result<Plan> {
    let unknown = || Error::new(Kind::NotFound, "is not part of the scanned folders").at(image);
    let node = forest.find(image).and_then(|id| forest.get(id)).ok_or_else(unknown)?;
    let format = node.format.filter(|f| *f != Format::Raw);
    let format =
        format.ok_or_else(|| Error::unsupported("has no metadata that could be repaired").at(image))?;
    let mut draft = Draft::new("check", forest, gate);
    draft.file(image, true)?;
    draft.step_that_only_counts(Step::Repair { image: image.to_path_buf(), format, what })?;
    let title = format!("repair {}", Shown::new(&node.name()));
    let undo = "cannot be undone; no view changes, only what is counted about it".to_owned();
    draft.finish(title, undo, vec![format!("qemu-img check -r {} {}", what.name(), quoted(image))])
}
