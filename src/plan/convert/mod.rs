//! Convert: another format, version or refcount width, without a copy of the disk.
//!
//! Whoever is based on the image says of what format it is, and would read garbage the moment that is wrong. So
//! each child gets a fence first, and loses it in the write that gives it the right format.

mod children;
mod obstacles;
mod steps;
mod target;
mod wanted;

use std::path::Path;

use super::draft::{Draft, quoted};
use super::{HazardKind, Plan, Step, describe};
use crate::chain::Gate;
use crate::error::{Error, Kind, Result};
use crate::forest::{Forest, Node};
use crate::image::convert::{self, ConversionOptions};
use crate::image::{self, Format, Image, NewImage};
use crate::text::Shown;

pub use wanted::Wanted;

/// What an image is to become.
#[derive(Debug, Clone)]
pub struct ConvertOptions {
    /// Its format.
    pub to: Format,
    /// What it is to be beyond that.
    pub wishes: Wanted,
    /// The format of its backing file, when it is not recorded.
    pub backing_format: Option<Format>,
    /// Whether new metadata stays at the end of the file, so that the conversion can be taken back as long as
    /// the job runs.
    pub no_compact: bool,
    /// Which backing names may be followed.
    pub gate: Gate,
}

/// Plans to convert `image` (an absolute path in `forest`) in place.
///
/// Fails with [`Kind::NotFound`] when the forest does not know the image, with [`Kind::Usage`] when it is what
/// it is to become already, or the options make no sense. What the new format cannot hold is a hazard each.
pub fn convert(forest: &Forest, image: &Path, options: &ConvertOptions) -> Result<Plan> {
    let unknown = || Error::new(Kind::NotFound, "is not part of the scanned folders").at(image);
    let id = forest.find(image).ok_or_else(unknown)?;
    let node = forest.get(id).ok_or_else(unknown)?;
    let damaged = || Error::corrupt("is too damaged to be converted").at(image);
    let format = node.format.ok_or_else(damaged)?;
    let mut draft = Draft::new("convert", forest, options.gate.clone());
    let files = draft.opener().files(image, format)?;
    let file = files.image.clone();
    let source = image::open(files, Some(format))?;
    let asks = convert::options(&*source)?;
    let change = Change { forest, node, source: &*source, asks, options };
    draft.file(image, true)?;
    let compressed = draft.sound(image, format).compressed_clusters;
    let from = change.is_now(format)?;
    let to = change.wanted(&mut draft, &from)?;
    if from == to {
        return Err(Error::new(Kind::Usage, "is what it is to become already").at(image));
    }
    change.obstacles(&mut draft, &to, compressed);
    if let (Format::Raw, Ok(len)) = (format, file.len())
        && len != node.virtual_size
    {
        let what = format!(
            "{} has {len} bytes, no multiple of 512: the disk has {}, as every program sees it",
            change.name(),
            node.virtual_size
        );
        draft.hazard(HazardKind::SizeDiffers, what);
    }
    let fenced = change.fence_children(&mut draft, &to)?;
    match draft.plan.forbidden() {
        // What cannot be done costs nothing.
        Some(_) => {
            draft.step(Step::Convert { image: image.to_path_buf(), from, to: to.clone(), data_bytes: 0 })
        }
        None => change.steps(&mut draft, from, &to)?,
    }
    draft.converted(image, &to);
    change.relink_children(&mut draft, &fenced, to.format())?;
    draft.verify_image(image, to.format());
    change.compact(&mut draft, format, &to)?;
    change.finish(draft, format, &to)
}

struct Change<'a> {
    forest: &'a Forest,
    node: &'a Node,
    source: &'a dyn Image,
    asks: ConversionOptions,
    options: &'a ConvertOptions,
}

impl Change<'_> {
    fn name(&self) -> String {
        Shown::new(&self.node.name()).into_string()
    }

    fn copy(&self, to: Format) -> String {
        format!("cowherd export {} -O {to} --out NEW makes a copy", quoted(&self.node.path))
    }

    fn finish(&self, draft: Draft<'_>, from: Format, to: &NewImage) -> Result<Plan> {
        let (name, image) = (self.name(), quoted(&self.node.path));
        let title = match (
            draft.plan.steps.iter().find(|s| matches!(s, Step::Convert { .. })),
            from == to.format(),
        ) {
            (Some(Step::Convert { from, to, .. }), true) => {
                format!("convert {name} in place, {}", describe::conversion(from, to))
            }
            _ => format!("convert {name} in place, from {from} to {}", to.format()),
        };
        let undo = match (from, to.format()) {
            (a, b) if a == b => "no view changes; converting back in place is possible".to_owned(),
            (_, Format::Raw) => {
                format!("no view changes; cowherd convert {image} --to {from} --in-place goes back")
            }
            (Format::Raw, to) => format!(
                "no view changes; cowherd convert {image} --to raw --in-place goes back from {to}, and moves data"
            ),
            _ => format!("no view changes; cowherd convert {image} --to {from} --in-place goes back"),
        };
        let lines = match from == to.format() {
            true => vec![format!("qemu-img amend {image}")],
            false => vec![
                format!("qemu-img convert -f {from} -O {} {image} COPY", to.format()),
                format!("mv COPY {image}"),
            ],
        };
        draft.finish(title, undo, lines)
    }
}
