//! The trash: a folder beside the files, so that moving there is a rename and never a copy.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Disk;
use super::names::{self, folder};
use crate::error::{Error, Kind, Result};

/// Name of the trash folder.
pub const TRASH: &str = ".cowherd-trash";

/// Moves `file` into the trash beside it, with `note` (JSON, for a later restore) next to it.
/// Returns where it is now. Nothing in the trash is ever overwritten.
pub fn trash(disk: &dyn Disk, file: &Path, note: &str) -> Result<PathBuf> {
    let trash = folder(file).join(TRASH);
    disk.create_dir(&trash)?;
    // The folder itself, before anything is in it.
    disk.sync_dir(folder(file))?;
    let name = file.file_name().unwrap_or_default();
    for n in 1..=u32::MAX {
        let mut numbered = name.to_os_string();
        numbered.push(format!(".{n}"));
        let (to, mut info) = (trash.join(&numbered), numbered.clone());
        info.push(".json");
        // The note claims the number; a crash between the two leaves a note without a file.
        match disk.create(&trash.join(&info), false) {
            Err(e) if e.kind() == Kind::Exists => continue,
            Err(e) => return Err(e),
            Ok(out) => out.write_at(0, note.as_bytes()).and_then(|()| out.sync())?,
        }
        names::rename(disk, file, &to)?;
        return Ok(to);
    }
    Err(Error::io("the trash is full of this name", std::io::ErrorKind::AlreadyExists.into()).at(&trash))
}

/// What the trash beside `file` holds of its name, newest last.
pub fn in_trash(file: &Path) -> Vec<PathBuf> {
    let name = file.file_name().unwrap_or_default();
    let Ok(entries) = std::fs::read_dir(folder(file).join(TRASH)) else { return Vec::new() };
    let number = |path: &Path| -> Option<u32> {
        let rest = path.file_name()?.as_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b".")?;
        std::str::from_utf8(rest).ok()?.parse().ok()
    };
    let mut found: Vec<_> =
        entries.flatten().map(|e| e.path()).filter_map(|path| Some((number(&path)?, path))).collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}
