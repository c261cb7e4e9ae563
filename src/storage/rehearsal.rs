//! Files as they will be: what is written goes to memory, everything else is read from the files as they
//! are.
//!
//! A plan goes through its steps on such files, with the very code that will run, so that each step finds
//! what the ones before it leave and the host keeps what it has. Guest data is not kept: only that it takes
//! room ([`File::rehearses`]).

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::rehearsed_ranges::{Kind, Ranges};
use super::{CopyBuffer, Disk, File, FileId, HostDisk, RealFile, Stamp, copy_range};
use crate::error::{Error, Kind as Failure, Result};

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
            let copy = match copies.get(&file.id) {
                Some(copy) => copy.clone(),
                None => Arc::new(file.fork()?),
            };
            copies.insert(file.id, copy.clone());
            files.insert(path.clone(), copy);
        }
        Ok(Self { files: Mutex::new(files) })
    }

    /// Makes a file in memory that the host does not have.
    pub fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        let file = Arc::new(Rehearsed::over(None, RealFile::scratch(path)?)?);
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
            None => Arc::new(Rehearsed::over(Some(beneath), RealFile::scratch(path)?)?),
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
    Error::new(Failure::Internal, "a rehearsal changes no names")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One file of a rehearsal.
struct Rehearsed {
    id: FileId,
    /// The file as it is; nothing for one that the plan makes.
    beneath: Option<Arc<dyn File>>,
    /// What was written, at its place.
    memory: RealFile,
    now: Mutex<Now>,
}

struct Now {
    len: u64,
    /// Where it is not what lies beneath.
    ranges: Ranges,
}

impl Rehearsed {
    fn over(beneath: Option<Arc<dyn File>>, memory: RealFile) -> Result<Self> {
        let len = beneath.as_ref().map_or(Ok(0), |file| file.len())?;
        let id = beneath.as_ref().map_or_else(|| memory.id(), |file| file.id());
        Ok(Self { id, beneath, memory, now: Mutex::new(Now { len, ranges: Ranges::default() }) })
    }

    fn fork(&self) -> Result<Self> {
        let (now, memory) = (locked(&self.now), RealFile::scratch(self.memory.path())?);
        let mut buffer = CopyBuffer::default();
        for range in now.ranges.of(Kind::Kept) {
            let len = range.end - range.start;
            copy_range(&self.memory, range.start, &memory, range.start, len, &mut buffer)?;
        }
        let now = Now { len: now.len, ranges: now.ranges.clone() };
        Ok(Self { id: self.id, beneath: self.beneath.clone(), memory, now: Mutex::new(now) })
    }

    /// What is beneath, or zeros.
    fn read_beneath(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let read = self.beneath.as_ref().map_or(Ok(0), |file| file.read_at(offset, buf))?;
        buf[read..].fill(0);
        Ok(())
    }
}

impl File for Rehearsed {
    fn path(&self) -> &Path {
        self.memory.path()
    }

    fn id(&self) -> FileId {
        self.id
    }

