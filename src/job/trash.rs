//! The trash: what is noted about a file that goes there, bringing it back, and emptying it.

use std::path::{Path, PathBuf};

use super::none_in_the_way;
use super::task::Task;
use crate::chain::{Gate, Opener};
use crate::error::Result;
use crate::forest::restorable;
use crate::storage::{Below, Disk, HostDisk, Note, Trashed, discard, discard_notes, untrash};

/// What is to be known of `file` by whoever wants it back.
pub(super) fn note(task: &Task, file: &Path, disk: &dyn Disk, opener: &Opener) -> Result<Note> {
    let mut note = Note::new(file, &task.operation, &task.title);
    let owner = task.files.iter().find(|known| known.data.as_deref() == Some(file));
    if let Some(owner) = owner {
        note.data_of = Some(owner.path.clone());
        return Ok(note);
    }
    let seen =
        |path: &Path| -> Result<Below> { Ok(Below { path: path.to_path_buf(), stamp: disk.stamp(path)? }) };
    note.data = task.data_of(file).map(seen).transpose()?;
    // What cannot be opened now cannot be judged later.
    let Ok(chain) = opener.open(file) else { return Ok(note) };
    note.format = Some(chain.top().image.format().name().to_owned());
    let layers = chain.layers().iter().skip(1);
    let below: Vec<&Path> =
        layers.flat_map(|layer| [Some(&*layer.path), layer.data.as_deref()]).flatten().collect();
    let changes = |path: &&Path| task.files.iter().any(|known| known.changes && known.path == **path);
    note.changed_below = below.iter().any(changes);
    note.reads = Some(below.into_iter().map(seen).collect::<Result<_>>()?);
    Ok(note)
}

/// Puts a file in the trash back where it was, with its data file. Gives what went where.
///
/// Fails, with nothing done, when it would not read what it read.
pub fn restore(item: &Trashed, gate: &Gate) -> Result<Vec<(PathBuf, PathBuf)>> {
    none_in_the_way([&*item.destination()])?;
    let mut done = Vec::new();
    let data = restorable(item, gate)?;
    for file in data.iter().chain([item]) {
        done.push((file.path.clone(), untrash(&HostDisk, file)?));
    }
    Ok(done)
}

/// Deletes files in the trash for good. Gives the bytes that the file system has back.
///
/// Fails, with nothing done, when a job that was cut off may still want one of them.
pub fn empty_trash(items: &[Trashed]) -> Result<u64> {
    let places: Vec<PathBuf> = items.iter().map(Trashed::destination).collect();
    none_in_the_way(places.iter().map(|path| &**path))?;
    let mut freed = 0;
    for item in items {
        freed += discard(&HostDisk, item)?;
    }
    for item in items {
        discard_notes(&HostDisk, item)?;
    }
    Ok(freed)
}
