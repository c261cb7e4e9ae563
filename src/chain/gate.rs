//! Which names found inside images may be opened.
//!
//! An image can name any file of the host as its backing file; whoever wrote the image may not be
//! allowed to read it. By default only regular files below the folders that the user named, and
//! the folder of the image itself, are opened; a block device only when it was allowed by its own
//! name. `json:` and `protocol:` names are never interpreted.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::image::DataFile;
use crate::text::Shown;

/// The policy: folders (or single files) below which names in images may lead.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    roots: Vec<PathBuf>,
}

impl Gate {
    /// A gate that lets nothing through.
    pub fn closed() -> Self {
        Self::default()
    }

    /// A gate for what the user named: folders with everything below, images with their folder.
    pub fn for_paths<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        let mut gate = Self::closed();
        for path in paths {
            let path = path.as_ref();
            gate.allow(if path.is_dir() { path } else { folder_of(path) });
        }
        gate
    }

    /// Also lets through what lies at or below `path`. A path that does not exist changes nothing.
    pub fn allow(&mut self, path: &Path) {
        if let Ok(real) = std::fs::canonicalize(path)
            && !self.roots.contains(&real)
        {
            self.roots.push(real);
        }
    }

    /// Where the backing name `name` of the image at `referrer` leads: the real path of an existing
    /// regular file that the gate allows, or of a block device that it allows by name.
    ///
    /// Fails with [`Kind::Gate`] when the name is not a plain file name or leads outside, and with
    /// [`Kind::NotFound`] when there is no such file.
    pub fn resolve(&self, referrer: &Path, name: &OsStr) -> Result<PathBuf> {
        self.lead(referrer, "backing", name, "or tell the image where it is now with rebase --unsafe")
    }

    /// Whether `path`, a name that a user's own file holds, may be opened, changed or made: it, or the folder
    /// it is to be in, lies in what was named.
    ///
    /// Fails with [`Kind::Gate`] otherwise.
    pub fn admit(&self, path: &Path) -> Result<()> {
        let real = std::fs::canonicalize(path).or_else(|_| {
            let folder = std::fs::canonicalize(folder_of(path))?;
            Ok::<_, std::io::Error>(folder.join(path.file_name().unwrap_or_default()))
        });
        // A folder that is gone has nothing in it.
        let real = real.unwrap_or_else(|_| path.to_path_buf());
        match self.roots.iter().any(|root| real.starts_with(root)) {
            true => Ok(()),
            false => Err(Error::new(Kind::Gate, "lies outside the folders that were named")
                .at(path)
                .remedy(format!("allow it with --allow {}", Shown::path(folder_of(&real))))),
        }
    }

    /// Like [`resolve`](Self::resolve), for the external data file that the image at `referrer` names.
    pub fn resolve_data(&self, referrer: &Path, data: &DataFile) -> Result<PathBuf> {
        if data.name.is_empty() {
            return Err(
                Error::new(Kind::Gate, "the image does not say which file holds its data").at(referrer)
            );
        }
        self.lead(referrer, "data", &data.name, "where the image expects it")
    }

    fn lead(&self, referrer: &Path, role: &str, name: &OsStr, or: &str) -> Result<PathBuf> {
        let shown = Shown::bytes(name.as_bytes());
        if let Some(scheme) = scheme(name) {
            return Err(Error::new(
                Kind::Gate,
                format!(
                    "{role} name \"{shown}\" is a {} reference; only plain file names are followed",
                    Shown::bytes(scheme)
                ),
            )
            .at(referrer));
        }
        let literal = folder_of(referrer).join(Path::new(name));
        let real = std::fs::canonicalize(&literal).map_err(|e| {
            Error::io(format!("{role} file \"{shown}\" cannot be reached"), e)
                .at(referrer)
                .remedy(format!("put the file back, {or}"))
        })?;
        let outside =
            |why: &str| Error::new(Kind::Gate, format!("{role} file \"{shown}\" {why}")).at(referrer);
        let meta = std::fs::metadata(&real).map_err(|e| Error::io("cannot examine", e).at(&real))?;
        if meta.file_type().is_block_device() {
            // A folder of devices is never enough: somebody must have meant this one.
            return match self.roots.contains(&real) {
                true => Ok(real),
                false => Err(outside("is a block device that was not named")
                    .remedy(format!("allow it with --allow {}", Shown::path(&real)))),
            };
        }
        if ["/proc", "/dev", "/sys"].iter().any(|p| real.starts_with(p)) {
            return Err(outside("is not a file of an ordinary file system"));
        }
        if !meta.is_file() {
            return Err(outside("is not a regular file"));
        }
        if !self.roots.iter().any(|root| real.starts_with(root)) {
            let folder = folder_of(&real);
            return Err(outside("lies outside the folders that were named")
                .remedy(format!("allow it with --allow {}", Shown::path(folder))));
        }
        Ok(real)
    }
}

/// The folder a file lies in; the current one for a bare name.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

/// The protocol part of a name as QEMU understands it: letters, digits and a few signs up to a
/// colon that comes before any slash.
fn scheme(name: &OsStr) -> Option<&[u8]> {
    let bytes = name.as_bytes();
    let colon = bytes.iter().position(|b| *b == b':')?;
    let head = bytes.get(..colon)?;
    (!head.contains(&b'/')).then_some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_files_are_refused_unopened() {
        let dir = tempfile::tempdir().unwrap();
        let gate = Gate::for_paths([dir.path()]);
        let image = dir.path().join("a.qcow2");
        for name in [
            "json:{\"driver\":\"raw\"}",
            "nbd://host/x",
            "fd:3",
            "file:b",
            "/dev/zero",
            "/proc/self/exe",
            "/etc/passwd",
        ] {
            let error = gate.resolve(&image, OsStr::new(name)).unwrap_err();
            assert_eq!(error.kind(), Kind::Gate, "{name}: {error}");
        }
    }

    #[test]
    fn a_symlink_out_of_the_folder_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::write(elsewhere.path().join("base"), b"x").unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("base"), dir.path().join("link")).unwrap();
        let mut gate = Gate::for_paths([dir.path()]);
        let image = dir.path().join("a.qcow2");
        let error = gate.resolve(&image, OsStr::new("link")).unwrap_err();
        assert_eq!(error.kind(), Kind::Gate);
        assert!(error.what_to_do().unwrap().contains("--allow"));
        gate.allow(elsewhere.path());
        assert!(gate.resolve(&image, OsStr::new("link")).is_ok());
    }

    #[test]
    fn what_is_missing_is_not_found() {
        let dir = tempfile::tempdir().unwrap();
        let gate = Gate::for_paths([dir.path()]);
        let error = gate.resolve(&dir.path().join("a"), OsStr::new("gone")).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
    }
}
