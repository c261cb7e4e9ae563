//! The figure of the selected tree, panned, with the selected image marked.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Margin, Rect};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::super::model::Model;
use super::super::theme::{Glyphs, Theme};
use super::{boxes, info, parts};

/// Lines of the summary below the figure, and of the rule above it.
const SUMMARY: usize = 6;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &mut Model) {
    let mut block = parts::tabs(model);
    let inner = block.inner(area).inner(Margin::new(1, 1));
    model.figure.fit(inner.width as usize, inner.height as usize);
    let figure = &model.figure;
    let drawing = &figure.drawing;
    let size = (drawing.width, drawing.figure.lines.len());
    if let Some(more) = more(figure.pan, figure.view, size, model.glyphs) {
        block = block.title_bottom(Line::styled(more, Theme::DIM).right_aligned());
    }
    frame.render_widget(block, area);
    if size.1 == 0 {
        let text = if model.forest.is_none() { "" } else { "Nothing to draw." };
        frame.render_widget(Paragraph::new(Line::styled(text, Theme::DIM)), inner);
        return;
    }
    if inner.height as usize > size.1 + SUMMARY {
        summary(frame, inner, model);
    }
    let rows = figure.pan.1..(figure.pan.1 + inner.height as usize).min(size.1);
    let marked: Vec<_> = figure.marked.into_iter().collect();
    let lines: Vec<_> = rows.map(|row| boxes::line(&drawing.figure, row, &marked, model.glyphs)).collect();
    lines_at(frame.buffer_mut(), inner, &lines, (figure.pan.0, 0));
}

/// The selected image in a few words, where the figure leaves room.
fn summary(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let lines = info::summary(model, area.width as usize);
    if lines.is_empty() {
        return;
    }
    let height = (lines.len() as u16).min(SUMMARY as u16 - 1);
    let at = Rect { y: area.bottom() - height, height, ..area };
    let rule = model.glyphs.rule.repeat(area.width as usize);
    frame.buffer_mut().set_string(area.x, at.y - 1, rule, Theme::DIM);
    frame.render_widget(Paragraph::new(lines), at);
}

/// Draws the part of `lines` that begins at `pan`.
pub(super) fn lines_at(buf: &mut Buffer, area: Rect, lines: &[Line<'_>], pan: (usize, usize)) {
    let seen = lines.iter().skip(pan.1).take(area.height as usize).cloned().collect::<Vec<_>>();
    let from = u16::try_from(pan.0).unwrap_or(u16::MAX);
    ratatui::widgets::Widget::render(Paragraph::new(seen).scroll((0, from)), area, buf);
}

/// Which directions hold more than is shown.
fn more(pan: (usize, usize), view: (usize, usize), size: (usize, usize), glyphs: Glyphs) -> Option<String> {
    let arrows = if glyphs.ascii { ["<", ">", "^", "v"] } else { ["←", "→", "↑", "↓"] };
    let hidden = [pan.0 > 0, pan.0 + view.0 < size.0, pan.1 > 0, pan.1 + view.1 < size.1];
    let shown: Vec<_> = arrows.iter().zip(hidden).filter(|(_, hidden)| *hidden).map(|(a, _)| *a).collect();
    (!shown.is_empty()).then(|| format!(" {} more: HJKL ", shown.join(" ")))
}
