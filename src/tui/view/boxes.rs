//! A line of a forest's figure in style: lines recede, names stand out, chosen boxes light up.
//!
//! The figure itself is drawn by the forest floor in plain characters; here its lines become line
//! drawing characters, cell by cell, so that nothing moves.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthChar;

use super::super::theme::{Glyphs, Theme};
use crate::forest::{Figure, FigureBox, NodeId};

/// Line `row` of a figure; the boxes of `marked` images, and those that a change concerns, stand out.
pub(super) fn line(figure: &Figure, row: usize, marked: &[NodeId], glyphs: Glyphs) -> Line<'static> {
    let Some(text) = figure.lines.get(row) else { return Line::default() };
    let crossed = |b: &&FigureBox| b.row <= row && row < b.row + b.height;
    let boxes: Vec<_> = figure.boxes.iter().filter(crossed).collect();
    let labels: Vec<_> = figure.labels.iter().filter(|label| label.row == row).collect();
    let mut spans: Vec<(String, Style)> = Vec::new();
    let (mut column, mut before) = (0, ' ');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let inside = boxes.iter().find(|b| b.col <= column && column < b.col + b.width);
        let label = labels.iter().find(|label| label.col <= column && column < label.col + label.width);
        let (drawn, style) = match (inside, label) {
            (Some(b), _) => in_box(c, b, (row, column), b.touched || marked.contains(&b.node), glyphs),
            (None, Some(label)) => (c, if label.heading { Theme::BOLD } else { Theme::FOCUS }),
            (None, None) => {
                let drawn = between(c, before, chars.peek().copied().unwrap_or(' '), glyphs);
                (drawn, if matches!(c, '<' | '>' | '^' | 'v') { Theme::FOCUS } else { Theme::DIM })
            }
        };
        column += c.width().unwrap_or(0);
        before = c;
        match spans.last_mut() {
            Some((text, last)) if *last == style => text.push(drawn),
            _ => spans.push((drawn.to_string(), style)),
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

/// A character of an arrow. Corners are open to the side where the line goes on.
fn between(c: char, before: char, after: char, glyphs: Glyphs) -> char {
    let goes_right = !after.is_whitespace() && after != '|' && (after == '-' || before != '-');
    match c {
        _ if glyphs.ascii => c,
        '-' => '─',
        '|' => '│',
        '<' => '◀',
        '>' => '▶',
        '^' => '▲',
        'v' => '▼',
        '+' => '├',
        '.' => {
            if goes_right {
                '╭'
            } else {
                '╮'
            }
        }
        '\'' => {
            if goes_right {
                '╰'
            } else {
                '╯'
            }
        }
        other => other,
    }
}
