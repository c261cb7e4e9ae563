//! Parts that several panes share: frames, scroll bars, scrolled text, facts in two columns.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Margin, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::super::model::{Focus, Model, Tab};
use super::super::text_fit;
use super::super::theme::{Glyphs, Theme};

/// A frame with a title; the one with the focus stands out.
pub(super) fn panel(title: impl Into<Line<'static>>, focused: bool, glyphs: Glyphs) -> Block<'static> {
    let border = if focused { Theme::FOCUS } else { Theme::DIM };
    Block::bordered().border_set(glyphs.border).border_style(border).title_top(title)
}

/// The frame of the detail pane, with its tabs in the title.
pub(super) fn tabs(model: &Model) -> Block<'static> {
    let focused = model.focus == Focus::Detail;
    let mut spans = Vec::new();
    for (i, tab) in Tab::ALL.into_iter().enumerate() {
        let style = if tab == model.tab { title_style(focused) } else { Theme::DIM };
        if i > 0 {
            spans.push(Span::styled(model.glyphs.trunk.trim_end(), Theme::DIM));
        }
        spans.push(Span::styled(format!(" {} ", tab.title()), style));
    }
    panel(Line::from(spans), focused, model.glyphs)
}

pub(super) fn title_style(focused: bool) -> Style {
    if focused { Theme::TITLE } else { Theme::BOLD }
}

/// Shows on the right border of `area` which part of `total` lines is in view.
pub(super) fn scroll_bar(buf: &mut Buffer, area: Rect, total: usize, from: usize, glyphs: Glyphs) {
    let track = area.height.saturating_sub(2) as usize;
    if total <= track || track == 0 || area.width == 0 {
        return;
    }
    let thumb = (track * track / total).max(1);
    let last = total.saturating_sub(track).max(1);
    let start = (from.min(last) * (track - thumb) + last / 2) / last;
    for y in 0..track {
        let inside = y >= start && y < start + thumb;
        if let Some(cell) = buf.cell_mut((area.right() - 1, area.y + 1 + y as u16)) {
            cell.set_symbol(if inside { glyphs.scroll.1 } else { glyphs.scroll.0 });
        }
    }
}

/// Text in a frame, scrolled; returns how far it can be scrolled.
pub(super) fn scrolled(
    frame: &mut Frame<'_>,
    area: Rect,
    block: Block<'_>,
    lines: Vec<Line<'_>>,
    from: usize,
    glyphs: Glyphs,
) -> usize {
    let inner = block.inner(area).inner(Margin::new(1, 0));
    let total = lines.len();
    let max = total.saturating_sub(inner.height as usize);
    let from = from.min(max);
    frame.render_widget(block, area);
    let seen: Vec<_> = lines.into_iter().skip(from).take(inner.height as usize).collect();
    frame.render_widget(Paragraph::new(seen), inner);
    scroll_bar(frame.buffer_mut(), area, total, from, glyphs);
    max
}

/// The detail pane with what `lines` says, scrolled.
pub(super) fn tab(
    frame: &mut Frame<'_>,
    area: Rect,
    model: &mut Model,
    lines: impl Fn(&Model, usize) -> Vec<Line<'static>>,
) {
    let lines = lines(model, area.width.saturating_sub(4) as usize);
    model.detail_scroll_max = scrolled(frame, area, tabs(model), lines, model.detail_scroll, model.glyphs);
}

/// A window of `width` by `height` in the middle of `area`, with what was there wiped away.
pub(super) fn window(frame: &mut Frame<'_>, area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    let window =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    frame.render_widget(Clear, window);
    window
}

/// A fact: its name in a column of its own, its value wrapped beside it.
pub(super) fn fact(name: &str, value: &str, width: usize) -> Vec<Line<'static>> {
    styled_fact(name, value, width, Theme::PLAIN)
}

/// A fact whose value has a style.
pub(super) fn styled_fact(name: &str, value: &str, width: usize, style: Style) -> Vec<Line<'static>> {
    const NAMES: usize = 13;
    let lines = text_fit::wrap(value, width.saturating_sub(NAMES).max(8));
    let line = |(i, text): (usize, String)| {
        let name = if i == 0 { name } else { "" };
        Line::from(vec![Span::styled(text_fit::left(name, NAMES, ""), Theme::DIM), Span::styled(text, style)])
    };
    lines.into_iter().enumerate().map(line).collect()
}

/// A heading inside a pane.
pub(super) fn heading(text: impl Into<String>) -> Line<'static> {
    Line::styled(text.into(), Theme::BOLD)
}

/// A wrapped paragraph.
pub(super) fn paragraph(text: &str, width: usize, style: Style) -> Vec<Line<'static>> {
    text_fit::wrap(text, width).into_iter().map(|line| Line::styled(line, style)).collect()
}

/// A wrapped paragraph whose first line begins with a mark and whose others are indented as far.
pub(super) fn item(
    mark: &str,
    mark_style: Style,
    text: &str,
    width: usize,
    style: Style,
) -> Vec<Line<'static>> {
    let indent = text_fit::width(mark);
    let lines = text_fit::wrap(text, width.saturating_sub(indent));
    let line = |(i, text): (usize, String)| {
        let mark = if i == 0 { mark.to_owned() } else { " ".repeat(indent) };
        Line::from(vec![Span::styled(mark, mark_style), Span::styled(text, style)])
    };
    lines.into_iter().enumerate().map(line).collect()
}
