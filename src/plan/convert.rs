//! Convert: another format, version or refcount width, without a copy of the disk.
//!
//! Whoever is based on the image says of what format it is, and would read garbage the moment that is wrong. So
//! each child gets a fence first, and loses it in the write that gives it the right format.

use std::path::Path;
use std::sync::Arc;

use super::draft::{Draft, quoted};
use super::{HazardKind, HazardSeverity, Plan, Step, describe};
use crate::chain::Gate;
use crate::error::{Error, Kind, Result};
use crate::forest::{Forest, Node, NodeId, reference};
use crate::image::convert::{self, ConversionOptions, Obstacle};
use crate::image::{self, Details, Format, Image, NewImage, Written, qcow2};
use crate::storage::{File, Layered, RealFile};
use crate::text::Shown;
use crate::units::div_up;

/// What an image is to become.
#[derive(Debug, Clone)]
pub struct ConvertOptions {
    /// Its format.
    pub to: Format,
    /// What it is to be beyond that.
    pub wishes: Wishes,
    /// The format of its backing file, when it is not recorded.
    pub backing_format: Option<Format>,
    /// Whether new metadata stays at the end of the file, so that the conversion can be taken back as long as
    /// the job runs.
    pub no_compact: bool,
    /// Which backing names may be followed.
    pub gate: Gate,
}

/// What may be said about the image that another one becomes; what is not said is as it suits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The version of a qcow2, 2 or 3.
    pub version: Option<u32>,
    /// The width of its refcounts.
    pub refcount_bits: Option<u32>,
    /// Bytes per cluster.
    pub cluster_size: Option<u64>,
    /// Clusters per table of a QED.
    pub table_size: Option<u32>,
}

