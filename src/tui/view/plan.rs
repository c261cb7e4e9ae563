//! The plan screen: everything that will happen, before anything happens.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Margin, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::model::{Model, Overlay};
use super::super::operation::Tier;
use super::super::plan_screen::{Field, PlanScreen, Ready, Refusal};
use super::super::reasons;
use super::super::request::Value;
use super::super::text_fit;
use super::super::theme::{Glyphs, Theme};
use super::{figure, parts, plan_text};
use crate::text::Shown;

/// Width from which figures and facts stand side by side.
const SIDE_BY_SIDE: u16 = 96;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &mut Model) {
    let why_not = reasons::plan_run(model);
    let glyphs = model.glyphs;
    let typing = matches!(model.overlays.last(), Some(Overlay::Plan(_)));
    let Some(screen) = model.plan_screen() else { return };
    let title = text_fit::fit(
        &format!(" Plan: {} ", screen.title()),
        area.width.saturating_sub(4) as usize,
        glyphs.cut,
    );
    let block = parts::panel(Line::styled(title, Theme::TITLE), true, glyphs);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let foot_lines = foot(screen, why_not.as_deref(), inner.width as usize - 4, glyphs);
    let [body, rule, foot] = inner.layout(&Layout::vertical([
        Constraint::Min(0),
        Constraint::Length(1),
        Constraint::Length(foot_lines.len() as u16),
    ]));
    match screen.refusal() {
        Some(refusal) => message(frame, body, refused(refusal, body.width as usize - 4)),
        None if screen.ready().is_none() => {
            message(frame, body, vec![Line::raw(format!("Making the plan{}", glyphs.cut))]);
        }
        None if body.width >= SIDE_BY_SIDE && screen.ready().is_some_and(Ready::is_drawn) => {
            side_by_side(frame, body, screen, glyphs)
        }
        None => one_below_the_other(frame, body, screen, glyphs),
    }
    draw_rule(frame, area, rule, screen, glyphs);
    let foot = foot.inner(Margin::new(2, 0));
    if typing && screen.field == Field::Name && screen.asks_name() {
        let prompt = plan_text::NAME_PROMPT.len() + text_fit::width(&screen.name_wanted()) + 2;
        let at = (prompt + screen.name.visual_cursor()) as u16;
        let line = foot.y + screen.options().len() as u16;
        frame.set_cursor_position((foot.x + at.min(foot.width.saturating_sub(1)), line));
    }
    frame.render_widget(Paragraph::new(foot_lines), foot);
}

fn message(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'static>>) {
    frame.render_widget(Paragraph::new(lines), area.inner(Margin::new(2, 1)));
}

fn refused(refusal: &Refusal, width: usize) -> Vec<Line<'static>> {
    let mut lines = parts::paragraph("This cannot be planned:", width, Theme::BOLD);
    lines.push(Line::default());
    lines.extend(parts::paragraph(&refusal.what, width, Theme::DANGER));
    if let Some(remedy) = &refusal.remedy {
        lines.push(Line::default());
        lines.extend(parts::paragraph(remedy, width, Theme::PLAIN));
    }
    lines
}

fn side_by_side(frame: &mut Frame<'_>, area: Rect, screen: &mut PlanScreen, glyphs: Glyphs) {
    let [left, right] = area.layout(&Layout::horizontal([Constraint::Percentage(54), Constraint::Min(0)]));
    let (left, right) = (left.inner(Margin::new(2, 0)), right.inner(Margin::new(1, 0)));
    let mut facts = plan_text::summary(screen, right.width as usize, glyphs);
    facts.extend(plan_text::details(screen, right.width as usize));
    screen.fit(left.width as usize);
    let figures = plan_text::figures(screen, left.width as usize, glyphs);
    screen.scroll_max = figures.len().max(facts.len()).saturating_sub(area.height as usize);
    screen.scroll = screen.scroll.min(screen.scroll_max);
    figure::lines_at(frame.buffer_mut(), left, &figures, (screen.pan, screen.scroll));
    figure::lines_at(frame.buffer_mut(), right, &facts, (0, screen.scroll));
}

/// What consent is about comes first, then the figures, then the details.
fn one_below_the_other(frame: &mut Frame<'_>, area: Rect, screen: &mut PlanScreen, glyphs: Glyphs) {
    let area = area.inner(Margin::new(2, 0));
    let width = area.width as usize;
    screen.fit(width);
    let mut figures = plan_text::figures(screen, width, glyphs);
    figures.push(Line::default());
    let parts = [
        (plan_text::summary(screen, width, glyphs), 0),
        (figures, screen.pan),
        (plan_text::details(screen, width), 0),
    ];
    let total: usize = parts.iter().map(|(lines, _)| lines.len()).sum();
    screen.scroll_max = total.saturating_sub(area.height as usize);
    screen.scroll = screen.scroll.min(screen.scroll_max);
    let (mut y, mut skip) = (area.y, screen.scroll);
    for (lines, pan) in parts {
        let rest = Rect { y, height: area.bottom().saturating_sub(y), ..area };
        figure::lines_at(frame.buffer_mut(), rest, &lines, (pan, skip));
        y = y.saturating_add(lines.len().saturating_sub(skip) as u16).min(area.bottom());
        skip = skip.saturating_sub(lines.len());
    }
}

