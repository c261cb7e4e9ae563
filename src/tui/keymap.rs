//! The one table of key bindings.
//!
//! The hint bar, the help and the README's key table are made from it, so none of them can lie. A
//! binding that cannot act now stays listed and says why.

use std::fmt::Write;

use crossterm::event::KeyEvent;

use super::action::Action;
use super::keys;
use super::model::Model;
use super::reasons as no;
use super::request::Verb;

/// Where a binding holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    /// Anywhere on the main screen.
    Main,
    /// While the forest has the focus.
    Forest,
    /// While the detail pane has the focus.
    Detail,
    /// While the jobs have the focus.
    Jobs,
    /// On the plan screen.
    Plan,
    /// While a name is typed as consent to a plan.
    Consent,
    /// In a form.
    Form,
    /// In the clean-up wizard.
    Cleaning,
    /// While a filter is typed.
    Filter,
    /// In the help.
    Help,
    /// In the palette.
    Palette,
    /// When asked what to do about a running job before quitting.
    Quit,
    /// When asked whether to stop a job.
    Stop,
    /// While two views are verified, or the result is looked at.
    Verify,
}

impl Context {
    fn title(self) -> &'static str {
        match self {
            Self::Main => "anywhere",
            Self::Forest => "forest",
            Self::Detail => "figure, layers, info, health",
            Self::Jobs => "jobs",
            Self::Plan => "plan",
            Self::Consent => "consent to a plan",
            Self::Form => "form",
            Self::Cleaning => "clean-up",
            Self::Filter => "filter",
            Self::Help => "help",
            Self::Palette => "palette",
            Self::Quit => "quitting while a job runs",
            Self::Stop => "stopping a job",
            Self::Verify => "verification",
        }
    }
}

/// One line of the table.
pub(super) struct Binding {
    pub(super) context: Context,
    pub(super) keys: &'static [&'static str],
    pub(super) action: Action,
    /// The word in the hint bar; empty keeps it out of there.
    pub(super) label: &'static str,
    /// The sentence in the help.
    pub(super) help: &'static str,
    /// Why it cannot act now.
    pub(super) reason: fn(&Model) -> Option<String>,
}

impl Binding {
    /// Why it cannot act now, in words.
    pub(super) fn why_not(&self, model: &Model) -> Option<String> {
        match self.action {
            Action::Operate(verb) => no::operate(model, verb),
            _ => (self.reason)(model),
        }
    }
}

const fn bind(
    context: Context,
    keys: &'static [&'static str],
    action: Action,
    label: &'static str,
    help: &'static str,
) -> Binding {
    Binding { context, keys, action, label, help, reason: no::reason }
}

/// Something that is planned first; why it cannot be depends on what is selected.
const fn operate(
    keys: &'static [&'static str],
    verb: Verb,
    label: &'static str,
    help: &'static str,
) -> Binding {
    bind(C::Main, keys, A::Operate(verb), label, help)
}

const fn bind_if(binding: Binding, reason: fn(&Model) -> Option<String>) -> Binding {
    Binding { reason, ..binding }
}

use Action as A;
use Context as C;

