//! Images based on one that is converted: a fence first, and the right format in the write that takes it away.

use std::path::Path;

use super::super::Step;
use super::super::draft::Draft;
use super::Change;
use crate::error::Result;
use crate::forest::{NodeId, reference};
use crate::image::{self, Format, NewImage};

impl Change<'_> {
    /// Fences around everybody who says of what format the image is. Gives them.
    pub(super) fn fence_children(&self, draft: &mut Draft<'_>, to: &NewImage) -> Result<Vec<NodeId>> {
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

    pub(super) fn relink_children(
        &self,
        draft: &mut Draft<'_>,
        children: &[NodeId],
        to: Format,
    ) -> Result<()> {
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
}
