//! The journal of a job: a small file beside the images that says what is being done and how far it is.
//!
//! No content depends on it: whatever is cut off, each file is valid by itself and every view that the
//! plan does not name reads as before. The journal is there so that the rest can be done, or what was done
//! undone, by somebody who only finds the files.
//!
//! It is durable before the first image changes, a step is recorded once it is durable itself, and the
//! journal goes when nothing is left to be done. While a job runs it holds a lock on it.

mod log;
mod place;
mod record;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use log::Log;
pub(super) use place::{is_device, of_devices};
pub(super) use record::{Done, Mark, Now, Opening, Remembered, Was, is_name};

use self::record::{Pointer, Record, records};
use crate::error::{Error, Kind, Result};
use crate::storage::{Access, Disk, File, Lock, RealFile, read_exact_or_zero, unlink};

/// The longest that is read.
const MAX_BYTES: u64 = 256 << 20;

/// A journal that is being written.
pub(super) struct Journal {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Arc<dyn File>,
    len: u64,
    log: Log,
    /// Held as long as the job runs, where the file system has locks.
    _lock: Option<Lock>,
}

impl Journal {
    /// Begins one: durable on return. It finds the places of the others that lead to it.
    pub(super) fn begin(disk: &Arc<dyn Disk>, mut opening: Opening) -> Result<Self> {
        let (places, name) = (place::places(&opening.task)?, place::name(&opening.task));
        let mut names = places.iter().map(|folder| folder.join(&name));
        let path = names.next().ok_or_else(|| Error::new(Kind::Internal, "a job without files"))?;
        opening.pointers = names.map(Pointer).collect();
        let file = disk.create(&path, true)?;
        let lock = Lock::acquire_if_any(file.clone(), Access::Write)?;
        let log = Log::new(opening.clone());
        let mut journal = Self { disk: disk.clone(), path, file, len: 0, log, _lock: lock };
        match journal.open(opening) {
            Ok(()) => Ok(journal),
            Err(e) => {
                // Nothing was begun, so there is nothing to remember; the failure is the one to tell.
                let _ = journal.end();
                Err(e)
            }
        }
    }

    fn open(&mut self, opening: Opening) -> Result<()> {
        let pointers = opening.pointers.clone();
        self.write(Record::Job(opening))?;
        let folder = |path: &Path| path.parent().unwrap_or(Path::new("/")).to_path_buf();
        self.disk.sync_dir(&folder(&self.path))?;
        for Pointer(at) in pointers {
            let file = self.disk.create(&at, true)?;
            file.write_at(0, &Record::See(self.path.clone()).line()?)?;
            file.sync()?;
            self.disk.sync_dir(&folder(&at))?;
        }
        Ok(())
    }

    /// Takes over one that was left. [`Kind::InUse`] when its job still runs.
    pub(super) fn take_over(disk: &Arc<dyn Disk>, path: &Path) -> Result<Option<Self>> {
        let file = disk.open(path, true)?;
        let lock = Lock::acquire_if_any(file.clone(), Access::Write)?;
        let (found, len) = read(&*file)?;
        Ok(Log::of(found).map(|log| Self {
            disk: disk.clone(),
            path: path.to_path_buf(),
            file,
            len,
            log,
            _lock: lock,
        }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    pub(super) fn marked(&mut self, now: Vec<Now>) -> Result<()> {
        self.write(Record::Marked(now))
    }

    pub(super) fn begun(&mut self, step: usize) -> Result<()> {
        self.write(Record::Begun(step))
    }

    pub(super) fn done(&mut self, done: Done) -> Result<()> {
        self.write(Record::Done(done))
    }

    pub(super) fn back(&mut self) -> Result<()> {
        self.write(Record::Back)
    }

    pub(super) fn undone(&mut self, done: Done) -> Result<()> {
        self.write(Record::Undone(done))
    }

    fn write(&mut self, record: Record) -> Result<()> {
        let line = record.line()?;
        self.file.write_at(self.len, &line)?;
        self.file.sync()?;
        self.len += line.len() as u64;
        self.log.add(record);
        Ok(())
    }

    /// A sign of life: the journal's own time says how long the job was writing to a file that cannot bear
    /// a mark.
    pub(super) fn beat(&self) -> Result<()> {
        self.file.write_at(self.len, b"\n")
    }

    /// Takes it away: there is nothing left to be done.
    pub(super) fn end(self) -> Result<()> {
        unlink(&*self.disk, &self.path)?;
        for Pointer(at) in &self.log.opening.pointers {
            match unlink(&*self.disk, at) {
                Err(e) if e.kind() != Kind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }
}

fn read(file: &dyn File) -> Result<(Vec<Record>, u64)> {
    let len = file.len()?;
    if len > MAX_BYTES {
        return Err(Error::unsupported(format!("is too long for a journal: {len} bytes")).at(file.path()));
    }
    let mut bytes = vec![0; len as usize];
    read_exact_or_zero(file, 0, &mut bytes)?;
    Ok(records(&bytes))
}

/// What the journal at `path` says, or the one it leads to, with that one's path. `None` for what is no
/// journal, or one whose job had not begun.
pub(super) fn look(path: &Path) -> Result<Option<(PathBuf, Log)>> {
    let (mut found, _) = read(&RealFile::open(path, false)?)?;
    let mut path = path.to_path_buf();
    if let Some(Record::See(real)) = found.first() {
        path = real.clone();
        found = match RealFile::open(&path, false) {
            Err(e) if e.kind() == Kind::NotFound => Vec::new(),
            file => read(&file?)?.0,
        };
    }
    Ok(Log::of(found).map(|log| (path, log)))
}
