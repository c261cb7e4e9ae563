//! The palette: names of actions, found by a few letters; why one cannot act now; the key that is quicker.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Margin, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::keymap::Binding;
use super::super::model::{Model, Overlay};
use super::super::palette;
use super::super::text_fit;
use super::super::theme::Theme;
use super::parts;
use crate::text::Shown;

const WIDTH: u16 = 76;
const NAMES: usize = 16;
const KEYS: usize = 9;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &mut Model) {
    let lines = palette::lines(model);
    let glyphs = model.glyphs;
    let window = parts::window(frame, area, WIDTH, area.height.min(16));
    let block = parts::panel(Line::styled(" Do ", Theme::TITLE), true, glyphs);
    let inner = block.inner(window).inner(Margin::new(1, 0));
    frame.render_widget(block, window);
    let [prompt, list] = inner.layout(&Layout::vertical([Constraint::Length(1), Constraint::Min(0)]));
    let Some(Overlay::Palette(state)) = model.overlays.last_mut() else { return };
    state.height = list.height as usize;
    state.scroll = state.scroll.clamp((state.selected + 1).saturating_sub(state.height), state.selected);
    let (selected, scroll) = (state.selected, state.scroll);
    let typed = Shown::new(state.search.value()).into_string();
    let cursor = (prompt.x as usize + 2 + text_fit::width(&typed)).min(prompt.right() as usize - 1);
    frame.render_widget(Line::from(vec![Span::styled(": ", Theme::KEY), Span::raw(typed)]), prompt);
    frame.set_cursor_position((cursor as u16, prompt.y));

    let seen = lines.iter().skip(scroll).take(list.height as usize);
    let seen: Vec<_> = seen.map(|binding| line(binding, model, list.width as usize)).collect();
    match seen.is_empty() {
        true => frame.render_widget(Line::styled("Nothing is called so.", Theme::DIM), list),
        false => frame.render_widget(Paragraph::new(seen), list),
    }
    if let Some(y) = selected.checked_sub(scroll).filter(|y| *y < list.height as usize && !lines.is_empty()) {
        let row = Rect { y: list.y + y as u16, height: 1, ..list };
        let buf = frame.buffer_mut();
        buf.set_style(row, ratatui::style::Style::reset().patch(Theme::SELECTED));
        buf.set_string(list.x.saturating_sub(1), row.y, glyphs.marker, Theme::FOCUS);
    }
    parts::scroll_bar(frame.buffer_mut(), window, lines.len() + 1, scroll, glyphs);
}

fn line(binding: &'static Binding, model: &Model, width: usize) -> Line<'static> {
    let glyphs = model.glyphs;
    let name = text_fit::left(binding.action.name(), NAMES, glyphs.cut);
    let keys = model.keymap.label(binding, glyphs.ascii);
    let keys = if keys.starts_with(':') && keys.len() > 1 { String::new() } else { keys };
    let room = width.saturating_sub(NAMES + KEYS + 1);
    let (style, text) = match binding.why_not(model) {
        Some(why) => (Theme::DIM, why),
        None => (Theme::PLAIN, binding.help.to_owned()),
    };
    Line::from(vec![
        Span::styled(name, style.patch(if style == Theme::PLAIN { Theme::BOLD } else { style })),
        Span::styled(text_fit::left(&text, room, glyphs.cut), style),
        Span::styled(text_fit::right(&keys, KEYS, glyphs.cut), Theme::DIM),
    ])
}
