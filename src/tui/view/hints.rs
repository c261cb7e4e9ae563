//! The last line: what the keys do here, or a message, or the filter that is typed.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::super::keymap;
use super::super::keys;
use super::super::model::{Model, Overlay};
use super::super::text_fit;
use super::super::theme::Theme;
use crate::text::Shown;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let width = area.width as usize;
    if let Some(message) = &model.message {
        let (mark, style) = if message.bad { ("! ", Theme::WARN) } else { ("", Theme::PLAIN) };
        let text = text_fit::fit(&message.text, width.saturating_sub(4), model.glyphs.cut);
        let line = Line::from(vec![Span::styled(format!(" {mark}"), style), Span::raw(text)]);
        frame.render_widget(line, area);
        return;
    }
    if let Some(Overlay::Filter(input)) = model.overlays.last() {
        return filter(frame, area, model, input);
    }
    let mut spans = Vec::new();
    if !model.pane.filter.is_empty() && model.overlays.is_empty() {
        let found = model.pane.matches().len();
        let text = format!(" filter: {} ({found})", Shown::new(&model.pane.filter));
        spans.push(Span::styled(text_fit::fit(&text, width / 3, model.glyphs.cut), Theme::BOLD));
        spans.push(Span::styled("  n N next", Theme::DIM));
    }
    let used = spans.iter().map(Span::width).sum();
    spans.extend(hints(model, width.saturating_sub(used)));
    frame.render_widget(Line::from(spans), area);
}

/// As many hints as fit, the way out always among them; those that cannot act now are left to the
/// help, which says why.
fn hints(model: &Model, room: usize) -> Vec<Span<'static>> {
    let able = |b: &&'static keymap::Binding| !b.label.is_empty() && b.why_not(model).is_none();
    let contexts = model.contexts();
    let bindings = contexts.iter().flat_map(|c| keymap::of(std::slice::from_ref(c))).filter(able);
    let hint = |b: &'static keymap::Binding| {
        Some((keys::label(model.keymap.keys(b).first()?, model.glyphs.ascii), b.label))
    };
    let mut hints: Vec<_> = bindings.filter_map(hint).collect();
    let width = |hints: &[(String, &str)]| -> usize {
        hints.iter().map(|(key, label)| key.width() + label.width() + 3).sum()
    };
    while width(&hints) > room && !hints.is_empty() {
        hints.remove(hints.len().saturating_sub(2));
    }
    let spans = |(key, label): (String, &str)| {
        [Span::styled(format!(" {key}"), Theme::KEY), Span::raw(format!(" {label} "))]
    };
    hints.into_iter().flat_map(spans).collect()
}

fn filter(frame: &mut Frame<'_>, area: Rect, model: &Model, input: &tui_input::Input) {
    let found = model.pane.matches().len();
    let count = match (input.value().is_empty(), found) {
        (true, _) => String::new(),
        (false, 0) => "no match".to_owned(),
        (false, n) => text_fit::count(n, "row"),
    };
    let prompt = " / ";
    let tail = format!("  {count}   Enter keep  Esc drop ");
    let room = (area.width as usize).saturating_sub(prompt.len() + tail.width() + 1);
    let scroll = input.visual_scroll(room.max(1));
    let shown: String = Shown::new(input.value()).as_str().chars().skip(scroll).collect();
    let line = Line::from(vec![
        Span::styled(prompt, Theme::KEY),
        Span::raw(text_fit::left(&shown, room, "")),
        Span::styled(tail, Theme::DIM),
    ]);
    frame.render_widget(line, area);
    let cursor = prompt.len() + input.visual_cursor().saturating_sub(scroll);
    frame.set_cursor_position((area.x + cursor.min(area.width as usize - 1) as u16, area.y));
}
