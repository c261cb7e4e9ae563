//! The steps of a conversion, and what they cost: each is rehearsed.

use super::super::draft::Draft;
use super::super::{HazardKind, Step};
use super::Change;
use crate::error::{Kind, Result};
use crate::image::{self, Format, NewImage, Written, convert, qcow2};
use crate::units::{align_up, div_up};

impl Change<'_> {
    /// The conversion itself: one switch each, and one after the other where there is no direct way.
    pub(super) fn steps(&self, draft: &mut Draft<'_>, from: NewImage, to: &NewImage) -> Result<()> {
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
                let mut now = from.clone();
                for next in way {
                    let next = NewImage::Qcow2(next);
                    let files = draft.opener().files(&image, Format::Qcow2)?;
                    match convert::amend(&files, &next, false) {
                        Err(e) if e.kind() == Kind::Unsupported => {
                            draft.hazard(HazardKind::Unsupported, e.to_string());
                            draft.step(step(now, next, 0));
                            return Ok(());
                        }
                        written => draft.counted(step(now, next.clone(), 0), &image, written?, false)?,
                    }
                    now = next;
                }
            }
            (_, NewImage::Raw { .. }) => {
                let mut now = from;
                if now.format() == Format::Qed {
                    let between = convert::suggest(&self.asks, Format::Qcow2)?;
                    let written = self.lay(draft, Format::Qed, &between)?;
                    draft.counted(step(now, between.clone(), 0), &image, written, true)?;
                    now = between;
                }
                let written = self.bound_of_moves(&now)?;
                draft.meter.cost.read_bytes += written.data_bytes;
                draft.counted(step(now, to.clone(), written.data_bytes), &image, written, false)?;
            }
            _ => {
                let written = self.lay(draft, from.format(), to)?;
                draft.meter.cost.read_bytes += written.data_bytes;
                draft.counted(step(from, to.clone(), written.data_bytes), &image, written, true)?;
            }
        }
        Ok(())
    }

    /// Lays metadata as `to` has it over the image, and makes it true.
    fn lay(&self, draft: &Draft<'_>, from: Format, to: &NewImage) -> Result<Written> {
        let file = draft.opener().files(&self.node.path, from)?.image;
        let laid = convert::lay(&file, from, to, &mut |_| Ok(()))?;
        laid.switch.make(&*file)?;
        Ok(laid.written)
    }

    /// What moving everything to its guest offset takes at most: each cluster makes way once and comes home
    /// once, and each round writes all tables anew.
    fn bound_of_moves(&self, now: &NewImage) -> Result<Written> {
        let cluster = now.cluster_size();
        let disk = div_up(self.asks.virtual_size, cluster);
        let stored: u64 = convert::mappings(self.source, cluster)
            .map(|mapping| mapping.map(|m| align_up(m.len, cluster)))
            .sum::<Result<u64>>()?;
        let step = qcow2::window(disk);
        let rounds = disk / step + 4;
        let l2 = div_up(disk, cluster / 16).min(stored / cluster + 1);
        let tables =
            l2 + div_up(disk * 16 / cluster, cluster) + 2 * div_up(disk * 2, cluster * cluster / 2) + 4;
        let meta_bytes = rounds.saturating_mul(tables).saturating_mul(cluster);
        Ok(Written {
            data_bytes: 2 * stored + cluster,
            meta_bytes: meta_bytes + image::MARK_BYTES,
            freed_bytes: 2 * stored + meta_bytes,
            extra_bytes: 2 * step.min(disk + 1) * cluster + 2 * tables * cluster,
        })
    }

    /// What is new at the end moves to where the old metadata was, and nothing is left that leaks.
    pub(super) fn compact(&self, draft: &mut Draft<'_>, from: Format, to: &NewImage) -> Result<()> {
        // A raw image has no old metadata, and whatever was a hole stays one.
        let is_worth_it = from != to.format() && from != Format::Raw && to.format() != Format::Raw;
        if !is_worth_it
            || self.options.no_compact && to.format() != Format::Qed
            || draft.plan.forbidden().is_some()
        {
            return Ok(());
        }
        let files = draft.opener().files(&self.node.path, to.format())?;
        let compacted = image::compact(files, to.format(), true, &mut |_| Ok(()))?;
        if compacted.changes {
            let step = Step::Compact { image: self.node.path.clone(), format: to.format() };
            // Where the rehearsal has whole pages, the file system may have parts of them.
            let freed_bytes = compacted.written.freed_bytes + to.cluster_size();
            draft.counted(step, &self.node.path, Written { freed_bytes, ..compacted.written }, false)?;
        }
        Ok(())
    }
}
