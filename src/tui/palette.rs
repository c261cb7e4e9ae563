//! The palette: every action by name, found by a few letters; Enter runs it.

use super::fuzzy;
use super::keymap::{Binding, Context, TABLE};
use super::model::{Model, Overlay};

/// What matches, the best first; actions that cannot act now stay, and say why.
pub(super) fn lines(model: &Model) -> Vec<&'static Binding> {
    let typed = match model.overlays.last() {
        Some(Overlay::Palette(state)) => state.search.value(),
        _ => "",
    };
    let contexts = model.main_contexts();
    // Main first: what is done to images comes before how one moves about.
    let order = [Context::Main].into_iter().chain(contexts.into_iter().filter(|c| *c != Context::Main));
    let bindings = order.flat_map(|context| TABLE.iter().filter(move |b| b.context == context));
    let mut found: Vec<(i32, &'static Binding)> = Vec::new();
    for binding in bindings {
        let known = found.iter().any(|(_, other)| other.action == binding.action);
        // The name counts more than the sentence.
        let by_name = fuzzy::score(typed, binding.action.name()).map(|score| score + 200);
        let whole = || fuzzy::words(typed, &format!("{} {}", binding.action.other_words(), binding.help));
        if let (false, Some(score)) = (known, by_name.or_else(whole)) {
            found.push((score, binding));
        }
    }
    found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    found.into_iter().map(|(_, binding)| binding).collect()
}

/// A command that no list shows: `debug-panic` shows that a panic leaves the terminal as it was.
#[allow(clippy::panic)]
pub(super) fn debug_panic(typed: &str) {
    if typed == "debug-panic" {
        panic!("asked for in the palette");
    }
}
