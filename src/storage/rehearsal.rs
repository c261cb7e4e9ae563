//! Files as they will be: what is written goes to memory, everything else is read from the files as they
//! are.
//!
//! A plan goes through its steps on such files, with the very code that will run, so that each step finds
//! what the ones before it leave and the host keeps what it has. Guest data is not kept: only that it takes
//! room ([`File::rehearses`]).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::rehearsed::locked;
use super::{Disk, File, FileId, HostDisk, Rehearsed, Stamp};
use crate::error::{Error, Kind, Result};

/// The files of this host, and what a plan would have written to them so far.
#[derive(Default)]
pub struct Rehearsal {
    files: Mutex<HashMap<PathBuf, Arc<Rehearsed>>>,
}

impl Rehearsal {
    /// Another rehearsal that has come as far as this one.
    pub fn fork(&self) -> Result<Self> {
        let mut copies: HashMap<FileId, Arc<Rehearsed>> = HashMap::new();
        let mut files = HashMap::new();
        for (path, file) in locked(&self.files).iter() {
            let copy = match copies.get(&file.id()) {
                Some(copy) => copy.clone(),
                None => Arc::new(file.fork()?),
            };
            copies.insert(file.id(), copy.clone());
            files.insert(path.clone(), copy);
        }
        Ok(Self { files: Mutex::new(files) })
    }

    /// Makes a file in memory that the host does not have.
    pub fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        let file = Arc::new(Rehearsed::new(path)?);
        locked(&self.files).insert(path.to_path_buf(), file.clone());
        Ok(file)
    }
}

impl Disk for Rehearsal {
    fn open(&self, path: &Path, _: bool) -> Result<Arc<dyn File>> {
        let mut files = locked(&self.files);
        if let Some(known) = files.get(path) {
            return Ok(known.clone());
        }
        let beneath = HostDisk.open(path, false)?;
        // Another name of a file that is known is no other file.
        let known = files.values().find(|file| file.id() == beneath.id()).cloned();
        let file = match known {
            Some(file) => file,
            None => Arc::new(Rehearsed::over(beneath)?),
        };
        files.insert(path.to_path_buf(), file.clone());
        Ok(file)
    }

    fn create(&self, path: &Path, _: bool) -> Result<Arc<dyn File>> {
        Self::create(self, path)
    }

    fn create_dir(&self, _: &Path) -> Result<()> {
        Err(names_stay())
    }

    fn link(&self, _: &Path, _: &Path) -> Result<()> {
        Err(names_stay())
    }

    fn rename(&self, _: &Path, _: &Path) -> Result<()> {
        Err(names_stay())
    }

    fn unlink(&self, _: &Path) -> Result<()> {
        Err(names_stay())
    }

    fn sync_dir(&self, _: &Path) -> Result<()> {
        Ok(())
    }

    fn stamp(&self, path: &Path) -> Result<Stamp> {
        HostDisk.stamp(path)
    }
}

fn names_stay() -> Error {
    Error::new(Kind::Internal, "a rehearsal changes no names")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn data_that_is_not_kept_takes_room() {
        let rehearsal = Rehearsal::default();
        let file = Rehearsal::create(&rehearsal, Path::new("/new")).unwrap();
        file.set_len(1 << 20).unwrap();
        assert!(file.rehearses(4096, 8192));
        assert_eq!(file.data_range(0).unwrap(), Some(4096..12288));
        file.punch(4096, 4096).unwrap();
        assert_eq!(file.data_range(0).unwrap(), Some(8192..12288));
        assert_eq!(file.data_range(12288).unwrap(), None);
        assert!(rehearsal.open(Path::new("/new"), false).unwrap().id() == file.id());
    }
}
