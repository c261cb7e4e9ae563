//! What actions do on the plan screen.

use tui_input::Input;

use super::action::{Action, Effect};
use super::form::Form;
use super::model::{Model, Overlay};
use super::operation::{Tier, command};
use super::plan_screen::{Field, PlanScreen};
use super::reasons;
use super::request::{Request, Verb};

/// Lines, or columns, that are scrolled at once.
const HALF: usize = 8;

/// Starts what `verb` means for the selection: asks for what it needs, or plans it.
pub(super) fn begin(model: &mut Model, verb: Verb) -> Vec<Effect> {
    let Some(forest) = model.forest.clone() else { return Vec::new() };
    let request = Request::new(verb, model.subject(), &forest, &model.beside);
    if request.asks() {
        model.overlays.push(Overlay::Form(Box::new(Form::new(request))));
        return Vec::new();
    }
    plan(model, request)
}

/// Opens the screen for `request` and asks for its plan.
pub(super) fn plan(model: &mut Model, request: Request) -> Vec<Effect> {
    model.overlays.push(Overlay::Plan(Box::new(PlanScreen::new(request))));
    ask(model)
}

/// Asks for a plan with the chosen options; whatever is still on its way becomes stale.
fn ask(model: &mut Model) -> Vec<Effect> {
    model.plan_number += 1;
    let number = model.plan_number;
    let Some(forest) = model.forest.clone() else { return Vec::new() };
    let Some(screen) = model.plan_screen() else { return Vec::new() };
    let (operations, verify) = (screen.ask(&forest, number), screen.request.verifies());
    if operations.is_empty() { Vec::new() } else { vec![Effect::Plan { number, operations, verify }] }
}

/// After a scan: a plan for what is not so any more is made anew, and has to be agreed to anew.
pub(super) fn look_again(model: &mut Model) -> Vec<Effect> {
    let Some(forest) = model.forest.clone() else { return Vec::new() };
    let Some(screen) = model.plan_screen().filter(|screen| screen.is_outdated(&forest)) else {
        return Vec::new();
    };
    screen.calm_down();
    let effects = ask(model);
    if let Some(screen) = model.plan_screen() {
        screen.notice = Some("planned anew: the images changed meanwhile".to_owned());
    }
    effects
}

/// Moves the first line `at` of a screen, `most` at most, if `action` is about that.
pub(super) fn scrolled(at: &mut usize, most: usize, action: Action) -> bool {
    *at = match action {
        Action::Down => *at + 1,
        Action::Up => at.saturating_sub(1),
        Action::HalfDown => *at + HALF,
        Action::HalfUp => at.saturating_sub(HALF),
        _ => return false,
    }
    .min(most);
    true
}

/// Does `action` if it belongs to the plan screen.
pub(super) fn act(model: &mut Model, action: Action) -> Option<Vec<Effect>> {
    let screen = model.plan_screen()?;
    if scrolled(&mut screen.scroll, screen.scroll_max, action) {
        return Some(Vec::new());
    }
    match action {
        Action::PanLeft => screen.pan = screen.pan.saturating_sub(HALF),
        Action::PanRight => screen.pan = (screen.pan + HALF).min(screen.pan_max),
        Action::NextField => screen.turn(true),
        Action::PreviousField => screen.turn(false),
        Action::NextWay => screen.turn_way(),
        Action::Toggle => return Some(toggle(model)),
        Action::PlanRun => return Some(run(model)),
        Action::Activate => return Some(activate(model)),
        Action::CopyCommand => return Some(copy_command(model)),
        _ => return None,
    }
    Some(Vec::new())
}

/// Changes the option that has the focus, and so the plan; without one, goes to the first.
fn toggle(model: &mut Model) -> Vec<Effect> {
    let Some(screen) = model.plan_screen() else { return Vec::new() };
    match (screen.field, screen.options().first()) {
        (Field::Option(at), _) => {
            screen.request.fields.get_mut(at).into_iter().for_each(|field| field.turn(true));
            // The name was typed for another plan.
            screen.name = Input::default();
            ask(model)
        }
        (_, Some(first)) => {
            screen.field = Field::Option(*first);
            Vec::new()
        }
        (_, None) => Vec::new(),
    }
}

fn activate(model: &mut Model) -> Vec<Effect> {
    match model.plan_screen().map(|screen| screen.field) {
        Some(Field::Option(_)) => toggle(model),
        Some(Field::Name | Field::Run) => match reasons::plan_run(model) {
            None => run(model),
            Some(why) => {
                refuse(model, why);
                Vec::new()
            }
        },
        _ => {
            model.overlays.pop();
            Vec::new()
        }
    }
}

/// Says why the plan does not run, and goes where that can be changed.
pub(super) fn refuse(model: &mut Model, why: String) {
    if let Some(screen) = model.plan_screen() {
        if screen.asks_name() && !screen.name_given() {
            screen.field = Field::Name;
        }
        screen.notice = Some(why);
    }
}

fn run(model: &mut Model) -> Vec<Effect> {
    let Some(screen) = model.plan_screen() else { return Vec::new() };
    // The key alone never consents to the worst.
    let named = screen.tier() != Some(Tier::Name) || screen.name_given();
    let accepted = screen.by_name();
    match screen.ready() {
        Some(ready) if named => vec![Effect::Start { proposal: ready.proposal.clone(), accepted }],
        _ => Vec::new(),
    }
}

fn copy_command(model: &mut Model) -> Vec<Effect> {
    let Some(screen) = model.plan_screen() else { return Vec::new() };
    let Some(way) = screen.ways.get(screen.at) else { return Vec::new() };
    let text = command(&way.operation, screen.verifies());
    model.say(format!("copied: {}", crate::text::Shown::new(&text)));
    vec![Effect::Copy(text)]
}
