//! Why an action cannot act now, in words for the hint bar and the help.

use super::model::{Model, Overlay, Tab};
use super::remedy;
use super::request::{Request, Verb};

pub(super) fn reason(_: &Model) -> Option<String> {
    None
}

pub(super) fn forest(model: &Model) -> Option<String> {
    model.forest.is_none().then(|| "the folders are still being looked through".to_owned())
}

pub(super) fn filter(model: &Model) -> Option<String> {
    model.pane.filter.is_empty().then(|| "there is no filter".to_owned())
}

pub(super) fn selection(model: &Model) -> Option<String> {
    model.pane.selected().is_none().then(|| "nothing is selected".to_owned())
}

pub(super) fn remedy(model: &Model) -> Option<String> {
    let offered = model.tab == Tab::Health && remedy::offer(model).is_some();
    (!offered).then(|| "nothing is offered here; Health offers what helps against a problem".to_owned())
}

pub(super) fn verify(model: &Model) -> Option<String> {
    if let Some(why) = forest(model).or_else(|| selection(model)) {
        return Some(why);
    }
    let marked = model.pane.marks.len();
    match model.to_verify() {
        Some(_) => None,
        None if marked > 2 => Some(format!("{marked} views are marked; two are compared")),
        None => Some("mark one view with Space and select another one, or mark two".to_owned()),
    }
}

pub(super) fn jobs(model: &Model) -> Option<String> {
    model.jobs.is_empty().then(|| "no job has been started".to_owned())
}

pub(super) fn running_job(model: &Model) -> Option<String> {
    model.running().is_none().then(|| "no job is running".to_owned())
}

pub(super) fn operate(model: &Model, verb: Verb) -> Option<String> {
    let Some(forest) = &model.forest else { return forest(model) };
    Request::why_not(verb, model.subject().as_ref(), forest, &model.beside)
}

/// Why nothing can be planned in the clean-up wizard.
pub(super) fn marked(model: &Model) -> Option<String> {
    let cleaning = model.cleaning()?;
    cleaning.goes.is_empty().then(|| "nothing is marked".to_owned())
}

/// Why the plan on screen has no other way.
pub(super) fn ways(model: &Model) -> Option<String> {
    let Some(Overlay::Plan(screen)) = model.plan_overlay() else { return None };
    (screen.planned.len() < 2).then(|| "there is one way only".to_owned())
}

pub(super) fn plan_run(model: &Model) -> Option<String> {
    let Some(Overlay::Plan(screen)) = model.plan_overlay() else { return None };
    if model.read_only {
        return Some("cowherd was started with --read-only".to_owned());
    }
    if model.running().is_some() {
        return Some("another job is running".to_owned());
    }
    screen.why_not()
}