impl Wishes {
    /// `new` as it is wished. Fails with [`Kind::Usage`] for what its format does not have.
    fn applied(&self, new: NewImage) -> Result<NewImage> {
        let strange = |what: &str| Err(Error::new(Kind::Usage, format!("{} has no {what}", new.format())));
        Ok(match new.clone() {
            NewImage::Raw { .. } if *self != Self::default() => return strange("options"),
            raw @ NewImage::Raw { .. } => raw,
            NewImage::Qcow2(_) if self.table_size.is_some() => return strange("table_size"),
            NewImage::Qcow2(new) => NewImage::Qcow2(qcow2::CreateOptions {
                version: self.version.unwrap_or(new.version),
                refcount_bits: self.refcount_bits.unwrap_or(new.refcount_bits),
                cluster_size: self.cluster_size.unwrap_or(new.cluster_size),
                ..new
            }),
            NewImage::Qed(_) if self.version.is_some() => return strange("compat"),
            NewImage::Qed(_) if self.refcount_bits.is_some() => return strange("refcount_bits"),
            NewImage::Qed(new) => {
                let new = new.clone().with_clusters_of(self.cluster_size.unwrap_or(new.cluster_size))?;
                NewImage::Qed(image::qed::CreateOptions {
                    table_size: self.table_size.unwrap_or(new.table_size),
                    ..new
                })
            }
        })
    }
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
    let file: Arc<dyn File> = Arc::new(RealFile::open(image, false)?);
    let source = draft.opener().files(image, format).and_then(|files| image::open(files, Some(format)))?;
    let asks = convert::options(&*source)?;
    let change = Change { forest, node, source: &*source, asks, options };
    draft.file(image, true)?;
    draft.sound(image, format);
    let from = change.is_now(format)?;
    let to = change.wanted(&mut draft, &from)?;
    if from == to {
        return Err(Error::new(Kind::Usage, "is what it is to become already").at(image));
    }
    change.obstacles(&mut draft, &to)?;
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
        None => change.steps(&mut draft, &file, from, &to)?,
    }
    draft.converted(image, &to);
    change.relink_children(&mut draft, &fenced, to.format())?;
    draft.verify_image(image, to.format());
    change.compact(&mut draft, &file, format, &to)?;
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

    /// The image as it is, in the words of a new one.
    fn is_now(&self, format: Format) -> Result<NewImage> {
        let new = NewImage::of(format, self.asks.virtual_size, self.asks.backing.clone())?;
        Ok(match (new, self.source.details()) {
            (
                NewImage::Qcow2(new),
                Details::Qcow2 { version, refcount_bits, lazy_refcounts, extended_l2, compression, .. },
            ) => NewImage::Qcow2(qcow2::CreateOptions {
                version,
                refcount_bits,
                lazy_refcounts,
                extended_l2,
                zstd: compression == "zstd",
                cluster_size: self.source.cluster_size(),
                ..new
            }),
            (NewImage::Qed(new), Details::Qed { table_size, .. }) => {
                NewImage::Qed(image::qed::CreateOptions {
                    cluster_size: self.source.cluster_size(),
                    table_size,
                    ..new
                })
            }
            (new, _) => new,
        })
    }

    /// What it is to be.
    fn wanted(&self, draft: &mut Draft<'_>, from: &NewImage) -> Result<NewImage> {
        let (to, wishes) = (self.options.to, &self.options.wishes);
        if let (NewImage::Qcow2(from), Format::Qcow2) = (from, to) {
            // Without a wish it is brought up to date.
            let version = if *wishes == Wishes::default() { 3 } else { from.version };
            let wished = wishes.applied(NewImage::Qcow2(qcow2::CreateOptions { version, ..from.clone() }))?;
            let NewImage::Qcow2(wanted) = wished else {
                return Err(Error::new(Kind::Internal, "wishes that change the format"));
            };
            if wanted.cluster_size != from.cluster_size {
                let what = "in place, a qcow2 image gets no other cluster size";
                return Err(Error::new(Kind::Usage, what).remedy(self.copy(to)));
            }
            wanted.validate()?;
            return Ok(NewImage::Qcow2(qcow2::CreateOptions {
                lazy_refcounts: from.lazy_refcounts && wanted.version == 3,
                ..wanted
            }));
        }
        if from.format() == to {
            return Ok(from.clone());
        }
        let mut asks = self.asks.clone();
        if let Some(backing) = asks.backing.as_mut().filter(|_| to != Format::Raw) {
            backing.format = self.backing_format(draft, to)?.map(|format| format.name().to_owned());
        } else {
            asks.backing = None;
        }
        let suggested = match convert::suggest(&asks, to) {
            Err(e) if e.kind() == Kind::Usage => {
                draft.hazard(HazardKind::Unsupported, format!("{}; {}", e.sentence(), self.copy(to)));
                return NewImage::of(to, asks.virtual_size, asks.backing);
            }
            suggested => suggested?,
        };
        let wanted = wishes.applied(suggested)?;
        let suits = asks.unit.is_none_or(|unit| unit.is_multiple_of(wanted.cluster_size()));
        if let NewImage::Qcow2(new) = &wanted {
            new.validate()?;
        }
        if !suits {
            let (unit, cluster) = (asks.unit.unwrap_or_default(), wanted.cluster_size());
            let what = format!(
                "data lies in clusters of {unit} bytes, and {to} ones of {cluster} bytes are too large for that; {}",
                self.copy(to)
            );
            draft.hazard(HazardKind::Unsupported, what);
        }
        Ok(wanted)
    }

    fn copy(&self, to: Format) -> String {
        format!("cowherd export {} -O {to} --out NEW makes a copy", quoted(&self.node.path))
    }

    /// The format to record of the backing file: what is recorded, what the user says, or what the file is.
    fn backing_format(&self, draft: &mut Draft<'_>, to: Format) -> Result<Option<Format>> {
        let recorded = self.asks.backing.as_ref().and_then(|backing| backing.format.clone());
        let recorded = recorded.as_deref().and_then(Format::from_name);
        let base = self.node.backing.as_ref().and_then(|backing| self.forest.get(backing.node?));
        let found = base.and_then(|base| base.format);
        let format = recorded.or(self.options.backing_format).or(found);
        match (to, format) {
            (_, None) => {
                return Err(Error::new(
                    Kind::Usage,
                    "the format of its backing file is not recorded, and the file is not there",
                )
                .at(&self.node.path)
                .remedy("say it with -F FMT"));
            }
            // Whoever opens it looks at the first bytes, which are those of a header.
            (Format::Qed, Some(format)) if format != Format::Raw => {
                let what = format!(
                    "QED does not record that the backing file of {} is {format}: whoever opens it finds that out",
                    self.name()
                );
                draft.hazard_of(HazardKind::BackingFormat, HazardSeverity::Info, what);
            }
            (_, Some(Format::Raw)) if recorded.is_none() && self.options.backing_format.is_none() => {
                let what = format!(
                    "the format of the backing file of {} is not recorded; it looks raw (-F says what it is)",
                    self.name()
                );
                draft.hazard(HazardKind::BackingFormat, what);
            }
            _ => {}
        }
        Ok(format)
    }

    /// What the new format cannot hold, each with what moves it out first.
    fn obstacles(&self, draft: &mut Draft<'_>, to: &NewImage) -> Result<()> {
        let (image, name) = (quoted(&self.node.path), self.name());
        let is_qcow2 = matches!(to, NewImage::Qcow2(_));
        for obstacle in &self.asks.obstacles {
            let what = match obstacle {
                // Counted first, in the same switch.
                Obstacle::Dirty if is_qcow2 && self.node.format == Some(Format::Qcow2) => continue,
                Obstacle::Snapshot(_)
                | Obstacle::Encrypted(_)
                | Obstacle::DataFile(_)
                | Obstacle::Bitmap(_)
                    if is_qcow2 =>
                {
                    continue;
                }
                Obstacle::Snapshot(snapshot) => format!(
                    "cowherd export {image} --chain --out FOLDER moves all of them out, cowherd snapshot delete {image} {} drops it",
                    Shown::new(snapshot)
                ),
                Obstacle::Bitmap(bitmap) => {
                    format!("qemu-img bitmap --remove {image} {} drops it", Shown::new(bitmap))
                }
                Obstacle::DataFile(_) | Obstacle::Encrypted(_) => self.copy(to.format()),
                Obstacle::Dirty | Obstacle::Corrupt => format!("cowherd check -r all {image} repairs it"),
            };
            draft.hazard(
                HazardKind::Unsupported,
                format!("{name} holds {obstacle}, which {} cannot; {what}", to.format()),
            );
        }
        if to.format() == Format::Raw && self.node.backing.is_some() {
            let what = format!(
                "{name} has a backing file, and raw cannot; cowherd pull {image} has it stand alone first"
            );
            draft.hazard(HazardKind::Unsupported, what);
        }
        if !is_qcow2 && self.node.format == Some(Format::Qcow2) {
            let compressed = self.source.check().map_or(0, |report| report.compressed_clusters);
            if compressed > 0 {
                let what = format!(
                    "{name} holds {compressed} compressed clusters, which {} cannot; {}",
                    to.format(),
                    self.copy(to.format())
                );
                draft.hazard(HazardKind::Unsupported, what);
            }
        }
        Ok(())
    }

    /// Fences around everybody who says of what format the image is. Gives them.
    fn fence_children(&self, draft: &mut Draft<'_>, to: &NewImage) -> Result<Vec<NodeId>> {
        let mut fenced = Vec::new();
        for id in self.node.children.iter().filter(|_| self.node.format != Some(to.format())) {
            let Some(child) = self.forest.get(*id) else { continue };
            let of = child.format.unwrap_or(Format::Raw);
            draft.file(&child.path, true)?;
            draft.meter.cost.write_bytes += image::MARK_BYTES;
            draft.step(Step::Fence { image: child.path.clone(), of });
            fenced.push(*id);
        }
        Ok(fenced)
    }

    fn relink_children(&self, draft: &mut Draft<'_>, children: &[NodeId], to: Format) -> Result<()> {
        for id in children {
            let Some(child) = self.forest.get(*id) else { continue };
            let absolute = child.backing.as_ref().is_some_and(|b| Path::new(&b.name).is_absolute());
            let name = match absolute {
                true => self.node.path.clone(),
                false => reference(&child.path, &self.node.path),
            };
            draft.relink_by_name(*id, Some(name), Some(to))?;
            draft.based_on_format(*id, to);
        }
        Ok(())
    }

    /// The conversion itself: one switch each, and one after the other where there is no direct way.
    fn steps(
        &self,
        draft: &mut Draft<'_>,
        file: &Arc<dyn File>,
        from: NewImage,
        to: &NewImage,
    ) -> Result<()> {
        let image = self.node.path.clone();
        let step = |from: NewImage, to: NewImage, data_bytes| Step::Convert {
            image: image.clone(),
            from,
            to,
            data_bytes,
        };
        match (&from, to) {
            (NewImage::Qcow2(old), NewImage::Qcow2(new)) => {
                // Refcounts of another width exist in version 3 alone.
                let both = old.version != new.version && old.refcount_bits != new.refcount_bits;
                let between = match new.version {
                    2 => qcow2::CreateOptions { refcount_bits: new.refcount_bits, ..old.clone() },
                    _ => qcow2::CreateOptions { version: new.version, ..old.clone() },
                };
                let way = if both { vec![between, new.clone()] } else { vec![new.clone()] };
                let layer: Arc<dyn File> = Arc::new(Layered::over(file.clone())?);
                draft.meter.follow(&*layer);
                let mut now = from.clone();
                for next in way {
                    let next = NewImage::Qcow2(next);
                    let files = self.files(draft, layer.clone())?;
                    let written = convert::amend(&files, &next, false);
                    match written {
                        Err(e) if e.kind() == Kind::Unsupported => {
                            draft.hazard(HazardKind::Unsupported, e.to_string());
                            draft.step(step(now, next, 0));
                            return Ok(());
                        }
                        written => draft.counted(step(now, next.clone(), 0), &*layer, written?, false)?,
                    }
                    now = next;
                }
            }
            (_, NewImage::Raw { .. }) => {
                let mut now = from;
                if now.format() == Format::Qed {
                    let between = convert::suggest(&self.asks, Format::Qcow2)?;
                    let layer: Arc<dyn File> = Arc::new(Layered::over(file.clone())?);
                    let laid = convert::lay(&layer, Format::Qed, &between, &mut |_| Ok(()))?;
                    draft.counted(step(now, between.clone(), 0), &*layer, laid.written, true)?;
                    now = between;
                }
                let written = self.bound_of_moves(&now)?;
                draft.meter.cost.read_bytes += written.data_bytes;
                draft.counted(step(now, to.clone(), written.data_bytes), &**file, written, false)?;
            }
            _ => {
                let layer: Arc<dyn File> = Arc::new(Layered::over(file.clone())?);
                draft.meter.follow(&*layer);
                let laid = convert::lay(&layer, from.format(), to, &mut |_| Ok(()))?;
                draft.meter.cost.read_bytes += laid.written.data_bytes;
                draft.counted(
                    step(from, to.clone(), laid.written.data_bytes),
                    &*layer,
                    laid.written,
                    true,
                )?;
            }
        }
        Ok(())
    }

    /// The image on another file, with its data file.
    fn files(&self, draft: &Draft<'_>, image: Arc<dyn File>) -> Result<image::Files> {
        let data = draft.opener().files(&self.node.path, Format::Qcow2)?.data;
        Ok(image::Files { image, data })
    }

    /// What moving everything to its guest offset takes at most: each cluster makes way once and comes home
    /// once, and each round writes all tables anew.
    fn bound_of_moves(&self, now: &NewImage) -> Result<Written> {
        let cluster = now.cluster_size();
        let disk = div_up(self.asks.virtual_size, cluster);
        let stored: u64 = convert::mappings(self.source, cluster)
            .map(|mapping| mapping.map(|m| crate::units::align_up(m.len, cluster)))
            .sum::<Result<u64>>()?;
        let step = qcow2::window(disk);
        let rounds = disk / step + 4;
        let l2 = div_up(disk, cluster / 16).min(stored / cluster + 1);
        let tables =
            l2 + div_up(disk * 16 / cluster, cluster) + 2 * div_up(disk * 2, cluster * cluster / 2) + 4;
        let meta_bytes = rounds.saturating_mul(tables).saturating_mul(cluster);
        Ok(Written {
            data_bytes: 2 * stored + cluster,
            meta_bytes,
            freed_bytes: 2 * stored + meta_bytes,
            extra_bytes: 2 * step.min(disk + 1) * cluster + 2 * tables * cluster,
        })
    }

    /// What is new at the end moves to where the old metadata was, and nothing is left that leaks.
    fn compact(
        &self,
        draft: &mut Draft<'_>,
        file: &Arc<dyn File>,
        from: Format,
        to: &NewImage,
    ) -> Result<()> {
        // A raw image has no old metadata, and whatever was a hole stays one.
        let is_worth_it = from != to.format() && from != Format::Raw && to.format() != Format::Raw;
        if !is_worth_it
            || self.options.no_compact && to.format() != Format::Qed
            || draft.plan.forbidden().is_some()
        {
            return Ok(());
        }
        let layer: Arc<dyn File> = Arc::new(Layered::over(file.clone())?);
        convert::lay(&layer, from, to, &mut |_| Ok(()))?.switch.make(&*layer)?;
        let compacted = image::compact(layer.clone(), to.format(), true, &mut |_| Ok(()))?;
        if compacted.changes {
            let step = Step::Compact { image: self.node.path.clone(), format: to.format() };
            draft.counted(step, &*layer, compacted.written, compacted.exact)?;
        }
        Ok(())
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
