//! What actions do where two views are compared.

use super::action::{Action, Effect};
use super::model::{Model, Overlay};
use super::update_plan::scrolled;
use super::verify::VerifyScreen;

/// Opens the screen that compares two views, and has it done.
pub(super) fn open(model: &mut Model) -> Vec<Effect> {
    let Some(views) = model.to_verify() else { return Vec::new() };
    model.plan_number += 1;
    let number = model.plan_number;
    model.overlays.push(Overlay::Verify(Box::new(VerifyScreen::new(number, views.clone()))));
    vec![Effect::Verify { number, views }]
}

/// Does `action` if it belongs to that screen.
pub(super) fn act(model: &mut Model, action: Action) -> Option<Vec<Effect>> {
    let screen = model.verify_screen()?;
    if action == Action::CopyPath {
        let command = screen.command();
        model.say("copied the command");
        return Some(vec![Effect::Copy(command)]);
    }
    scrolled(&mut screen.scroll, screen.scroll_max, action).then(Vec::new)
}
