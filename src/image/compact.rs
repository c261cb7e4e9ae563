//! What compacting an image did, or would do.

use super::Written;

/// What compacting an image did, or would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes written and given back.
    pub written: Written,
    /// Whether the bytes are exact; otherwise each is an upper bound.
    pub exact: bool,
    /// Whether there is anything to do at all.
    pub changes: bool,
}

impl Compacted {
    /// Counts a change of one image by itself.
    pub(super) fn add(&mut self, written: Written) {
        self.changes = true;
        self.written.data_bytes += written.data_bytes;
        self.written.meta_bytes += written.meta_bytes;
        self.written.freed_bytes += written.freed_bytes;
        self.written.extra_bytes += written.extra_bytes;
    }

    /// Counts what was free, and the end when that was cut off.
    pub(super) fn swept(&mut self, bytes: u64, cut: Option<u64>) {
        self.changes |= bytes > 0 || cut.is_some();
        self.written.freed_bytes += bytes + cut.unwrap_or(0);
    }
}
