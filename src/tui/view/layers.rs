//! The Layers tab: strips over the same range, one for each layer of the selected view, and one for each internal
//! snapshot of its image.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::model::Model;
use super::super::text_fit;
use super::super::theme::{Glyphs, Theme};
use super::super::words;
use super::parts;
use crate::chain::{Held, Strip, Strips};
use crate::image::State;
use crate::text::Shown;

/// Columns for the names of layers, at most.
const NAMES: usize = 18;
/// Columns of a number of bytes, and a blank.
const BYTES: usize = 9;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &mut Model) {
    parts::tab(frame, area, model, lines);
}

fn lines(model: &Model, width: usize) -> Vec<Line<'static>> {
    let mut out = vec![Line::default()];
    match &model.layers.outcome {
        None if model.selected_node().is_none() => {}
        None => out.push(Line::styled(format!("Reading the tables{}", model.glyphs.cut), Theme::DIM)),
        Some(Err(why)) => {
            out.extend(parts::paragraph("The layers cannot be told:", width, Theme::BOLD));
            out.extend(parts::paragraph(why, width, Theme::DANGER));
        }
        Some(Ok(strips)) => out.extend(all(model, strips, width)),
    }
    out
}

fn all(model: &Model, strips: &Strips, width: usize) -> Vec<Line<'static>> {
    let glyphs = model.glyphs;
    let named: Vec<_> = strips.layers.iter().map(|strip| (layer_name(strip), strip)).collect();
    let snapshots: Vec<_> =
        strips.snapshots.iter().map(|strip| (snapshot_name(model, strip, glyphs), strip)).collect();
    let longest = named.iter().chain(&snapshots).map(|(name, _)| text_fit::width(name)).max().unwrap_or(0);
    let table = Table::new(longest.min(NAMES), width);
    let mut out =
        vec![parts::heading("What each layer holds, the top first"), table.ruler(strips.span, glyphs)];
    out.extend(named.iter().map(|(name, strip)| table.line(name, strip, glyphs)));
    out.push(Line::default());
    if !snapshots.is_empty() {
        out.push(parts::heading("What its internal snapshots hold"));
        out.extend(snapshots.iter().map(|(name, strip)| table.line(name, strip, glyphs)));
        if strips.more_snapshots > 0 {
            out.push(Line::styled(format!("and {} more", strips.more_snapshots), Theme::DIM));
        }
        out.push(Line::default());
    }
    out.extend(legend(glyphs, width));
    out
}

fn layer_name(strip: &Strip) -> String {
    Shown::new(&strip.path.file_name().unwrap_or(strip.path.as_os_str()).to_string_lossy()).into_string()
}

fn snapshot_name(model: &Model, strip: &Strip, glyphs: Glyphs) -> String {
    let snapshots = model.selected_node().map(|node| &node.snapshots);
    let name = match strip.state {
        State::Snapshot(at) => snapshots.and_then(|all| all.get(at)).map(words::snapshot_name),
        _ => None,
    };
    format!("{} {}", glyphs.snapshot, Shown::new(&name.unwrap_or_default()))
}

/// Where things stand in a line.
struct Table {
    names: usize,
    strip: usize,
    /// Whether there is room to say how much is seen.
    seen: bool,
}

impl Table {
    fn new(names: usize, width: usize) -> Self {
        let seen = width >= names + 1 + 40 + 2 * BYTES;
        let numbers = if seen { 2 * BYTES } else { BYTES };
        Self { names, strip: width.saturating_sub(names + 1 + numbers).max(4), seen }
    }

    fn ruler(&self, span: u64, glyphs: Glyphs) -> Line<'static> {
        let end = text_fit::size(span);
        let rule = self.strip.saturating_sub(end.len() + 3);
        let scale = format!("0 {} {end}", glyphs.rule.repeat(rule));
        let seen = if self.seen { format!("{:>BYTES$}", "seen") } else { String::new() };
        let head = format!("{:>BYTES$}", "holds");
        Line::styled(format!("{} {scale}{head}{seen}", " ".repeat(self.names)), Theme::DIM)
    }

    fn line(&self, name: &str, strip: &Strip, glyphs: Glyphs) -> Line<'static> {
        let mut spans = vec![Span::raw(text_fit::left(name, self.names + 1, glyphs.cut))];
        spans.extend(cells(&strip.resampled(self.strip), glyphs));
        let total = &strip.total;
        spans.push(Span::raw(format!("{:>BYTES$}", text_fit::size(total.data))));
        if self.seen {
            spans.push(Span::raw(format!("{:>BYTES$}", text_fit::size(total.data_seen))));
        }
        Line::from(spans)
    }
}

/// A strip, one character for each piece.
pub(super) fn cells(pieces: &[Held], glyphs: Glyphs) -> Vec<Span<'static>> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    for held in pieces {
        let (symbol, style) = cell(held, glyphs);
        match spans.last_mut() {
            Some(last) if last.style == style => last.content.to_mut().push_str(symbol),
            _ => spans.push(Span::styled(symbol.to_owned(), style)),
        }
    }
    spans
}

/// What a piece is shown as: what is seen of it wins, data wins over zeros.
fn cell(held: &Held, glyphs: Glyphs) -> (&'static str, Style) {
    let [data, partly, shadowed, zero, nothing] = glyphs.strip;
    match held {
        Held { data_seen: 1.., .. } if held.data_seen >= held.data / 2 => (data, Theme::OK),
        Held { data_seen: 1.., .. } => (partly, Theme::OK),
        Held { zero_seen: 1.., .. } => (zero, Theme::SNAPSHOT),
        Held { data: 1.., .. } => (shadowed, Theme::PLAIN),
        Held { zero: 1.., .. } => (zero, Theme::DIM),
        _ => (nothing, Theme::DIM),
    }
}

fn legend(glyphs: Glyphs, width: usize) -> Vec<Line<'static>> {
    let [data, partly, shadowed, zero, nothing] = glyphs.strip;
    let entries = [
        (data, Theme::OK, "data that is read from here"),
        (partly, Theme::OK, "less than half of it"),
        (shadowed, Theme::PLAIN, "data that something newer replaces"),
        (zero, Theme::SNAPSHOT, "zeros"),
        (nothing, Theme::DIM, "nothing: what is below is read"),
    ];
    let mut lines: Vec<Line<'static>> = Vec::new();
    for (symbol, style, text) in entries {
        let spans = [Span::styled(format!("{symbol} "), style), Span::styled(text, Theme::DIM)];
        let wide = text_fit::width(text) + 5;
        match lines.last_mut() {
            Some(line) if line.width() + wide <= width => {
                line.push_span("   ");
                line.spans.extend(spans);
            }
            _ => lines.push(Line::from(spans.to_vec())),
        }
    }
    lines
}
