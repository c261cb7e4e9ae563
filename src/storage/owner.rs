//! Who has a file open: the kernel reports no process for an open-file-description lock, so the
//! descriptors of all processes are looked through.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::FileId;
use super::locks::Holder;

/// For each of the files the first other process that has it open and locked; failing that, just
/// open. One pass over all processes, however many files are asked about.
pub(super) fn find(ids: &[FileId]) -> HashMap<FileId, Holder> {
    let own = std::process::id();
    let mut found: HashMap<FileId, (u32, bool)> = HashMap::new();
    let wanted: HashSet<FileId> = ids.iter().copied().collect();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        if pid != own {
            look_into(pid, &entry.path(), &wanted, &mut found);
        }
    }
    found.into_iter().map(|(id, (pid, _))| (id, holder(pid))).collect()
}

/// Notes which of the files the process has open, and whether with a lock.
fn look_into(pid: u32, process: &Path, wanted: &HashSet<FileId>, found: &mut HashMap<FileId, (u32, bool)>) {
    for fd in fs::read_dir(process.join("fd")).into_iter().flatten().flatten() {
        let Ok(meta) = fs::metadata(fd.path()) else { continue };
        let id = FileId { dev: meta.dev(), ino: meta.ino() };
        if !wanted.contains(&id) || found.get(&id).is_some_and(|(_, locked)| *locked) {
            continue;
        }
        let info = fs::read_to_string(process.join("fdinfo").join(fd.file_name())).unwrap_or_default();
        if info.lines().any(|line| line.starts_with("lock:")) {
            found.insert(id, (pid, true));
        } else {
            found.entry(id).or_insert((pid, false));
        }
    }
}

fn holder(pid: u32) -> Holder {
    let program = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Holder { pid, program: program.trim_end().to_owned() }
}
