//! The clean-up wizard: every image and snapshot with its mark, and below it what the marks come to.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Margin, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::cleaning::{Cleaning, Line as Row, Mark};
use super::super::model::Model;
use super::super::text_fit;
use super::super::theme::{Glyphs, Theme};
use super::parts;
use crate::plan::Standing;
use crate::text::{Shown, human_size};

const STANDING: usize = 11;
const SIZE: usize = 10;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &mut Model) {
    let glyphs = model.glyphs;
    let Some(cleaning) = model.cleaning_mut() else { return };
    // What the marks come to leaves room for the marks on a small screen.
    let sum = (area.height / 3).clamp(5, 7);
    let [top, bottom] = area.layout(&Layout::vertical([Constraint::Min(0), Constraint::Length(sum)]));
    let block = parts::panel(Line::styled(" Clean up ", Theme::TITLE), true, glyphs);
    let inner = block.inner(top).inner(Margin::new(1, 0));
    frame.render_widget(block, top);
    let [wishes, head, list] =
        inner.layout(&Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Min(0)]));
    frame.render_widget(wishes_line(cleaning), wishes);
    cleaning.height = list.height as usize;
    cleaning.show_cursor();
    let width = list.width as usize;
    let names = names_width(cleaning, width);
    frame.render_widget(heading(names, width), head);
    let seen = cleaning.lines.iter().enumerate().skip(cleaning.scroll).take(cleaning.height);
    let rows: Vec<_> = seen.map(|(_, row)| draw_row(cleaning, row, names, width, glyphs)).collect();
    frame.render_widget(Paragraph::new(rows), list);
    if let Some(y) = cleaning.cursor.checked_sub(cleaning.scroll).filter(|y| *y < cleaning.height) {
        let y = list.y + y as u16;
        let buf = frame.buffer_mut();
        buf.set_style(Rect { y, height: 1, ..list }, Style::reset().patch(Theme::SELECTED));
        buf.set_string(list.x.saturating_sub(1), y, glyphs.marker, Theme::FOCUS);
    }
    parts::scroll_bar(frame.buffer_mut(), top, cleaning.lines.len() + 2, cleaning.scroll, glyphs);
    sums(frame, bottom, cleaning, glyphs);
}

fn wishes_line(cleaning: &Cleaning) -> Line<'static> {
    let last = cleaning.keep_last.map(|n| format!("the last {n} of each line"));
    let young =
        cleaning.older_than.map(|days| format!("younger than {}", text_fit::count(days as usize, "day")));
    let pinned = Some(cleaning.pinned.len()).filter(|n| *n > 0).map(|n| format!("{n} pinned"));
    let stays: Vec<_> = [last, young, pinned].into_iter().flatten().collect();
    let stays = if stays.is_empty() { "what is not marked".to_owned() } else { stays.join(", ") };
    Line::from(vec![
        Span::styled("goes ", Theme::DIM),
        Span::raw(text_fit::count(cleaning.goes.len(), "view")),
        Span::styled("   stays ", Theme::DIM),
        Span::raw(stays),
    ])
}

/// Columns that names and what is before them take.
fn names_width(cleaning: &Cleaning, width: usize) -> usize {
    let snapshot = |row: &Row| 2 * usize::from(row.view.snapshot.is_some());
    let one =
        |row: &Row| 4 + 2 * row.depth + snapshot(row) + text_fit::width(Shown::new(&row.name).as_str()) + 2;
    let widest = cleaning.lines.iter().map(one).max().unwrap_or(0);
    widest.clamp(20, (width / 2).max(20))
}

fn heading(names: usize, width: usize) -> Line<'static> {
    let text = format!(
        "{}{}{} {}",
        text_fit::left("    image or snapshot", names, ""),
        text_fit::left("standing", STANDING, ""),
        text_fit::right("size", SIZE, ""),
        " why"
    );
    Line::styled(text_fit::fit(&text, width, ""), Theme::DIM)
}