/// Every binding. Within a context the hint bar keeps this order.
pub(super) const TABLE: &[Binding] = &[
    bind(C::Main, &["?", "f1"], A::Help, "help", "show every key; type to search, Enter runs the line"),
    bind(C::Main, &[":"], A::Palette, "", "find any action by its name, and run it"),
    operate(&["c"], Verb::Commit, "commit", "merge the selected image down into its backing file"),
    operate(&["p"], Verb::Pull, "pull", "merge the layers below up into the selected image"),
    operate(&["r"], Verb::Rebase, "rebase", "base the selected image on another one, or on nothing"),
    operate(&["s"], Verb::Snapshot, "snapshot", "take an internal snapshot of the selected image"),
    operate(&["o"], Verb::Overlay, "overlay", "external snapshot: a new image on top of the selected one"),
    operate(
        &["e"],
        Verb::Export,
        "export",
        "write the selected view, or what differs, into a file of its own",
    ),
    operate(&["x"], Verb::Convert, "convert", "make the selected image one of another format, in place"),
    operate(
        &["d"],
        Verb::Delete,
        "delete",
        "take the selected layer out of its chain, or delete the snapshot",
    ),
    operate(&["b"], Verb::GoBack, "", "go back to the selected snapshot, or throw an overlay's changes away"),
    operate(&["f2"], Verb::Rename, "", "give the selected image or snapshot another name"),
    operate(
        &["C"],
        Verb::CleanUp,
        "clean up",
        "mark what may go, or say what is to stay; one job does it all",
    ),
    operate(&["u"], Verb::Recover, "recover", "finish, or undo, a job that was interrupted"),
    operate(&[], Verb::Resize, "", "make the disk of the selected image longer or shorter"),
    operate(&[], Verb::Compact, "", "give what is free in the selected image back to the host"),
    operate(&[], Verb::Import, "", "make one image of the selected chain, its layers as snapshots"),
    operate(&[], Verb::Repair, "", "mend the metadata of the selected image"),
    operate(&[], Verb::Restore, "", "bring a file back from the trash"),
    operate(&[], Verb::EmptyTrash, "", "delete what is in the trash, for good"),
    bind_if(
        bind(
            C::Main,
            &["v"],
            A::Verify,
            "verify",
            "compare the two marked views, or the marked and the selected one",
        ),
        no::verify,
    ),
    bind_if(
        bind(C::Main, &["/"], A::Filter, "filter", "show only what matches, and what it is based on"),
        no::forest,
    ),
    bind(C::Forest, &["j", "down"], A::Down, "", "move down"),
    bind(C::Forest, &["k", "up"], A::Up, "", "move up"),
    bind(C::Forest, &["g", "home"], A::First, "", "go to the first row"),
    bind(C::Forest, &["G", "end"], A::Last, "", "go to the last row"),
    bind(C::Forest, &["ctrl-d"], A::HalfDown, "", "half a page down"),
    bind(C::Forest, &["ctrl-u"], A::HalfUp, "", "half a page up"),
    bind(C::Forest, &["pgdn"], A::PageDown, "", "a page down"),
    bind(C::Forest, &["pgup"], A::PageUp, "", "a page up"),
    bind(C::Forest, &["h", "left"], A::Out, "", "close the row, or go to what it is based on"),
    bind(C::Forest, &["l", "right"], A::Into, "", "open the row, or go to the first one in it"),
    bind_if(
        bind(
            C::Forest,
            &["space"],
            A::Mark,
            "mark",
            "mark the selected image or snapshot, or take the mark away",
        ),
        no::selection,
    ),
    bind(C::Forest, &["enter"], A::Open, "open", "look at the selected row in the detail pane"),
    bind_if(
        bind(C::Detail, &["enter"], A::Remedy, "", "do what is offered against the problem (Health)"),
        no::remedy,
    ),
    bind(C::Detail, &["j", "down"], A::Down, "", "scroll down"),
    bind(C::Detail, &["k", "up"], A::Up, "", "scroll up"),
    bind(C::Detail, &["h", "left"], A::PanLeft, "", "pan the figure left"),
    bind(C::Detail, &["l", "right"], A::PanRight, "", "pan the figure right"),
    bind(C::Detail, &["g", "home"], A::First, "", "go to the beginning"),
    bind(C::Detail, &["G", "end"], A::Last, "", "go to the end"),
    bind(C::Detail, &["ctrl-d", "pgdn"], A::HalfDown, "", "half a page down"),
    bind(C::Detail, &["ctrl-u", "pgup"], A::HalfUp, "", "half a page up"),
    bind_if(
        bind(C::Jobs, &["space"], A::PauseJob, "pause", "have the running job wait, or go on"),
        no::running_job,
    ),
    bind_if(
        bind(C::Jobs, &["x"], A::CancelJob, "stop job", "stop the running job; asks first"),
        no::running_job,
    ),
    bind(C::Main, &["H"], A::PanLeft, "", "pan the figure left"),
    bind(C::Main, &["L"], A::PanRight, "", "pan the figure right"),
    bind(C::Main, &["K"], A::PanUp, "", "pan the figure up"),
    bind(C::Main, &["J"], A::PanDown, "", "pan the figure down"),
    bind_if(bind(C::Main, &["n"], A::NextMatch, "", "go to the next match of the filter"), no::filter),
    bind_if(bind(C::Main, &["N"], A::PreviousMatch, "", "go to the previous match"), no::filter),
    bind(C::Main, &["tab"], A::NextPane, "pane", "go to the next pane"),
    bind(C::Main, &["shift-tab"], A::PreviousPane, "", "go to the previous pane"),
    bind(C::Main, &["]"], A::NextTab, "", "next detail: figure, layers, info, health"),
    bind(C::Main, &["["], A::PreviousTab, "", "previous detail"),
    bind(C::Main, &["0"], A::GoForest, "", "go to the forest"),
    bind(C::Main, &["1"], A::GoFigure, "", "go to the figure"),
    bind(C::Main, &["2"], A::GoLayers, "", "go to the layers"),
    bind(C::Main, &["3"], A::GoInfo, "", "go to the facts"),
    bind(C::Main, &["4"], A::GoHealth, "", "go to the problems"),
    bind_if(bind(C::Main, &["w"], A::GoJobs, "jobs", "go to the jobs"), no::jobs),
    bind_if(bind(C::Main, &["y"], A::CopyPath, "copy", "copy the path of the selected image"), no::selection),
    bind(C::Main, &["R"], A::Rescan, "rescan", "look through the folders again"),
    bind(C::Main, &["m"], A::Mouse, "", "use the mouse here, or leave it to the terminal"),
    bind(C::Main, &["esc"], A::Close, "", "drop the filter, the marks, then the results of finished jobs"),
    bind(C::Main, &["ctrl-z"], A::Suspend, "", "go to the background; fg comes back"),
    bind(C::Main, &["q", "ctrl-c"], A::Quit, "quit", "quit; asks while a job runs"),
    bind_if(bind(C::Plan, &["y"], A::PlanRun, "run it", "run the plan"), no::plan_run),
    bind(C::Plan, &["esc", "q"], A::Close, "cancel", "leave; nothing has happened"),
    bind(C::Plan, &["tab"], A::NextField, "next field", "go to the next field"),
    bind(C::Plan, &["shift-tab"], A::PreviousField, "", "go to the previous field"),
    bind(C::Plan, &["space"], A::Toggle, "change option", "change the option that has the focus"),
    bind_if(bind(C::Plan, &["a"], A::NextWay, "another way", "show the next way to the same end"), no::ways),
    bind(C::Plan, &["Y"], A::CopyCommand, "", "copy the command that does the same"),
    bind(C::Plan, &["enter"], A::Activate, "", "do what has the focus"),
    bind(C::Plan, &["j", "down"], A::Down, "scroll", "scroll down"),
    bind(C::Plan, &["k", "up"], A::Up, "", "scroll up"),
    bind(C::Plan, &["ctrl-d", "pgdn"], A::HalfDown, "", "half a page down"),
    bind(C::Plan, &["ctrl-u", "pgup"], A::HalfUp, "", "half a page up"),
    bind(C::Plan, &["h", "left", "H"], A::PanLeft, "", "pan the figures left"),
    bind(C::Plan, &["l", "right", "L"], A::PanRight, "", "pan the figures right"),
    bind(C::Plan, &["?", "f1"], A::Help, "help", "show every key"),
    bind(C::Plan, &["ctrl-z"], A::Suspend, "", "go to the background; fg comes back"),
    bind(C::Plan, &["ctrl-c"], A::Quit, "", "quit; asks while a job runs"),
    bind(C::Consent, &["enter"], A::Activate, "run it", "run the plan, when the name is right"),
    bind(C::Consent, &["esc"], A::Close, "cancel", "leave; nothing has happened"),
    bind(C::Consent, &["tab"], A::NextField, "next field", "go to the next field"),
    bind(C::Consent, &["shift-tab"], A::PreviousField, "", "go to the previous field"),
    bind(C::Consent, &["down"], A::Down, "scroll", "scroll down"),
    bind(C::Consent, &["up"], A::Up, "", "scroll up"),
    bind(C::Consent, &["pgdn"], A::HalfDown, "", "half a page down"),
    bind(C::Consent, &["pgup"], A::HalfUp, "", "half a page up"),
    bind(C::Consent, &["ctrl-c"], A::Quit, "", "quit; asks while a job runs"),
    bind(
        C::Form,
        &["enter"],
        A::Activate,
        "plan it",
        "make the plan; nothing happens before it is agreed to",
    ),
    bind(C::Form, &["esc"], A::Close, "cancel", "leave; nothing has happened"),
    bind(C::Form, &["tab"], A::NextField, "next field", "go to the next field"),
    bind(C::Form, &["shift-tab"], A::PreviousField, "", "go to the previous field"),
    bind(C::Form, &["down"], A::Down, "choose", "next item of a choice; next field"),
    bind(C::Form, &["up"], A::Up, "", "previous item of a choice; previous field"),
    bind(C::Form, &["space"], A::Toggle, "", "turn a switch on or off"),
    bind(C::Form, &["ctrl-c"], A::Quit, "", "quit; asks while a job runs"),
    bind(
        C::Cleaning,
        &["space"],
        A::Mark,
        "mark",
        "mark what may go: a snapshot, or an image with its snapshots",
    ),
    bind(C::Cleaning, &["+", "="], A::KeepMore, "keep", "let one more view of each line stay"),
    bind(C::Cleaning, &["-"], A::KeepFewer, "", "let one view fewer of each line stay; none: no such wish"),
    bind(C::Cleaning, &["a"], A::NextAge, "age", "let what is younger stay: the next age"),
    bind(C::Cleaning, &["P"], A::Pin, "pin", "have it stay, whatever is wished"),
    bind(C::Cleaning, &["p"], A::Propose, "proposed", "mark what is free to go"),
    bind_if(
        bind(C::Cleaning, &["enter"], A::Activate, "plan it", "make the plan of what is marked"),
        no::marked,
    ),
    bind(C::Cleaning, &["esc", "q"], A::Close, "cancel", "leave; nothing has happened"),
    bind(C::Cleaning, &["j", "down"], A::Down, "", "move down"),
    bind(C::Cleaning, &["k", "up"], A::Up, "", "move up"),
    bind(C::Cleaning, &["g", "home"], A::First, "", "go to the first line"),
    bind(C::Cleaning, &["G", "end"], A::Last, "", "go to the last line"),
    bind(C::Cleaning, &["ctrl-d", "pgdn"], A::HalfDown, "", "half a page down"),
    bind(C::Cleaning, &["ctrl-u", "pgup"], A::HalfUp, "", "half a page up"),
    bind(C::Cleaning, &["?", "f1"], A::Help, "help", "show every key"),
    bind(C::Cleaning, &["ctrl-c"], A::Quit, "", "quit; asks while a job runs"),
    bind(C::Filter, &["enter"], A::Accept, "keep", "keep the filter and go back to the forest"),
    bind(C::Filter, &["esc", "ctrl-c"], A::Close, "drop", "drop the filter"),
    bind(C::Filter, &["down"], A::NextMatch, "next match", "go to the next match"),
    bind(C::Filter, &["up"], A::PreviousMatch, "", "go to the previous match"),
    bind(C::Help, &["enter"], A::RunLine, "run the line", "do what the line says"),
    bind(C::Help, &["down"], A::Down, "move", "next line"),
    bind(C::Help, &["esc", "ctrl-c"], A::Close, "close", "close the help"),
    bind(C::Help, &["up"], A::Up, "", "previous line"),
    bind(C::Help, &["pgdn", "ctrl-d"], A::HalfDown, "", "half a page down"),
    bind(C::Help, &["pgup", "ctrl-u"], A::HalfUp, "", "half a page up"),
    bind(C::Palette, &["enter"], A::RunLine, "run it", "do what the line says"),
    bind(C::Palette, &["down"], A::Down, "move", "next line"),
    bind(C::Palette, &["esc", "ctrl-c"], A::Close, "close", "close the palette"),
    bind(C::Palette, &["up"], A::Up, "", "previous line"),
    bind(C::Palette, &["pgdn", "ctrl-d"], A::HalfDown, "", "half a page down"),
    bind(C::Palette, &["pgup", "ctrl-u"], A::HalfUp, "", "half a page up"),
    bind(C::Quit, &["w"], A::QuitWait, "wait", "quit when the job is done"),
    bind(C::Quit, &["s"], A::QuitStop, "stop safely", "stop the job at a safe point, then quit"),
    bind(C::Quit, &["esc", "q", "enter", "ctrl-c"], A::Close, "stay", "do not quit"),
    bind(C::Stop, &["y"], A::StopJob, "stop it", "stop the job at the next safe point"),
    bind(C::Stop, &["esc", "q", "enter", "n", "ctrl-c"], A::Close, "let it run", "let the job run"),
    bind(C::Verify, &["esc", "q"], A::Close, "close", "close; a comparison that runs is stopped"),
    bind(C::Verify, &["j", "down"], A::Down, "scroll", "scroll down"),
    bind(C::Verify, &["k", "up"], A::Up, "", "scroll up"),
    bind(C::Verify, &["ctrl-d", "pgdn"], A::HalfDown, "", "half a page down"),
    bind(C::Verify, &["ctrl-u", "pgup"], A::HalfUp, "", "half a page up"),
    bind(C::Verify, &["y"], A::CopyPath, "copy", "copy the command that does the same"),
    bind(C::Verify, &["?", "f1"], A::Help, "help", "show every key"),
    bind(C::Verify, &["ctrl-z"], A::Suspend, "", "go to the background; fg comes back"),
    bind(C::Verify, &["ctrl-c"], A::Quit, "", "quit; asks while a job runs"),
];

