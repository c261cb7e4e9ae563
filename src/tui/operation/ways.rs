//! Other ways to the same end, and which of them is the cheapest safe one.

use super::{Operation, Proposal};
use crate::forest::{Forest, Node};
use crate::text::Shown;

/// One way to what was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct Way {
    /// What it does, in a few words, safe to print; empty when there is only one way.
    pub(in crate::tui) name: String,
    pub(in crate::tui) operation: Operation,
}

/// The ways to what `operation` wants, itself first.
pub(in crate::tui) fn ways(forest: &Forest, operation: Operation) -> Vec<Way> {
    let found = others(forest, &operation);
    let mut all =
        vec![Way { name: found.as_ref().map(|(own, _)| own.clone()).unwrap_or_default(), operation }];
    all.extend(found.map(|(_, other)| other));
    all
}

/// What `operation` itself is called, and the other way.
fn others(forest: &Forest, operation: &Operation) -> Option<(String, Way)> {
    if let Operation::Recover { journal, roll_back } = operation {
        let other = Operation::Recover { journal: journal.clone(), roll_back: !roll_back };
        let name = |back| if back { "undo it" } else { "finish it" }.to_owned();
        return Some((name(*roll_back), Way { name: name(!roll_back), operation: other }));
    }
    let id = forest.find(operation.subject()?)?;
    let node = forest.get(id)?;
    match operation {
        // Method 2, with Method 1 beside it.
        Operation::Delete { image, no_protect } => {
            let base = forest.get(forest.parent(id)?)?;
            (!node.children.is_empty()).then(|| {
                let other = Operation::Commit {
                    top: image.clone(),
                    base: None,
                    keep: false,
                    remove: true,
                    no_protect: *no_protect,
                };
                (up(forest, node), Way { name: down(base), operation: other })
            })
        }
        Operation::Commit { top, base, keep: false, no_protect, .. } => {
            let parent = forest.parent(id)?;
            let to_parent = base.as_ref().is_none_or(|base| forest.find(base) == Some(parent));
            let base = forest.get(parent)?;
            (to_parent && !node.children.is_empty()).then(|| {
                let other = Operation::Delete { image: top.clone(), no_protect: *no_protect };
                (down(base), Way { name: up(forest, node), operation: other })
            })
        }
        Operation::Pull { image: _, base: Some(wanted) } => {
            let parent = forest.parent(id)?;
            let wanted_id = forest.find(wanted)?;
            let between = forest.get(parent)?;
            let base = forest.get(wanted_id)?;
            (parent != wanted_id && between.children == [id]).then(|| {
                let other = Operation::Commit {
                    top: between.path.clone(),
                    base: Some(wanted.clone()),
                    keep: false,
                    remove: false,
                    no_protect: false,
                };
                let own = format!("pull up into {}", shown(node));
                (own, Way { name: down(base), operation: other })
            })
        }
        _ => None,
    }
}

fn shown(node: &Node) -> String {
    Shown::new(&node.name()).into_string()
}

fn down(base: &Node) -> String {
    format!("commit down into {}", shown(base))
}

fn up(forest: &Forest, node: &Node) -> String {
    match node.children.as_slice() {
        [one] => format!("pull up into {}", forest.get(*one).map(shown).unwrap_or_default()),
        more => format!("pull up into its {} children", more.len()),
    }
}

/// The way that can run, asks the least consent, changes the fewest views, and costs the least.
pub(in crate::tui) fn safest<'a>(proposals: impl Iterator<Item = (usize, &'a Proposal)>) -> Option<usize> {
    let possible = proposals.filter(|(_, proposal)| proposal.plan.forbidden().is_none());
    let rank = |proposal: &Proposal| {
        let cost = proposal.plan.cost;
        let moved = cost.write_bytes.saturating_add(cost.read_bytes);
        (proposal.tier(), proposal.plan.views_changed.len(), moved)
    };
    possible.min_by_key(|(_, proposal)| rank(proposal)).map(|(at, _)| at)
}
