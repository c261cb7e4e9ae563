//! A file whose changes stay in memory: what a plan does to a file that it must not touch.
//!
//! Reads see what was written, and the file below everywhere else. Memory follows what is written, so
//! that a rehearsal writes tables and leaves data alone.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{File, FileId, RealFile, read_exact_or_zero};
use crate::error::Result;

/// A file over another that is only read. It goes by the name and the identity of that one.
pub struct Layered {
    below: Arc<dyn File>,
    /// As sparse as a real file; what was punched is a hole here.
    above: RealFile,
    state: Mutex<State>,
}

struct State {
    /// Ranges that `above` decides, by their start: merged, so that no two touch.
    changed: BTreeMap<u64, u64>,
    len: u64,
    /// What lies below beyond this was cut off.
    kept: u64,
}

impl State {
    fn add(&mut self, mut start: u64, mut end: u64) {
        if start >= end {
            return;
        }
        let touching: Vec<u64> =
            self.changed.range(..=end).rev().take_while(|(_, to)| **to >= start).map(|(at, _)| *at).collect();
        for at in touching {
            start = start.min(at);
            end = end.max(self.changed.remove(&at).unwrap_or(end));
        }
        self.changed.insert(start, end);
    }

    /// From `at` on: where the run that `at` lies in ends, and whether it is a changed one.
    fn run(&self, at: u64) -> (u64, bool) {
        match self.changed.range(..=at).next_back() {
            Some((_, end)) if *end > at => (*end, true),
            _ => (self.changed.range(at..).next().map_or(u64::MAX, |(start, _)| *start), false),
        }
    }
}

impl Layered {
    /// Nothing changed yet.
    pub fn over(below: Arc<dyn File>) -> Result<Self> {
        let (above, len) = (RealFile::scratch(below.path())?, below.len()?);
        Ok(Self { below, above, state: Mutex::new(State { changed: BTreeMap::new(), len, kept: len }) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl File for Layered {
    fn path(&self) -> &Path {
        self.below.path()
    }

    fn id(&self) -> FileId {
        self.below.id()
    }

    fn len(&self) -> Result<u64> {
        Ok(self.state().len)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let state = self.state();
        let n = state.len.saturating_sub(offset).min(buf.len() as u64) as usize;
        let mut done = 0;
        while done < n {
            let at = offset + done as u64;
            let (end, changed) = state.run(at);
            let part = &mut buf[done..n.min(done.saturating_add((end - at) as usize))];
            match changed {
                true => read_exact_or_zero(&self.above, at, part)?,
                false => {
                    let there = state.kept.saturating_sub(at).min(part.len() as u64) as usize;
                    let (there, beyond) = part.split_at_mut(there);
                    read_exact_or_zero(&*self.below, at, there)?;
                    beyond.fill(0);
                }
            }
            done += part.len();
        }
        Ok(n)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()> {
        let mut state = self.state();
        self.above.write_at(offset, buf)?;
        let end = offset.saturating_add(buf.len() as u64);
        state.add(offset, end);
        state.len = state.len.max(end);
        Ok(())
    }

    fn can_grow(&self) -> bool {
        self.below.can_grow()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut state = self.state();
        state.kept = state.kept.min(len);
        state.len = len;
        // What comes back later is a hole.
        self.above.set_len(len)
    }

    fn punch(&self, offset: u64, len: u64) -> Result<()> {
        let mut state = self.state();
        let end = offset.saturating_add(len).min(state.len);
        state.add(offset, end);
        // The scratch file may end before the range, where it has nothing anyway.
        let stop = end.min(self.above.len()?);
        if offset < stop { self.above.punch(offset, stop - offset) } else { Ok(()) }
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn data_range(&self, offset: u64) -> Result<Option<Range<u64>>> {
        let state = self.state();
        let mut at = offset;
        while at < state.len {
            let (end, changed) = state.run(at);
            let (file, end): (&dyn File, u64) = match changed {
                true => (&self.above, end.min(state.len)),
                false => (&*self.below, end.min(state.kept)),
            };
            if at < end
                && let Some(data) = file.data_range(at)?
                && data.start < end
            {
                return Ok(Some(data.start.max(at)..data.end.min(end)));
            }
            at = state.run(at).0;
        }
        Ok(None)
    }

    fn disk_size(&self) -> Result<u64> {
        Ok(self.below.disk_size()?.saturating_add(self.above.disk_size()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemFile;

    #[test]
    fn behaves_like_the_file_itself_and_leaves_it_alone() -> Result<()> {
        let bytes: Vec<u8> = (0..40_000u32).map(|i| (i % 251) as u8).collect();
        let below = Arc::new(MemFile::new("x", bytes.clone()));
        let model = MemFile::new("model", bytes.clone());
        let layered = Layered::over(below.clone())?;
        let mut seed = 7u64;
        let mut next = |most: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % most
        };
        for round in 0..400 {
            let (at, len) = (next(50_000), next(9_000));
            match next(8) {
                0 => {
                    layered.set_len(at)?;
                    model.set_len(at)?;
                }
                1 | 2 => {
                    layered.punch(at, len)?;
                    model.punch(at, len)?;
                }
                _ => {
                    let bytes = vec![round as u8 | 1; len as usize];
                    layered.write_at(at, &bytes)?;
                    model.write_at(at, &bytes)?;
                }
            }
            let expected = model.to_vec();
            assert_eq!(layered.len()?, expected.len() as u64, "round {round}");
            let mut seen = vec![9; expected.len() + 10];
            let n = layered.read_at(0, &mut seen)?;
            assert_eq!(seen[..n], expected[..], "round {round}");
            let mut holes = vec![0; expected.len()];
            let mut at = 0;
            while let Some(data) = layered.data_range(at)? {
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
