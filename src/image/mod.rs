//! One file: raw, QED or qcow2, behind one trait.
//!
//! This floor knows the tables of a single image and never opens another file: a backing file is a
//! name here, nothing more. An image answers in [`Extent`]s: runs of guest range that are
//! unallocated, zero, data at a host offset, or compressed. Each state of an image (the active one
//! and every internal snapshot) answers separately.
//!
//! Everything read from a file is hostile until checked: sizes against the file and a cap before
//! memory is taken for them, offsets with checked arithmetic.

mod format;
mod model;
pub mod qcow2;
pub mod qed;
pub mod raw;

use std::sync::Arc;

pub use format::{open, probe};
pub use model::{
    BackingRef, CheckReport, Details, Encryption, Extent, ExtentKind, Finding, Format, Severity, Snapshot,
    Space, State,
};

use crate::error::Result;
use crate::storage::{File, read_exact_or_zero};
use crate::units::Guest;

/// One image file, open for reading. Usable from several threads.
pub trait Image: Send + Sync {
    /// The bytes underneath.
    fn file(&self) -> &Arc<dyn File>;

    /// Which format.
    fn format(&self) -> Format;

    /// Bytes per mapping unit, a power of two; 512 for raw.
    fn cluster_size(&self) -> u64;

    /// The backing file it names, as recorded; never opened here.
    fn backing(&self) -> Option<&BackingRef>;

    /// The internal snapshots in table order.
    fn snapshots(&self) -> &[Snapshot];

    /// Bytes a guest sees in `state`.
    fn virtual_size(&self, state: State) -> u64;

    /// What this file alone knows about the guest range at `at`: one run of one kind, at most `max`
    /// bytes long and never beyond the virtual size of `state`. `max` must not be 0 and `at` must
    /// lie inside the virtual size.
    fn extent_at(&self, state: State, at: Guest, max: u64) -> Result<Extent>;

    /// Fills `buf` from `skip` bytes into `extent` (one that this image returned, not unallocated).
    fn read(&self, extent: &Extent, skip: u64, buf: &mut [u8]) -> Result<()> {
        match extent.kind {
            ExtentKind::Data { host } => read_exact_or_zero(&**self.file(), host.0 + skip, buf),
            _ => {
                buf.fill(0);
                Ok(())
            }
        }
    }

    /// What else the header says, for `info` and the badges.
    fn details(&self) -> Details;

    /// Counts every reference and compares with what the file records. Writes nothing.
    fn check(&self) -> Result<CheckReport>;

    /// Bytes of data that only one state holds: the active one and each snapshot in table order.
    fn space(&self) -> Result<Space>;

    /// Whether data is stored encrypted, so that content cannot be read here.
    fn encryption(&self) -> Option<Encryption> {
        self.details().encryption()
    }
}

impl std::fmt::Debug for dyn Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} image {}", self.format(), self.file().path().display())
    }
}
