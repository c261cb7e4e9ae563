//! A file whose changes stay in memory.
//!
//! Reads see what was written, and the file beneath everywhere else. Memory follows what is written, so that a
//! rehearsal writes tables and only notes where data would be.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::rehearsed_ranges::{Kind, Ranges};
use super::{CopyBuffer, File, FileId, RealFile, copy_range};
use crate::error::{Error, Kind as Failure, Result};

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file as it will be. It goes by the name and the identity of the one beneath.
pub struct Rehearsed {
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
    /// `beneath`, of which nothing has changed yet.
    pub fn over(beneath: Arc<dyn File>) -> Result<Self> {
        let (id, memory) = (beneath.id(), RealFile::scratch(beneath.path())?);
        let now = Mutex::new(Now { len: beneath.len()?, ranges: Ranges::default() });
        Ok(Self { id, beneath: Some(beneath), memory, now })
    }

    /// A new file, empty, to be called `path`.
    pub(super) fn new(path: &Path) -> Result<Self> {
        let memory = RealFile::scratch(path)?;
        let now = Mutex::new(Now { len: 0, ranges: Ranges::default() });
        Ok(Self { id: memory.id(), beneath: None, memory, now })
    }

    /// Another one that has come as far as this one.
    pub(super) fn fork(&self) -> Result<Self> {
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
    use super::*;
    use crate::storage::MemFile;

    #[test]
    fn reads_like_a_file_and_leaves_the_one_beneath_alone() -> Result<()> {
        let bytes: Vec<u8> = (0..40_000u32).map(|i| (i % 251) as u8).collect();
        let below = Arc::new(MemFile::new("x", bytes.clone()));
        let model = MemFile::new("model", bytes.clone());
        let rehearsed = Rehearsed::over(below.clone())?;
        let mut seed = 7u64;
        let mut next = |most: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % most
        };
        for round in 0..400 {
            let (at, len) = (next(50_000), next(9_000));
            match next(8) {
                0 => {
                    rehearsed.set_len(at)?;
                    model.set_len(at)?;
                }
                1 | 2 => {
                    rehearsed.punch(at, len)?;
                    model.punch(at, len)?;
                }
                _ => {
                    let bytes = vec![round as u8 | 1; len as usize];
                    rehearsed.write_at(at, &bytes)?;
                    model.write_at(at, &bytes)?;
                }
            }
            let expected = model.to_vec();
            assert_eq!(rehearsed.len()?, expected.len() as u64, "round {round}");
            let mut seen = vec![9; expected.len() + 10];
            let n = rehearsed.read_at(0, &mut seen)?;
            assert_eq!(seen[..n], expected[..], "round {round}");
            let mut holes = vec![0; expected.len()];
            let mut at = 0;
            while let Some(data) = rehearsed.data_range(at)? {
                assert!(data.start >= at && data.start < data.end && data.end <= expected.len() as u64);
                let range = data.start as usize..data.end as usize;
                holes[range.clone()].copy_from_slice(&expected[range]);
                at = data.end;
            }
            assert_eq!(holes, expected, "what lies outside of data reads as zeros: round {round}");
        }
        assert_eq!(below.to_vec(), bytes);
        Ok(())
    }
}
