//! What the marks come to: the plan in a few lines, found out by a worker.

use crate::plan::{Consent, HazardKind, Plan};
use crate::text::{Shown, human_size};

/// What the marks come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tui) struct Sum {
    /// A few lines, safe to print.
    pub(in crate::tui) lines: Vec<String>,
    /// Whether it cannot be done as it is.
    pub(in crate::tui) refused: bool,
}

/// A plan in a few lines, or why there is none.
pub(in crate::tui) fn sum(plan: Result<&Plan, String>) -> Sum {
    let plan = match plan {
        Ok(plan) => plan,
        Err(why) => return Sum { lines: vec![Shown::new(&why).into_string()], refused: true },
    };
    let mut lines = vec![Shown::new(&plan.title).into_string()];
    let (cost, most) = (&plan.cost, if plan.cost.exact { "" } else { "at most " });
    lines.push(format!(
        "writes {most}{}; frees {} at once, {} once the trash is emptied",
        human_size(cost.write_bytes),
        human_size(cost.freed_bytes),
        human_size(cost.freed_after_trash_bytes),
    ));
    let ways = plan.hazards.iter().filter(|hazard| hazard.kind == HazardKind::OtherWay);
    lines.extend(ways.map(|hazard| Shown::new(&hazard.message).into_string()));
    let never = plan.hazards.iter().filter(|hazard| matches!(hazard.consent(), Consent::Never(_)));
    let refused = plan.forbidden().is_some();
    lines.extend(never.map(|hazard| format!("cannot run: {}", Shown::new(&hazard.message))));
    Sum { lines, refused }
}
