//! Names of files: new ones never take the place of old ones, and each change is durable.

use std::path::Path;

use super::real::sync_dir;
use crate::error::{Error, Result};

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Gives a finished file its real name. Fails when that exists already.
pub fn publish(partial: &Path, to: &Path) -> Result<()> {
    let (here, flags) = (rustix::fs::CWD, rustix::fs::RenameFlags::NOREPLACE);
    rustix::fs::renameat_with(here, partial, here, to, flags)
        .map_err(|e| Error::io("cannot give the new file its name", e.into()).at(to))?;
    sync_dir(folder(to))
}

/// Gives the file at `file` a second name, on the same file system. Fails when that exists already.
pub fn link(file: &Path, to: &Path) -> Result<()> {
    std::fs::hard_link(file, to).map_err(|e| {
        let error = Error::io("cannot give the file another name", e).at(to);
        error.remedy("the new name must be free, and in a folder of the same file system")
    })?;
    sync_dir(folder(to))
}

/// Takes a name away from a file that has another one.
pub fn unlink(file: &Path) -> Result<()> {
    std::fs::remove_file(file).map_err(|e| Error::io("cannot take the old name away", e).at(file))?;
    sync_dir(folder(file))
}
