//! What is wrong, with the remedy: first the selected image, then the rest of the forest.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::model::Model;
use super::super::remedy;
use super::super::theme::Theme;
use super::super::words;
use super::parts;
use crate::forest::{Forest, Node};
use crate::text::Shown;

/// Images of the rest that are listed.
const LISTED: usize = 100;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &mut Model) {
    parts::tab(frame, area, model, lines);
}

fn lines(model: &Model, width: usize) -> Vec<Line<'static>> {
    let (Some(forest), Some(row)) = (&model.forest, model.pane.selected()) else { return Vec::new() };
    let Some(node) = forest.get(row.image()) else { return Vec::new() };
    let mut out = vec![Line::default(), parts::heading(words::short_path(forest, node)), Line::default()];
    out.extend(own(node, model, width));
    out.push(Line::default());
    out.extend(others(forest, node, model, width));
    out
}

fn own(node: &Node, model: &Model, width: usize) -> Vec<Line<'static>> {
    let glyphs = model.glyphs;
    let mut out = Vec::new();
    if let Some(left) = model.beside.of(&node.path) {
        let mark = format!("{} ", glyphs.problem);
        out.extend(parts::item(&mark, Theme::DANGER, "a job on it was interrupted", width, Theme::DANGER));
        let text = format!("{}: {} of {} steps were done.", Shown::new(&left.title), left.done, left.steps);
        out.extend(parts::item("  ", Theme::PLAIN, &text, width, Theme::PLAIN));
        let how = match left.can_roll_back {
            true => "It can be finished, or undone.",
            false => "It can be finished; it can no longer be undone.",
        };
        out.extend(parts::item("  ", Theme::PLAIN, how, width, Theme::DIM));
        out.push(Line::default());
    }
    for problem in &node.problems {
        let mark = format!("{} ", glyphs.problem);
        out.extend(parts::item(
            &mark,
            Theme::DANGER,
            words::problem_words(problem.kind),
            width,
            Theme::DANGER,
        ));
        let message = Shown::new(&problem.message);
        out.extend(parts::item("  ", Theme::PLAIN, message.as_str(), width, Theme::PLAIN));
        out.extend(parts::item("  ", Theme::PLAIN, words::remedy(problem), width, Theme::DIM));
        out.push(Line::default());
    }
    if node.problems.is_empty() && model.beside.of(&node.path).is_none() {
        let mark = format!("{} ", glyphs.ok);
        out.extend(parts::item(
            &mark,
            Theme::OK,
            "Nothing is known to be wrong with it.",
            width,
            Theme::PLAIN,
        ));
    }
    if let Some(offer) = remedy::offer(model) {
        let mark = format!("{} ", glyphs.into);
        out.extend(parts::item(&mark, Theme::KEY, &format!("Enter: {}", offer.words), width, Theme::BOLD));
        out.push(Line::default());
    }
    if let Some(user) = &node.in_use {
        let mark = format!("{} ", glyphs.in_use);
        let text = format!("It is {}: it can be looked at, and not be changed.", words::in_use(user));
        out.extend(parts::item(&mark, Theme::LIVE, &text, width, Theme::PLAIN));
    }
    out
}

fn others(forest: &Forest, node: &Node, model: &Model, width: usize) -> Vec<Line<'static>> {
    let broken: Vec<_> =
        forest.nodes.iter().filter(|n| n.path != node.path && !n.problems.is_empty()).collect();
    if broken.is_empty() {
        return parts::paragraph("No problem elsewhere in the forest.", width, Theme::DIM);
    }
    let mut out = vec![parts::heading("Elsewhere")];
    for other in broken.iter().take(LISTED) {
        let words = other.problems.first().map_or("", |p| words::problem_words(p.kind));
        let text = format!("{}: {words}", words::short_path(forest, other));
        out.extend(parts::item(
            &format!("{} ", model.glyphs.problem),
            Theme::DANGER,
            &text,
            width,
            Theme::PLAIN,
        ));
    }
    if broken.len() > LISTED {
        out.push(Line::from(Span::styled(format!("and {} more", broken.len() - LISTED), Theme::DIM)));
    }
    out
}
