//! What a plan means to the libvirt domains that name its files: their definitions are not cowherd's to
//! change, so whoever agrees to a plan must know which of them no longer fit.

use std::path::Path;

use super::{Hazard, HazardKind, HazardSeverity, Plan, Step};
use crate::forest::{DomainRole, DomainUse, Forest, Node};
use crate::text::Shown;

/// Domains that a message lists by name; a golden image may have thousands.
const LISTED: usize = 4;

/// What becomes of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is not there any more, or not under this name.
    Gone,
    /// It is of another format.
    Converted,
    /// Something is based on it, and nothing was.
    GetsOverlay,
    /// It reads differently.
    ViewChanges,
    /// It names another backing file, and some domain has the old one in its definition.
    LeavesPinned,
    /// Bytes of it change, and nobody can tell from reading it.
    Rewritten,
}

/// A hazard for each file that domains name and that `plan` does something to.
pub(super) fn hazards(plan: &Plan, after: &Forest) -> Vec<Hazard> {
    let named = plan.before.nodes.iter().filter(|node| !node.domains.is_empty());
    let mut found: Vec<_> = named.filter_map(|node| hazard(node, fate(node, plan, after)?, after)).collect();
    if !plan.before.unread_domains.is_empty() {
        let shown = plan.before.unread_domains.iter().map(|path| Shown::path(path).into_string());
        let places = listed(shown.collect());
        let what = format!("libvirt domains may name these files too: {places} could not be read");
        found.push(Hazard::of(HazardKind::NamedBy, HazardSeverity::Info, what));
    }
    found
}

fn fate(node: &Node, plan: &Plan, after: &Forest) -> Option<Fate> {
    let path = node.path.as_path();
    let is = |file: &Path| file == path || data_file(node) == Some(file);
    let goes = |step: &Step| matches!(step, Step::Trash { file } | Step::Unlink { file } if is(file));
    if plan.steps.iter().any(goes) {
        return Some(Fate::Gone);
    }
    let then = after.find(path).and_then(|id| after.get(id));
    if then.is_some_and(|then| then.format != node.format) {
        return Some(Fate::Converted);
    }
    if node.children.is_empty() && then.is_some_and(|then| !then.children.is_empty()) {
        return Some(Fate::GetsOverlay);
    }
    if plan.views_changed.iter().any(|view| *view == path.to_string_lossy()) {
        return Some(Fate::ViewChanges);
    }
    let pinned = node.domains.iter().any(|domain| domain.pins_backing);
    let relinks = |step: &Step| matches!(step, Step::Relink { image, .. } if image == path);
    if pinned && plan.steps.iter().any(relinks) {
        return Some(Fate::LeavesPinned);
    }
    let rewrites = |step: &Step| step.image() == Some(path) && !matches!(step, Step::Verify { .. });
    plan.steps.iter().any(rewrites).then_some(Fate::Rewritten)
}

fn data_file(node: &Node) -> Option<&Path> {
    node.data_file.as_ref()?.resolved.as_deref()
}

/// Nothing when no domain is concerned after all.
fn hazard(node: &Node, fate: Fate, after: &Forest) -> Option<Hazard> {
    let concerned = |one: &&DomainUse| match fate {
        Fate::LeavesPinned => one.pins_backing,
        // Another name of the same file stays.
        Fate::Gone => after.find(Path::new(&one.file)).is_none(),
        _ => true,
    };
    let who = domains(node.domains.iter().filter(concerned))?;
    let file = format!("{} is named by {who}", Shown::path(&node.path));
    let (severity, what) = match fate {
        Fate::Gone => (
            HazardSeverity::Danger,
            format!("{file}, and will not be there any more; edit that, or it cannot start"),
        ),
        Fate::Converted => (
            HazardSeverity::Danger,
            format!("{file}, and gets another format; edit that, or it reads garbage"),
        ),
        Fate::GetsOverlay => (
            HazardSeverity::Warning,
            format!("{file}, and becomes a base: whoever writes to it changes what is on top"),
        ),
        Fate::ViewChanges => (HazardSeverity::Warning, format!("{file}, which will read something else")),
        Fate::LeavesPinned => (
            HazardSeverity::Warning,
            format!("{file} with its chain in <backingStore>, which is not the new one; take that out"),
        ),
        Fate::Rewritten => (
            HazardSeverity::Info,
            format!("{file}, and is rewritten; it reads as before, do not start that meanwhile"),
        ),
    };
    Some(Hazard::of(HazardKind::NamedBy, severity, what))
}

/// `domain web1 (/etc/libvirt/qemu/web1.xml)`, or a list of such. Safe to print.
fn domains<'a>(uses: impl Iterator<Item = &'a DomainUse>) -> Option<String> {
    let mut shown: Vec<String> = Vec::new();
    for one in uses {
        let sort = match one.role {
            DomainRole::Snapshot => "a snapshot of domain",
            _ => "domain",
        };
        let words = format!("{sort} {} ({})", Shown::new(&one.domain), Shown::path(&one.from));
        if !shown.contains(&words) {
            shown.push(words);
        }
    }
    (!shown.is_empty()).then(|| listed(shown))
}

fn listed(mut all: Vec<String>) -> String {
    let more = all.len().saturating_sub(LISTED);
    all.truncate(LISTED);
    match more {
        0 => all.join(", "),
        n => format!("{} and {n} more", all.join(", ")),
    }
}
