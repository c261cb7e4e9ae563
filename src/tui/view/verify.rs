//! Two views side by side: what each reads, where they differ, and what is there.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::super::model::Model;
use super::super::plan_screen::Refusal;
use super::super::text_fit;
use super::super::theme::{Glyphs, Theme};
use super::super::verify::{Begun, Sample, Verified, VerifyScreen};
use super::{jobs, layers, parts};
use crate::chain::STRIP;
use crate::text::human_size;

/// Columns for the names beside the strips, at most.
const NAMES: usize = 24;
/// Differences that are listed.
const LISTED: usize = 24;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &mut Model) {
    let glyphs = model.glyphs;
    let Some(screen) = model.verify_screen() else { return };
    screen.drawn = screen.begun.as_ref().map_or(0, |begun| begun.watch.progress().0);
    let width = area.width.saturating_sub(4) as usize;
    let lines = lines(screen, width, glyphs);
    let block = parts::panel(Line::styled(" Verify ", Theme::TITLE), true, glyphs);
    screen.scroll_max = parts::scrolled(frame, area, block, lines, screen.scroll, glyphs);
}

fn lines(screen: &VerifyScreen, width: usize, glyphs: Glyphs) -> Vec<Line<'static>> {
    let [a, b] = screen.views.each_ref().map(crate::chain::ViewSpec::name);
    let names = [&a, &b].map(|name| text_fit::width(name)).into_iter().max().unwrap_or(0).min(NAMES);
    let mut out = vec![Line::default()];
    if let Some(begun) = &screen.begun {
        let columns = width.saturating_sub(names + 11).max(4);
        for (name, strip) in [&a, &b].into_iter().zip(&begun.strips) {
            let mut line = vec![Span::styled(text_fit::left(name, names + 1, glyphs.cut), Theme::BOLD)];
            line.extend(layers::cells(&strip.resampled(columns), glyphs));
            line.push(Span::raw(format!(" {:>9}", text_fit::size(strip.size))));
            out.push(Line::from(line));
        }
        let mut line = vec![Span::raw(text_fit::left("differ", names + 1, glyphs.cut))];
        line.extend(differing(begun, columns, screen.running(), glyphs));
        out.push(Line::from(line));
    }
    out.push(Line::default());
    match (&screen.outcome, &screen.begun) {
        (None, None) => out.push(Line::styled(format!("Opening both views{}", glyphs.cut), Theme::DIM)),
        (None, Some(begun)) => out.extend(running(screen, begun, width, glyphs)),
        (Some(Err(refusal)), _) => out.extend(refused(refusal, width)),
        (Some(Ok(verified)), _) => out.extend(verdict(verified, [&a, &b], width, glyphs)),
    }
    out
}

/// Where the views differ; what was not looked at yet stays blank.
fn differing(begun: &Begun, columns: usize, running: bool, glyphs: Glyphs) -> Vec<Span<'static>> {
    let strip = begun.watch.strip();
    let (done, total) = begun.watch.progress();
    let seen =
        if running { u128::from(done) * columns as u128 / u128::from(total.max(1)) } else { u128::MAX };
    let piece = |i: usize| {
        let (from, to) = (i * STRIP / columns, ((i + 1) * STRIP).div_ceil(columns));
        match strip.iter().take(to).skip(from).any(|bytes| *bytes > 0) {
            true => Span::styled(glyphs.differs, Theme::DANGER),
            false if (i as u128) < seen => Span::styled("=", Theme::OK),
            false => Span::raw(" "),
        }
    };
    (0..columns).map(piece).collect()
}

fn running(screen: &VerifyScreen, begun: &Begun, width: usize, glyphs: Glyphs) -> Vec<Line<'static>> {
    let (done, total) = begun.watch.progress();
    let fraction = done as f64 / total.max(1) as f64;
    let elapsed = screen.started.elapsed();
    // Not before all of it is over: what is handed out last takes a moment.
    let percent = ((fraction * 100.0) as u64).min(99);
    let mut numbers = vec![format!("{percent:>3} %")];
    numbers.push(format!("{} of {}", text_fit::size(done), text_fit::size(total)));
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.5 {
        numbers.push(format!("{}/s", text_fit::size((done as f64 / seconds) as u64)));
    }
    numbers.push(text_fit::clock(elapsed));
    let numbers = numbers.join("   ");
    let room = width.saturating_sub(text_fit::width(&numbers) + 2).min(60);
    let (full, rest) = jobs::bar(fraction.min(0.999), room, glyphs);
    vec![
        Line::from(vec![
            Span::styled(full, Theme::OK),
            Span::styled(rest, Theme::DIM),
            Span::raw(format!("  {numbers}")),
        ]),
        Line::default(),
        Line::styled("What both store in the same place is equal and is not read.", Theme::DIM),
    ]
}

