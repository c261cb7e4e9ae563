//! A plan in words and figures.

use ratatui::text::{Line, Span};

use super::super::plan_screen::{PlanScreen, Ready};
use super::super::text_fit;
use super::super::theme::{Glyphs, Theme};
use super::{boxes, parts};
use crate::plan::{Consent, Cost, Hazard, HazardKind, HazardSeverity, Plan};
use crate::text::{Shown, human_size};

/// What stands before the name that must be typed.
pub(super) const NAME_PROMPT: &str = "To consent, type ";

/// The forest now and after, and what flows between.
pub(super) fn figures(screen: &PlanScreen, width: usize, glyphs: Glyphs) -> Vec<Line<'static>> {
    let Some(Ready { drawing, .. }) = screen.ready().filter(|ready| ready.is_drawn()) else {
        return Vec::new();
    };
    let line = |row| boxes::line(&drawing.figure, row, &[], glyphs);
    let mut out: Vec<_> = (0..drawing.figure.lines.len()).map(line).collect();
    let more = match (drawing.width.saturating_sub(screen.pan) > width, screen.pan > 0) {
        (true, _) => format!("   {} more: l", glyphs.into),
        (false, true) => "   back: h".to_owned(),
        (false, false) => return out,
    };
    // Where there is more to see stays in view while the figure under it is panned.
    let indent = Span::raw(" ".repeat(screen.pan));
    if let Some(first) = out.first_mut() {
        first.spans.insert(0, indent);
        first.push_span(Span::styled(more, Theme::DIM));
    }
    out
}

/// What consent is about: what changes, what to know, what it costs.
pub(super) fn summary(screen: &PlanScreen, width: usize, glyphs: Glyphs) -> Vec<Line<'static>> {
    let Some(ready) = screen.ready() else { return Vec::new() };
    let plan = &ready.proposal.plan;
    let mut out = alternatives(screen, width, glyphs);
    out.extend(changes(plan, width, glyphs));
    out.push(Line::default());
    if !plan.hazards.is_empty() {
        out.extend(hazards(plan, screen.ways.len() > 1, width, glyphs));
        out.push(Line::default());
    }
    if ready.proposal.is_costed() {
        out.push(parts::heading("Cost"));
        out.extend(cost(ready, width));
        out.push(Line::default());
    }
    out
}

/// How it is done, and undone.
pub(super) fn details(screen: &PlanScreen, width: usize) -> Vec<Line<'static>> {
    let Some(Ready { proposal, .. }) = screen.ready() else { return Vec::new() };
    let plan = &proposal.plan;
    let mut out = vec![Line::styled("Steps", Theme::BOLD)];
    for (i, step) in proposal.steps.iter().enumerate() {
        let mark = format!("{:>2} ", i + 1);
        out.extend(parts::item(&mark, Theme::DIM, Shown::new(step).as_str(), width, Theme::PLAIN));
    }
    out.push(Line::default());
    out.push(parts::heading("Undo"));
    out.extend(parts::item("   ", Theme::PLAIN, Shown::new(&plan.undo).as_str(), width, Theme::PLAIN));
    if !plan.qemu_img.is_empty() {
        out.push(Line::default());
        out.push(parts::heading("The nearest with qemu-img"));
        for line in &plan.qemu_img {
            out.extend(parts::item(" $ ", Theme::DIM, Shown::new(line).as_str(), width, Theme::DIM));
        }
    }
    out
}

/// Several ways beside each other, each on a line.
fn alternatives(screen: &PlanScreen, width: usize, glyphs: Glyphs) -> Vec<Line<'static>> {
    if screen.ways.len() < 2 {
        return Vec::new();
    }
    let mut out = vec![Line::from(vec![
        Span::styled("Ways", Theme::BOLD),
        Span::styled("   a: the other one", Theme::DIM),
    ])];
    for (i, way) in screen.ways.iter().enumerate() {
        let (mark, style) = match i == screen.at {
            true => (glyphs.marker, Theme::BOLD),
            false => (" ", Theme::PLAIN),
        };
        out.push(Line::from(vec![
            Span::styled(format!(" {mark} "), Theme::FOCUS),
            Span::styled(text_fit::fit(&way.name, width.saturating_sub(3), glyphs.cut), style),
        ]));
        let text = match screen.planned.get(i) {
            Some(Ok(ready)) => way_cost(&ready.proposal.plan),
            Some(Err(refusal)) => format!("not possible: {}", refusal.what),
            None => format!("planning{}", glyphs.cut),
        };
        if screen.safest == Some(i) {
            let text = format!("{} cheapest safe way", glyphs.ok);
            out.push(Line::from(vec![Span::raw("     "), Span::styled(text, Theme::OK)]));
        }
        out.extend(parts::item("     ", Theme::PLAIN, &text, width, Theme::DIM));
    }
    out.push(Line::default());
    out
}

