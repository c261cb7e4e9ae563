//! Moving guest bytes into place: by the kernel where it can, never long without looking at cancel.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::Progress;
use super::progress::NAP;
use crate::chain::{View, ViewExtent};
use crate::error::Result;
use crate::image::{ExtentKind, State};
use crate::plan::Source;
use crate::storage::{CopyBuffer, File, copy_range};
use crate::units::{Guest, Host};

/// Most bytes moved between two looks at cancel and the clock.
const CHUNK: u64 = 4 << 20;
/// Bytes after which the disk begins to write what was moved, while more is moved: one sync at the end
/// would have it idle until then.
const WRITEBACK: u64 = 8 << 20;

/// Moves data of a source to a file.
pub(super) struct Mover<'a> {
    pub(super) source: &'a Source,
    pub(super) file: &'a dyn File,
    pub(super) progress: &'a Progress,
    pub(super) pace: &'a mut Pace,
    pub(super) buffer: &'a mut CopyBuffer,
    pub(super) unwritten: Unwritten,
}

impl Mover<'_> {
    /// Fills `len` bytes at `host` with what a guest of `state` reads at `at`.
    pub(super) fn fill(&mut self, state: State, at: Guest, host: Host, len: u64) -> Result<()> {
        self.in_parts(len, host.0, |mover, done, n| mover.chunk(state, at.0 + done, host.0 + done, n))
    }

    /// Takes over `len` bytes from `from` on of the layer at `depth`, as they are.
    pub(super) fn take_over(
        &mut self,
        state: State,
        depth: usize,
        from: u64,
        host: u64,
        len: u64,
    ) -> Result<()> {
        let image = self.source.view(state)?.layers()[depth].image.clone();
        self.in_parts(len, host, |mover, done, n| {
            copy_range(&**image.data()?, from + done, mover.file, host + done, n, mover.buffer)
        })
    }

    /// Does something that ends at `len` bytes in parts, with a look at cancel and the clock between them.
    fn in_parts(
        &mut self,
        len: u64,
        host: u64,
        mut part: impl FnMut(&mut Self, u64, u64) -> Result<()>,
    ) -> Result<()> {
        let mut done = 0;
        while done < len {
            self.progress.checkpoint()?;
            let n = self.pace.chunk().min(len - done);
            part(self, done, n)?;
            self.unwritten.add(self.file, host + done, n);
            done += n;
            self.progress.advance(n);
            self.pace.moved(n, self.progress);
        }
        Ok(())
    }

    fn chunk(&mut self, state: State, at: u64, host: u64, len: u64) -> Result<()> {
        let mut pos = at;
        let end = (at + len).min(self.source.end);
        pos = self.copy_view(self.source.view(state)?, pos, end, at, host)?;
        if let Some(rest) = &self.source.rest {
            pos = self.copy_view(rest, pos, end, at, host)?;
        }
        self.zeros(host + (pos - at), at + len - pos)
    }

    /// Copies what `view` has between `from` and `to`; returns how far it reached.
    fn copy_view(&mut self, view: &View, from: u64, to: u64, at: u64, host: u64) -> Result<u64> {
        let mut pos = from;
        for extent in view.extents(from, to) {
            let extent = extent?;
            self.extent(view, &extent, host + (extent.start.0 - at))?;
            pos = extent.end();
        }
        Ok(pos)
    }

    fn extent(&mut self, view: &View, extent: &ViewExtent, to: u64) -> Result<()> {
        let layer = &view.layers()[extent.depth];
        match extent.kind {
            _ if extent.reads_zero() => self.zeros(to, extent.len),
            ExtentKind::Data { host } if layer.image.encryption().is_none() => {
                copy_range(&**layer.image.data()?, host.0, self.file, to, extent.len, self.buffer)
            }
            _ => {
                let mut buf = vec![0; extent.len as usize];
                view.read_extent(extent, 0, &mut buf)?;
                self.file.write_at(to, &buf)
            }
        }
    }

    /// Free space may hold old bytes, so zeros are written out.
    fn zeros(&self, mut to: u64, len: u64) -> Result<()> {
        let zeros = [0; 64 << 10];
        let end = to + len;
        while to < end {
            let n = (end - to).min(zeros.len() as u64);
            self.file.write_at(to, &zeros[..n as usize])?;
            to += n;
        }
        Ok(())
    }
}

/// What was moved and lies in memory only, as far as we asked.
#[derive(Default)]
pub(super) struct Unwritten {
    range: Option<Range<u64>>,
    bytes: u64,
}

impl Unwritten {
    fn add(&mut self, file: &dyn File, start: u64, len: u64) {
        let end = start.saturating_add(len);
        let range = self.range.take().map_or(start..end, |r| r.start.min(start)..r.end.max(end));
        self.bytes += len;
        if self.bytes < WRITEBACK {
            self.range = Some(range);
            return;
        }
        file.start_writeback(range.start, range.end - range.start);
        self.bytes = 0;
    }
}

/// Holds a job to a rate.
pub(super) struct Pace {
    limit: Option<u64>,
    started: Instant,
    moved: u64,
}

impl Pace {
    pub(super) fn new(limit: Option<u64>) -> Self {
        Self { limit, started: Instant::now(), moved: 0 }
    }

    /// Bytes to move at once: a tenth of a second's worth under a limit.
    pub(super) fn chunk(&self) -> u64 {
        self.limit.map_or(CHUNK, |limit| (limit / 10).clamp(64 << 10, CHUNK))
    }

    /// Sleeps until the bytes moved so far are due, or until cancelled.
    pub(super) fn moved(&mut self, bytes: u64, progress: &Progress) {
        self.moved += bytes;
        let Some(limit) = self.limit.filter(|l| *l > 0) else { return };
        let due = Duration::from_secs_f64(self.moved as f64 / limit as f64);
        while let Some(left) = due.checked_sub(self.started.elapsed()) {
            if left.is_zero() || progress.cancelled() {
                return;
            }
            std::thread::sleep(left.min(NAP));
        }
    }
}
