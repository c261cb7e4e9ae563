//! Rebase and pull: another backing file, or none, and no view changes. What the image would read
//! differently is copied into it first, for all its states; then one sector names the new base.
//!
//! An unsafe rebase is the last step alone: for a base that moved, or that somebody knows to be equal.
//! Then views may change, and the plan names them.

use std::path::{Path, PathBuf};

use super::draft::{Draft, quoted};
use super::{Copy, Flow, HazardKind, Plan, Ranges, Scene, States};
use crate::chain::{Chain, Gate};
use crate::error::{Error, Kind, Result};
use crate::forest::{Node, NodeId};
use crate::image::Format;
use crate::text::Shown;

/// Where an image is to be based, and how.
#[derive(Debug, Clone, Default)]
pub struct RebaseOptions {
    /// The new base (absolute); nothing for an image that stands alone.
    pub base: Option<PathBuf>,
    /// The format of the new base, when it must not be taken from its content.
    pub format: Option<Format>,
    /// Change the reference only.
    pub is_unsafe: bool,
    /// Which backing names may be followed.
    pub gate: Gate,
}

/// Plans to merge the layers between `image` (an absolute path in `forest`) and the base of `options`
/// up into it.
///
/// Fails with [`Kind::Usage`] when the base is not one of its layers below the first, otherwise like
/// [`rebase`].
pub fn pull<'a>(scene: impl Into<Scene<'a>>, image: &Path, options: &RebaseOptions) -> Result<Plan> {
    let rebase = Rebase::new("pull", scene.into(), image, options)?;
    let draft = rebase.draft();
    let chain = draft.opener().open(image)?;
    if let Some(base) = options.base.as_deref().filter(|base| chain.depth_of(base).is_none()) {
        return Err(Error::new(Kind::Usage, format!("is not based on {}", Shown::path(base))).at(image));
    }
    rebase.safely(draft, &chain)
}

/// Plans to base `image` (an absolute path in `forest`) on another image, or on nothing.
///
/// Fails with [`Kind::NotFound`] when the forest does not know one of them, with [`Kind::Usage`] when
/// the image would become its own ancestor, is based there already, or cannot have a backing file.
pub fn rebase<'a>(scene: impl Into<Scene<'a>>, image: &Path, options: &RebaseOptions) -> Result<Plan> {
    let rebase = Rebase::new("rebase", scene.into(), image, options)?;
    let draft = rebase.draft();
    if options.is_unsafe {
        return rebase.unsafely(draft);
    }
    let chain = draft.opener().open(image)?;
    rebase.safely(draft, &chain)
}

struct Rebase<'a> {
    operation: &'static str,
    scene: Scene<'a>,
    image: &'a Node,
    image_id: NodeId,
    format: Format,
    base: Option<(NodeId, &'a Node, Format)>,
    options: &'a RebaseOptions,
}

impl<'a> Rebase<'a> {
    fn new(
        operation: &'static str,
        scene: Scene<'a>,
        image: &Path,
        options: &'a RebaseOptions,
    ) -> Result<Self> {
        let forest = scene.forest;
        let find = |path: &Path| forest.find(path).and_then(|id| Some((id, forest.get(id)?)));
        let unknown = |path: &Path| {
            Error::new(Kind::NotFound, "is not part of the scanned folders").at(path).remedy(format!(
                "allow its folder with --allow {}",
                Shown::path(path.parent().unwrap_or(path))
            ))
        };
        let (image_id, node) = find(image).ok_or_else(|| unknown(image))?;
        let usage = |what: String| Error::new(Kind::Usage, what).at(image);
        let format = match node.format {
            Some(Format::Raw) => return Err(usage("is raw and cannot have a backing file".to_owned())),
            Some(format) => format,
            None => return Err(Error::corrupt("is too damaged to be changed").at(image)),
        };
        if node.backing.is_none() && options.base.is_none() {
            return Err(usage("stands alone already".to_owned()));
        }
        let base = match &options.base {
            None => None,
            Some(path) => {
                let (id, base) = find(path).ok_or_else(|| unknown(path))?;
                if id == image_id || forest.ancestors(id).contains(&image_id) {
                    return Err(usage(format!(
                        "would become its own ancestor: {} is based on it",
                        Shown::path(path)
                    )));
                }
                let format = options.format.or(base.format);
                let broken = || Error::corrupt("is too damaged to be a base").at(path);
                Some((id, base, format.ok_or_else(broken)?))
            }
        };
        Ok(Self { operation, scene, image: node, image_id, format, base, options })
    }