/// The line between the plan and the answer; says when there is more to read.
fn draw_rule(frame: &mut Frame<'_>, area: Rect, rule: Rect, screen: &PlanScreen, glyphs: Glyphs) {
    let line = glyphs.rule.repeat(rule.width as usize);
    let buf = frame.buffer_mut();
    buf.set_string(rule.x, rule.y, line, Theme::DIM);
    let left = screen.scroll_max.saturating_sub(screen.scroll);
    if screen.scroll_max > 0 && screen.ready().is_some() {
        let text = match left {
            0 => " end of the plan ".to_owned(),
            n => format!(" {} {} more: j ", glyphs.down, text_fit::count(n, "line")),
        };
        let at = rule.right().saturating_sub(text_fit::width(&text) as u16 + 2);
        buf.set_string(at, rule.y, text, if left > 0 { Theme::BOLD } else { Theme::DIM });
    }
    let total = screen.scroll_max + rule.y.saturating_sub(area.y + 1) as usize;
    let body = Rect { height: rule.y.saturating_sub(area.y) + 1, ..area };
    parts::scroll_bar(buf, body, total, screen.scroll, glyphs);
}

/// Option, consent and answers.
fn foot(screen: &PlanScreen, why_not: Option<&str>, width: usize, glyphs: Glyphs) -> Vec<Line<'static>> {
    let focus = |field: Field| screen.field == field;
    let mut lines: Vec<Line<'static>> =
        screen.options().into_iter().filter_map(|at| option(screen, at, width, glyphs)).collect();
    if screen.asks_name() {
        let style = if screen.name_given() { Theme::OK } else { Theme::WARN };
        let prompt = format!("{}{}: ", plan_text::NAME_PROMPT, screen.name_wanted());
        let typed = Shown::new(screen.name.value()).into_string();
        let style =
            if focus(Field::Name) { style } else { style.add_modifier(ratatui::style::Modifier::DIM) };
        lines.push(Line::from(vec![Span::styled(prompt, style), Span::raw(typed)]));
    }
    let mut answers = vec![Span::styled("[ Esc Cancel ]", focused(focus(Field::Cancel), Theme::BOLD))];
    answers.push(Span::raw("  "));
    let run = screen.may_run();
    if run {
        let style = if why_not.is_none() { Theme::OK } else { Theme::DIM };
        let key = if screen.tier() == Some(Tier::Enter) { "[ Enter Run ]" } else { "[ y Run ]" };
        answers.push(Span::styled(key, focused(focus(Field::Run), style)));
        answers.push(Span::raw("  "));
    }
    let used: usize = answers.iter().map(Span::width).sum();
    let (text, style) = match (&screen.notice, why_not) {
        _ if screen.awaited.is_some() => (format!("planning{}", glyphs.cut), Theme::DIM),
        (Some(notice), _) => (notice.clone(), Theme::DANGER),
        (None, Some(why)) if screen.ready().is_some() => {
            (why.to_owned(), if run { Theme::DIM } else { Theme::DANGER })
        }
        _ => ("nothing has happened yet".to_owned(), Theme::DIM),
    };
    answers.push(Span::styled(text_fit::fit(&text, width.saturating_sub(used), glyphs.cut), style));
    lines.push(Line::from(answers));
    lines
}

/// One option on a line of its own: a switch, or the chosen one of several.
fn option(screen: &PlanScreen, at: usize, width: usize, glyphs: Glyphs) -> Option<Line<'static>> {
    let field = screen.request.fields.get(at)?;
    let style = focused(screen.field == Field::Option(at), Theme::PLAIN);
    let text = match &field.value {
        Value::Toggle(on) => format!("[{}] {}", if *on { 'x' } else { ' ' }, field.label),
        Value::Choice(choice) => {
            let item = choice.item()?;
            let note = if item.note.is_empty() { String::new() } else { format!(" ({})", item.note) };
            format!("{}: {}{note}, {} of {}", field.label, item.label, choice.at + 1, choice.items.len())
        }
        Value::Text(_) => return None,
    };
    Some(Line::styled(text_fit::fit(&text, width, glyphs.cut), style))
}

fn focused(focused: bool, style: Style) -> Style {
    if focused { Theme::SELECTED.patch(Theme::BOLD) } else { style }
}
