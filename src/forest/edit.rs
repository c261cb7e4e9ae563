//! Pure edits: the forest as it will be after an operation. Nothing on disk is touched.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{Backing, Forest, Node, NodeId, Problem, ProblemKind};
use crate::image::{Format, NewImage};

impl Forest {
    /// Everything based on an image, directly or not, parents before children. Without the image.
    pub fn descendants(&self, id: NodeId) -> Vec<NodeId> {
        let mut all: Vec<NodeId> = self.get(id).map_or(Vec::new(), |n| n.children.clone());
        let mut next = 0;
        while let Some(node) = all.get(next).and_then(|id| self.get(*id)) {
            all.extend(&node.children);
            next += 1;
        }
        all
    }

    /// What an image is based on, nearest first. Without the image.
    pub fn ancestors(&self, id: NodeId) -> Vec<NodeId> {
        std::iter::successors(self.parent(id), |id| self.parent(*id)).take(self.nodes.len()).collect()
    }

    /// The forest after `child` was rebased onto `parent` (`None`: stands alone), with the format of
    /// the parent recorded. Ids stay as they are. Problems of the old reference are gone.
    #[must_use]
    pub fn relinked(&self, child: NodeId, parent: Option<NodeId>) -> Self {
        let mut after = self.clone();
        let backing = parent.and_then(|id| Some((id, self.get(id)?))).map(|(id, parent)| Backing {
            name: self.get(child).map_or(String::new(), |c| {
                super::json::lossless_or_escaped(reference(&c.path, &parent.path).as_os_str())
            }),
            format: parent.format.filter(|f| records(self.get(child), *f)).map(|f| f.name().to_owned()),
            resolved: Some(parent.path.clone()),
            node: Some(id),
        });
        if let Some(node) = after.node_mut(child) {
            node.backing = backing;
            node.problems.retain(|p| !is_about_backing(p));
        }
        after.cut_loop_at(child);
        after.adopt();
        after
    }

    /// The forest after the file of `id` is gone. Ids after it move down by one; images that are
    /// still based on it miss their backing file.
    #[must_use]
    pub fn removed(&self, id: NodeId) -> Self {
        let mut after = self.clone();
        if self.get(id).is_none() {
            return after;
        }
        let gone = after.nodes.remove(id.0 as usize).path;
        for node in &mut after.nodes {
            let Some(backing) = &mut node.backing else { continue };
            backing.node = match backing.node {
                Some(parent) if parent > id => Some(NodeId(parent.0 - 1)),
                Some(parent) if parent == id => None,
                kept => kept,
            };
            if backing.resolved.as_deref() == Some(&*gone) {
                backing.resolved = None;
                node.problems.retain(|p| !is_about_backing(p));
                node.flag(ProblemKind::BackingMissing, "the backing file is gone");
            }
        }
        after.adopt();
        after
    }

    /// The forest with `node` added (or put in the place of the one with its path); references to
    /// it are tied. Ids after it move up by one.
    #[must_use]
    pub fn with_node(&self, node: Node) -> Self {
        let mut after = self.clone();
        for waiting in &mut after.nodes {
            waiting.found_backing(&node.path);
        }
        let at = match after.nodes.binary_search_by(|n| n.path.cmp(&node.path)) {
            Ok(at) => {
                after.nodes[at] = node;
                at
            }
            Err(at) => {
                after.nodes.insert(at, node);
                at
            }
        };
        // A loop that was cut stays cut.
        let loops = |n: &Node| n.problems.iter().any(|p| p.kind == ProblemKind::BackingLoop);
        let target = |n: &Node| after.find(n.backing.as_ref()?.resolved.as_deref()?);
        let parents: Vec<_> = after.nodes.iter().map(target).collect();
        for (node, parent) in after.nodes.iter_mut().zip(parents) {
            let cut = loops(node);
            if let Some(backing) = node.backing.as_mut().filter(|b| !cut || b.node.is_some()) {
                backing.node = parent;
            }
        }
        after.cut_loop_at(NodeId(at as u32));
        after.adopt();
        after
    }

    /// The forest with a new, empty image at `path`.
    #[must_use]
    pub fn with_new(&self, path: &Path, new: &NewImage) -> Self {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let mut node = Node::blank(path);
        node.format = Some(new.format());
        (node.virtual_size, node.cluster_size) = (new.virtual_size(), new.cluster_size());
        node.backing = new.backing().map(|backing| Backing {
            name: super::json::lossless_or_escaped(&backing.name),
            format: backing.format.clone(),
            resolved: Some(folder.join(&backing.name)),
            node: None,
        });
        self.with_node(node)
    }

