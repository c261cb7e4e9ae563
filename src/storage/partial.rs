//! A new file that gets its name only once it is whole. What a killed run left of one is taken over by
//! the next.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Access, Disk, File, FileId, HostDisk, Lock, names};
use crate::error::{Error, Kind, Result};

const ENDING: &str = ".cowherd-partial";

/// Removes what killed runs left in `folder` of files that were under way. Gives how many.
pub fn discard_partial(folder: &Path) -> Result<usize> {
    let mut gone = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let is_ours = name.as_bytes().starts_with(b".") && name.as_bytes().ends_with(ENDING.as_bytes());
        if is_ours && is_left(&path, None) {
            let lock = Lock::acquire(HostDisk.open(&path, true)?, Access::Write);
            if lock.is_ok() {
                names::unlink(&HostDisk, &path)?;
                gone += 1;
            }
        }
    }
    Ok(gone)
}

/// A file under way to its name. Dropped before it is published, it is gone.
pub struct Partial {
    disk: Arc<dyn Disk>,
    file: Arc<dyn File>,
    path: PathBuf,
    to: PathBuf,
    published: bool,
    /// Tells a file that is being written from one that was left behind.
    _lock: Option<Lock>,
}

impl Partial {
    /// Begins an empty file, to be called `to` in the end.
    ///
    /// Fails with [`Kind::InUse`] when another process is making a file of that name.
    pub fn begin(disk: &Arc<dyn Disk>, to: &Path) -> Result<Self> {
        let mut name = OsString::from(".");
        name.push(to.file_name().unwrap_or_default());
        name.push(ENDING);
        let path = to.with_file_name(name);
        let (file, was_left) = match disk.create(&path, false) {
            Err(_) if is_left(&path, None) => (disk.open(&path, true)?, true),
            made => (made?, false),
        };
        let lock = Lock::acquire_if_any(file.clone(), Access::Write)?;
        if lock.is_none() && was_left {
            let what = "was left by another run, or is being written: without locks nobody can tell";
            return Err(Error::new(Kind::NoLocks, what)
                .at(&path)
                .remedy("remove it when no cowherd is running"));
        }
        // Until the lock was there, its owner may have published or removed it; and nothing but a file
        // of this name is emptied, whatever the name led to.
        if !is_left(&path, Some(file.id())) {
            return Err(Error::new(Kind::Changed, "was made by another process meanwhile").at(to));
        }
        file.set_len(0)?;
        Ok(Self { disk: disk.clone(), file, path, to: to.to_path_buf(), published: false, _lock: lock })
    }

    /// The file.
    pub fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// What it will be called.
    pub fn to(&self) -> &Path {
        &self.to
    }

    /// Gives the file its name. Fails when that exists already.
    pub fn publish(mut self) -> Result<()> {
        self.disk.rename(&self.path, &self.to)?;
        self.published = true;
        // A name that may not last is none.
        let named = self.disk.sync_dir(names::folder(&self.to));
        named.inspect_err(|_| drop(names::unlink(&*self.disk, &self.to)))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.published {
            // Ours, and nothing yet; a failure before this one is the one to tell about.
            let _ = self.disk.unlink(&self.path);
        }
    }
}

/// Whether there is a regular file of this one name, and that file when one is given.
fn is_left(path: &Path, file: Option<FileId>) -> bool {
    path.symlink_metadata().is_ok_and(|meta| {
        let id = FileId { dev: meta.dev(), ino: meta.ino() };
        meta.is_file() && meta.nlink() == 1 && file.is_none_or(|file| file == id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(to: &Path) -> Result<Partial> {
        let disk: Arc<dyn Disk> = Arc::new(HostDisk);
        Partial::begin(&disk, to)
    }

    fn left(folder: &Path) -> PathBuf {
        folder.join(".new.cowherd-partial")
    }

    #[test]
    fn what_was_left_is_taken_over() -> Result<()> {
        let Ok(folder) = tempfile::tempdir() else { return Ok(()) };
        let (folder, new) = (folder.path(), folder.path().join("new"));
        let _ = std::fs::write(left(folder), "half of it");
        let partial = begin(&new)?;
        assert_eq!(partial.file().len()?, 0);
        // One that is being written is not.
        assert_eq!(begin(&new).map_err(|e| e.kind()).err(), Some(Kind::InUse));
        partial.publish()?;
        assert!(new.exists() && !left(folder).exists());
        drop(begin(&folder.join("other"))?);
        assert!(!folder.join(".other.cowherd-partial").exists());
        Ok(())
    }

    #[test]
    fn nothing_else_of_that_name_is_touched() -> Result<()> {
        let Ok(folder) = tempfile::tempdir() else { return Ok(()) };
        let folder = folder.path();
        let precious = folder.join("precious");
        let _ = std::fs::write(&precious, "x");
        for make in [
            |a: &Path, b: &Path| std::os::unix::fs::symlink(a, b),
            |a: &Path, b: &Path| std::fs::hard_link(a, b),
        ] {
            assert!(make(&precious, &left(folder)).is_ok());
            assert!(begin(&folder.join("new")).is_err());
            assert_eq!(std::fs::read(&precious).ok(), Some(b"x".to_vec()));
            let _ = std::fs::remove_file(left(folder));
        }
        Ok(())
    }
}
