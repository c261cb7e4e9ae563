//! For each file: whether somebody uses it, something needs it, or it is free to go, and why.

use std::path::PathBuf;

use super::evidence::{Candidate, candidates};
use crate::chain::{Gate, Opener};
use crate::error::Result;
use crate::forest::{Forest, Node, NodeId, ProblemKind};
use crate::image::State;
use crate::plan::{DeleteOptions, Step, delete};
use crate::text::Shown;
use crate::units::Guest;

/// How an image stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// A process holds it, or a libvirt domain names it.
    InUse,
    /// Other images read through it.
    Needed,
    /// Nobody is known to need it, and it holds what nothing else does.
    Unclaimed,
    /// It holds nothing that would be missed: without it every other view reads the same.
    Free,
    /// What it is based on is not there, so that nobody can read it.
    Orphaned,
}

impl Standing {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InUse => "in use",
            Self::Needed => "needed",
            Self::Unclaimed => "unclaimed",
            Self::Free => "free to go",
            Self::Orphaned => "orphaned",
        }
    }
}

/// What is said of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Absolute path.
    pub path: PathBuf,
    /// How it stands.
    pub standing: Standing,
    /// Why, one sentence; safe to print.
    pub why: String,
    /// Bytes on the file system.
    pub disk_size: u64,
    /// What may be the backing file that it misses, the most likely first.
    pub candidates: Vec<Candidate>,
}

/// Says of every image of `forest` how it stands. Reads metadata, and a few sectors of what may be a lost
/// backing file. `go_on` is asked between images, so that a face can stop it; then the rest is left out.
pub fn judge(forest: &Forest, gate: &Gate, mut go_on: impl FnMut() -> bool) -> Vec<Judged> {
    let mut judged = Vec::new();
    for id in forest.ids() {
        let Some(node) = forest.get(id).filter(|_| go_on()) else { break };
        let (standing, why, candidates) = standing(forest, id, node, gate);
        judged.push(Judged { path: node.path.clone(), standing, why, disk_size: node.disk_size, candidates });
    }
    judged
}

fn standing(forest: &Forest, id: NodeId, node: &Node, gate: &Gate) -> (Standing, String, Vec<Candidate>) {
    let plain = |standing: Standing, why: String| (standing, why, Vec::new());
    if let Some(held) = &node.in_use {
        let who = held.by.as_ref().map_or_else(|| "another process".to_owned(), ToString::to_string);
        return plain(Standing::InUse, format!("{who} has it open"));
    }
    if let Some(domain) = node.domains.first() {
        return plain(Standing::InUse, format!("libvirt domain {} names it", Shown::new(&domain.domain)));
    }
    let lost = [ProblemKind::BackingMissing, ProblemKind::BackingRefused, ProblemKind::BackingLoop];
    if let Some(problem) = node.problems.iter().find(|problem| lost.contains(&problem.kind)) {
        return (Standing::Orphaned, problem.message.clone(), candidates(forest, id, gate));
    }
    if let Some(problem) = node.problems.iter().find(|p| p.kind != ProblemKind::BackingFormatMissing) {
        return plain(Standing::Unclaimed, format!("damaged: {}", problem.message));
    }
    let unreadable = forest
        .ancestors(id)
        .into_iter()
        .filter_map(|id| forest.get(id))
        .find(|below| below.problems.iter().any(|problem| lost.contains(&problem.kind)));
    if let Some(below) = unreadable {
        let what = format!("{} below it has lost its backing file", Shown::new(&below.name()));
        return plain(Standing::Orphaned, what);
    }
    match node.children.len() {
        0 if is_empty(node, gate).unwrap_or(false) => {
            plain(Standing::Free, "it holds nothing: it reads as what it is based on".to_owned())
        }
        0 => plain(Standing::Unclaimed, "nothing is based on it, and no domain here names it".to_owned()),
        _ if is_redundant(forest, node, gate) => {
            plain(Standing::Free, "what is based on it reads nothing of it".to_owned())
        }
        n => plain(Standing::Needed, readers(forest, node, n)),
    }
}

fn readers(forest: &Forest, node: &Node, count: usize) -> String {
    let first = node.children.first().and_then(|id| forest.get(*id));
    let name = first.map_or_else(String::new, |child| Shown::new(&child.name()).into_string());
    match count {
        1 => format!("{name} is based on it"),
        n => format!("{name} and {} more are based on it", n - 1),
    }
}

/// Whether an overlay holds nothing of its own, in any state.
fn is_empty(node: &Node, gate: &Gate) -> Result<bool> {
    if node.backing.is_none() || !node.snapshots.is_empty() {
        return Ok(false);
    }
    let opener = Opener { gate: gate.clone(), force_share: true, ..Opener::default() };
    let view = opener.open(&node.path)?.view(State::Active);
    let mut at = 0;
    while at < view.size() {
        let (held, len) = view.allocated(Guest(at), view.size() - at)?;
        if held {
            return Ok(false);
        }
        at += len.max(1);
    }
    Ok(true)
}

/// Whether a layer can be taken out without a byte being copied: it is told by planning just that.
fn is_redundant(forest: &Forest, node: &Node, gate: &Gate) -> bool {
    let has_below = node.backing.as_ref().is_some_and(|backing| backing.node.is_some());
    if !has_below || !node.snapshots.is_empty() {
        return false;
    }
    let options = DeleteOptions { gate: gate.clone(), ..DeleteOptions::default() };
    delete(forest, &node.path, &options).is_ok_and(|plan| {
        let copies = |step: &Step| matches!(step, Step::Copy(copy) if copy.data_bytes + copy.zero_bytes > 0);
        plan.forbidden().is_none() && !plan.steps.iter().any(copies)
    })
}