    fn len(&self) -> Result<u64> {
        Ok(locked(&self.now).len)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let now = locked(&self.now);
        let end = offset.saturating_add(buf.len() as u64).min(now.len);
        let Some(total) = end.checked_sub(offset) else { return Ok(0) };
        let mut at = offset;
        while at < end {
            let (kind, stop) = now.ranges.at(at, end);
            let part = &mut buf[(at - offset) as usize..(stop - offset) as usize];
            match kind {
                Some(Kind::Kept) => {
                    let read = self.memory.read_at(at, part)?;
                    part[read..].fill(0);
                }
                Some(Kind::Data | Kind::Hole) => part.fill(0),
                None => self.read_beneath(at, part)?,
            }
            at = stop;
        }
        Ok(total as usize)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()> {
        let mut now = locked(&self.now);
        self.memory.write_at(offset, buf)?;
        let end = offset + buf.len() as u64;
        now.ranges.set(offset..end, Kind::Kept);
        now.len = now.len.max(end);
        Ok(())
    }

    fn rehearses(&self, offset: u64, len: u64) -> bool {
        let mut now = locked(&self.now);
        let end = offset.saturating_add(len);
        now.ranges.set(offset..end, Kind::Data);
        now.len = now.len.max(end);
        true
    }

    fn shares_blocks(&self) -> bool {
        self.beneath.as_ref().is_some_and(|file| file.shares_blocks())
    }

    fn can_grow(&self) -> bool {
        self.beneath.as_ref().is_none_or(|file| file.can_grow())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        if !self.can_grow() {
            return match len > self.len()? {
                true => Err(Error::new(Failure::NoSpace, "a block device cannot grow")
                    .at(self.path())
                    .offset(len)),
                false => Ok(()),
            };
        }
        let mut now = locked(&self.now);
        if len < now.len {
            // What is cut off reads as zeros when the file grows again.
            let gone = len..now.len;
            self.memory.punch(gone.start, gone.end - gone.start)?;
            now.ranges.set(gone, Kind::Hole);
        }
        now.len = len;
        Ok(())
    }

    fn punch(&self, offset: u64, len: u64) -> Result<()> {
        let mut now = locked(&self.now);
        let gone = offset..offset.saturating_add(len).min(now.len);
        if gone.start < gone.end {
            self.memory.punch(gone.start, gone.end - gone.start)?;
            now.ranges.set(gone, Kind::Hole);
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn data_range(&self, offset: u64) -> Result<Option<Range<u64>>> {
        let now = locked(&self.now);
        let mut at = offset;
        while at < now.len {
            let (kind, stop) = now.ranges.at(at, now.len);
            match kind {
                Some(Kind::Kept | Kind::Data) => return Ok(Some(at..stop)),
                Some(Kind::Hole) => {}
                None => {
                    let found = self.beneath.as_ref().map_or(Ok(None), |file| file.data_range(at))?;
                    if let Some(data) = found.filter(|data| data.start < stop) {
                        return Ok(Some(data.start.max(at)..data.end.min(stop)));
                    }
                }
            }
            at = stop;
        }
        Ok(None)
    }

    fn disk_size(&self) -> Result<u64> {
        self.beneath.as_ref().map_or_else(|| self.memory.disk_size(), |file| file.disk_size())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Whatever is done to it, it reads like a file to which the same was done, and the file beneath is
    /// what it was.
    #[test]
    fn reads_like_a_file_and_leaves_the_one_beneath_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (real, twin) = (dir.path().join("real"), dir.path().join("twin"));
        let bytes: Vec<u8> = (0..20_000u32).map(|i| (i % 251) as u8 + 1).collect();
        std::fs::write(&real, &bytes).unwrap();
        std::fs::write(&twin, &bytes).unwrap();
        let rehearsal = Rehearsal::default();
        let (file, twin) = (rehearsal.open(&real, true).unwrap(), RealFile::open(&twin, true).unwrap());
        let mut random = 7u64;
        let mut below = move |n: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % n
        };
        for _ in 0..500 {
            let (at, len) = (below(24_000), below(3000));
            match below(4) {
                0 => [&*file as &dyn File, &twin].iter().for_each(|f| f.punch(at, len).unwrap()),
                1 => [&*file as &dyn File, &twin].iter().for_each(|f| f.set_len(at).unwrap()),
                _ => {
                    let new = vec![below(255) as u8; len as usize];
                    [&*file as &dyn File, &twin].iter().for_each(|f| f.write_at(at, &new).unwrap());
                }
            }
            assert_eq!(file.len().unwrap(), twin.len().unwrap());
            let (from, n) = (below(24_000), below(6000) as usize);
            let (mut ours, mut theirs) = (vec![9; n], vec![9; n]);
            assert_eq!(file.read_at(from, &mut ours).unwrap(), twin.read_at(from, &mut theirs).unwrap());
            assert_eq!(ours, theirs);
        }
        assert_eq!(std::fs::read(&real).unwrap(), bytes);
    }

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
