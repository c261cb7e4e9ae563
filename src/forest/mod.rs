//! Many images: the forest of a folder, a pool or a host.
//!
//! [`scan`] looks through folders in parallel, reads each image's header (and nothing it points
//! at), and ties the images together by their backing references. [`figure()`] draws the result as
//! boxes and arrows. Nothing here writes.

mod model;

use std::path::{Path, PathBuf};

pub use model::{Backing, Forest, InUse, Node, NodeId, Problem, ProblemKind, SnapshotNode};

use crate::chain::Gate;
use crate::error::Result;

/// What a scan looks at beyond headers.
#[derive(Debug, Clone, Default)]
pub struct ScanOptions {
    /// Which backing names may be followed, beyond the scanned folders.
    pub gate: Gate,
    /// Count the bytes that only one node holds (reads all metadata).
    pub space: bool,
}

/// Looks through `paths` (images, or folders with everything below).
pub fn scan(_paths: &[PathBuf], _options: &ScanOptions) -> Result<Forest> {
    Ok(Forest::default())
}

/// The forest as lines of boxes and arrows.
pub fn figure(_forest: &Forest, _ascii: bool) -> Vec<String> {
    Vec::new()
}

/// The absolute path the forest uses for a file the user named.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).map_err(|e| crate::error::Error::io("cannot find", e).at(path))
}
