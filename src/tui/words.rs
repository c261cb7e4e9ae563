//! Short words for what an image is, has and lacks. Everything returned is safe to print.

use crate::forest::{Forest, InUse, Node, Problem, ProblemKind, SnapshotNode};
use crate::storage::LockState;
use crate::text::Shown;

/// The path of an image below the folder that was looked through; its file name elsewhere.
pub(super) fn short_path(forest: &Forest, node: &Node) -> String {
    let below = forest.roots.iter().find_map(|root| node.path.strip_prefix(root).ok());
    match below {
        Some(path) if !path.as_os_str().is_empty() => Shown::path(path).into_string(),
        _ => name(node),
    }
}

/// The file name of an image.
pub(super) fn name(node: &Node) -> String {
    Shown::new(&node.name()).into_string()
}

/// The name of a snapshot, or its id when it has none.
pub(super) fn snapshot_name(snapshot: &SnapshotNode) -> String {
    match snapshot.name.as_str() {
        "" => format!("#{}", snapshot.id),
        name => name.to_owned(),
    }
}

/// What follows the name of an image in its row: in full, and shorter.
pub(super) fn note(node: &Node) -> (String, &'static str) {
    match (node.problems.first(), &node.in_use) {
        (Some(problem), _) => (problem_words(problem.kind).to_owned(), short_problem(problem.kind)),
        (None, Some(user)) => match &user.by {
            Some(holder) => (format!("in use, pid {}", holder.pid), "in use"),
            None => ("in use".to_owned(), "in use"),
        },
        (None, None) if node.encrypted => ("encrypted".to_owned(), "enc"),
        (None, None) => (String::new(), ""),
    }
}

/// A sort of problem in two or three words.
pub(super) fn problem_words(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::BackingMissing => "backing file not found",
        ProblemKind::BackingRefused => "backing file not allowed",
        ProblemKind::DataFileMissing => "data file not found",
        ProblemKind::DataFileRefused => "data file not allowed",
        ProblemKind::DataFileShared => "data file shared",
        ProblemKind::BackingLoop => "backing loop",
        ProblemKind::BackingFormatMissing => "backing format not recorded",
        ProblemKind::BackingFormatWrong => "backing format wrong",
        ProblemKind::TooDeep => "chain too deep",
        ProblemKind::Corrupt => "damaged",
        ProblemKind::Dirty => "not closed cleanly",
        ProblemKind::Unsupported => "not supported",
        ProblemKind::Unreadable => "not readable",
        ProblemKind::NotAnImage => "not an image",
    }
}

/// A sort of problem where there is little room.
fn short_problem(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::BackingMissing => "no backing file",
        ProblemKind::BackingRefused => "not allowed",
        ProblemKind::DataFileMissing => "no data file",
        ProblemKind::DataFileRefused => "not allowed",
        ProblemKind::DataFileShared => "data shared",
        ProblemKind::BackingLoop => "loop",
        ProblemKind::BackingFormatMissing => "format unknown",
        ProblemKind::BackingFormatWrong => "wrong format",
        ProblemKind::TooDeep => "too deep",
        ProblemKind::Corrupt => "damaged",
        ProblemKind::Dirty => "dirty",
        ProblemKind::Unsupported => "unsupported",
        ProblemKind::Unreadable => "unreadable",
        ProblemKind::NotAnImage => "no image",
    }
}

/// The day of an RFC 3339 date.
pub(super) fn day(date: &str) -> String {
    Shown::new(date.get(..10).unwrap_or(date)).into_string()
}

/// What can be done about a problem.
pub(super) fn remedy(problem: &Problem) -> &'static str {
    match problem.kind {
        ProblemKind::BackingMissing => "Put the backing file back where the image expects it.",
        ProblemKind::DataFileMissing => "Put the data file back where the image expects it.",
        ProblemKind::DataFileShared => "Give each image a data file of its own before anybody writes to one.",
        ProblemKind::BackingRefused | ProblemKind::DataFileRefused => {
            "Start cowherd with --allow FOLDER if you trust whoever made this image."
        }
        ProblemKind::BackingLoop => {
            "One image of the loop names the wrong backing file; restore it from a copy."
        }
        ProblemKind::BackingFormatMissing => {
            "QEMU would have to guess the format. Committing or relinking records it."
        }
        ProblemKind::BackingFormatWrong => "Find out which of the two is right before a guest writes to it.",
        ProblemKind::TooDeep => "Commit some layers down; QEMU itself becomes slow at such depths.",
        ProblemKind::Corrupt => "Do not write to it. Look with: cowherd check IMAGE",
        ProblemKind::Dirty => "Probably a crash of the guest. Look with: cowherd check IMAGE",
        ProblemKind::Unsupported => "It stays untouched; use QEMU's own tools on it.",
        ProblemKind::Unreadable => "Look at its permissions, or run cowherd as a user who may read it.",
        ProblemKind::NotAnImage => "Nothing to do, unless it should be an image: then it was overwritten.",
    }
}

/// Who holds an image and how.
pub(super) fn in_use(user: &InUse) -> String {
    let how = match user.mode {
        LockState::Free => "open",
        LockState::Read => "open for reading",
        LockState::Write => "open for writing",
    };
    match &user.by {
        Some(holder) => format!("{how} by {holder}"),
        None => how.to_owned(),
    }
}
