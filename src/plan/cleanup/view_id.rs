//! Views by name.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::forest::Node;
use crate::text::Shown;

/// One view of a forest: an image, and one of its snapshots or its active state.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ViewId {
    /// Absolute path of the image.
    pub image: PathBuf,
    /// Id of the internal snapshot; nothing for the active state.
    pub snapshot: Option<String>,
}

impl ViewId {
    /// The active state of the image at `path`.
    #[must_use]
    pub fn active(path: &Path) -> Self {
        Self { image: path.to_path_buf(), snapshot: None }
    }

    /// The snapshot with this id.
    #[must_use]
    pub fn snapshot(path: &Path, id: &str) -> Self {
        Self { image: path.to_path_buf(), snapshot: Some(id.to_owned()) }
    }

    /// With the whole path, as a plan names the views that it changes; untrusted.
    #[must_use]
    pub fn in_full(&self) -> String {
        let image = self.image.to_string_lossy();
        match &self.snapshot {
            None => image.into_owned(),
            Some(id) => format!("{image}@#{id}"),
        }
    }

    /// All views of an image, the active state first.
    pub fn all(node: &Node) -> impl Iterator<Item = Self> + '_ {
        let snapshots = node.snapshots.iter().map(|one| Self::snapshot(&node.path, &one.id));
        std::iter::once(Self::active(&node.path)).chain(snapshots)
    }
}

impl fmt::Display for ViewId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.image.file_name().unwrap_or(self.image.as_os_str()).to_string_lossy();
        match &self.snapshot {
            None => write!(f, "{}", Shown::new(&name)),
            Some(id) => write!(f, "{}@#{}", Shown::new(&name), Shown::new(id)),
        }
    }
}
