//! Whether a plan becomes true at one instant, and which images bear the mark of its job otherwise.

use std::path::Path;

use super::{Copy, CopyMode, FileState, Step};
use crate::image::Format;

/// Whether all of it becomes true at one instant, so that there is nothing to finish or to undo when it is
/// cut off.
pub fn is_one_switch(steps: &[Step], files: &[FileState]) -> bool {
    let made: Vec<&Path> = made(steps).collect();
    let mut changing = steps.iter().filter(|step| step.changes());
    if !made.is_empty() {
        return changing.all(|step| step.writes().iter().all(|path| made.contains(path)));
    }
    match (changing.next(), changing.next()) {
        (Some(step), None) => !is_in_place(step, files) && !lays_metadata(step),
        (None, _) => true,
        _ => linked_copy(steps, files).is_some(),
    }
}

/// Whether the step is a conversion that leaves something behind the end of the file when it is cut off.
fn lays_metadata(step: &Step) -> bool {
    matches!(step, Step::Convert { from, to, .. } if from.format() != to.format())
}

/// Whether a conversion of this plan cannot be taken back any more once the step begins: the old metadata
/// is overwritten.
pub fn ends_roll_back(steps: &[Step], index: usize) -> bool {
    let Some(step) = steps.get(index) else { return false };
    let overwrites = match step {
        Step::Compact { .. } => true,
        Step::Convert { to, .. } => to.format() == Format::Raw,
        _ => false,
    };
    let is_laid = |before: &Step| lays_metadata(before) && before.image() == step.image();
    overwrites && steps[..index].iter().any(is_laid)
}

/// The files that the steps make. They get their names at the end, so that nobody sees them before.
pub(super) fn made(steps: &[Step]) -> impl Iterator<Item = &Path> {
    steps.iter().filter_map(|step| match step {
        Step::Create { image: path, .. }
        | Step::Write { file: path, .. }
        | Step::Stream { file: path, .. } => Some(&**path),
        _ => None,
    })
}

/// The copy and the new backing file that come true in one switch, when they are all there is to do: a
/// rebase of a qcow2. Otherwise each is a step that can be undone.
pub fn linked_copy<'a>(steps: &'a [Step], files: &[FileState]) -> Option<(&'a Copy, &'a Step)> {
    let changing: Vec<_> = steps.iter().filter(|step| step.changes()).collect();
    let [Step::Copy(copy), link @ Step::Relink { image, .. }] = changing[..] else { return None };
    let together = copy.into == *image
        && copy.mode == CopyMode::Fill
        && copy.format == Format::Qcow2
        && data_of(files, image).is_none();
    together.then_some((copy, link))
}

/// Whether the step overwrites what some view reads where it lies.
pub fn is_in_place(step: &Step, files: &[FileState]) -> bool {
    let Step::Copy(copy) = step else { return false };
    copy.mode == CopyMode::Overwrite && (copy.format == Format::Raw || data_of(files, &copy.into).is_some())
}

/// The external data file of the image at `path`.
pub fn data_of<'a>(files: &'a [FileState], path: &Path) -> Option<&'a Path> {
    files.iter().find(|file| file.path == path)?.data.as_deref()
}

/// The images whose content or tables the steps write, each once, that a job can mark.
pub fn targets(steps: &[Step]) -> Vec<(&Path, Format)> {
    // While an image becomes one of another format there is no place for a mark that lasts.
    let converted = |path: &Path| steps.iter().any(|s| lays_metadata(s) && s.image() == Some(path));
    let mut targets: Vec<_> =
        steps.iter().filter_map(Step::target).filter(|(path, _)| !converted(path)).collect();
    targets.sort_unstable_by_key(|(path, _)| *path);
    targets.dedup();
    targets
}
