//! Small questions in the middle of the screen.

use ratatui::Frame;
use ratatui::layout::{Margin, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::keymap::{self, Context};
use super::super::keys;
use super::super::model::Model;
use super::super::text_fit;
use super::super::theme::Theme;
use super::parts;

pub(super) fn quit(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    ask(frame, area, model, " A job is running ", Context::Quit);
}

pub(super) fn stop(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    ask(frame, area, model, " Stop the job? ", Context::Stop);
}

fn ask(frame: &mut Frame<'_>, area: Rect, model: &Model, title: &'static str, context: Context) {
    let window = parts::window(frame, area, 58, 0);
    let inside = window.width.saturating_sub(6) as usize;
    let mut lines = vec![Line::default()];
    if let Some(job) = model.running() {
        let text = text_fit::fit(&job.title, inside, model.glyphs.cut);
        lines.push(Line::styled(text, Theme::BOLD));
        lines.extend(parts::paragraph(
            "Whenever it stops, every view reads as before, or as its plan said.",
            inside,
            Theme::DIM,
        ));
        lines.push(Line::default());
    }
    for binding in keymap::of(&[context]) {
        let Some(key) = binding.keys.first() else { continue };
        let key = text_fit::left(&keys::label(key, model.glyphs.ascii), 5, "");
        lines.push(Line::from(vec![Span::styled(key, Theme::KEY), Span::raw(binding.help)]));
    }
    lines.push(Line::default());
    let window = parts::window(frame, area, window.width, lines.len() as u16 + 2);
    let block = parts::panel(Line::styled(title, Theme::TITLE), true, model.glyphs);
    let inner = block.inner(window).inner(Margin::new(2, 0));
    frame.render_widget(block, window);
    frame.render_widget(Paragraph::new(lines), inner);
}
