//! The lines of the help: the binding table, filtered by what was typed.

use super::keymap::{self, Binding, Context};
use super::model::{Model, Overlay};

/// Contexts in the order the help shows them.
const ORDER: [Context; 8] = [
    Context::Main,
    Context::Forest,
    Context::Detail,
    Context::Jobs,
    Context::Form,
    Context::Plan,
    Context::Verify,
    Context::Filter,
];

/// Bindings that match the search; those of the place the help was opened from come first.
pub(super) fn lines(model: &Model) -> Vec<&'static Binding> {
    let wanted = match model.overlays.last() {
        Some(Overlay::Help(state)) => state.search.value().trim().to_lowercase(),
        _ => String::new(),
    };
    let mut contexts = model.contexts_below_help();
    contexts.reverse();
    contexts.extend(ORDER.into_iter().filter(|c| !model.contexts_below_help().contains(c)));
    let in_context = |c: &Context| keymap::of(std::slice::from_ref(c)).collect::<Vec<_>>();
    let matches = |b: &&'static Binding| {
        let text = format!("{} {} {}", model.keymap.label(b, true), b.help, keymap::title(b.context));
        wanted.split_whitespace().all(|word| text.to_lowercase().contains(word))
    };
    contexts.iter().flat_map(in_context).filter(matches).collect()
}

/// Why a line cannot be run from here.
pub(super) fn why_not(model: &Model, binding: &Binding) -> Option<String> {
    if !model.contexts_below_help().contains(&binding.context) {
        return Some(format!("only in: {}", keymap::title(binding.context)));
    }
    binding.why_not(model)
}
