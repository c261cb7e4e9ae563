//! Drawing: from the model to a frame. Changes nothing but what drawing alone can know (how much
//! fits, what is scrolled into view).

mod boxes;
mod cleaning;
mod dialog;
mod figure;
mod forest;
mod form;
mod header;
mod health;
mod help;
mod hints;
mod info;
mod jobs;
mod layers;
mod palette;
mod parts;
mod plan;
mod plan_text;
mod verify;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::model::{Focus, Model, Overlay, Tab};
use super::theme::Theme;

/// Columns below which only one pane is drawn at a time.
const TWO_PANES: u16 = 80;
/// The smallest size that shows anything useful.
const SMALLEST: (u16, u16) = (60, 16);

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        return too_small(frame, area);
    }
    let verifying = model.verify_screen().is_some();
    let planning = model.plan_overlay().is_some();
    let strip = jobs::height(model, planning || verifying, area.width);
    let [head, body, strip, hint] = area.layout(&Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(strip),
        Constraint::Length(1),
    ]));
    header::draw(frame, head, model);
    if verifying {
        verify::draw(frame, body, model);
    } else if planning {
        plan::draw(frame, body, model);
    } else if model.cleaning().is_some() {
        cleaning::draw(frame, body, model);
    } else {
        panes(frame, body, model);
    }
    jobs::draw(frame, strip, model);
    hints::draw(frame, hint, model);
    match model.overlays.last() {
        Some(Overlay::Help(_)) => help::draw(frame, body, model),
        Some(Overlay::Palette(_)) => palette::draw(frame, body, model),
        Some(Overlay::Form(_)) => form::draw(frame, body, model),
        Some(Overlay::Quit) => dialog::quit(frame, body, model),
        Some(Overlay::Stop) => dialog::stop(frame, body, model),
        _ => {}
    }
}

fn panes(frame: &mut Frame<'_>, area: Rect, model: &mut Model) {
    if area.width < TWO_PANES {
        match model.focus {
            Focus::Detail => detail(frame, area, model),
            _ => forest::draw(frame, area, model),
        }
        return;
    }
    let left = forest::wanted_width(model).clamp(38, area.width / 2);
    let [left, right] = area.layout(&Layout::horizontal([Constraint::Length(left), Constraint::Min(0)]));
    forest::draw(frame, left, model);
    detail(frame, right, model);
}

fn detail(frame: &mut Frame<'_>, area: Rect, model: &mut Model) {
    match model.tab {
        Tab::Figure => figure::draw(frame, area, model),
        Tab::Layers => layers::draw(frame, area, model),
        Tab::Info => info::draw(frame, area, model),
        Tab::Health => health::draw(frame, area, model),
    }
}

fn too_small(frame: &mut Frame<'_>, area: Rect) {
    let text = format!("needs {}x{}, has {}x{}", SMALLEST.0, SMALLEST.1, area.width, area.height);
    let line = Rect { y: area.y + area.height / 2, height: area.height.min(1), ..area };
    frame.render_widget(Paragraph::new(Line::styled(text, Theme::PLAIN)).centered(), line);
}
