//! What an action does to the state. Returns what must be done outside of it.

use tui_input::backend::crossterm::EventHandler;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

use super::action::{Action, Effect};
use super::help;
use super::keymap::{self, Binding};
use super::model::{Focus, HelpState, Model, Overlay, Tab};
use super::palette;
use super::plan_screen::Field;
use super::remedy;
use super::request::Verb;
use super::update_cleaning as cleaning;
use super::update_form as form;
use super::update_plan as plan;
pub(super) use super::update_plan::look_again;
use super::update_verify as verify;
use crate::text::Shown;

/// Columns and lines that one key pans a figure.
const PAN: (isize, isize) = (8, 2);

/// Handles a key: what it is bound to, or text for the field that is typed in.
pub(super) fn key(model: &mut Model, event: &KeyEvent) -> Vec<Effect> {
    model.message = None;
    if typing(model) && is_text(event) {
        text(model, event);
        return Vec::new();
    }
    let Some(binding) = keymap::lookup(model, event) else {
        text(model, event);
        return Vec::new();
    };
    match binding.why_not(model) {
        Some(why) => refuse(model, binding.action, why),
        None => return act(model, binding.action),
    }
    Vec::new()
}

fn refuse(model: &mut Model, action: Action, why: String) {
    match action {
        Action::PlanRun => plan::refuse(model, why),
        _ => model.warn(why),
    }
}

/// Whether characters go into a field rather than to the bindings.
fn typing(model: &Model) -> bool {
    match model.overlays.last() {
        Some(Overlay::Filter(_) | Overlay::Help(_) | Overlay::Palette(_)) => true,
        Some(Overlay::Form(form)) => form.typing(),
        Some(Overlay::Plan(screen)) => screen.field == Field::Name,
        _ => false,
    }
}

fn is_text(event: &KeyEvent) -> bool {
    let plain = !event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    plain && matches!(event.code, KeyCode::Char(_))
}

fn text(model: &mut Model, event: &KeyEvent) {
    let event = Event::Key(*event);
    match model.overlays.last_mut() {
        Some(Overlay::Filter(input)) => {
            input.handle_event(&event);
            let wanted = input.value().to_owned();
            filter(model, &wanted);
        }
        Some(Overlay::Help(state) | Overlay::Palette(state)) => {
            state.search.handle_event(&event);
            (state.selected, state.scroll) = (0, 0);
        }
        Some(Overlay::Plan(screen)) if screen.field == Field::Name => {
            screen.name.handle_event(&event);
            screen.notice = None;
        }
        Some(Overlay::Form(_)) => form::text(model, &event),
        _ => {}
    }
}

