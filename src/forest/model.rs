//! The forest as plain data: what `tree --json` prints and the TUI draws.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::domain_use::DomainUse;
use crate::image::Format;
use crate::storage::{Holder, LockState};

/// Index of an image in [`Forest::nodes`]. Stable within one forest; across rescans use the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct NodeId(pub u32);

/// All images found, and how they hang together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forest {
    /// The folders and files that were looked through, absolute.
    pub roots: Vec<PathBuf>,
    /// Every image, ordered by path.
    pub nodes: Vec<Node>,
    /// Files and folders of libvirt's that could not be read: what they name is not known.
    pub unread_domains: Vec<PathBuf>,
}

/// One image of the forest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Absolute path.
    pub path: PathBuf,
    /// The format; `None` when the file is broken beyond telling.
    pub format: Option<Format>,
    /// Bytes a guest sees.
    pub virtual_size: u64,
    /// Bytes per cluster; 0 for raw.
    pub cluster_size: u64,
    /// Bytes on the file system.
    pub disk_size: u64,
    /// Bytes only the active state holds; `None` until counted.
    pub exclusive_bytes: Option<u64>,
    /// What it is based on.
    pub backing: Option<Backing>,
    /// The file that holds its data, when that is not its own.
    pub data_file: Option<DataRef>,
    /// Images based on this one, ordered by path.
    pub children: Vec<NodeId>,
    /// Its internal snapshots in table order, shared by copies of the forest: there can be many.
    pub snapshots: Arc<Vec<SnapshotNode>>,
    /// Who holds it now.
    pub in_use: Option<InUse>,
    /// The libvirt domains that name it, or its data file.
    pub domains: Vec<DomainUse>,
    /// Marked dirty (not closed cleanly).
    pub dirty: bool,
    /// Marked corrupt.
    pub corrupt: bool,
    /// Stored encrypted.
    pub encrypted: bool,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

/// A reference to a backing file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backing {
    /// The name as recorded in the image (untrusted).
    pub name: String,
    /// The recorded format, when there is one (untrusted).
    pub format: Option<String>,
    /// The absolute path it leads to, when the gate lets it be resolved and it exists.
    pub resolved: Option<PathBuf>,
    /// The image at that path, when it is part of this forest. A loop is cut at its first member
    /// (by path), which has `None` here: walking up or down a forest always ends.
    pub node: Option<NodeId>,
}

/// A reference to an external data file. That file is a part of the image, not an image of the forest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataRef {
    /// The name as recorded in the image (untrusted).
    pub name: String,
    /// The absolute path it leads to, when the gate lets it be resolved and it exists.
    pub resolved: Option<PathBuf>,
}

/// One internal snapshot of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SnapshotNode {
    /// Id.
    pub id: String,
    /// Name (untrusted).
    pub name: String,
    /// When it was taken, RFC 3339 in UTC.
    pub date: String,
    /// Bytes of the virtual disk when it was taken.
    pub virtual_size: u64,
    /// Bytes of saved machine state.
    pub vm_state_size: u64,
    /// Bytes only this snapshot holds; `None` until counted.
    pub exclusive_bytes: Option<u64>,
}

/// Who holds an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InUse {
    /// The process, where the system shows it.
    pub by: Option<Holder>,
    /// Reading or writing.
    pub mode: LockState,
}

/// Something wrong with an image or its chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Which sort.
    pub kind: ProblemKind,
    /// One sentence for people, safe to print.
    pub message: String,
}

/// The sorts of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// The backing file does not exist.
    BackingMissing,
    /// The backing name leads where the gate does not allow.
    BackingRefused,
    /// The external data file does not exist.
    DataFileMissing,
    /// The name of the external data file leads where the gate does not allow.
    DataFileRefused,
    /// The external data file belongs to another image as well, or is one.
    DataFileShared,
    /// The chain leads back to itself.
    BackingLoop,
    /// No backing format is recorded, so it would have to be guessed.
    BackingFormatMissing,
    /// The backing file's format is not the recorded one.
    BackingFormatWrong,
    /// The chain is deeper than cowherd follows.
    TooDeep,
    /// The file is damaged or hostile.
    Corrupt,
    /// Not closed cleanly.
    Dirty,
    /// A valid image of a sort that is not supported.
    Unsupported,
    /// The operating system would not let us read it.
    Unreadable,
    /// An image by its name, but not by its content.
    NotAnImage,
}