fn draw_row(cleaning: &Cleaning, row: &Row, names: usize, width: usize, glyphs: Glyphs) -> Line<'static> {
    let (mark, mark_style) = match cleaning.mark(row) {
        Mark::All => ("[x] ", Theme::WARN),
        Mark::Some => ("[-] ", Theme::WARN),
        Mark::Pinned => ("[=] ", Theme::OK),
        Mark::None => ("[ ] ", Theme::DIM),
    };
    let snapshot = if row.view.snapshot.is_some() { format!("{} ", glyphs.snapshot) } else { String::new() };
    let indent = "  ".repeat(row.depth);
    let room = names.saturating_sub(4 + indent.len() + text_fit::width(&snapshot));
    let name = Shown::new(&row.name).into_string();
    let name = text_fit::left(&text_fit::fit(&name, room.saturating_sub(1), glyphs.cut), room, "");
    let judged = cleaning.judged.get(&row.view.image).filter(|_| row.view.snapshot.is_none());
    let (standing, style) = judged.map_or(("", Theme::DIM), |one| (one.standing.name(), style(one.standing)));
    let size = row.bytes.map_or_else(String::new, human_size);
    let why = judged.map_or_else(String::new, |one| Shown::new(&one.why).into_string());
    let room = width.saturating_sub(names + STANDING + SIZE + 2);
    Line::from(vec![
        Span::styled(mark, mark_style),
        Span::raw(indent),
        Span::styled(snapshot, Theme::SNAPSHOT),
        Span::raw(name),
        Span::styled(text_fit::left(standing, STANDING, ""), style),
        Span::raw(text_fit::right(&size, SIZE, "")),
        Span::styled(format!("  {}", text_fit::fit(&why, room, glyphs.cut)), Theme::DIM),
    ])
}

fn style(standing: Standing) -> Style {
    match standing {
        Standing::Free => Theme::OK,
        Standing::Orphaned => Theme::DANGER,
        Standing::InUse => Theme::WARN,
        Standing::Needed | Standing::Unclaimed => Theme::PLAIN,
    }
}

fn sums(frame: &mut Frame<'_>, area: Rect, cleaning: &Cleaning, glyphs: Glyphs) {
    let block = parts::panel(Line::styled(" What it comes to ", Theme::BOLD), false, glyphs);
    let width = block.inner(area).inner(Margin::new(1, 0)).width as usize;
    let lines = match (cleaning.goes.is_empty(), cleaning.sum()) {
        (true, _) => nothing_marked(cleaning, width),
        (false, None) => vec![Line::styled("looking for the cheapest safe way", Theme::DIM)],
        (false, Some(sum)) => {
            let style = |line| match (sum.refused, line) {
                (true, _) => Theme::DANGER,
                (false, 0) => Theme::BOLD,
                (false, _) => Theme::PLAIN,
            };
            let texts = sum.lines.iter().enumerate();
            let one = |(i, text): (usize, &String)| parts::paragraph(text, width, style(i));
            texts.flat_map(one).collect()
        }
    };
    parts::scrolled(frame, area, block, lines, 0, glyphs);
}

/// What the image under the cursor is about, while nothing is marked.
fn nothing_marked(cleaning: &Cleaning, width: usize) -> Vec<Line<'static>> {
    let mut lines = parts::paragraph("Mark what may go, or say what is to stay.", width, Theme::PLAIN);
    if cleaning.judging {
        lines.push(Line::styled("looking how every image stands", Theme::DIM));
    }
    let judged = cleaning.line().and_then(|line| cleaning.judged.get(&line.view.image));
    if let Some(judged) = judged {
        let name = Shown::new(&judged.path.file_name().unwrap_or_default().to_string_lossy()).into_string();
        let text = format!("{name}: {}, {}", judged.standing.name(), Shown::new(&judged.why));
        lines.extend(parts::paragraph(&text, width, Theme::PLAIN));
        for candidate in &judged.candidates {
            let base =
                Shown::new(&candidate.path.file_name().unwrap_or_default().to_string_lossy()).into_string();
            let text = format!("may be based on {base}: {}", candidate.evidence.join(", "));
            lines.extend(parts::paragraph(&text, width, Theme::PLAIN));
        }
    }
    lines
}
