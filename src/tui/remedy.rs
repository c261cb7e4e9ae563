//! What can be done about the problem of the selected image, from here.

use super::model::Model;
use super::request::{Request, Verb};
use crate::forest::ProblemKind;

/// Something that helps.
pub(super) struct Offer {
    pub(super) verb: Verb,
    /// What it does, in words for "Enter: ".
    pub(super) words: &'static str,
}

/// The operation that helps first; `None` when nothing is wrong, or nothing here helps.
pub(super) fn offer(model: &Model) -> Option<Offer> {
    let node = model.selected_node()?;
    let offer = match (model.beside.of(&node.path), node.problems.first().map(|problem| problem.kind)) {
        (Some(_), _) => Offer { verb: Verb::Recover, words: "finish the interrupted job, or undo it" },
        (None, Some(ProblemKind::BackingMissing)) => {
            Offer { verb: Verb::Rebase, words: "say which image it is based on" }
        }
        (None, Some(ProblemKind::BackingFormatMissing)) => {
            Offer { verb: Verb::Rebase, words: "base it on the same image again, with the format recorded" }
        }
        (None, Some(ProblemKind::Corrupt | ProblemKind::Dirty)) => {
            Offer { verb: Verb::Repair, words: "check its metadata, and mend what can be mended" }
        }
        _ => return None,
    };
    let forest = model.forest.as_ref()?;
    let can = Request::why_not(offer.verb, model.subject().as_ref(), forest, &model.beside).is_none();
    can.then_some(offer)
}
