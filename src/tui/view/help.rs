//! The help: every binding, searched by typing; Enter runs the line.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Margin, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::help;
use super::super::keymap::{self, Binding, Context};
use super::super::model::{Model, Overlay};
use super::super::text_fit;
use super::super::theme::Theme;
use super::parts;
use crate::text::Shown;

const KEYS: usize = 14;
const WIDTH: u16 = 84;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &mut Model) {
    let lines = help::lines(model);
    let glyphs = model.glyphs;
    // Slivers of the panes beside it would only distract.
    let width = if area.width < WIDTH + 24 { area.width } else { WIDTH };
    let window = parts::window(frame, area, width, area.height);
    let title = Line::styled(" Help ", Theme::TITLE);
    let block = parts::panel(title, true, glyphs);
    let inner = block.inner(window).inner(Margin::new(1, 0));
    frame.render_widget(block, window);
    let [search, list] = inner.layout(&Layout::vertical([Constraint::Length(2), Constraint::Min(0)]));

    let Some(Overlay::Help(state)) = model.overlays.last_mut() else { return };
    state.height = list.height as usize;
    let (rows, selected) = rows(&lines, state.selected);
    let bottom = (selected + 1).saturating_sub(state.height);
    // The heading above the first line of a group is worth seeing too.
    let top = if state.selected == 0 { 0 } else { selected };
    state.scroll = state.scroll.clamp(bottom.min(top), top);
    let (scroll, text) = (state.scroll, Shown::new(state.search.value()).into_string());

    let prompt = vec![Span::styled("search ", Theme::DIM), Span::raw(text.clone())];
    frame.render_widget(Line::from(prompt), search);
    let cursor = (search.x as usize + 7 + text_fit::width(&text)).min(search.right() as usize - 1);
    frame.set_cursor_position((cursor as u16, search.y));

    let seen = rows.iter().skip(scroll).take(list.height as usize);
    let seen: Vec<_> = seen.map(|row| draw_row(row, model, list.width as usize)).collect();
    let empty = seen.is_empty();
    frame.render_widget(Paragraph::new(seen), list);
    if empty {
        frame.render_widget(Line::styled("No key does that.", Theme::DIM), list);
    }
    if selected >= scroll && selected - scroll < list.height as usize && !lines.is_empty() {
        let y = list.y + (selected - scroll) as u16;
        let buf = frame.buffer_mut();
        buf.set_style(Rect { y, height: 1, ..list }, ratatui::style::Style::reset().patch(Theme::SELECTED));
        buf.set_string(list.x.saturating_sub(1), y, glyphs.marker, Theme::FOCUS);
    }
    parts::scroll_bar(frame.buffer_mut(), window, rows.len(), scroll, glyphs);
}

enum Row {
    Blank,
    Heading(Context),
    Line(&'static Binding),
}

/// Lines under headings, and where the selected one is among them.
fn rows(lines: &[&'static Binding], selected: usize) -> (Vec<Row>, usize) {
    let mut rows = Vec::new();
    let mut at = 0;
    let mut last = None;
    for (i, binding) in lines.iter().enumerate() {
        if last.replace(binding.context) != Some(binding.context) {
            if i > 0 {
                rows.push(Row::Blank);
            }
            rows.push(Row::Heading(binding.context));
        }
        if i == selected {
            at = rows.len();
        }
        rows.push(Row::Line(binding));
    }
    (rows, at)
}

fn draw_row(row: &Row, model: &Model, width: usize) -> Line<'static> {
    let binding = match row {
        Row::Blank => return Line::default(),
        Row::Heading(context) => {
            return Line::styled(capital(keymap::title(*context)), Theme::BOLD);
        }
        Row::Line(binding) => binding,
    };
    let keys = text_fit::left(&model.keymap.label(binding, model.glyphs.ascii), KEYS, model.glyphs.cut);
    let why = help::why_not(model, binding);
    let (key_style, style) = match why {
        Some(_) => (Theme::DIM, Theme::DIM),
        None => (Theme::KEY, Theme::PLAIN),
    };
    let foreign = !model.contexts_below_help().contains(&binding.context);
    let room = width.saturating_sub(KEYS + 2);
    let text = match why.filter(|_| !foreign) {
        Some(why) if text_fit::width(&why) + binding.help.len() + 3 > room && !binding.label.is_empty() => {
            format!("{}: {why}", binding.label)
        }
        Some(why) => format!("{} ({why})", binding.help),
        None => binding.help.to_owned(),
    };
    let text = text_fit::fit(&text, room, model.glyphs.cut);
    Line::from(vec![Span::styled(format!("  {keys}"), key_style), Span::styled(text, style)])
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
