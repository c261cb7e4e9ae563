//! Many images: the forest of a folder, a pool or a host.
//!
//! [`scan()`] looks through folders in parallel, reads each image's header (and nothing it points
//! at, beyond what the gate allows), and ties the images together by their backing references.
//! [`Domains`] knows which libvirt domains name them. [`layout`] draws the result as boxes and arrows, [`change`] what an operation makes of it, [`text()`] as an indented list, [`to_json`] as
//! the whole model. Nothing here writes.

mod domain_use;
mod domain_xml;
mod domains;
mod edges;
mod edit;
mod figure;
#[cfg(test)]
mod fixtures;
mod json;
mod label;
mod model;
mod probe;
mod scan;
mod text;
mod trash;

use std::path::{Path, PathBuf};

pub use domain_use::{DomainRole, DomainUse};
pub use domains::{DOMAIN_FOLDERS, Domains, domain_folders};
pub use edit::reference;
pub use figure::{DataFlow, Figure, FigureBox, FigureLabel, change, figure, layout, layout_around};
pub use json::to_json;
pub use model::{Backing, DataRef, Forest, InUse, Node, NodeId, Problem, ProblemKind, SnapshotNode};
pub use scan::scan;
pub use text::text;
pub use trash::{restorable, trashed};

use crate::chain::Gate;
use crate::error::{Error, Kind, Result};

/// What a scan looks at beyond headers.
#[derive(Debug, Clone, Default)]
pub struct ScanOptions {
    /// Which backing names may be followed, beyond the scanned folders.
    pub gate: Gate,
    /// Count the bytes that only one node holds (reads all metadata).
    pub space: bool,
    /// Where the definitions of libvirt domains lie ([`domain_folders`] has the usual places): the
    /// forest then says which of them name an image, and a plan what that means.
    pub domain_folders: Vec<PathBuf>,
}

/// The absolute path the forest uses for a file the user named.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).map_err(|e| Error::io("cannot find", e).at(path))
}

/// The absolute path of a file that need not exist, in a folder that must.
pub fn new_name(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| Error::new(Kind::Usage, "is not a file name").at(path))?;
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(absolute(folder)?.join(name))
}
