//! The executor of a stream into a file.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use super::Phase;
use super::mover::NAP;
use super::run::Run;
use crate::chain::ViewSpec;
use crate::error::{Error, Kind, Result};
use crate::plan::SnapNames;
use crate::storage::File;
use crate::stream::RbdDiff;

/// Bytes gathered for one write.
const BUFFER: usize = 256 << 10;

impl Run<'_> {
    pub(super) fn stream(
        &mut self,
        file: &Path,
        of: &ViewSpec,
        since: Option<&ViewSpec>,
        names: &SnapNames,
    ) -> Result<()> {
        self.progress.enter(Phase::Copying);
        let view = self.opener().open_view(of)?;
        let since = since.map(|since| self.opener().open_view(since)).transpose()?;
        let partial = self.begin(file, &of.path)?;
        let mut out =
            BufWriter::with_capacity(BUFFER, Behind { file: partial.file().clone(), at: 0, failed: None });
        let (progress, pace) = (self.progress, &mut self.pace);
        let diff = RbdDiff {
            view: &view,
            since: since.as_ref(),
            from_snap: names.from.as_deref(),
            to_snap: names.to.as_deref(),
        };
        let done = diff.write(&mut out, &mut |bytes| {
            progress.advance(bytes);
            pace.moved(bytes, progress);
            while progress.paused() && !progress.cancelled() {
                std::thread::sleep(NAP);
            }
            match progress.cancelled() {
                true => Err(Error::new(Kind::Cancelled, "stopped")),
                false => Ok(()),
            }
        });
        let behind = out.get_mut();
        let (written, failed) = (behind.at, behind.failed.take());
        // What the file said is more than an io::Error can carry.
        failed.map_or(done, Err)?;
        self.progress.enter(Phase::Syncing);
        partial.file().sync()?;
        self.report.written_bytes += written;
        self.made.push(partial);
        Ok(())
    }
}

/// Writes to a file, one part behind the other.
struct Behind {
    file: Arc<dyn File>,
    at: u64,
    failed: Option<Error>,
}

impl Write for Behind {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.file.write_at(self.at, bytes) {
            Ok(()) => {
                self.at += bytes.len() as u64;
                Ok(bytes.len())
            }
            Err(e) => {
                self.failed = Some(e);
                Err(io::Error::other("see what the file said"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
