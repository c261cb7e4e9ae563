//! Names of files: new ones never take the place of old ones, and each change is durable.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Disk;
use crate::error::Result;

/// The folder a file lies in; the current one for a bare name.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Gives a file another name in the same file system. Fails when that exists already.
pub fn rename(disk: &dyn Disk, file: &Path, to: &Path) -> Result<()> {
    disk.rename(file, to)?;
    disk.sync_dir(folder(to))?;
    match folder(file) == folder(to) {
        true => Ok(()),
        false => disk.sync_dir(folder(file)),
    }
}

/// Gives the file at `file` a second name, on the same file system. Fails when that exists already.
pub fn link(disk: &dyn Disk, file: &Path, to: &Path) -> Result<()> {
    disk.link(file, to)?;
    disk.sync_dir(folder(to))
}

/// Takes a name away.
pub fn unlink(disk: &dyn Disk, file: &Path) -> Result<()> {
    disk.unlink(file)?;
    disk.sync_dir(folder(file))
}

/// The trash, and files that a job of ours has not finished: no part of the forest.
pub fn is_ours(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.starts_with(b".cowherd-")
        || name.starts_with(b".") && (name.ends_with(b".cowherd-partial") || name.ends_with(b".journal"))
}
