//! Marks on the images that a job writes, from before the first step until after the last.

use super::files::Files;
use super::journal::{At, Before, Journal, Mark, Now, Was};
use super::run::{Run, seen};
use super::task::Task;
use crate::error::{Place, Result};
use crate::image;
use crate::image::convert::Start;
use crate::plan::{self, Step};
use crate::storage::Disk;

/// What undoing `task` will take.
pub(super) fn before(task: &Task, files: &Files) -> Result<Before> {
    Ok(Before {
        marks: to_set(task, files)?,
        links: links(task, files)?,
        starts: starts(task, files)?,
        ..Before::default()
    })
}

/// How the files begin that `task` converts.
fn starts(task: &Task, files: &Files) -> Result<Vec<At>> {
    let mut starts: Vec<At> = Vec::new();
    for step in &task.steps {
        let Step::Convert { image, .. } = step else { continue };
        if !starts.iter().any(|known| known.path == *image) {
            starts.push(At { path: image.clone(), start: Start::of(&*files.get(image)?.image)? });
        }
    }
    Ok(starts)
}

/// The images of `task` that can bear a mark.
fn to_set(task: &Task, files: &Files) -> Result<Vec<Mark>> {
    let mut marks = Vec::new();
    for (path, format) in plan::targets(&task.steps) {
        if image::marked(&*files.get(path)?.image, format).at(path)?.is_some() {
            marks.push(Mark { path: path.to_path_buf(), format });
        }
    }
    Ok(marks)
}

/// Sets them; gives what the files look like since.
pub(super) fn set(disk: &dyn Disk, marks: &[Mark], files: &Files) -> Result<Vec<Now>> {
    let one = |mark: &Mark| {
        image::mark(&*files.get(&mark.path)?.image, mark.format, true)?;
        seen(disk, &mark.path)
    };
    marks.iter().map(one).collect()
}

/// Bytes that marking and unmarking all of them writes.
pub(super) fn bytes(marks: &[Mark]) -> u64 {
    2 * image::MARK_BYTES * marks.len() as u64
}

/// The backing files that the images have whose references `task` changes.
fn links(task: &Task, files: &Files) -> Result<Vec<Was>> {
    let mut links: Vec<Was> = Vec::new();
    for step in &task.steps {
        let Step::Relink { image, of, .. } = step else { continue };
        if !links.iter().any(|known| known.path == *image) {
            let backing = image::open(files.get(image)?.image, Some(*of)).at(image)?.backing().cloned();
            links.push(Was { path: image.clone(), backing });
        }
    }
    Ok(links)
}

impl Run<'_> {
    /// Takes the marks off, wherever their files are by now.
    pub(super) fn unmark(&self, journal: &Journal) -> Result<()> {
        let log = journal.log();
        for mark in &log.opening.marks {
            // Somebody may have emptied the trash.
            if let Ok(files) = self.files.get(&mark.path) {
                image::mark(&*files.image, mark.format, false)?;
            }
        }
        Ok(())
    }
}