fn way_cost(plan: &Plan) -> String {
    if let Some((hazard, _)) = plan.forbidden() {
        return format!("cannot run: {}", hazard.message);
    }
    let bound = if plan.cost.exact { "" } else { "at most " };
    let views = text_fit::count(plan.views_changed.len(), "view");
    format!("writes {bound}{}, changes {views}", human_size(plan.cost.write_bytes))
}

fn changes(plan: &Plan, width: usize, glyphs: Glyphs) -> Vec<Line<'static>> {
    let mut out = vec![parts::heading("Changes what a guest reads from")];
    if plan.views_changed.is_empty() {
        out.extend(parts::item("   ", Theme::PLAIN, "nothing", width, Theme::PLAIN));
    }
    for view in &plan.views_changed {
        let mark = format!(" {} ", glyphs.into);
        out.extend(parts::item(&mark, Theme::WARN, &short(view, plan), width, Theme::BOLD));
    }
    out.extend(parts::item("   ", Theme::PLAIN, "Every other view reads as before.", width, Theme::DIM));
    out
}

/// A view without the folder that everything here is in.
fn short(view: &str, plan: &Plan) -> String {
    let below = |root: &std::path::PathBuf| view.strip_prefix(root.to_str()?)?.strip_prefix('/');
    let text = Shown::new(plan.before.roots.iter().find_map(below).unwrap_or(view)).into_string();
    match snapshot_name(view, plan) {
        Some(name) => format!("{text} ({})", Shown::new(name)),
        None => text,
    }
}

/// What people call the snapshot that a view names by its id.
fn snapshot_name<'a>(view: &str, plan: &'a Plan) -> Option<&'a str> {
    let (image, id) = view.rsplit_once("@#")?;
    let node = plan.before.get(plan.before.find(image.as_ref())?)?;
    let snapshot = node.snapshots.iter().find(|one| one.id == id)?;
    Some(&*snapshot.name).filter(|name| !name.is_empty())
}

/// The hazards, what forbids it and then the worst first. That there is another way is not said twice.
fn hazards(plan: &Plan, other_way: bool, width: usize, glyphs: Glyphs) -> Vec<Line<'static>> {
    let title = match plan.forbidden() {
        Some(_) => Line::styled("It cannot be done", Theme::DANGER),
        None if !plan.unaccepted(&[]).is_empty() => Line::styled("Needs your consent", Theme::DANGER),
        None => parts::heading("Worth knowing"),
    };
    let said = |h: &&Hazard| other_way && h.kind == HazardKind::OtherWay;
    let mut hazards: Vec<&Hazard> = plan.hazards.iter().filter(|h| !said(h)).collect();
    let forbids = |h: &Hazard| matches!(h.consent(), Consent::Never(_));
    hazards.sort_by_key(|h| std::cmp::Reverse((forbids(h), h.severity)));
    let mut out = vec![title];
    for hazard in hazards {
        let (mark, style) = match hazard.severity {
            HazardSeverity::Info => (glyphs.dot, Theme::DIM),
            HazardSeverity::Warning => (glyphs.problem, Theme::WARN),
            HazardSeverity::Danger => (glyphs.failed, Theme::DANGER),
        };
        let text = Shown::new(&hazard.message).into_string();
        out.extend(parts::item(&format!(" {mark} "), style, &text, width, Theme::PLAIN));
    }
    out
}

fn cost(ready: &Ready, width: usize) -> Vec<Line<'static>> {
    let Cost { read_bytes, write_bytes, freed_bytes, freed_after_trash_bytes, peak_extra_bytes, exact } =
        ready.proposal.plan.cost;
    let bound = if exact { "" } else { "at most " };
    let mut rows = vec![
        ("reads", format!("{bound}{}", human_size(read_bytes))),
        ("writes", format!("{bound}{}", human_size(write_bytes))),
        ("frees", freed(freed_bytes, freed_after_trash_bytes)),
    ];
    if let Some(time) = ready.time() {
        rows.push(("time", time));
    }
    let free = ready.free.map(|free| format!(" of {} free", human_size(free))).unwrap_or_default();
    let short = ready.free.is_some_and(|free| free < peak_extra_bytes);
    rows.push(("extra space", format!("{bound}{}{free}", human_size(peak_extra_bytes))));
    let last = rows.len() - 1;
    let lines = |(i, (name, value)): (usize, (&str, String))| {
        let style = if short && i == last { Theme::DANGER } else { Theme::PLAIN };
        let name = text_fit::left(&format!("   {name}"), 16, "");
        parts::item(&name, Theme::DIM, &value, width, style)
    };
    rows.into_iter().enumerate().flat_map(lines).collect()
}

fn freed(now: u64, after_trash: u64) -> String {
    match after_trash.saturating_sub(now) {
        0 => human_size(now),
        more => format!("{}, {} more with the trash", human_size(now), human_size(more)),
    }
}