    fn draft(&self) -> Draft<'a> {
        Draft::new(self.operation, self.scene.clone(), self.options.gate.clone())
    }

    fn name(&self) -> Shown {
        Shown::new(&self.image.name())
    }

    fn title(&self) -> String {
        let (operation, image) = (self.operation, self.name());
        match &self.base {
            Some((_, base, _)) => format!("{operation} {image} onto {}", Shown::new(&base.name())),
            None => format!("{operation} {image}, so that it stands alone"),
        }
    }

    /// The format of the new base was recorded by nobody and not given.
    fn guesses_format(&self) -> bool {
        let Some((_, base, _)) = &self.base else { return false };
        base.format == Some(Format::Raw)
            && self.options.format.is_none()
            && !self.scene.forest.records_format_of(&base.path)
    }

    fn flag_guess(&self, draft: &mut Draft<'_>) {
        if self.guesses_format() {
            let what = format!(
                "the format of the new base of {} is not recorded anywhere; it looks raw",
                self.name()
            );
            draft.hazard(HazardKind::BackingFormat, what);
        }
    }

    fn safely(&self, mut draft: Draft<'a>, chain: &Chain) -> Result<Plan> {
        let path = &self.image.path;
        let depth = self.base.as_ref().and_then(|(_, base, _)| chain.depth_of(&base.path));
        if depth == Some(1) {
            return Err(Error::new(Kind::Usage, "is based on that image already").at(path));
        }
        draft.file(path, true)?;
        for layer in chain.layers().iter().skip(1) {
            draft.file(&layer.path, false)?;
        }
        let base_path = self.base.as_ref().map(|(_, base, _)| base.path.clone());
        let ranges = match (&self.base, depth) {
            (Some((_, base, format)), None) => {
                let mut opener = draft.opener();
                opener.format = Some(*format);
                for layer in opener.open(&base.path)?.layers() {
                    draft.file(&layer.path, false)?;
                }
                Ranges::Differs { image: path.clone(), base: base_path, format: Some(*format) }
            }
            _ => Ranges::Dropped { image: path.clone(), base: base_path },
        };
        if let Some(layer) = chain.layers().iter().find(|l| l.image.encryption().is_some()) {
            let what = format!("{} is encrypted; its content cannot be copied", Shown::path(&layer.path));
            draft.hazard(HazardKind::Unsupported, what);
        }
        self.flag_guess(&mut draft);
        draft.sound(path, self.format);
        for layer in chain.layers()[1..depth.unwrap_or(chain.layers().len())].iter().rev() {
            draft.flow(Flow { from: layer.path.clone(), into: path.clone(), label: "stream data" });
        }
        draft.copy(Copy::fill(path, self.format, States::All, ranges))?;
        draft.relink(self.image_id, self.base.as_ref().map(|b| b.0), self.base.as_ref().map(|b| b.2))?;
        draft.verify();
        let old = chain.layers().get(1).map(|l| l.path.clone());
        let undo = match old {
            Some(old) => format!(
                "no view changes; cowherd rebase --base {} goes back, and keeps what was copied",
                Shown::path(&old)
            ),
            None => "no view changes; cowherd rebase --none goes back".to_owned(),
        };
        let line = self.qemu_img("");
        draft.finish(self.title(), undo, vec![line])
    }

    fn unsafely(&self, mut draft: Draft<'a>) -> Result<Plan> {
        draft.file(&self.image.path, true)?;
        if let Some((_, base, format)) = &self.base {
            draft.file(&base.path, false)?;
            if let Some(actual) = base.format.filter(|actual| *actual != Format::Raw && actual != format) {
                let what = format!(
                    "{} is to be read as {format}, and looks like {actual}",
                    Shown::new(&base.name())
                );
                draft.hazard(HazardKind::BackingFormat, what);
            }
            if base.virtual_size != self.image.virtual_size {
                let what = format!("{} and its new base have different sizes", self.name());
                draft.hazard(HazardKind::SizeDiffers, what);
            }
        }
        self.flag_guess(&mut draft);
        // Whoever reads through the image reads through its base.
        let mut readers = vec![self.image_id];
        while let Some(id) = readers.pop() {
            let Some(node) = self.scene.forest.get(id) else { continue };
            draft.views_lost(node);
            readers.extend(&node.children);
        }
        let what = format!(
            "{} and what is based on it will read whatever the new base has; nothing is copied",
            self.name()
        );
        draft.hazard(HazardKind::ViewChanges, what);
        draft.relink(self.image_id, self.base.as_ref().map(|b| b.0), self.base.as_ref().map(|b| b.2))?;
        let undo = match self.image.backing.as_ref() {
            Some(old) => format!("cowherd rebase --unsafe --base '{}'", Shown::new(&old.name)),
            None => "cowherd rebase --unsafe --none".to_owned(),
        };
        let line = self.qemu_img(" -u");
        draft.finish(self.title(), undo, vec![line])
    }

    fn qemu_img(&self, how: &str) -> String {
        let image = quoted(&self.image.path);
        match &self.base {
            Some((_, base, format)) => {
                format!("qemu-img rebase{how} -b {} -F {format} {image}", quoted(&base.path))
            }
            None => format!("qemu-img rebase{how} -b '' {image}"),
        }
    }
}
