//! Which image a lost backing file may be. Nothing is guessed: each candidate comes with what speaks for it,
//! and one is left out when something speaks against it that cannot be by chance.

use std::path::PathBuf;
use std::sync::Arc;

use super::disk_ids::disk_ids;
use crate::chain::{Chain, Gate, Opener, View};
use crate::forest::{Forest, Node, NodeId};
use crate::image::{Format, State};
use crate::text::{Shown, human_size};
use crate::units::Guest;

/// An image that may be what another one has lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Absolute path.
    pub path: PathBuf,
    /// What speaks for it, safe to print; never empty.
    pub evidence: Vec<String>,
    /// What speaks against it, but may have a reason.
    pub doubts: Vec<String>,
}

/// Candidates for the backing file that the image at `id` misses, the most likely first.
pub fn candidates(forest: &Forest, id: NodeId, gate: &Gate) -> Vec<Candidate> {
    let Some(node) = forest.get(id) else { return Vec::new() };
    let Some(backing) = &node.backing else { return Vec::new() };
    let named = backing.name.rsplit('/').next().unwrap_or(&backing.name);
    let recorded = backing.format.as_deref().and_then(Format::from_name);
    let opener = Opener { gate: gate.clone(), force_share: true, ..Opener::default() };
    let own = opener
        .layer(&node.path, node.format)
        .ok()
        .map(|layer| Chain::from_layers(vec![layer]).view(State::Active));
    let above = forest.descendants(id);
    let others = forest.ids().filter(|other| *other != id && !above.contains(other));
    let mut found: Vec<(i32, Candidate)> = Vec::new();
    for other in others.filter_map(|other| forest.get(other)).filter(|other| other.format.is_some()) {
        if !other.problems.is_empty() {
            continue;
        }
        let Some(weighed) = weigh(node, other, named, recorded, own.as_ref(), &opener) else { continue };
        found.push(weighed);
    }
    found.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.path.cmp(&b.1.path)));
    found.into_iter().map(|(_, candidate)| candidate).collect()
}

fn weigh(
    node: &Node,
    other: &Node,
    named: &str,
    recorded: Option<Format>,
    own: Option<&View>,
    opener: &Opener,
) -> Option<(i32, Candidate)> {
    let (mut evidence, mut doubts, mut weight) = (Vec::new(), Vec::new(), 0);
    match (recorded, other.format) {
        // Another format would read garbage.
        (Some(wanted), Some(has)) if wanted != has => return None,
        (Some(_), Some(has)) => evidence.push(format!("it is {has}, as recorded")),
        _ => {}
    }
    if other.name() == named {
        weight += 4;
        evidence.push("it has the recorded name".to_owned());
    }
    match other.virtual_size.cmp(&node.virtual_size) {
        std::cmp::Ordering::Equal => {
            weight += 2;
            evidence.push(format!("its disk is {} long as well", human_size(other.virtual_size)));
        }
        // An overlay can be longer than its base; a base that is longer is rare.
        std::cmp::Ordering::Less => {
            doubts.push(format!("its disk is shorter, {}", human_size(other.virtual_size)));
        }
        std::cmp::Ordering::Greater => {
            weight -= 1;
            doubts.push(format!("its disk is longer, {}", human_size(other.virtual_size)));
        }
    }
    if let Some(own) = own
        && let Ok(chain) = opener.open(&other.path)
    {
        let view = chain.view(State::Active);
        for (what, theirs, at) in disk_ids(&view) {
            match held(own, at, theirs.len()) {
                Some(ours) if ours == theirs => {
                    weight += 8;
                    evidence.push(format!("both have {what} {}", hex(&theirs)));
                }
                // What the overlay has of its own is of another disk.
                Some(ours) if ours.iter().any(|byte| *byte != 0) => return None,
                _ => {}
            }
        }
    }
    let changed = |node: &Node| std::fs::metadata(&node.path).and_then(|meta| meta.modified()).ok();
    match (changed(node), changed(other)) {
        (Some(overlay), Some(base)) if base > overlay => {
            weight -= 1;
            doubts.push("it was changed after the overlay was".to_owned());
        }
        _ => {}
    }
    (weight >= 2).then(|| (weight, Candidate { path: other.path.clone(), evidence, doubts }))
}

/// What an overlay itself holds at `at`; nothing where it leaves anything to what is below.
fn held(own: &View, at: u64, len: usize) -> Option<Vec<u8>> {
    let end = at.checked_add(len as u64).filter(|end| *end <= own.size())?;
    let mut from = at;
    while from < end {
        let (held, run) = own.allocated(Guest(from), end - from).ok()?;
        if !held || run == 0 {
            return None;
        }
        from += run;
    }
    let mut bytes = vec![0; len];
    own.read_at(Guest(at), &mut bytes).ok().map(|_| bytes)
}

fn hex(bytes: &[u8]) -> Arc<str> {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

impl Candidate {
    /// What it takes to use it, for a shell.
    #[must_use]
    pub fn remedy(&self, image: &std::path::Path) -> String {
        let (image, base) = (Shown::path(image), Shown::path(&self.path));
        format!("cowherd rebase --unsafe {image} --base {base}")
    }
}
