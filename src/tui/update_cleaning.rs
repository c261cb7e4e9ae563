//! What actions do in the clean-up wizard.

use super::action::{Action, Effect};
use super::cleaning::Cleaning;
use super::model::{Model, Overlay};
use super::request::Request;
use super::update_plan as plan;

/// Opens the wizard, and finds out how every image stands.
pub(super) fn begin(model: &mut Model) -> Vec<Effect> {
    let Some(forest) = model.forest.clone() else { return Vec::new() };
    model.overlays.push(Overlay::Cleaning(Box::new(Cleaning::new(forest.clone()))));
    vec![Effect::Judge { forest }]
}

/// Does `action` if it belongs to the wizard.
pub(super) fn act(model: &mut Model, action: Action) -> Option<Vec<Effect>> {
    if action == Action::Activate {
        return Some(plan_it(model));
    }
    let cleaning = model.cleaning_mut()?;
    let (at, half) = (cleaning.cursor, cleaning.height.max(2) / 2);
    match action {
        Action::Down => cleaning.go_to(at + 1),
        Action::Up => cleaning.go_to(at.saturating_sub(1)),
        Action::HalfDown => cleaning.go_to(at + half),
        Action::HalfUp => cleaning.go_to(at.saturating_sub(half)),
        Action::First => cleaning.go_to(0),
        Action::Last => cleaning.go_to(usize::MAX),
        Action::Mark => {
            cleaning.toggle();
            cleaning.go_to(at + 1);
        }
        Action::Pin => {
            cleaning.pin();
            cleaning.go_to(at + 1);
        }
        Action::KeepMore => cleaning.keep(true),
        Action::KeepFewer => cleaning.keep(false),
        Action::NextAge => cleaning.next_age(),
        Action::Propose if !cleaning.propose() => {
            model.say("nothing is free to go by itself; mark what may go")
        }
        Action::Propose => {}
        _ => return None,
    }
    Some(sum(model))
}

/// Has a worker find out what the marks come to, unless one is at it.
pub(super) fn sum(model: &mut Model) -> Vec<Effect> {
    let goes = model.cleaning_mut().and_then(Cleaning::next_to_sum);
    goes.map(|goes| Effect::Sum { goes }).into_iter().collect()
}

fn plan_it(model: &mut Model) -> Vec<Effect> {
    let Some(cleaning) = model.cleaning() else { return Vec::new() };
    let request = Request::clean_up(cleaning.goes.clone(), &cleaning.forest);
    plan::plan(model, request)
}
