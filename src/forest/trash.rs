//! Files in the trash: what they were, and whether they would read what they read when they went there.
//!
//! The trash is no part of a forest, and what lies in it no view. A file can come back only while
//! everything it reads through is what it was. Its note says what that is; the note is checked against
//! the files, and never followed where the gate does not lead.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::absolute;
use crate::chain::Gate;
use crate::error::{Error, Kind, Result};
use crate::image::{self, Format};
use crate::storage::{Note, RealFile, Stamp, TRASH, Trashed, trash_contents, trash_folders};
use crate::text::Shown;

/// Everything in the trash folders in and below `path`. For a file in the trash, or the path it had before,
/// that alone.
///
/// Fails with [`Kind::NotFound`] when there is no such folder, and no such file in its trash.
pub fn trashed(path: &Path) -> Result<Vec<Trashed>> {
    if path.is_dir() {
        return all(&trash_folders(&absolute(path)?)?);
    }
    let name = path.file_name().ok_or_else(|| Error::new(Kind::Usage, "is not a file name").at(path))?;
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = absolute(folder)?;
    let inside = folder.file_name().is_some_and(|name| name == TRASH);
    let trash = if inside { folder } else { folder.join(TRASH) };
    let found = match trash.is_dir() {
        true => all(&trash_folders(&trash)?)?,
        false => Vec::new(),
    };
    let wanted =
        |item: &Trashed| if inside { item.path.file_name() == Some(name) } else { item.name == name };
    let found: Vec<_> = found.into_iter().filter(wanted).collect();
    if found.is_empty() {
        return Err(Error::new(Kind::NotFound, "is not in the trash")
            .at(path)
            .remedy("see `cowherd trash list`"));
    }
    Ok(found)
}

fn all(folders: &[PathBuf]) -> Result<Vec<Trashed>> {
    let mut found = Vec::new();
    for folder in folders {
        found.extend(trash_contents(folder)?);
    }
    Ok(found)
}

/// What comes back with `item`: its external data file first, when that lies in the same trash. Fails, with
/// the reason, when it must stay where it is.
pub fn restorable(item: &Trashed, gate: &Gate) -> Result<Vec<Trashed>> {
    let refused = |what: &str| Error::new(Kind::Changed, what).at(&item.path);
    let Ok(note) = &item.note else {
        return Err(refused("its note cannot be read, so nobody knows what it read through")
            .remedy("look at it, and move it back by hand"));
    };
    at_home(item, note)?;
    if note.data_of.is_some() {
        return Ok(Vec::new());
    }
    let data = data_of(item, note)?;
    if note.changed_below {
        return Err(refused("the operation that removed it changed what it reads through"));
    }
    let below = note.reads.as_ref().ok_or_else(|| refused("what it read through is not known"))?;
    for file in below {
        gate.admit(&file.path)?;
        match Stamp::of(&file.path) {
            Ok(now) if now.same_content(&file.stamp) => {}
            Ok(_) => return Err(refused(&format!("{} has changed since", Shown::path(&file.path)))),
            Err(e) if e.kind() == Kind::NotFound => {
                return Err(refused(&format!("{} is not there any more", Shown::path(&file.path))));
            }
            Err(e) => return Err(e),
        }
    }
    let format = note.format.as_deref().and_then(Format::from_name);
    let image = image::open(Arc::new(RealFile::open(&item.path, false)?), format)?;
    if image.backing().is_some() == below.is_empty() {
        return Err(refused("its note does not say what it really reads through"));
    }
    Ok(data.into_iter().collect())
}

/// Back means: beside the trash, under the name it had. A note that says anything else is wrong, or worse.
fn at_home(item: &Trashed, note: &Note) -> Result<()> {
    let to = item.destination();
    if note.original != to {
        let what = format!("its note says that it lay elsewhere, at {}", Shown::path(&note.original));
        return Err(Error::new(Kind::Changed, what)
            .at(&item.path)
            .remedy("if the folder was moved, move the file back by hand"));
    }
    match to.symlink_metadata() {
        Ok(_) => Err(Error::new(Kind::Exists, "is there already; nothing is ever overwritten").at(&to)),
        Err(_) => Ok(()),
    }
}

/// The external data file, when it has to come back too.
fn data_of(item: &Trashed, note: &Note) -> Result<Option<Trashed>> {
    let Some(data) = &note.data else { return Ok(None) };
    if data.path.symlink_metadata().is_ok() {
        return match Stamp::of(&data.path)?.same_content(&data.stamp) {
            true => Ok(None),
            false => Err(Error::new(Kind::Changed, "is not the data file that it was").at(&data.path)),
        };
    }
    let is_it = |other: &Trashed| {
        let about = other.note.as_ref().ok().and_then(|note| note.data_of.as_deref());
        about == Some(&*note.original) && other.destination() == data.path
    };
    let same = |other: &Trashed| Stamp::of(&other.path).is_ok_and(|now| now.same_content(&data.stamp));
    let mut here = trash_contents(item.path.parent().unwrap_or(Path::new(".")))?.into_iter();
    here.find(|other| is_it(other) && same(other)).map(Some).ok_or_else(|| {
        Error::new(Kind::Changed, "its data file is neither there nor in this trash")
            .at(&data.path)
            .remedy("restore the data file first")
    })
}