    /// The forest after the file of `id` got another name and what is based on it names that.
    #[must_use]
    pub fn renamed(&self, id: NodeId, to: &Path) -> Self {
        let mut nodes: Vec<(u32, Node)> = (0..).zip(self.nodes.iter().cloned()).collect();
        for (index, node) in &mut nodes {
            if *index == id.0 {
                node.path = to.to_path_buf();
                // Nobody names it so yet.
                node.domains.clear();
            }
            let child = node.path.clone();
            if let Some(backing) = node.backing.as_mut().filter(|b| b.node == Some(id)) {
                let keeps_absolute = Path::new(&backing.name).is_absolute();
                let name = if keeps_absolute { to.to_path_buf() } else { reference(&child, to) };
                backing.name = super::json::lossless_or_escaped(name.as_os_str());
                backing.resolved = Some(to.to_path_buf());
            }
        }
        nodes.sort_by(|a, b| a.1.path.cmp(&b.1.path));
        let place =
            |old: NodeId| nodes.iter().position(|(index, _)| *index == old.0).map(|at| NodeId(at as u32));
        let parents: Vec<_> =
            nodes.iter().map(|(_, n)| n.backing.as_ref().and_then(|b| place(b.node?))).collect();
        let mut after = Self { nodes: nodes.into_iter().map(|(_, n)| n).collect(), ..self.part(&[]) };
        for (node, parent) in after.nodes.iter_mut().zip(parents) {
            if let Some(backing) = &mut node.backing {
                backing.node = parent;
            }
        }
        after.adopt();
        after
    }

    /// Whether some image that is based on `image` records its format.
    pub fn records_format_of(&self, image: &Path) -> bool {
        self.nodes
            .iter()
            .filter_map(|n| n.backing.as_ref())
            .any(|b| b.resolved.as_deref() == Some(image) && b.format.is_some())
    }

    /// The trees that hold an image which `wanted` picks, whole; the others left out.
    #[must_use]
    pub fn families(&self, wanted: impl Fn(&Node) -> bool) -> Self {
        let base = |id: NodeId| self.ancestors(id).last().copied().unwrap_or(id);
        let bases: Vec<NodeId> = self.ids().map(base).collect();
        let picked = self.ids().filter(|id| self.get(*id).is_some_and(&wanted));
        let picked: HashSet<NodeId> = picked.filter_map(|id| bases.get(id.0 as usize).copied()).collect();
        let kept: Vec<NodeId> =
            self.ids().zip(&bases).filter(|(_, base)| picked.contains(base)).map(|(id, _)| id).collect();
        let mut nodes: Vec<Node> = kept.iter().filter_map(|id| self.get(*id)).cloned().collect();
        for backing in nodes.iter_mut().filter_map(|node| node.backing.as_mut()) {
            let place = |old: NodeId| kept.binary_search(&old).ok().map(|at| NodeId(at as u32));
            backing.node = backing.node.and_then(place);
        }
        let mut some = Self { nodes, ..self.part(&[]) };
        some.adopt();
        some
    }

    /// Cuts the edge of `id` to its parent when the image is its own ancestor by it.
    fn cut_loop_at(&mut self, id: NodeId) {
        if self.ancestors(id).contains(&id)
            && let Some(node) = self.node_mut(id)
        {
            node.flag(ProblemKind::BackingLoop, "the backing chain leads back to this image");
            if let Some(backing) = &mut node.backing {
                backing.node = None;
            }
        }
    }

    /// The image with this id, for changing what it says in a forest to come.
    pub fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(id.0 as usize)
    }

    /// Fills in the children from the parents; in order, because the nodes are.
    pub(super) fn adopt(&mut self) {
        let parents: Vec<_> = self.ids().map(|id| self.parent(id)).collect();
        for node in &mut self.nodes {
            node.children.clear();
        }
        for (child, parent) in self.ids().zip(parents) {
            if let Some(parent) = parent.and_then(|id| self.node_mut(id)) {
                parent.children.push(child);
            }
        }
    }
}

impl Node {
    /// Ends the search of an image that misses its backing file, when that is `path`.
    fn found_backing(&mut self, path: &Path) {
        let Some(backing) = self.backing.as_mut().filter(|b| b.resolved.is_none()) else { return };
        if self.path.parent().is_some_and(|folder| folder.join(&backing.name) == path) {
            backing.resolved = Some(path.to_path_buf());
            self.problems.retain(|p| p.kind != ProblemKind::BackingMissing);
        }
    }
}

/// How an image at `child` names the file at `parent`: by file name in the same folder, so that the
/// folder can move, otherwise in full. A colon in a bare name would be taken for a protocol.
pub fn reference(child: &Path, parent: &Path) -> PathBuf {
    match parent.file_name() {
        Some(name) if child.parent() == parent.parent() => match name.as_encoded_bytes().contains(&b':') {
            true => Path::new(".").join(name),
            false => name.into(),
        },
        _ => parent.to_path_buf(),
    }
}

/// Whether an image can record this format of its backing file: QED has a bit for raw, and no other.
fn records(image: Option<&Node>, format: Format) -> bool {
    image.is_none_or(|node| node.format != Some(Format::Qed)) || format == Format::Raw
}

fn is_about_backing(problem: &Problem) -> bool {
    matches!(
        problem.kind,
        ProblemKind::BackingMissing
            | ProblemKind::BackingRefused
            | ProblemKind::BackingLoop
            | ProblemKind::BackingFormatMissing
            | ProblemKind::BackingFormatWrong
            | ProblemKind::TooDeep
    )
}
