//! What a libvirt domain says of a file, as plain data.

use std::path::{Path, PathBuf};

use serde::Serialize;

/// A libvirt domain that names a file. All texts are untrusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DomainUse {
    /// Name of the domain.
    pub domain: String,
    /// Its id, when it has been given one.
    pub uuid: Option<String>,
    /// What the file is to it.
    pub role: DomainRole,
    /// The file, as it is named there.
    pub file: String,
    /// The format that is given there.
    pub format: Option<String>,
    /// Whether this is the state of a running domain.
    pub running: bool,
    /// Whether the definition names the backing chain as well: libvirt then follows that, whatever the
    /// image says.
    pub pins_backing: bool,
    /// The file of libvirt's that says so.
    #[serde(serialize_with = "lossless")]
    pub from: PathBuf,
}

/// What a file is to a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DomainRole {
    /// A disk.
    Disk,
    /// Part of the chain below a disk, named by the definition itself.
    Backing,
    /// What a disk is being copied to.
    Mirror,
    /// Firmware, or its variables.
    Firmware,
    /// Part of a snapshot that libvirt has recorded.
    Snapshot,
}

fn lossless<S: serde::Serializer>(path: &Path, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&super::json::lossless_or_escaped(path.as_os_str()))
}
