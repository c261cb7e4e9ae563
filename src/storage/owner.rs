//! Who has a file open: the kernel reports no process for an open-file-description lock, so the
//! descriptors of all processes are looked through.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::FileId;
use super::locks::Holder;

/// The first other process that has the file open and locked; failing that, just open.
pub(super) fn find(id: FileId) -> Option<Holder> {
    let own = std::process::id();
    let mut open_only = None;
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        if pid == own {
            continue;
        }
        match holds(&entry.path(), id) {
            Some(true) => return Some(holder(pid)),
            Some(false) => open_only = open_only.or(Some(pid)),
            None => {}
        }
    }
    open_only.map(holder)
}

/// Whether the process has the file open (`Some`), and with a lock (`Some(true)`).
fn holds(process: &Path, id: FileId) -> Option<bool> {
    let mut open = None;
    for fd in fs::read_dir(process.join("fd")).ok()?.flatten() {
        let Ok(meta) = fs::metadata(fd.path()) else { continue };
        if (FileId { dev: meta.dev(), ino: meta.ino() }) != id {
            continue;
        }
        let info = fs::read_to_string(process.join("fdinfo").join(fd.file_name())).unwrap_or_default();
        if info.lines().any(|line| line.starts_with("lock:")) {
            return Some(true);
        }
        open = Some(false);
    }
    open
}

fn holder(pid: u32) -> Holder {
    let program = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Holder { pid, program: program.trim_end().to_owned() }
}
