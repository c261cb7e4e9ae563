//! The mouse, while it is ours: click selects, a second click opens, the wheel moves.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::action::Action;
use super::model::{Focus, Model};
use super::update;

pub(super) fn handle(model: &mut Model, event: MouseEvent) {
    match event.kind {
        MouseEventKind::ScrollDown => drop(update::act(model, Action::Down)),
        MouseEventKind::ScrollUp => drop(update::act(model, Action::Up)),
        MouseEventKind::Down(MouseButton::Left) if model.overlays.is_empty() => click(model, event),
        _ => {}
    }
}

fn click(model: &mut Model, event: MouseEvent) {
    let Some(forest) = model.forest.clone() else { return };
    let Some(row) = model.pane.row_at(Position::new(event.column, event.row)) else { return };
    model.focus = Focus::Forest;
    if model.pane.selected() == Some(row) {
        model.pane.toggle(&forest);
    } else {
        model.pane.select(&forest, row);
        model.follow_selection();
    }
}
