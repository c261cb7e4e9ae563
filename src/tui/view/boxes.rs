//! A line of a forest's figure in style: lines recede, names stand out, chosen boxes light up.
//!
//! The figure itself is drawn by the forest floor in plain characters; here its lines become line
//! drawing characters, cell by cell, so that nothing moves.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthChar;

use super::super::theme::{Glyphs, Theme};
use crate::forest::{Figure, FigureBox, NodeId};

/// Line `row` of a figure; the boxes of `marked` images stand out.
pub(super) fn line(figure: &Figure, row: usize, marked: &[NodeId], glyphs: Glyphs) -> Line<'static> {
    let Some(text) = figure.lines.get(row) else { return Line::default() };
    let crossed = |b: &&FigureBox| b.row <= row && row < b.row + b.height;
    let boxes: Vec<_> = figure.boxes.iter().filter(crossed).collect();
    let mut spans: Vec<(String, Style)> = Vec::new();
    let mut column = 0;
    for c in text.chars() {
        let inside = boxes.iter().find(|b| b.col <= column && column < b.col + b.width);
        let (c, style) = match inside {
            Some(b) => in_box(c, b, (row, column), marked.contains(&b.node), glyphs),
            None => (between(c, glyphs), if matches!(c, '<' | '^') { Theme::FOCUS } else { Theme::DIM }),
        };
        column += c.width().unwrap_or(0);
        match spans.last_mut() {
            Some((text, last)) if *last == style => text.push(c),
            _ => spans.push((c.to_string(), style)),
        }
    }
    Line::from(spans.into_iter().map(|(text, style)| Span::styled(text, style)).collect::<Vec<_>>())
}

/// A character of a box: its border, its name, or one of the lines below the name.
fn in_box(
    c: char,
    at: &FigureBox,
    (row, column): (usize, usize),
    marked: bool,
    glyphs: Glyphs,
) -> (char, Style) {
    let (top, bottom) = (row == at.row, row + 1 == at.row + at.height);
    let (left, right) = (column == at.col, column + 1 == at.col + at.width);
    if top || bottom || left || right {
        let drawn = match (top, bottom, left, right) {
            _ if glyphs.ascii => c,
            (true, _, true, _) => '╭',
            (true, _, _, true) => '╮',
            (_, true, true, _) => '╰',
            (_, true, _, true) => '╯',
            (true, ..) | (_, true, ..) => '─',
            _ => '│',
        };
        return (drawn, if marked { Theme::TITLE } else { Theme::DIM });
    }
    let style = match (c.to_string() == glyphs.snapshot, row == at.row + 1) {
        (_, true) if marked => Theme::TITLE,
        (_, true) => Theme::BOLD,
        (true, _) => Theme::SNAPSHOT,
        _ if c.to_string() == glyphs.in_use => Theme::LIVE,
        _ if c.to_string() == glyphs.problem => Theme::DANGER,
        _ => Theme::PLAIN,
    };
    (c, style)
}

/// A character of an arrow.
fn between(c: char, glyphs: Glyphs) -> char {
    match c {
        _ if glyphs.ascii => c,
        '-' => '─',
        '|' => '│',
        '<' => '◀',
        '^' => '▲',
        '+' => '├',
        '\'' => '╰',
        other => other,
    }
}