/// Text that was pasted. It can search and answer, and never consent.
pub(super) fn paste(model: &mut Model, pasted: &str) {
    if matches!(
        model.overlays.last(),
        Some(Overlay::Filter(_) | Overlay::Help(_) | Overlay::Palette(_) | Overlay::Form(_))
    ) {
        for c in pasted.chars().filter(|c| !c.is_control()) {
            text(model, &KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
        }
    }
}

fn filter(model: &mut Model, wanted: &str) {
    if let Some(forest) = model.forest.clone() {
        model.pane.set_filter(&forest, model.glyphs, wanted);
        model.follow_selection();
    }
}

/// Does what `action` says, which is known to be possible.
pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    if matches!(model.overlays.last(), Some(Overlay::Plan(_)))
        && let Some(effects) = plan::act(model, action)
    {
        return effects;
    }
    if matches!(model.overlays.last(), Some(Overlay::Verify(_)))
        && let Some(effects) = verify::act(model, action)
    {
        return effects;
    }
    if matches!(model.overlays.last(), Some(Overlay::Form(_)))
        && let Some(effects) = form::act(model, action)
    {
        return effects;
    }
    if matches!(model.overlays.last(), Some(Overlay::Cleaning(_)))
        && let Some(effects) = cleaning::act(model, action)
    {
        return effects;
    }
    if matches!(model.overlays.last(), Some(Overlay::Help(_) | Overlay::Palette(_))) {
        if action == Action::RunLine {
            return run_line(model);
        }
        if help_act(model, action) {
            return Vec::new();
        }
    }
    match action {
        Action::Help => model.overlays.push(Overlay::Help(HelpState::default())),
        Action::Palette => model.overlays.push(Overlay::Palette(HelpState::default())),
        Action::Close => close(model),
        Action::Quit => quit(model),
        Action::QuitWait | Action::QuitStop => {
            model.overlays.pop();
            model.leaving = true;
            model.done = model.running().is_none();
            if action == Action::QuitStop {
                return vec![Effect::StopJob];
            }
        }
        Action::PauseJob => return vec![Effect::PauseJob],
        Action::CancelJob => model.overlays.push(Overlay::Stop),
        Action::StopJob => {
            model.overlays.pop();
            return vec![Effect::StopJob];
        }
        Action::Filter => {
            model.focus = Focus::Forest;
            model.overlays.push(Overlay::Filter(model.pane.filter.clone().into()));
        }
        Action::Accept => {
            model.overlays.pop();
            // What the filter found is what the user wants, also after the filter is dropped.
            if let (Some(forest), Some(row)) = (model.forest.clone(), model.pane.selected()) {
                model.pane.select(&forest, row);
            }
        }
        Action::Operate(Verb::CleanUp) => return cleaning::begin(model),
        Action::Mark => {
            if let (Some(forest), Some(row)) = (model.forest.clone(), model.pane.selected()) {
                model.pane.mark(&forest, row);
                move_selection(model, Action::Down);
            }
        }
        Action::Remedy => {
            return remedy::offer(model).map(|offer| plan::begin(model, offer.verb)).unwrap_or_default();
        }
        Action::Verify => return verify::open(model),
        Action::Operate(verb) => return plan::begin(model, verb),
        Action::Rescan => return vec![Effect::Scan],
        Action::CopyPath => return copy_path(model),
        Action::Mouse => {
            model.mouse = !model.mouse;
            model.say(if model.mouse { "mouse on: m gives it back to the terminal" } else { "mouse off" });
            return vec![Effect::Mouse(model.mouse)];
        }
        Action::Suspend => return vec![Effect::Suspend],
        _ => navigate(model, action),
    }
    Vec::new()
}

fn navigate(model: &mut Model, action: Action) {
    match action {
        Action::NextPane | Action::PreviousPane => turn_pane(model, action == Action::NextPane),
        Action::NextTab => go_tab(model, model.tab.turn(1)),
        Action::PreviousTab => go_tab(model, model.tab.turn(Tab::ALL.len() - 1)),
        Action::GoForest => model.focus = Focus::Forest,
        Action::GoFigure => focus_tab(model, Tab::Figure),
        Action::GoLayers => focus_tab(model, Tab::Layers),
        Action::GoInfo => focus_tab(model, Tab::Info),
        Action::GoHealth => focus_tab(model, Tab::Health),
        Action::GoJobs => model.focus = Focus::Jobs,
        Action::Open => model.focus = Focus::Detail,
        Action::PanLeft => model.figure.pan_by(-PAN.0, 0),
        Action::PanRight => model.figure.pan_by(PAN.0, 0),
        Action::PanUp => model.figure.pan_by(0, -PAN.1),
        Action::PanDown => model.figure.pan_by(0, PAN.1),
        _ if model.focus == Focus::Detail => scroll_detail(model, action),
        _ => move_selection(model, action),
    }
}

fn move_selection(model: &mut Model, action: Action) {
    let Some(forest) = model.forest.clone() else { return };
    let page = model.pane.height.max(2) as isize;
    let pane = &mut model.pane;
    match action {
        Action::Up => pane.step(&forest, -1),
        Action::Down => pane.step(&forest, 1),
        Action::HalfUp => pane.step(&forest, -page / 2),
        Action::HalfDown => pane.step(&forest, page / 2),
        Action::PageUp => pane.step(&forest, -page),
        Action::PageDown => pane.step(&forest, page),
        Action::First => pane.step(&forest, isize::MIN / 2),
        Action::Last => pane.step(&forest, isize::MAX / 2),
        Action::Out => pane.out(&forest),
        Action::Into => pane.into(&forest),
        Action::NextMatch => pane.next_match(&forest, true),
        Action::PreviousMatch => pane.next_match(&forest, false),
        _ => return,
    }
    model.detail_scroll = 0;
    model.follow_selection();
}

