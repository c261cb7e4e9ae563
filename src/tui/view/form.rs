//! The form: labels, answers, and what is wrong with them.

use ratatui::Frame;
use ratatui::layout::{Margin, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::form::Form;
use super::super::model::{Model, Overlay};
use super::super::request::{Choice, Field, Request, Value};
use super::super::text_fit;
use super::super::theme::{Glyphs, Theme};
use super::parts;
use crate::text::Shown;

const WIDTH: u16 = 76;
/// Items of a choice that are shown at a time.
const ITEMS: usize = 6;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let Some(Overlay::Form(form)) = model.overlays.last() else { return };
    let width = WIDTH.min(area.width);
    let inside = width.saturating_sub(6) as usize;
    let names = form.fields().into_iter().filter_map(|i| form.request.fields.get(i));
    let names = names.filter(|field| !matches!(field.value, Value::Toggle(_)));
    let column = names.map(|field| text_fit::width(&field.label)).max().unwrap_or(0).clamp(4, 20) + 2;
    let mut lines = vec![Line::default()];
    let mut cursor = None;
    for at in form.fields() {
        let Some(field) = form.request.fields.get(at) else { continue };
        let focused = at == form.field;
        if focused {
            cursor = cursor_in(field, inside, column).map(|x| (x, lines.len()));
        }
        lines.extend(answer(&form.request, field, focused, inside, column, model.glyphs));
        if let Some(wrong) = form.wrong.as_ref().filter(|wrong| wrong.key == field.key) {
            let mark = format!("{}{} ", " ".repeat(column), model.glyphs.problem);
            lines.extend(parts::item(&mark, Theme::DANGER, &wrong.why, inside, Theme::DANGER));
        }
        lines.push(Line::default());
    }
    lines.push(foot(form, inside, model.glyphs));
    let window = parts::window(frame, area, width, lines.len() as u16 + 2);
    let title = text_fit::fit(&format!(" {} ", form.request.title()), inside, model.glyphs.cut);
    let block = parts::panel(Line::styled(title, Theme::TITLE), true, model.glyphs);
    let inner = block.inner(window).inner(Margin::new(2, 0));
    frame.render_widget(block, window);
    frame.render_widget(Paragraph::new(lines), inner);
    if let Some((x, y)) = cursor
        && y < inner.height as usize
    {
        frame.set_cursor_position((inner.x + x as u16, inner.y + y as u16));
    }
}

/// The last line: what Enter does. Nothing has happened yet, and nothing will before the plan is agreed to.
fn foot(form: &Form, width: usize, glyphs: Glyphs) -> Line<'static> {
    let text = match form.wrong {
        Some(_) => "",
        None => "Enter shows the plan; nothing is changed before you agree to it",
    };
    Line::styled(text_fit::fit(text, width, glyphs.cut), Theme::DIM)
}

fn answer(
    request: &Request,
    field: &Field,
    focused: bool,
    width: usize,
    column: usize,
    glyphs: Glyphs,
) -> Vec<Line<'static>> {
    let name = text_fit::left(&field.label, column, glyphs.cut);
    let name = Span::styled(name, if focused { Theme::TITLE } else { Theme::DIM });
    let room = width.saturating_sub(column);
    match &field.value {
        Value::Text(input) => {
            let scroll = input.visual_scroll(room.saturating_sub(1).max(1));
            let text: String = Shown::new(input.value()).as_str().chars().skip(scroll).collect();
            let style = if focused { Style::new().add_modifier(Modifier::UNDERLINED) } else { Theme::PLAIN };
            if text.is_empty() {
                let text = text_fit::left(&request.placeholder(field), room, "");
                return vec![Line::from(vec![name, Span::styled(text, style.patch(Theme::DIM))])];
            }
            vec![Line::from(vec![name, Span::styled(text_fit::left(&text, room, ""), style)])]
        }
        Value::Toggle(on) => {
            let tick = if *on { "[x] " } else { "[ ] " };
            let text = text_fit::fit(&format!("{tick}{}", field.label), width, glyphs.cut);
            vec![Line::styled(text, if focused { Theme::SELECTED } else { Theme::PLAIN })]
        }
        Value::Choice(choice) if focused => open(choice, name, room, column, glyphs),
        Value::Choice(choice) => {
            let text = choice.item().map_or("", |item| &item.label);
            vec![Line::from(vec![name, Span::raw(text_fit::fit(text, room, glyphs.cut))])]
        }
    }
}

/// A choice with its items; what is typed leaves those that contain it.
fn open(
    choice: &Choice,
    name: Span<'static>,
    room: usize,
    column: usize,
    glyphs: Glyphs,
) -> Vec<Line<'static>> {
    let found = choice.found();
    let at = found.iter().position(|i| *i == choice.at).unwrap_or(0);
    let from = at.saturating_sub(ITEMS / 2).min(found.len().saturating_sub(ITEMS));
    let seen = found.iter().skip(from).take(ITEMS).filter_map(|i| Some((*i, choice.items.get(*i)?)));
    let labels = seen.clone().map(|(_, item)| text_fit::width(&item.label)).max().unwrap_or(0);
    let labels = labels.min(room.saturating_sub(2)) + 2;
    let mut lines: Vec<Line<'static>> = seen
        .map(|(i, item)| {
            let (mark, style) = match i == choice.at {
                true => (glyphs.marker, Theme::SELECTED),
                false => (" ", Theme::PLAIN),
            };
            let label = text_fit::left(&item.label, labels, glyphs.cut);
            let note = text_fit::fit(&item.note, room.saturating_sub(labels + 1), glyphs.cut);
            Line::from(vec![
                Span::raw(" ".repeat(column.saturating_sub(1))),
                Span::styled(mark, Theme::FOCUS),
                Span::styled(label, style),
                Span::styled(note, Theme::DIM),
            ])
        })
        .collect();
    let search = Shown::new(choice.search.value()).into_string();
    let hidden = choice.items.len() > ITEMS || !search.is_empty();
    if let (false, Some(first)) = (hidden, lines.first_mut()) {
        first.spans[0] =
            Span::styled(text_fit::left(&name.content, column.saturating_sub(1), ""), name.style);
        return lines;
    }
    let count = match found.len() {
        0 => "nothing is called so".to_owned(),
        n if n > ITEMS => format!("{} to {} of {n}", from + 1, from + ITEMS),
        n => format!("{n} of {}", choice.items.len()),
    };
    let head = vec![
        name,
        Span::styled("find ", Theme::DIM),
        Span::raw(search),
        Span::styled(format!("  {count}"), Theme::DIM),
    ];
    lines.insert(0, Line::from(head));
    lines
}

/// The column of the cursor in a field, when it has one.
fn cursor_in(field: &Field, width: usize, column: usize) -> Option<usize> {
    match &field.value {
        Value::Text(input) => {
            let room = width.saturating_sub(column + 1).max(1);
            let scroll = input.visual_scroll(room);
            Some(column + input.visual_cursor().saturating_sub(scroll).min(room))
        }
        Value::Choice(choice) if choice.items.len() > ITEMS || !choice.search.value().is_empty() => {
            Some((column + 5 + choice.search.visual_cursor()).min(width))
        }
        _ => None,
    }
}
