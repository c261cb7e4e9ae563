//! What actions do on the plan screen.

use super::action::{Action, Effect};
use super::model::{Model, Overlay};
use super::plan_screen::{Field, PlanScreen};
use super::reasons;

/// Opens the screen and asks for a plan.
pub(super) fn open(model: &mut Model) -> Vec<Effect> {
    let Some(node) = model.selected_node() else { return Vec::new() };
    let screen = PlanScreen::new(node.path.clone(), node.children.is_empty());
    model.overlays.push(Overlay::Plan(Box::new(screen)));
    ask(model)
}

/// Asks for a plan with the chosen options; whatever is still on its way becomes stale.
fn ask(model: &mut Model) -> Vec<Effect> {
    model.plan_number += 1;
    let (number, gate) = (model.plan_number, model.gate.clone());
    let Some(screen) = model.plan_screen() else { return Vec::new() };
    screen.awaited = Some(number);
    screen.notice = None;
    vec![Effect::Plan { number, top: screen.top.clone(), options: screen.options(&gate) }]
}

/// Does `action` if it belongs to the plan screen.
pub(super) fn act(model: &mut Model, action: Action) -> Option<Vec<Effect>> {
    let screen = model.plan_screen()?;
    let half = 8;
    match action {
        Action::Down => screen.scroll += 1,
        Action::Up => screen.scroll = screen.scroll.saturating_sub(1),
        Action::HalfDown => screen.scroll += half,
        Action::HalfUp => screen.scroll = screen.scroll.saturating_sub(half),
        Action::PanLeft => screen.pan = screen.pan.saturating_sub(half),
        Action::PanRight => screen.pan += half,
        Action::NextField => screen.turn(true),
        Action::PreviousField => screen.turn(false),
        Action::Toggle if screen.field == Field::Option => {
            screen.chosen = !screen.chosen;
            return Some(ask(model));
        }
        Action::Toggle => screen.field = Field::Option,
        Action::PlanRun => return Some(run(model)),
        Action::Activate => return Some(activate(model)),
        _ => return None,
    }
    screen.scroll = screen.scroll.min(screen.scroll_max);
    screen.pan = screen.pan.min(screen.pan_max);
    Some(Vec::new())
}

fn activate(model: &mut Model) -> Vec<Effect> {
    match model.plan_screen().map(|screen| screen.field) {
        Some(Field::Option) => act(model, Action::Toggle).unwrap_or_default(),
        Some(Field::Name | Field::Run) => match reasons::plan_run(model) {
            None => run(model),
            Some(why) => {
                if let Some(screen) = model.plan_screen() {
                    screen.notice = Some(why);
                }
                Vec::new()
            }
        },
        _ => {
            model.overlays.pop();
            Vec::new()
        }
    }
}

fn run(model: &mut Model) -> Vec<Effect> {
    let Some(screen) = model.plan_screen() else { return Vec::new() };
    let accepted = screen.by_name();
    let Some(ready) = screen.ready() else { return Vec::new() };
    vec![Effect::Start { plan: ready.plan.clone(), accepted }]
}
