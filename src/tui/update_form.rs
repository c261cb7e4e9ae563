//! What actions do in a form.

use tui_input::backend::crossterm::EventHandler;

use crossterm::event::{Event, KeyCode};

use super::action::{Action, Effect};
use super::form::Form;
use super::model::{Model, Overlay};
use super::request::Value;
use super::update_plan;

/// Does `action` if it belongs to a form.
pub(super) fn act(model: &mut Model, action: Action) -> Option<Vec<Effect>> {
    let forest = model.forest.clone()?;
    let form = form(model)?;
    match action {
        Action::NextField => form.turn(true),
        Action::PreviousField => form.turn(false),
        Action::Down | Action::Up => form.step(action == Action::Down, &forest),
        Action::Toggle => {
            form.focused()?.turn(true);
            form.look_again(&forest);
        }
        Action::Activate => {
            if form.check(&forest) {
                let request = form.request.clone();
                return Some(update_plan::plan(model, request));
            }
        }
        _ => return None,
    }
    Some(Vec::new())
}

/// A key for the field that has the focus.
pub(super) fn text(model: &mut Model, event: &Event) {
    let Some(forest) = model.forest.clone() else { return };
    let Some(form) = form(model) else { return };
    let sideways = match event {
        Event::Key(key) if key.code == KeyCode::Left => Some(false),
        Event::Key(key) if key.code == KeyCode::Right => Some(true),
        _ => None,
    };
    match form.focused().map(|field| &mut field.value) {
        Some(Value::Choice(choice)) if sideways.is_some() => choice.turn(sideways == Some(true)),
        Some(Value::Text(input)) => drop(input.handle_event(event)),
        Some(Value::Choice(choice)) => {
            choice.search.handle_event(event);
            choice.settle();
        }
        _ => {}
    }
    form.look_again(&forest);
}

fn form(model: &mut Model) -> Option<&mut Form> {
    match model.overlays.last_mut() {
        Some(Overlay::Form(form)) => Some(form),
        _ => None,
    }
}
