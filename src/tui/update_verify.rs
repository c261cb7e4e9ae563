//! What actions do where two views are compared.

use super::action::{Action, Effect};
use super::model::{Model, Overlay};
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
    let half = 8;
    match action {
        Action::Down => screen.scroll += 1,
        Action::Up => screen.scroll = screen.scroll.saturating_sub(1),
        Action::HalfDown => screen.scroll += half,
        Action::HalfUp => screen.scroll = screen.scroll.saturating_sub(half),
        Action::CopyPath => {
            let command = screen.command();
            model.say("copied the command");
            return Some(vec![Effect::Copy(command)]);
        }
        _ => return None,
    }
    screen.scroll = screen.scroll.min(screen.scroll_max);
    Some(Vec::new())
}
