//! The jobs strip: the job that runs, and how the last ones ended.

use ratatui::Frame;
use ratatui::layout::{Margin, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::action::Action;
use super::super::jobs::{End, JobEntry};
use super::super::keymap;
use super::super::model::{Focus, Model};
use super::super::request::Verb;
use super::super::text_fit;
use super::super::theme::{Glyphs, Theme};
use super::parts;
use crate::job::Leftover;
use crate::text::Shown;

/// Results that are shown at a time.
const RESULTS: usize = 2;

/// Lines the strip takes; on the plan screen only a running job is worth them.
pub(super) fn height(model: &Model, planning: bool, columns: u16) -> u16 {
    let running = 2 * u16::from(model.running().is_some());
    let interrupted = u16::from(interrupted(model).is_some() && !planning);
    let over = if planning { 0 } else { over(model, columns.saturating_sub(4) as usize).len() as u16 };
    let lines = interrupted + running + over;
    if lines == 0 { 0 } else { lines + 2 }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    if area.height < 3 {
        return;
    }
    let focused = model.focus == Focus::Jobs && model.overlays.is_empty();
    let mut block = parts::panel(Line::styled(" Jobs ", parts::title_style(focused)), focused, model.glyphs);
    let hint = match model.running() {
        Some(_) if model.leaving => Some(" quitting when it is done, Esc stays "),
        Some(_) if focused => Some(" x stops it "),
        Some(_) => None,
        None if model.jobs.is_empty() => None,
        None if model.jobs.iter().any(|job| job.comparable().is_some()) => {
            Some(" v verifies the copy, Esc dismisses ")
        }
        None => Some(" Esc dismisses "),
    };
    if let Some(hint) = hint {
        block = block.title_top(Line::styled(hint, Theme::DIM).right_aligned());
    }
    let inner = block.inner(area).inner(Margin::new(1, 0));
    frame.render_widget(block, area);
    let width = inner.width as usize;
    let mut lines: Vec<_> = model.running().map(|job| running(job, model.glyphs, width)).unwrap_or_default();
    if model.plan_overlay().is_none() {
        lines.extend(interrupted(model).map(|job| cut_off(model, job, width)));
    }
    lines.extend(over(model, width));
    frame.render_widget(Paragraph::new(lines), inner);
}

/// How the last jobs ended: the last one in full, those before it in a line.
fn over(model: &Model, width: usize) -> Vec<Line<'static>> {
    let over = model.jobs.iter().rev().filter(|job| job.outcome.is_some()).take(RESULTS);
    let told = over.map(|job| result(job, model.glyphs, width)).enumerate();
    told.flat_map(|(i, lines)| lines.into_iter().take(if i == 0 { usize::MAX } else { 1 })).collect()
}

/// The first job that was cut off, in whatever process.
fn interrupted(model: &Model) -> Option<&Leftover> {
    model.beside.leftovers.first().filter(|_| model.running().is_none())
}

fn cut_off(model: &Model, job: &Leftover, width: usize) -> Line<'static> {
    let glyphs = model.glyphs;
    let head = format!("{} interrupted", glyphs.problem);
    let more = match model.beside.leftovers.len() {
        0 | 1 => String::new(),
        n => format!(", and {} more", n - 1),
    };
    let steps = format!("{} of {} steps done{more}", job.done, job.steps);
    let key = keymap::key_of(model, Action::Operate(Verb::Recover));
    let hint = format!("{key} finish or undo it");
    let used = text_fit::width(&head) + text_fit::width(&steps) + text_fit::width(&hint) + 7;
    let title = Shown::new(&job.title).into_string();
    let title = text_fit::left(&title, width.saturating_sub(used), glyphs.cut);
    Line::from(vec![
        Span::styled(head, Theme::WARN),
        Span::raw(format!("  {title}  ")),
        Span::styled(steps, Theme::DIM),
        Span::styled(format!("   {hint}"), Theme::KEY),
    ])
}

