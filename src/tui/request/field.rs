//! What can be asked: a text, a choice, a switch.

use std::path::PathBuf;

use tui_input::Input;

use crate::chain::ViewSpec;
use crate::image::Format;

/// Where a field is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Asked {
    /// In a form, before there is a plan.
    Before,
    /// On the plan screen, where it changes the plan in place.
    InPlace,
    /// In both.
    Both,
}

/// One question.
#[derive(Debug, Clone)]
pub(in crate::tui) struct Field {
    /// What the operation knows it by.
    pub(in crate::tui) key: &'static str,
    /// What the user reads.
    pub(in crate::tui) label: String,
    pub(in crate::tui) value: Value,
    pub(in crate::tui) asked: Asked,
}

/// An answer.
#[derive(Debug, Clone)]
pub(in crate::tui) enum Value {
    Text(Input),
    Choice(Choice),
    Toggle(bool),
}

/// One of several things.
#[derive(Debug, Clone, Default)]
pub(in crate::tui) struct Choice {
    pub(in crate::tui) items: Vec<Item>,
    pub(in crate::tui) at: usize,
    /// What was typed to find one.
    pub(in crate::tui) search: Input,
}

/// Something to choose.
#[derive(Debug, Clone)]
pub(in crate::tui) struct Item {
    /// Safe to print.
    pub(in crate::tui) label: String,
    /// What is to be known of it, safe to print.
    pub(in crate::tui) note: String,
    pub(in crate::tui) pick: Pick,
}

/// What a choice means.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) enum Pick {
    Nothing,
    Path(PathBuf),
    View(ViewSpec, PathBuf),
    Format(Format),
    Word(&'static str),
}

impl Item {
    pub(in crate::tui) fn new(label: impl Into<String>, note: impl Into<String>, pick: Pick) -> Self {
        Self { label: label.into(), note: note.into(), pick }
    }
}

impl Choice {
    pub(in crate::tui) fn of(items: Vec<Item>) -> Self {
        Self { items, ..Self::default() }
    }

    /// The items that contain what was typed, by number.
    pub(in crate::tui) fn found(&self) -> Vec<usize> {
        let wanted = self.search.value().trim().to_lowercase();
        let matches = |item: &Item| item.label.to_lowercase().contains(&wanted);
        (0..self.items.len()).filter(|i| self.items.get(*i).is_some_and(matches)).collect()
    }

    pub(in crate::tui) fn item(&self) -> Option<&Item> {
        self.items.get(self.at)
    }

    /// Goes to the next (or previous) item of those that were found, around the ends.
    pub(in crate::tui) fn turn(&mut self, forward: bool) {
        let found = self.found();
        let Some(last) = found.len().checked_sub(1) else { return };
        let at = found.iter().position(|i| *i == self.at);
        let next = match (at, forward) {
            (None, _) => 0,
            (Some(at), true) => {
                if at == last {
                    0
                } else {
                    at + 1
                }
            }
            (Some(at), false) => at.checked_sub(1).unwrap_or(last),
        };
        self.at = found[next];
    }

    /// After something was typed: the first item that is found, unless the chosen one still is.
    pub(in crate::tui) fn settle(&mut self) {
        let found = self.found();
        if let (false, Some(first)) = (found.contains(&self.at), found.first()) {
            self.at = *first;
        }
    }
}

impl Field {
    pub(in crate::tui) fn text(key: &'static str, label: &str, proposed: impl Into<String>) -> Self {
        let value = Value::Text(Input::from(proposed.into()));
        Self { key, label: label.to_owned(), value, asked: Asked::Before }
    }

    pub(in crate::tui) fn choice(key: &'static str, label: &str, items: Vec<Item>, asked: Asked) -> Self {
        Self { key, label: label.to_owned(), value: Value::Choice(Choice::of(items)), asked }
    }

    pub(in crate::tui) fn toggle(key: &'static str, label: impl Into<String>, asked: Asked) -> Self {
        Self { key, label: label.into(), value: Value::Toggle(false), asked }
    }

    /// Turns a switch, or a choice to its next item. A text stays.
    pub(in crate::tui) fn turn(&mut self, forward: bool) {
        match &mut self.value {
            Value::Text(_) => {}
            Value::Choice(choice) => choice.turn(forward),
            Value::Toggle(on) => *on = !*on,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_turns_among_what_was_typed() {
        let item = |name: &str| Item::new(name, "", Pick::Nothing);
        let mut choice = Choice::of(["base", "snap-1", "snap-2"].map(item).to_vec());
        choice.search = Input::from("SNAP".to_owned());
        choice.settle();
        assert_eq!(choice.at, 1);
        choice.turn(true);
        choice.turn(true);
        assert_eq!(choice.at, 1, "around the end, past what does not match");
        choice.search = Input::from("nothing".to_owned());
        choice.settle();
        choice.turn(true);
        assert_eq!(choice.at, 1, "what is not found chooses nothing");
    }
}
