//! What lies in trash folders: finding it, taking it out again, throwing it away for good.
//!
//! A trash folder is a real folder of that name, and what is in it are regular files called NAME.N;
//! nothing else there is touched, and no symbolic link is followed.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::names::{self, folder};
use super::trash_note::Note;
use super::{Disk, TRASH};
use crate::error::{Error, Kind, Result};

/// Folders within folders, looked through at most.
const MAX_DEPTH: usize = 64;

/// A file in the trash.
#[derive(Debug)]
pub struct Trashed {
    /// Where it is now.
    pub path: PathBuf,
    /// The name it had.
    pub name: OsString,
    /// Bytes that it occupies.
    pub disk_size: u64,
    /// What is said about it; a failure when there is no note or it cannot be read.
    pub note: Result<Note>,
}

impl Trashed {
    /// The folder that the trash is in, which is where the file came from.
    pub fn home(&self) -> &Path {
        folder(folder(&self.path))
    }

    /// Where it would be put back: under its old name, beside the trash.
    pub fn destination(&self) -> PathBuf {
        self.home().join(&self.name)
    }
}

/// The trash folders in `path` and below; of a trash folder itself, or of a file in it, that one.
pub fn trash_folders(path: &Path) -> Result<Vec<PathBuf>> {
    let is_trash = |path: &Path| path.file_name().is_some_and(|name| name == TRASH);
    let meta = fs::symlink_metadata(path).map_err(|e| Error::io("cannot find", e).at(path))?;
    if is_trash(path) && meta.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut found = Vec::new();
    let mut todo = vec![(path.to_path_buf(), 0)];
    while let Some((folder, depth)) = todo.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            // Somebody else's folder within is none of ours.
            Err(_) if depth > 0 => continue,
            Err(e) => return Err(Error::io("cannot read the folder", e).at(&folder)),
        };
        for entry in entries.flatten().filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir())) {
            match is_trash(&entry.path()) {
                true => found.push(entry.path()),
                false if depth < MAX_DEPTH => todo.push((entry.path(), depth + 1)),
                false => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What lies in the trash folder `trash`, by name.
pub fn trash_contents(trash: &Path) -> Result<Vec<Trashed>> {
    let entries = fs::read_dir(trash).map_err(|e| Error::io("cannot read the trash", e).at(trash))?;
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let Some(name) = original_name(&entry.file_name()) else { continue };
        let Ok(meta) = entry.metadata() else { continue };
        if !meta.is_file() {
            continue;
        }
        let path = entry.path();
        let note = note_of(&path);
        let note = match fs::symlink_metadata(&note) {
            Ok(meta) if meta.is_file() => Note::read(&note),
            _ => Err(Error::new(Kind::NotFound, "there is no note about it").at(&path)),
        };
        found.push(Trashed { path, name, disk_size: meta.blocks() * 512, note });
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// `NAME.N` without its number.
fn original_name(name: &std::ffi::OsStr) -> Option<OsString> {
    let bytes = name.as_bytes();
    let dot = bytes.iter().rposition(|b| *b == b'.')?;
    let number = bytes.get(dot + 1..).filter(|digits| !digits.is_empty())?;
    let is_number = number.iter().all(u8::is_ascii_digit);
    (is_number && dot > 0).then(|| OsString::from_vec(bytes[..dot].to_vec()))
}

fn note_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".json");
    name.into()
}

/// Puts a file back where it came from, which is beside the trash it lies in and nowhere else; never over
/// another one. Gives where it is.
pub fn untrash(disk: &dyn Disk, item: &Trashed) -> Result<PathBuf> {
    let to = item.destination();
    names::rename(disk, &item.path, &to).map_err(|e| match e.kind() {
        Kind::Exists => e.remedy("move that one away first; nothing is ever overwritten"),
        _ => e,
    })?;
    forget(disk, item)?;
    Ok(to)
}

/// Deletes a file in the trash for good. Gives the bytes that the file system has back.
pub fn discard(disk: &dyn Disk, item: &Trashed) -> Result<u64> {
    let meta = fs::symlink_metadata(&item.path).map_err(|e| Error::io("cannot find", e).at(&item.path))?;
    names::unlink(disk, &item.path)?;
    forget(disk, item)?;
    // What has another name stays.
    Ok(if meta.nlink() == 1 { meta.blocks() * 512 } else { 0 })
}

/// Deletes notes beside `item` whose files are gone: a crash between the two leaves such.
pub fn discard_notes(disk: &dyn Disk, item: &Trashed) -> Result<()> {
    let trash = folder(&item.path);
    let Ok(entries) = fs::read_dir(trash) else { return Ok(()) };
    for entry in entries.flatten().filter(|e| e.file_type().is_ok_and(|kind| kind.is_file())) {
        let path = entry.path();
        let about = path.file_stem().map(|stem| trash.join(stem));
        let is_note = path.extension().is_some_and(|ext| ext == "json");
        if let Some(about) = about.filter(|_| is_note)
            && about.file_name().and_then(original_name).is_some()
            && about.symlink_metadata().is_err()
            && Note::read(&path).is_ok()
        {
            names::unlink(disk, &path)?;
        }
    }
    if fs::remove_dir(trash).is_ok() {
        disk.sync_dir(folder(trash))?;
    }
    Ok(())
}

/// Takes the note away; then the folder, when nothing is left in it.
fn forget(disk: &dyn Disk, item: &Trashed) -> Result<()> {
    match names::unlink(disk, &note_of(&item.path)) {
        Err(e) if e.kind() != Kind::NotFound => return Err(e),
        _ => {}
    }
    let trash = folder(&item.path);
    if fs::remove_dir(trash).is_ok() {
        disk.sync_dir(folder(trash))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbered_files_are_ours() {
        for (name, original) in [
            ("a.qcow2.1", Some("a.qcow2")),
            ("a.7.12", Some("a.7")),
            ("a.qcow2.1.json", None),
            ("a.qcow2", None),
            (".1", None),
            ("a.", None),
            ("a.1x", None),
        ] {
            assert_eq!(original_name(name.as_ref()), original.map(OsString::from), "{name}");
        }
    }
}
