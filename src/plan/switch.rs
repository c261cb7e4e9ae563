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
        (Some(step), None) => !is_in_place(step, files),
        (None, _) => true,
        _ => linked_copy(steps, files).is_some(),
    }
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

/// The images whose content or tables the steps write, each once.
pub fn targets(steps: &[Step]) -> Vec<(&Path, Format)> {
    let mut targets: Vec<_> = steps.iter().filter_map(Step::target).collect();
    targets.sort_unstable_by_key(|(path, _)| *path);
    targets.dedup();
    targets
}
