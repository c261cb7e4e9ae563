//! What a commit warns of, and the files that it takes part of the plan.

use super::commit::{Commit, name};
use super::draft::Draft;
use super::{HazardKind, HazardSeverity};
use crate::chain::Chain;
use crate::error::Result;
use crate::forest::ProblemKind;
use crate::image::Format;
use crate::text::{Shown, human_size};

impl Commit<'_> {
    pub(super) fn look_at_files(&self, draft: &mut Draft<'_>, chain: &Chain, depth: usize) -> Result<()> {
        draft.file(&self.top.path, self.changes_top())?;
        for (i, (_, node)) in self.between.iter().enumerate() {
            draft.file(&node.path, i < self.kept)?;
        }
        draft.file(&self.base, true)?;
        for layer in chain.layers().iter().skip(depth + 1) {
            draft.file(&layer.path, false)?;
        }
        let top = self.trashes_top().then_some((self.top_id, self.top));
        for (_, node) in self.trashed().chain(top).filter(|(_, node)| !node.snapshots.is_empty()) {
            draft.hazard(
                HazardKind::NoUndo,
                format!(
                    "{} goes to the trash with {} internal snapshots, which are no longer what they were there",
                    name(&node.path),
                    node.snapshots.len()
                ),
            );
        }
        if let Some(how) = chain.layers().iter().find_map(|l| l.image.encryption().map(|_| &l.path)) {
            draft.hazard(
                HazardKind::Unsupported,
                format!("{} is encrypted; its content cannot be copied", name(how)),
            );
        }
        // QED can record nothing but raw, so there it is only missing for a raw file.
        let lowest = self.between.last().map_or(self.top, |(_, node)| node);
        let records = lowest.format != Some(Format::Qed) || self.format == Format::Raw;
        if records && lowest.backing.as_ref().is_some_and(|b| b.format.is_none()) {
            draft.hazard(
                HazardKind::BackingFormat,
                format!(
                    "{} does not record the format of its backing file; it looks like {}",
                    name(&lowest.path),
                    self.format
                ),
            );
        }
        if self.top_size > self.base_size {
            draft.hazard(
                HazardKind::SizeDiffers,
                format!(
                    "{} grows from {} to {}",
                    name(&self.base),
                    human_size(self.base_size),
                    human_size(self.top_size)
                ),
            );
        }
        let bitmaps =
            chain.layers().get(depth).map_or(Vec::new(), |base| base.image.details().bitmaps().to_vec());
        if !bitmaps.is_empty() {
            let names: Vec<_> = bitmaps.iter().map(|b| Shown::new(&b.name).into_string()).collect();
            draft.hazard(
                HazardKind::BitmapsLost,
                format!(
                    "{} has dirty bitmaps that do not see this commit: {}",
                    name(&self.base),
                    names.join(", ")
                ),
            );
        }
        let external = chain.layers().get(depth).is_some_and(|base| base.data.is_some());
        if self.format == Format::Raw || external {
            let how = if external { "keeps its data in another file, which" } else { "is raw and" };
            draft.hazard(
                HazardKind::InPlace,
                format!(
                    "{} {how} is overwritten in place: if interrupted, it alone is a mixture until the commit is run again",
                    name(&self.base)
                ),
            );
        }
        let relatives = self.readers().chain(self.children()).map(|(_, n)| n).chain([self.top]);
        for node in relatives {
            if let Some(wrong) = node.problems.iter().find(|p| p.kind == ProblemKind::BackingFormatWrong) {
                draft.hazard(HazardKind::Broken, format!("{}: {}", name(&node.path), wrong.message));
            }
        }
        draft.hazard_of(
            HazardKind::NoUndo,
            HazardSeverity::Warning,
            format!("what {} holds now, where it is overwritten, cannot be brought back", name(&self.base)),
        );
        draft.sound(&self.base, self.format);
        Ok(())
    }
}
