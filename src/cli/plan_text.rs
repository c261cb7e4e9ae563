//! A plan for people: what will happen, what it costs, what is dangerous, how to undo it.

use crate::plan::{Consent, Cost, HazardSeverity, Plan};
use crate::text::{Shown, human_size};

/// The plan as lines; everything untrusted is escaped. The figure is cut at `columns`.
pub(super) fn lines(plan: &Plan, ascii: bool, color: bool, columns: Option<usize>) -> Vec<String> {
    let mut lines = vec![paint(&shown(&plan.title), "1", color), String::new()];
    let mut section = |name: &str, body: Vec<String>| {
        for (i, line) in body.into_iter().enumerate() {
            let label = if i == 0 { name } else { "" };
            lines.push(format!("{label:<10}{line}"));
        }
    };
    section("changes", changes(plan));
    section(
        "steps",
        plan.steps.iter().enumerate().map(|(i, s)| format!("{}. {}", i + 1, shown(&s.describe()))).collect(),
    );
    section("cost", cost(&plan.cost));
    section("hazards", hazards(plan, color));
    section("undo", vec![shown(&plan.undo)]);
    section("qemu-img", plan.qemu_img.iter().map(|line| shown(line)).collect());
    let figure = plan.figure(ascii);
    if !figure.boxes.is_empty() {
        lines.push(String::new());
        lines.extend(figure.cut(columns.unwrap_or(usize::MAX), ascii));
    }
    lines.push(String::new());
    lines
}

fn shown(text: &str) -> String {
    Shown::new(text).into_string()
}

fn changes(plan: &Plan) -> Vec<String> {
    match plan.views_changed.as_slice() {
        [] => vec!["no view; every guest reads what it read before".to_owned()],
        views => {
            let names: Vec<_> = views.iter().map(|v| shown(v)).collect();
            vec![names.join(", "), "every other view reads what it read before".to_owned()]
        }
    }
}

fn cost(cost: &Cost) -> Vec<String> {
    let at_most = if cost.exact { "" } else { "at most " };
    vec![
        format!(
            "{at_most}{} to read, {at_most}{} to write",
            human_size(cost.read_bytes),
            human_size(cost.write_bytes)
        ),
        format!("{at_most}{} of extra space while it runs", human_size(cost.peak_extra_bytes)),
        format!(
            "frees {} at once, {} once the trash is emptied",
            human_size(cost.freed_bytes),
            human_size(cost.freed_after_trash_bytes)
        ),
    ]
}

fn hazards(plan: &Plan, color: bool) -> Vec<String> {
    if plan.hazards.is_empty() {
        return vec!["none".to_owned()];
    }
    let one = |hazard: &crate::plan::Hazard| {
        let (word, style) = match hazard.severity {
            HazardSeverity::Info => ("info", "36"),
            HazardSeverity::Warning => ("warning", "33"),
            HazardSeverity::Danger => ("danger", "31"),
        };
        let needs = match hazard.consent() {
            Consent::None => String::new(),
            Consent::ByName => format!(" (needs --accept {})", hazard.kind),
            Consent::Never(_) => " (cannot run)".to_owned(),
        };
        let word = paint(&format!("{word:8}"), style, color);
        format!("{word}{}: {}{needs}", hazard.kind, shown(&hazard.message))
    };
    plan.hazards.iter().map(one).collect()
}

fn paint(text: &str, style: &str, color: bool) -> String {
    if color { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
}