impl ProblemKind {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::BackingMissing => "backing-missing",
            Self::BackingRefused => "backing-refused",
            Self::DataFileMissing => "data-file-missing",
            Self::DataFileRefused => "data-file-refused",
            Self::DataFileShared => "data-file-shared",
            Self::BackingLoop => "backing-loop",
            Self::BackingFormatMissing => "backing-format-missing",
            Self::BackingFormatWrong => "backing-format-wrong",
            Self::TooDeep => "too-deep",
            Self::Corrupt => "corrupt",
            Self::Dirty => "dirty",
            Self::Unsupported => "unsupported",
            Self::Unreadable => "unreadable",
            Self::NotAnImage => "not-an-image",
        }
    }
}

impl Forest {
    /// The image with this id. Ids come from this forest, so it is always there; a foreign one
    /// gives `None`.
    pub fn get(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0 as usize)
    }

    /// All ids in order.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// The image at an absolute path.
    pub fn find(&self, path: &Path) -> Option<NodeId> {
        let at = self.nodes.binary_search_by(|n| n.path.as_path().cmp(path)).ok()?;
        Some(NodeId(at as u32))
    }

    /// The parent of an image, when it is part of the forest.
    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        self.get(id)?.backing.as_ref()?.node
    }

    /// Images without a parent in the forest (bases, orphans, members of a loop start here once).
    pub fn roots(&self) -> Vec<NodeId> {
        let mut roots: Vec<_> = self.ids().filter(|id| self.parent(*id).is_none()).collect();
        let mut seen = vec![false; self.nodes.len()];
        for root in roots.clone() {
            self.mark(root, &mut seen);
        }
        // What no root reaches hangs in a loop; its first member stands in as a root.
        for id in self.ids() {
            if !seen[id.0 as usize] {
                roots.push(id);
                self.mark(id, &mut seen);
            }
        }
        roots
    }

    /// Everything that hangs together with `id`: the base it descends from and all that descends
    /// from that base, in order of ids.
    pub fn tree_of(&self, id: NodeId) -> Vec<NodeId> {
        let base = self.ancestors(id).last().copied().unwrap_or(id);
        let mut seen = vec![false; self.nodes.len()];
        if self.get(base).is_some() {
            self.mark(base, &mut seen);
        }
        self.ids().filter(|id| seen[id.0 as usize]).collect()
    }

    /// A forest of these images alone (in order of ids). References to others stay by name.
    pub fn part(&self, ids: &[NodeId]) -> Self {
        let renamed = |id: &NodeId| ids.binary_search(id).ok().map(|at| NodeId(at as u32));
        let mut nodes: Vec<_> = ids.iter().filter_map(|id| self.get(*id)).cloned().collect();
        for node in &mut nodes {
            node.children = node.children.iter().filter_map(renamed).collect();
            if let Some(backing) = &mut node.backing {
                backing.node = backing.node.as_ref().and_then(renamed);
            }
        }
        Self { nodes, roots: self.roots.clone(), unread_domains: self.unread_domains.clone() }
    }

    fn mark(&self, from: NodeId, seen: &mut [bool]) {
        let mut todo = vec![from];
        while let Some(id) = todo.pop() {
            let i = id.0 as usize;
            if !std::mem::replace(&mut seen[i], true) {
                todo.extend(&self.nodes[i].children);
            }
        }
    }
}

impl Node {
    /// An image of which nothing is known but its path.
    pub(super) fn blank(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            format: None,
            virtual_size: 0,
            cluster_size: 0,
            disk_size: 0,
            exclusive_bytes: None,
            backing: None,
            data_file: None,
            children: Vec::new(),
            snapshots: Arc::default(),
            in_use: None,
            domains: Vec::new(),
            dirty: false,
            corrupt: false,
            encrypted: false,
            problems: Vec::new(),
        }
    }

    pub(super) fn flag(&mut self, kind: ProblemKind, message: impl Into<String>) {
        self.problems.push(Problem { kind, message: message.into() });
    }

    /// The file name, for display; escape with [`crate::text::Shown`] before printing.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }
}
