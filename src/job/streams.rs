//! The executor of a stream into a file.

use std::path::Path;

use super::Phase;
use super::run::Run;
use crate::chain::ViewSpec;
use crate::error::{Error, Result};
use crate::plan::SnapNames;
use crate::stream::RbdDiff;

/// Bytes gathered for one write, at least.
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
        let (progress, pace) = (self.progress, &mut self.pace);
        let diff = RbdDiff {
            view: &view,
            since: since.as_ref(),
            from_snap: names.from.as_deref(),
            to_snap: names.to.as_deref(),
        };
        let (mut gathered, mut written) = (Vec::new(), 0);
        diff.write::<Error>(&mut |bytes| {
            progress.checkpoint()?;
            gathered.extend_from_slice(bytes);
            if gathered.len() >= BUFFER {
                partial.file().write_at(written, &gathered)?;
                written += gathered.len() as u64;
                gathered.clear();
            }
            progress.advance(bytes.len() as u64);
            pace.moved(bytes.len() as u64, progress);
            Ok(())
        })?;
        partial.file().write_at(written, &gathered)?;
        written += gathered.len() as u64;
        self.progress.enter(Phase::Syncing);
        partial.file().sync()?;
        self.report.written_bytes += written;
        self.made.push(partial);
        Ok(())
    }
}
