//! What an image is, and what it is to be.

use super::super::draft::Draft;
use super::super::{HazardKind, HazardSeverity};
use super::{Change, Wanted};
use crate::error::{Error, Kind, Result};
use crate::image::{self, Details, Format, NewImage, convert, qcow2};

impl Change<'_> {
    /// The image as it is, in the words of a new one.
    pub(super) fn is_now(&self, format: Format) -> Result<NewImage> {
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
    pub(super) fn wanted(&self, draft: &mut Draft<'_>, from: &NewImage) -> Result<NewImage> {
        let (to, wishes) = (self.options.to, &self.options.wishes);
        if let (NewImage::Qcow2(from), Format::Qcow2) = (from, to) {
            // Without a wish it is brought up to date.
            let version = if *wishes == Wanted::default() { 3 } else { from.version };
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
}
