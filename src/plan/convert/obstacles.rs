//! What the new format cannot hold, each with what moves it out first.

use super::super::HazardKind;
use super::super::draft::{Draft, quoted};
use super::Change;
use crate::image::convert::Obstacle;
use crate::image::{Format, NewImage};
use crate::text::Shown;

impl Change<'_> {
    /// What the new format cannot hold, each with what moves it out first.
    pub(super) fn obstacles(&self, draft: &mut Draft<'_>, to: &NewImage, compressed: u64) {
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
        if !is_qcow2 && compressed > 0 {
            let (to, copy) = (to.format(), self.copy(to.format()));
            let what = format!("{name} holds {compressed} compressed clusters, which {to} cannot; {copy}");
            draft.hazard(HazardKind::Unsupported, what);
        }
    }
}