fn refused(refusal: &Refusal, width: usize) -> Vec<Line<'static>> {
    let mut out = parts::paragraph("This cannot be compared:", width, Theme::BOLD);
    out.extend(parts::paragraph(&refusal.what, width, Theme::DANGER));
    out.extend(refusal.remedy.iter().flat_map(|remedy| parts::paragraph(remedy, width, Theme::PLAIN)));
    out
}

fn verdict(verified: &Verified, names: [&str; 2], width: usize, glyphs: Glyphs) -> Vec<Line<'static>> {
    let told = &verified.outcome;
    let compared = format!(
        "{} compared, {} shared and therefore equal; {}",
        human_size(told.compared_bytes),
        human_size(told.shared_bytes),
        text_fit::clock(verified.took)
    );
    let (mark, word, style) = match told.identical() {
        true => (glyphs.ok, "identical".to_owned(), Theme::OK),
        false => (glyphs.failed, format!("different in {}", human_size(told.different_bytes)), Theme::DANGER),
    };
    let mut out = vec![Line::styled(format!("{mark} {word}"), style.add_modifier(Modifier::BOLD))];
    out.extend(parts::item("  ", Theme::PLAIN, &compared, width, Theme::PLAIN));
    let (a, b) = told.sizes;
    if a != b {
        let rest = if told.identical() { "; the rest of the longer one is zeros" } else { "" };
        let text = format!("sizes differ: {} and {}{rest}", human_size(a), human_size(b));
        out.extend(parts::item("  ", Theme::PLAIN, &text, width, Theme::PLAIN));
    }
    if told.identical() {
        return out;
    }
    out.push(Line::default());
    out.push(parts::heading("The first differences"));
    for range in told.differences.iter().take(LISTED) {
        let text =
            format!("{:#014x}  {} from {}", range.start, human_size(range.end - range.start), range.start);
        out.push(Line::raw(text));
    }
    if told.differences.len() > LISTED {
        out.push(Line::styled("and more", Theme::DIM));
    }
    out.push(Line::default());
    for sample in &verified.samples {
        out.extend(hex(sample, names, width, glyphs));
        out.push(Line::default());
    }
    out
}

/// The bytes of both views, one below the other (or side by side where there is room), with those that differ
/// marked.
fn hex(sample: &Sample, names: [&str; 2], width: usize, glyphs: Glyphs) -> Vec<Line<'static>> {
    let per_line = if width >= 14 + 32 * 3 { 32 } else { 16 };
    let mut out = Vec::new();
    for from in (0..32).step_by(per_line) {
        let part = |bytes: &[u8]| bytes.get(from..(from + per_line).min(bytes.len())).unwrap_or(&[]).to_vec();
        let (left, right) = (part(&sample.left), part(&sample.right));
        if left == right && from > 0 {
            continue;
        }
        let at = format!("{:#014x}", sample.at + from as u64);
        out.push(Line::styled(at, Theme::DIM));
        for (name, mine, other) in [(names[0], &left, &right), (names[1], &right, &left)] {
            let mut spans = vec![Span::styled(text_fit::left(name, 13, glyphs.cut), Theme::DIM)];
            for i in 0..per_line {
                let text = mine.get(i).map_or_else(|| "  ".to_owned(), |byte| format!("{byte:02x}"));
                let differs = mine.get(i) != other.get(i);
                let style = if differs { Theme::DANGER } else { Style::new() };
                // Marked by more than colour: a bracket before and after what differs.
                let before = mine.get(i.wrapping_sub(1)) != other.get(i.wrapping_sub(1)) && i > 0;
                let gap = match (before, differs) {
                    (false, true) => "[",
                    (true, false) => "]",
                    _ => " ",
                };
                spans.push(Span::styled(gap, Theme::DIM));
                spans.push(Span::styled(text, style));
            }
            if mine.get(per_line - 1) != other.get(per_line - 1) {
                spans.push(Span::styled("]", Theme::DIM));
            }
            out.push(Line::from(spans));
        }
    }
    out
}
