//! The figure of the selected tree, panned, with the selected image marked.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Margin, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthChar;

use super::super::model::Model;
use super::super::theme::{Glyphs, Theme};
use super::parts;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &mut Model) {
    let mut block = parts::tabs(model);
    let inner = block.inner(area).inner(Margin::new(1, 1));
    model.figure.fit(inner.width as usize, inner.height as usize);
    let figure = &model.figure;
    if let Some(more) = more(figure.pan, figure.view, (figure.width, figure.lines.len()), model.glyphs) {
        block = block.title_bottom(Line::styled(more, Theme::DIM).right_aligned());
    }
    frame.render_widget(block, area);
    if figure.lines.is_empty() {
        frame.render_widget(Paragraph::new(Line::styled("Nothing to draw yet.", Theme::DIM)), inner);
        return;
    }
    let lines: Vec<_> = figure.lines.iter().map(|line| styled(line)).collect();
    lines_at(frame.buffer_mut(), inner, &lines, figure.pan);
    if let Some((line, column, width)) = figure.mark {
        mark(frame.buffer_mut(), inner, figure.pan, line, column, width);
    }
}

/// Draws the part of `lines` that begins at `pan`.
pub(super) fn lines_at(buf: &mut Buffer, area: Rect, lines: &[Line<'_>], pan: (usize, usize)) {
    let seen = lines.iter().skip(pan.1).take(area.height as usize).cloned().collect::<Vec<_>>();
    let from = u16::try_from(pan.0).unwrap_or(u16::MAX);
    ratatui::widgets::Widget::render(Paragraph::new(seen).scroll((0, from)), area, buf);
}

fn mark(buf: &mut Buffer, area: Rect, pan: (usize, usize), line: usize, column: usize, width: usize) {
    let (Some(y), right) = (line.checked_sub(pan.1), column + width) else { return };
    let left = column.max(pan.0) - pan.0;
    let right = right.saturating_sub(pan.0).min(area.width as usize);
    if y < area.height as usize && left < right {
        let at = Rect::new(area.x + left as u16, area.y + y as u16, (right - left) as u16, 1);
        buf.set_style(at, Theme::SELECTED.patch(Theme::BOLD));
    }
}

/// Which directions hold more than is shown.
fn more(pan: (usize, usize), view: (usize, usize), size: (usize, usize), glyphs: Glyphs) -> Option<String> {
    let arrows = if glyphs.ascii { ["<", ">", "^", "v"] } else { ["←", "→", "↑", "↓"] };
    let hidden = [pan.0 > 0, pan.0 + view.0 < size.0, pan.1 > 0, pan.1 + view.1 < size.1];
    let shown: Vec<_> = arrows.iter().zip(hidden).filter(|(_, hidden)| *hidden).map(|(a, _)| *a).collect();
    (!shown.is_empty()).then(|| format!(" {} more: HJKL ", shown.join(" ")))
}

/// A line of a figure: lines recede, names stand out.
pub(super) fn styled(line: &str) -> Line<'static> {
    let mut spans: Vec<(String, Style)> = Vec::new();
    for c in line.chars() {
        let style = match c {
            '\u{2500}'..='\u{257f}' => Theme::DIM,
            '◆' => Theme::SNAPSHOT,
            '◀' | '◂' | '▲' | '▴' | '←' | '↑' | '◄' => Theme::FOCUS,
            _ => Theme::PLAIN,
        };
        debug_assert!(c.width().is_some(), "figures come escaped");
        match spans.last_mut() {
            Some((text, last)) if *last == style => text.push(c),
            _ => spans.push((c.to_string(), style)),
        }
    }
    Line::from(spans.into_iter().map(|(text, style)| Span::styled(text, style)).collect::<Vec<_>>())
}
