//! The first line: where we are, and how the herd is doing.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::model::Model;
use super::super::text_fit;
use super::super::theme::Theme;
use crate::forest::Forest;
use crate::text::Shown;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let mut spans = vec![Span::styled(" cowherd", Theme::TITLE), Span::raw("  ")];
    if model.read_only {
        spans.push(Span::styled("READ-ONLY", Theme::WARN));
        spans.push(Span::raw("  "));
    }
    let used: usize = spans.iter().map(Span::width).sum();
    let room = (area.width as usize).saturating_sub(used + 1);
    let counts = counts(model, room.saturating_sub(12));
    let counts_width: usize = counts.iter().map(Span::width).sum();
    let room = room.saturating_sub(counts_width + 2);
    // The end of a path says more than its beginning.
    let place = text_fit::left(&text_fit::fit_end(&place(model), room, model.glyphs.cut), room, "");
    spans.push(Span::raw(place));
    spans.push(Span::raw("  "));
    spans.extend(counts);
    frame.render_widget(Line::from(spans), area);
}

fn place(model: &Model) -> String {
    if let Some(banner) = &model.banner {
        return Shown::new(banner).into_string();
    }
    let roots = model.forest.as_ref().map_or(&model.paths, |forest| &forest.roots);
    let names: Vec<_> = roots.iter().map(|path| Shown::path(path).into_string()).collect();
    match names.as_slice() {
        [first, _, ..] => format!("{first} and {} more", names.len() - 1),
        _ => names.concat(),
    }
}

/// Counts that fit in `room`; the least important ones go first.
fn counts(model: &Model, room: usize) -> Vec<Span<'static>> {
    let Some(forest) = &model.forest else {
        if model.scan_error.is_some() {
            return Vec::new();
        }
        return vec![Span::styled(format!("looking{}", model.glyphs.cut), Theme::DIM)];
    };
    let trash = model.beside.trash.iter().fold(0_u64, |sum, file| sum.saturating_add(file.disk_size));
    let mut facts = facts(forest, trash);
    // How readily each one is given up: chains, then use, then what is in the trash, then bytes; images and problems stay.
    for given_up in ["chain", "in use", "trash", "on disk"] {
        let width: usize = facts.iter().map(|(text, _)| text_fit::width(text) + 3).sum();
        if width > room + 3 {
            facts.retain(|(text, _)| !text.contains(given_up));
        }
    }
    let dot = Span::styled(format!(" {} ", model.glyphs.dot), Theme::DIM);
    let mut spans = Vec::new();
    for (text, style) in facts {
        if !spans.is_empty() {
            spans.push(dot.clone());
        }
        spans.push(Span::styled(text, style));
    }
    spans
}

fn facts(forest: &Forest, trash: u64) -> Vec<(String, Style)> {
    let nodes = &forest.nodes;
    let chains = nodes.iter().filter(|n| n.children.is_empty() && n.backing.is_some()).count();
    let in_use = nodes.iter().filter(|n| n.in_use.is_some()).count();
    let broken = nodes.iter().filter(|n| !n.problems.is_empty()).count();
    let disk = nodes.iter().fold(0_u64, |sum, n| sum.saturating_add(n.disk_size));
    let mut facts = vec![(text_fit::count(nodes.len(), "image"), Theme::PLAIN)];
    facts.push((text_fit::count(chains, "chain"), Theme::PLAIN));
    if in_use > 0 {
        facts.push((format!("{in_use} in use"), Theme::LIVE));
    }
    facts.push((format!("{} on disk", text_fit::size(disk)), Theme::PLAIN));
    if trash > 0 {
        facts.push((format!("{} in the trash", text_fit::size(trash)), Theme::PLAIN));
    }
    if broken > 0 {
        facts.push((text_fit::count(broken, "problem"), Theme::DANGER));
    }
    facts
}
