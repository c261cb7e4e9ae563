//! Where journals lie: beside the image that changes last, so that whoever finds the one finds the other.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::task::Task;
use crate::error::{Error, Result};

/// Most bytes of an image's name that are repeated in the name of its journal, which has 255.
const MAX_NAME: usize = 160;

/// The folder for a journal of `task`, then the other folders with files that it changes, where something
/// must lead there.
pub(super) fn places(task: &Task) -> Result<Vec<PathBuf>> {
    let mut folders: Vec<PathBuf> = Vec::new();
    let last_first = task.steps.iter().rev().flat_map(|step| step.writes());
    let changed = task.files.iter().filter(|file| file.changes).map(|file| &*file.path);
    for path in last_first.chain(changed) {
        let folder = path.parent().unwrap_or(Path::new("/"));
        if !is_device(path) && !folders.iter().any(|known| known == folder) {
            folders.push(folder.to_path_buf());
        }
    }
    if folders.is_empty() {
        let folder = of_devices();
        std::fs::create_dir_all(&folder).map_err(|e| Error::io("cannot create", e).at(&folder))?;
        folders.push(folder);
    }
    Ok(folders)
}

pub(in crate::job) fn is_device(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.file_type().is_block_device())
}

/// Where journals of block devices lie, whose own folder keeps nothing.
pub(in crate::job) fn of_devices() -> PathBuf {
    let home = |name: &str, below: &str| Some(PathBuf::from(std::env::var_os(name)?).join(below));
    let state = match rustix::process::geteuid().is_root() {
        true => Some(PathBuf::from("/var/lib")),
        false => home("XDG_STATE_HOME", "").or_else(|| home("HOME", ".local/state")),
    };
    state.unwrap_or_else(|| "/var/tmp".into()).join("cowherd")
}

/// The name of a journal: after the first file that is changed, and like no other.
pub(super) fn name(task: &Task) -> OsString {
    let first = task.files.iter().find(|file| file.changes).map(|file| &*file.path);
    let mut name = OsString::from(".");
    let whole = first.and_then(Path::file_name).unwrap_or_default().as_bytes();
    name.push(OsStr::from_bytes(whole.get(..MAX_NAME).unwrap_or(whole)));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    name.push(format!(".{:x}-{:x}.journal", std::process::id(), now.as_nanos()));
    name
}