fn scroll_detail(model: &mut Model, action: Action) {
    let half = (model.figure.view.1.max(2) / 2) as isize;
    let by = match action {
        Action::Up => -1,
        Action::Down => 1,
        Action::HalfUp | Action::PageUp => -half,
        Action::HalfDown | Action::PageDown => half,
        Action::First => isize::MIN / 2,
        Action::Last => isize::MAX / 2,
        _ => return,
    };
    match model.tab {
        Tab::Figure => model.figure.pan_by(0, by),
        _ => {
            let to = model.detail_scroll.saturating_add_signed(by);
            model.detail_scroll = to.min(model.detail_scroll_max);
        }
    }
}

fn turn_pane(model: &mut Model, forward: bool) {
    let mut panes = vec![Focus::Forest, Focus::Detail];
    if !model.jobs.is_empty() {
        panes.push(Focus::Jobs);
    }
    let at = panes.iter().position(|p| *p == model.focus).unwrap_or(0);
    let by = if forward { 1 } else { panes.len() - 1 };
    model.focus = panes[(at + by) % panes.len()];
}

fn go_tab(model: &mut Model, tab: Tab) {
    model.tab = tab;
    model.detail_scroll = 0;
}

fn focus_tab(model: &mut Model, tab: Tab) {
    go_tab(model, tab);
    model.focus = Focus::Detail;
}

fn close(model: &mut Model) {
    match model.overlays.pop() {
        Some(Overlay::Filter(_)) => filter(model, ""),
        Some(_) => {}
        None if model.leaving => {
            model.leaving = false;
            model.say("staying");
        }
        None if model.focus == Focus::Detail => model.focus = Focus::Forest,
        None if !model.pane.filter.is_empty() => filter(model, ""),
        None if !model.pane.marks.is_empty() => model.pane.marks.clear(),
        None => {
            model.jobs.retain(|job| job.outcome.is_none());
            model.focus = Focus::Forest;
        }
    }
}

fn quit(model: &mut Model) {
    if model.running().is_some() {
        model.overlays.push(Overlay::Quit);
    } else {
        model.done = true;
    }
}

fn copy_path(model: &mut Model) -> Vec<Effect> {
    let Some(subject) = model.subject() else { return Vec::new() };
    let mut text = subject.image.to_string_lossy().into_owned();
    if let Some((id, name)) = subject.snapshot {
        text += &if name.is_empty() { format!("@#{id}") } else { format!("@{name}") };
    }
    model.say(format!("copied {}", Shown::new(&text)));
    vec![Effect::Copy(text)]
}

/// The lines of the help, or of the palette, that is open.
fn lines(model: &Model) -> Vec<&'static Binding> {
    match model.overlays.last() {
        Some(Overlay::Palette(_)) => palette::lines(model),
        _ => help::lines(model),
    }
}

fn help_act(model: &mut Model, action: Action) -> bool {
    let count = lines(model).len();
    let Some(Overlay::Help(state) | Overlay::Palette(state)) = model.overlays.last_mut() else {
        return false;
    };
    let half = (state.height.max(2) / 2) as isize;
    let by = match action {
        Action::Up => -1,
        Action::Down => 1,
        Action::HalfUp => -half,
        Action::HalfDown => half,
        _ => return false,
    };
    state.selected = state.selected.saturating_add_signed(by).min(count.saturating_sub(1));
    true
}

fn run_line(model: &mut Model) -> Vec<Effect> {
    let lines = lines(model);
    let Some(Overlay::Help(state) | Overlay::Palette(state)) = model.overlays.last() else {
        return Vec::new();
    };
    palette::debug_panic(state.search.value());
    let Some(line) = lines.get(state.selected) else { return Vec::new() };
    if let Some(why) = help::why_not(model, line) {
        model.warn(why);
        return Vec::new();
    }
    model.overlays.pop();
    act(model, line.action)
}
