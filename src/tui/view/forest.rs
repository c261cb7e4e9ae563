//! The forest pane: the tree widget's rows with guide lines, badges and columns of our own.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Margin, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, StatefulWidget};
use tui_tree_widget::Tree;

use super::super::model::{Focus, Model};
use super::super::pane::Pane;
use super::super::rows::{Link, Row, RowId};
use super::super::text_fit;
use super::super::theme::{Glyphs, Theme};
use super::parts;
use crate::text::Shown;

/// Columns of a size; a blank stands before each.
const SIZE: usize = 9;
/// Columns of the format; a blank stands before it.
const FORMAT: usize = 6;
/// Marker and badge.
const GUTTER: usize = 3;
/// Columns up to which names push numbers aside.
const NAMES: usize = 28;

/// Columns the pane would like, borders included.
pub(super) fn wanted_width(model: &Model) -> u16 {
    let columns = GUTTER + model.pane.widest + 2 * SIZE + FORMAT + 4;
    columns.min(u16::MAX as usize) as u16
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &mut Model) {
    let focused = model.focus == Focus::Forest;
    let title = Line::styled(" Forest ", parts::title_style(focused));
    let block = parts::panel(title, focused, model.glyphs);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if model.pane.height != inner.height as usize {
        model.pane.height = inner.height as usize;
        model.pane.state.scroll_selected_into_view();
    }
    model.pane.area = inner;
    if model.pane.rows.items.is_empty() {
        return empty(frame, inner.inner(Margin::new(1, 1)), model);
    }
    let columns = Columns::new(inner.width as usize, model.pane.widest);
    headings(frame.buffer_mut(), area, &columns, model);
    rows(frame.buffer_mut(), inner, &columns, model, focused);
    let total = model.pane.visible().len();
    parts::scroll_bar(frame.buffer_mut(), area, total, model.pane.state.get_offset(), model.glyphs);
}

/// Where things stand in a row, counted from the pane's inner edge.
struct Columns {
    tree: usize,
    format: Option<usize>,
    size: Option<usize>,
    own: usize,
    width: usize,
}

impl Columns {
    /// Columns for a pane of `width` whose widest name takes `names`: the names come first, then the
    /// virtual size, then the format.
    fn new(width: usize, names: usize) -> Self {
        let names = names.min(NAMES) + GUTTER + 1;
        let own = width.saturating_sub(SIZE);
        let size = own.checked_sub(SIZE).filter(|room| *room >= names);
        let format = size.and_then(|at| at.checked_sub(FORMAT)).filter(|room| *room >= names);
        Self { tree: GUTTER, format, size, own, width }
    }

    /// Columns for the tree and notes beside the numbers.
    fn room(&self) -> usize {
        self.format.or(self.size).unwrap_or(self.own).saturating_sub(self.tree + 1)
    }
}

fn headings(buf: &mut Buffer, area: Rect, columns: &Columns, model: &Model) {
    let own = if model.pane.rows.counted { "own" } else { "on disk" };
    let size = columns.size.map(|_| ("size", columns.own));
    for (text, end) in size.into_iter().chain([(own, columns.width)]) {
        let text = format!(" {text} ");
        let at = (area.x as usize + 1 + end).saturating_sub(text.len());
        buf.set_string(at as u16, area.y, text, Theme::DIM);
    }
}

fn rows(buf: &mut Buffer, area: Rect, columns: &Columns, model: &mut Model, focused: bool) {
    let glyphs = model.glyphs;
    let (tree, drawn) = tree(&mut model.pane, area, glyphs);
    for (line, id) in drawn.iter().enumerate() {
        let Some(row) = model.pane.rows.rows.get(id) else { continue };
        let y = area.y + line as u16;
        let used = copy_tree(buf, &tree, line as u16, (area.x, y), columns.room(), row, glyphs);
        guides(buf, (area.x + GUTTER as u16, y), row, &model.pane, columns.room(), glyphs);
        match interrupted(model, *id) {
            false => cells(buf, (area.x, y), columns, row, used, glyphs),
            true => {
                let note = ("interrupted job: u".to_owned(), "interrupted");
                let row = Row { problem: true, note, ..row.clone() };
                cells(buf, (area.x, y), columns, &row, used, glyphs);
            }
        }
        if model.forest.as_ref().is_some_and(|forest| model.pane.is_marked(forest, *id)) {
            buf.set_string(area.x + 2, y, glyphs.marked, Theme::KEY);
        }
        if model.pane.selected() == Some(*id) {
            select(buf, Rect { y, height: 1, ..area }, focused, glyphs);
        }
    }
    model.pane.drawn = drawn;
}

/// Whether a job that changes this image was cut off.
fn interrupted(model: &Model, id: RowId) -> bool {
    let RowId::Image(id) = id else { return false };
    let node = model.forest.as_ref().and_then(|forest| forest.get(id));
    node.is_some_and(|node| model.beside.of(&node.path).is_some())
}

/// Lets the widget draw into a buffer of its own: deep rows would write beyond its area. Returns
/// that and the rows it holds.
fn tree(pane: &mut Pane, area: Rect, glyphs: Glyphs) -> (Buffer, Vec<RowId>) {
    let own = Rect::new(0, 0, area.width.saturating_add(32), area.height);
    let mut buf = Buffer::empty(own);
    if let Ok(tree) = Tree::new(&pane.rows.items) {
        let tree = tree.node_open_symbol(glyphs.opened).node_closed_symbol(glyphs.closed);
        StatefulWidget::render(tree, own, &mut buf, &mut pane.state);
    }
    let visible = pane.visible();
    let drawn = visible.into_iter().skip(pane.state.get_offset()).take(area.height as usize).collect();
    (buf, drawn)
}

