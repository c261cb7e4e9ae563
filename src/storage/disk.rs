//! What a job does to the files of a host: opening them, and changing their names.
//!
//! Everything a job changes goes through a [`Disk`], so that a test can record it in one global order,
//! cut the power anywhere, or let any call fail.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::{File, RealFile, Stamp, real};
use crate::error::{Error, Kind, Result};

/// Files and their names. A change of names is durable once the folder is synced.
pub trait Disk: Send + Sync {
    /// Opens an existing regular file or block device.
    fn open(&self, path: &Path, write: bool) -> Result<Arc<dyn File>>;

    /// Creates a file that must not exist yet ([`Kind::Exists`] when it does), readable and writable; a
    /// `private` one by its owner alone.
    fn create(&self, path: &Path, private: bool) -> Result<Arc<dyn File>>;

    /// Makes a folder, unless it is there.
    fn create_dir(&self, path: &Path) -> Result<()>;

    /// Gives a file a second name, which must be free ([`Kind::Exists`] when it is not).
    fn link(&self, file: &Path, to: &Path) -> Result<()>;

    /// Gives a file another name, which must be free ([`Kind::Exists`] when it is not).
    fn rename(&self, file: &Path, to: &Path) -> Result<()>;

    /// Takes a name away.
    fn unlink(&self, file: &Path) -> Result<()>;

    /// Makes the names in a folder durable.
    fn sync_dir(&self, folder: &Path) -> Result<()>;

    /// What a file looks like now.
    fn stamp(&self, path: &Path) -> Result<Stamp>;
}

/// The files of this host.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostDisk;

fn taken(what: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    move |e| match e.kind() {
        ErrorKind::AlreadyExists => Error::new(Kind::Exists, format!("{what}: the name is taken")).at(path),
        _ => Error::io(what, e).at(path),
    }
}

impl Disk for HostDisk {
    fn open(&self, path: &Path, write: bool) -> Result<Arc<dyn File>> {
        Ok(Arc::new(RealFile::open(path, write)?))
    }

    fn create(&self, path: &Path, private: bool) -> Result<Arc<dyn File>> {
        Ok(Arc::new(RealFile::create(path, private)?))
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        match std::fs::create_dir(path) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                Err(Error::io("cannot create the folder", e).at(path))
            }
            _ => Ok(()),
        }
    }

    fn link(&self, file: &Path, to: &Path) -> Result<()> {
        std::fs::hard_link(file, to)
            .map_err(taken("cannot give the file another name", to))
            .map_err(|e| e.remedy("the new name must be free, and in a folder of the same file system"))
    }

    fn rename(&self, file: &Path, to: &Path) -> Result<()> {
        let (here, flags) = (rustix::fs::CWD, rustix::fs::RenameFlags::NOREPLACE);
        rustix::fs::renameat_with(here, file, here, to, flags)
            .map_err(|e| taken("cannot rename the file", to)(e.into()))
    }

    fn unlink(&self, file: &Path) -> Result<()> {
        std::fs::remove_file(file).map_err(|e| Error::io("cannot take the name away", e).at(file))
    }

    fn sync_dir(&self, folder: &Path) -> Result<()> {
        real::sync_dir(folder)
    }

    fn stamp(&self, path: &Path) -> Result<Stamp> {
        Stamp::of(path)
    }
}