/// What `event` means where the user is now.
pub(super) fn lookup(model: &Model, event: &KeyEvent) -> Option<&'static Binding> {
    let keymap = &model.keymap;
    let is = |key: &&str| keys::key(key).is_some_and(|key| keys::same(&key, event));
    let hit = |b: &&'static Binding| keymap.keys(b).iter().any(is);
    let contexts = model.contexts();
    contexts.iter().find_map(|context| TABLE.iter().filter(|b| b.context == *context).find(hit))
}

/// Bindings of these contexts in table order.
pub(super) fn of(contexts: &[Context]) -> impl Iterator<Item = &'static Binding> {
    TABLE.iter().filter(move |b| contexts.contains(&b.context))
}

/// The first key of an action on the main screen, as people read it.
pub(super) fn key_of(model: &Model, action: Action) -> String {
    let binding = TABLE.iter().find(|b| b.context == C::Main && b.action == action);
    let label = binding.map(|b| model.keymap.label(b, model.glyphs.ascii)).unwrap_or_default();
    label.split(' ').next().unwrap_or_default().to_owned()
}

/// The key table of the README, in Markdown.
pub fn key_table() -> String {
    let mut out = String::from("| where | key | does |\n|---|---|---|\n");
    let contexts = [
        C::Main,
        C::Forest,
        C::Detail,
        C::Jobs,
        C::Form,
        C::Cleaning,
        C::Plan,
        C::Consent,
        C::Filter,
        C::Help,
        C::Verify,
        C::Palette,
        C::Quit,
        C::Stop,
    ];
    for context in contexts {
        for b in TABLE.iter().filter(|b| b.context == context) {
            let mut keys: Vec<_> = b.keys.iter().map(|k| format!("`{}`", keys::label(k, false))).collect();
            if keys.is_empty() {
                keys.push(format!("`:{}`", b.action.name()));
            }
            // Writing to a String cannot fail.
            let _ = writeln!(out, "| {} | {} | {} |", context.title(), keys.join(" "), b.help);
        }
    }
    out
}

/// The heading of a context in the help.
pub(super) fn title(context: Context) -> &'static str {
    context.title()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_name_and_one_meaning_in_its_context() {
        for (i, b) in TABLE.iter().enumerate() {
            for name in b.keys {
                assert!(keys::key(name).is_some(), "{name} is no key");
                let twice = TABLE.iter().skip(i + 1).any(|o| o.context == b.context && o.keys.contains(name));
                assert!(!twice, "{name} is bound twice in {:?}", b.context);
            }
        }
    }

    #[test]
    fn the_table_for_the_readme_has_a_line_for_each_binding() {
        assert_eq!(key_table().lines().count(), TABLE.len() + 2);
    }
}