/// Copies the tree part of a row; returns the columns it takes.
fn copy_tree(
    buf: &mut Buffer,
    tree: &Buffer,
    line: u16,
    (x, y): (u16, u16),
    room: usize,
    row: &Row,
    glyphs: Glyphs,
) -> usize {
    let wanted = row.path.len() * 2 + row.width;
    for column in 0..wanted.min(room) as u16 {
        let target = buf.cell_mut((x + GUTTER as u16 + column, y));
        if let (Some(from), Some(to)) = (tree.cell((column, line)), target) {
            *to = from.clone();
        }
    }
    if wanted > room && room > 0 {
        let last = x + (GUTTER + room - 1) as u16;
        // A wide character must not be halved by the mark.
        if let Some(cell) = buf.cell_mut((last.saturating_sub(1), y))
            && text_fit::width(cell.symbol()) > 1
        {
            cell.set_symbol(" ");
        }
        buf.set_string(last, y, glyphs.cut, Theme::DIM);
    }
    wanted.min(room)
}

/// Draws which branch a row belongs to, in the indentation that the widget left blank.
fn guides(buf: &mut Buffer, (x, y): (u16, u16), row: &Row, pane: &Pane, room: usize, glyphs: Glyphs) {
    for level in 1..row.path.len() {
        let own = level + 1 == row.path.len();
        let Some(here) = row.path.get(level).and_then(|id| pane.rows.rows.get(id)) else { continue };
        let symbol = match (own && here.link == Link::Branch, here.more) {
            (true, true) => glyphs.branch,
            (true, false) => glyphs.last_branch,
            (false, true) => glyphs.trunk,
            (false, false) => continue,
        };
        let column = (level - 1) * 2;
        if column + 2 <= room {
            buf.set_string(x + column as u16, y, symbol, Theme::DIM);
        }
    }
    // A branch with nothing in it to open: its line goes on to the name.
    if row.link == Link::Branch && !row.parent_of_rows && row.path.len() * 2 <= room {
        let column = (row.path.len() - 1) * 2;
        buf.set_string(x + column as u16, y, glyphs.rule, Theme::DIM);
    }
}

/// Badge, note and numbers of a row.
fn cells(buf: &mut Buffer, (x, y): (u16, u16), columns: &Columns, row: &Row, used: usize, glyphs: Glyphs) {
    if row.problem {
        buf.set_string(x + 1, y, glyphs.problem, Theme::DANGER);
    } else if row.in_use {
        buf.set_string(x + 1, y, glyphs.in_use, Theme::LIVE);
    }
    let style = if row.problem { Theme::DANGER } else { Theme::DIM };
    let note_at = x + (columns.tree + used + 2) as u16;
    // What is wrong with an image is worth more than its virtual size, any note more than its format.
    let up_to =
        if row.problem || row.size.is_empty() { columns.own } else { columns.size.unwrap_or(columns.own) };
    let up_to = up_to.saturating_sub(1);
    let room = up_to.saturating_sub(columns.tree + used + 2);
    let (long, short) = (row.note.0.as_str(), row.note.1);
    let note = [long, short].into_iter().find(|note| text_fit::width(note) <= room).unwrap_or("");
    buf.set_string(note_at, y, note, style);
    let free = |from: usize| note.is_empty() || columns.tree + used + 2 + text_fit::width(note) < from;
    if let Some(at) = columns.format.filter(|at| free(*at)) {
        buf.set_string(x + at as u16, y, row.format, Theme::DIM);
    }
    if let Some(at) = columns.size.filter(|at| free(*at)) {
        let size = text_fit::right(&row.size, SIZE - 1, glyphs.cut);
        buf.set_string(x + at as u16, y, size, Theme::DIM);
    }
    let own = text_fit::right(&row.own, SIZE - 1, glyphs.cut);
    buf.set_string(x + columns.own as u16, y, own, Theme::PLAIN);
}

/// Reverse video and a marker; colours would make a patchwork of the reversed row.
fn select(buf: &mut Buffer, row: Rect, focused: bool, glyphs: Glyphs) {
    let dim = if focused { Modifier::empty() } else { Modifier::DIM };
    let plain = Style::reset().patch(Theme::SELECTED).add_modifier(dim);
    buf.set_style(Rect { x: row.x + 1, width: row.width.saturating_sub(1), ..row }, plain);
    buf.set_string(row.x, row.y, glyphs.marker, if focused { Theme::FOCUS } else { Theme::DIM });
}

fn empty(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let width = area.width as usize;
    let mut lines = Vec::new();
    if let Some(error) = &model.scan_error {
        lines.extend(parts::paragraph(error, width, Theme::DANGER));
    } else if model.forest.is_none() {
        lines.push(Line::raw(format!("Looking through the folders{}", model.glyphs.cut)));
    } else if !model.pane.filter.is_empty() {
        let text = format!("Nothing matches {}", Shown::new(&model.pane.filter));
        lines.extend(parts::paragraph(&text, width, Theme::PLAIN));
    } else {
        lines.push(Line::raw("No disk images here."));
        lines.push(Line::default());
        let text = "Start cowherd with a folder or an image, or try: cowherd demo";
        lines.extend(parts::paragraph(text, width, Theme::DIM));
    }
    frame.render_widget(Paragraph::new(lines), area);
}
