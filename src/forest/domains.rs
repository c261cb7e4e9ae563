//! Which libvirt domains name which files, from the XML that libvirt keeps: no daemon is asked, and a
//! folder that cannot be read is told about, not an error.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::domain_use::DomainUse;
use super::domain_xml;
use crate::error::Kind;
use crate::storage::{FileId, read_small};

/// Folders to look for domains in instead of the usual ones, colon separated; empty for none.
pub const DOMAIN_FOLDERS: &str = "COWHERD_LIBVIRT_DIRS";

/// Largest file that is read; a domain takes some kilobytes.
const MAX_BYTES: u64 = 1 << 20;
/// Most files that are read.
const MAX_FILES: usize = 10_000;
/// Most names that are kept of them all.
const MAX_USES: usize = 100_000;

/// Where libvirt keeps its domains, the running ones and its snapshots: of the system and of this user.
/// [`DOMAIN_FOLDERS`] in the environment names other folders.
pub fn domain_folders() -> Vec<PathBuf> {
    if let Some(folders) = std::env::var_os(DOMAIN_FOLDERS) {
        return std::env::split_paths(&folders).filter(|folder| folder.is_absolute()).collect();
    }
    let mut folders: Vec<PathBuf> =
        ["/etc/libvirt/qemu", "/run/libvirt/qemu", "/var/lib/libvirt/qemu/snapshot"].map(Into::into).into();
    let of_user = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = of_user("XDG_CONFIG_HOME").or_else(|| Some(of_user("HOME")?.join(".config")));
    if let Some(config) = config {
        folders.extend([config.join("libvirt/qemu"), config.join("libvirt/qemu/snapshot")]);
    }
    folders.extend(of_user("XDG_RUNTIME_DIR").map(|runtime| runtime.join("libvirt/qemu/run")));
    folders
}

/// What the domains of some folders name.
#[derive(Debug, Default)]
pub struct Domains {
    uses: Vec<DomainUse>,
    by_file: HashMap<FileId, Vec<usize>>,
    by_path: HashMap<PathBuf, Vec<usize>>,
    unread: Vec<PathBuf>,
    files: usize,
}

impl Domains {
    /// Reads every domain in `folders` and in the folders directly below them (snapshots have one for
    /// each domain). Follows no links, so that what is started by itself is not read twice.
    pub fn read(folders: &[PathBuf]) -> Self {
        let mut domains = Self::default();
        for folder in folders {
            domains.folder(folder, true);
        }
        domains.unread.sort();
        domains.unread.dedup();
        let mut known: HashMap<&str, (Option<FileId>, Option<PathBuf>)> = HashMap::new();
        for (index, one) in domains.uses.iter().enumerate() {
            let (id, real) = known.entry(&one.file).or_insert_with(|| places(Path::new(&one.file)));
            if let Some(id) = id {
                domains.by_file.entry(*id).or_default().push(index);
            }
            let path = real.clone().unwrap_or_else(|| PathBuf::from(&one.file));
            domains.by_path.entry(path).or_default().push(index);
        }
        domains
    }

    /// Files and folders that are there and could not be read or understood.
    pub(super) fn unread(self) -> Vec<PathBuf> {
        self.unread
    }

    /// Who names the file at `path`, which is there.
    pub fn naming_file(&self, path: &Path) -> Vec<DomainUse> {
        let (id, real) = places(path);
        self.naming(real.as_deref().unwrap_or(path), id)
    }

    /// Who names the file at the absolute path `path`, under this name or another one.
    pub(super) fn naming(&self, path: &Path, id: Option<FileId>) -> Vec<DomainUse> {
        let by_file = id.and_then(|id| self.by_file.get(&id)).into_iter();
        let mut all: Vec<usize> = by_file.chain(self.by_path.get(path)).flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        all.into_iter().filter_map(|index| self.uses.get(index).cloned()).collect()
    }

    fn folder(&mut self, folder: &Path, deeper: bool) {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return,
            Err(_) => return self.unread.push(folder.to_path_buf()),
        };
        let mut entries: Vec<_> = entries.take(MAX_FILES + 1).filter_map(Result::ok).collect();
        if entries.len() > MAX_FILES {
            self.unread.push(folder.to_path_buf());
        }
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let (path, kind) = (entry.path(), entry.file_type());
            match kind {
                Ok(kind) if kind.is_dir() && deeper => self.folder(&path, false),
                Ok(kind) if kind.is_file() && path.extension() == Some(OsStr::new("xml")) => self.file(path),
                _ => {}
            }
        }
    }

    fn file(&mut self, path: PathBuf) {
        if self.files >= MAX_FILES || self.uses.len() >= MAX_USES {
            return self.unread.push(path);
        }
        self.files += 1;
        let text = match read_small(&path, MAX_BYTES) {
            Ok(bytes) => String::from_utf8(bytes).ok(),
            // Gone since the folder was listed.
            Err(e) if e.kind() == Kind::NotFound => return,
            Err(_) => None,
        };
        match text.and_then(|text| domain_xml::uses(&text, &path)) {
            Some(found) => self.uses.extend(found.into_iter().take(MAX_USES)),
            None => self.unread.push(path),
        }
    }
}

/// Which file a name leads to. Looked up, never opened.
fn places(path: &Path) -> (Option<FileId>, Option<PathBuf>) {
    (file_id(path), std::fs::canonicalize(path).ok())
}

fn file_id(path: &Path) -> Option<FileId> {
    std::fs::metadata(path).ok().map(|meta| FileId { dev: meta.dev(), ino: meta.ino() })
}
