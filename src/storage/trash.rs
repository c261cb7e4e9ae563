//! The trash: a folder beside the files, so that moving there is a rename and never a copy.

use std::fs;
use std::path::{Path, PathBuf};

use super::real::sync_dir;
use crate::error::{Error, Result};

/// Name of the trash folder.
pub const TRASH: &str = ".cowherd-trash";

/// Moves `file` into the trash beside it, with `note` (JSON, for a later restore) next to it.
/// Returns where it is now. Nothing in the trash is ever overwritten.
pub fn trash(file: &Path, note: &str) -> Result<PathBuf> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let trash = folder.join(TRASH);
    match fs::create_dir(&trash) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(Error::io("cannot create the trash", e).at(&trash));
        }
        _ => {}
    }
    let name = file.file_name().unwrap_or_default();
    for n in 1..=u32::MAX {
        let mut numbered = name.to_os_string();
        numbered.push(format!(".{n}"));
        let (to, mut info) = (trash.join(&numbered), numbered.clone());
        info.push(".json");
        // The note claims the number; a crash between the two leaves a note without a file.
        match fs::OpenOptions::new().write(true).create_new(true).open(trash.join(&info)) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => continue,
            Err(e) => return Err(Error::io("cannot write the note in the trash", e).at(&trash)),
            Ok(mut out) => std::io::Write::write_all(&mut out, note.as_bytes())
                .and_then(|()| out.sync_all())
                .map_err(|e| Error::io("cannot write the note in the trash", e).at(&trash))?,
        }
        rustix::fs::renameat_with(
            rustix::fs::CWD,
            file,
            rustix::fs::CWD,
            &to,
            rustix::fs::RenameFlags::NOREPLACE,
        )
        .map_err(|e| Error::io("cannot move to the trash", e.into()).at(file))?;
        sync_dir(&trash)?;
        sync_dir(folder)?;
        return Ok(to);
    }
    Err(Error::io("the trash is full of this name", std::io::ErrorKind::AlreadyExists.into()).at(&trash))
}