fn running(job: &JobEntry, glyphs: Glyphs, width: usize) -> Vec<Line<'static>> {
    let step = format!("step {} of {}", (job.now.step + 1).min(job.now.steps.max(1)), job.now.steps.max(1));
    let facts = format!("{}   {step}   {}", job.now.phase.word(), text_fit::clock(job.now.elapsed));
    let title = text_fit::left(&job.title, width.saturating_sub(facts.len() + 2), glyphs.cut);
    let head = Line::from(vec![
        Span::styled(title, Theme::BOLD),
        Span::raw("  "),
        Span::styled(facts, Theme::PLAIN),
    ]);

    let mut numbers = vec![format!("{:>3} %", job.percent())];
    numbers.push(format!("{} of {}", text_fit::size(job.now.done), text_fit::size(job.now.total)));
    numbers.extend(job.rate().map(|rate| format!("{}/s", text_fit::size(rate as u64))));
    numbers.extend(job.eta().map(|eta| format!("eta {}", text_fit::clock(eta))));
    let numbers = numbers.join("   ");
    let room = width.saturating_sub(text_fit::width(&numbers) + 2).min(60);
    let (done, rest) = bar(job.now.fraction(), room, glyphs);
    let line = Line::from(vec![
        Span::styled(done, Theme::OK),
        Span::styled(rest, Theme::DIM),
        Span::raw(format!("  {numbers}")),
    ]);
    vec![head, line]
}

/// The filled and the empty part of a bar. A job that is not over leaves a little empty.
pub(super) fn bar(fraction: f64, columns: usize, glyphs: Glyphs) -> (String, String) {
    let steps = glyphs.bar.len();
    let full = (fraction.clamp(0.0, 1.0) * (columns * steps) as f64) as usize;
    let whole = full / steps;
    let mut done = glyphs.bar[steps - 1].repeat(whole);
    let part = full % steps;
    if part > 0 {
        done.push_str(glyphs.bar[part - 1]);
    }
    let used = whole + usize::from(part > 0);
    (done, glyphs.track.repeat(columns.saturating_sub(used)))
}

fn result(job: &JobEntry, glyphs: Glyphs, width: usize) -> Vec<Line<'static>> {
    let Some(outcome) = &job.outcome else { return Vec::new() };
    let (mark, word, style) = match outcome.end {
        End::Done => (glyphs.ok, "done", Theme::OK),
        End::Stopped => (glyphs.problem, "stopped", Theme::WARN),
        End::Failed => (glyphs.failed, "failed", Theme::DANGER),
    };
    let time = text_fit::clock(job.now.elapsed);
    // What is said in the end is what one waited for: rather on two lines than cut off.
    let mark = format!("{mark} {word}  ");
    let room = width.saturating_sub(time.len() + 2);
    let most = 2 * room.saturating_sub(text_fit::width(&mark));
    let text = text_fit::fit(&outcome.line, most, glyphs.cut);
    let mut lines = parts::item(&mark, style, &text, room, Theme::PLAIN);
    if let Some(first) = lines.first_mut() {
        let gap = width.saturating_sub(first.width() + time.len());
        first.push_span(Span::styled(format!("{}{time}", " ".repeat(gap)), Theme::DIM));
    }
    let more = outcome.more.iter().map(|text| text_fit::fit(text, 2 * room.saturating_sub(2), glyphs.cut));
    lines.extend(more.flat_map(|text| parts::item("  ", Theme::DIM, &text, width, Theme::DIM)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_always_has_the_same_width() {
        for glyphs in [Glyphs::new(false), Glyphs::new(true)] {
            for percent in 0..=100 {
                let (done, rest) = bar(f64::from(percent) / 100.0, 17, glyphs);
                assert_eq!(text_fit::width(&done) + text_fit::width(&rest), 17);
            }
            assert!(!bar(0.999, 40, glyphs).1.is_empty() || glyphs.bar.len() > 1);
        }
    }
}
