//! Resize: a longer disk ends in zeros, a shorter one loses its end.

use std::path::Path;

use super::draft::{Draft, quoted};
use super::{HazardKind, Plan, Step};
use crate::chain::Gate;
use crate::error::{Error, Kind, Result};
use crate::forest::Forest;
use crate::text::{Shown, human_size};
use crate::units::align_up;

/// Plans to make the virtual disk of `image` (an absolute path in `forest`) `size` bytes long,
/// rounded up to sectors. Making it shorter needs `shrink`.
///
/// Fails with [`Kind::NotFound`] when the forest does not know the image, with [`Kind::Usage`] when
/// it would become shorter without `shrink`.
pub fn resize(forest: &Forest, image: &Path, size: u64, shrink: bool, gate: Gate) -> Result<Plan> {
    let unknown = || Error::new(Kind::NotFound, "is not part of the scanned folders").at(image);
    let node = forest.find(image).and_then(|id| forest.get(id)).ok_or_else(unknown)?;
    let format = node.format.ok_or_else(|| Error::corrupt("is too damaged to be resized").at(image))?;
    let (from, to) = (node.virtual_size, align_up(size, 512));
    if to < from && !shrink {
        return Err(Error::new(Kind::Usage, format!("would lose its last {}", human_size(from - to)))
            .at(image)
            .remedy("say --shrink if that is what you want"));
    }
    let mut draft = Draft::new("resize", forest, gate);
    let chain = draft.opener().open(image)?;
    draft.file(image, true)?;
    for layer in chain.layers().iter().skip(1) {
        draft.file(&layer.path, false)?;
    }
    let name = Shown::new(&node.name()).into_string();
    if to < from {
        draft.hazard(HazardKind::NoUndo, format!("what {name} holds beyond {} is lost", human_size(to)));
        for child in node.children.iter().filter_map(|id| forest.get(*id)).filter(|c| c.virtual_size > to) {
            draft.hazard(
                HazardKind::SnapshotsReadThrough,
                format!("{} reads {name} beyond its new end", Shown::new(&child.name())),
            );
        }
    }
    let bitmaps = chain.top().image.details();
    if !bitmaps.bitmaps().is_empty() {
        draft.hazard(HazardKind::BitmapsLost, format!("{name} has dirty bitmaps of the old size"));
    }
    draft.sound(image, format);
    draft.step_that_only_counts(Step::Resize { image: image.to_path_buf(), format, from, to })?;
    draft.view_changed(image);
    draft.resized(image, to);
    draft.verify_image(image, format);
    let undo = match to < from {
        true => "cannot be undone: the end of the disk is lost".to_owned(),
        false => format!("cowherd resize --shrink back to {from}"),
    };
    let flag = if to < from { " --shrink" } else { "" };
    let title = format!("resize {name} from {} to {}", human_size(from), human_size(to));
    draft.finish(title, undo, vec![format!("qemu-img resize{flag} {} {to}", quoted(image))])
}
