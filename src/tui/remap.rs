//! Which keys a binding has, after the user's own wishes.

use std::collections::BTreeMap;

use super::action::Action;
use super::keymap::{self, Binding, Context, TABLE};
use super::keys;
use crate::config::Keys;
use crate::error::{Error, Kind, Result};
use crate::text::Shown;

/// The keys that differ from the table, by the name of their action.
#[derive(Debug, Clone, Default)]
pub struct Keymap {
    changed: BTreeMap<String, Vec<String>>,
}

impl Keymap {
    /// The table with these wishes. Fails with [`Kind::Usage`] and the key of the configuration for an action
    /// or a key that does not exist, a key that would mean two things, and a UI that nobody could leave.
    pub fn new(wishes: &Keys) -> Result<Self> {
        let map = Self { changed: wishes.clone() };
        for (name, keys) in &map.changed {
            let wrong = |why: String| Error::new(Kind::Usage, format!("keys.{}: {why}", Shown::new(name)));
            let bound = TABLE.iter().any(|b| b.action.name() == name && !b.context.fixed());
            if !bound {
                return Err(wrong("no such action (`cowherd help keys` lists them)".to_owned()));
            }
            if let Some(bad) = keys.iter().find(|key| keys::key(key).is_none()) {
                return Err(wrong(format!("\"{}\" is no key", Shown::new(bad))));
            }
            if keys.is_empty() && *name == Action::Quit.name() {
                return Err(wrong("it needs a key, or nobody could leave".to_owned()));
            }
        }
        match map.twice() {
            Some((changed, key, other)) => Err(Error::new(
                Kind::Usage,
                format!(
                    "keys.{}: \"{}\" is the key of {other} already",
                    Shown::new(changed),
                    Shown::new(key)
                ),
            )),
            None => Ok(map),
        }
    }

    /// The keys of a binding, by name.
    pub(super) fn keys<'a>(&'a self, binding: &'static Binding) -> Vec<&'a str> {
        match self.changed.get(binding.action.name()).filter(|_| !binding.context.fixed()) {
            Some(keys) => keys.iter().map(String::as_str).collect(),
            None => binding.keys.to_vec(),
        }
    }

    /// A changed action, and the key that it would have in common with another one.
    fn twice(&self) -> Option<(&str, &str, &'static str)> {
        for (i, binding) in TABLE.iter().enumerate() {
            let others = TABLE.iter().enumerate();
            let others = others.filter(|(j, other)| i != *j && other.context == binding.context);
            let Some((changed, _)) = self.changed.get_key_value(binding.action.name()) else { continue };
            for key in self.keys(binding) {
                let has =
                    |other: &&'static Binding| self.keys(other).iter().any(|known| keys::alike(known, key));
                if let Some(other) = others.clone().map(|(_, other)| other).find(has) {
                    let key = self.changed.get(changed)?.iter().find(|known| *known == key)?;
                    return Some((changed, key, other.action.name()));
                }
            }
        }
        None
    }

    /// All keys of a binding as people read them; its name in the palette when it has none.
    pub(super) fn label(&self, binding: &'static Binding, ascii: bool) -> String {
        let names: Vec<_> = self.keys(binding).iter().map(|k| keys::label(k, ascii)).collect();
        if names.is_empty() { format!(":{}", binding.action.name()) } else { names.join(" ") }
    }
}

impl Context {
    /// Whether its keys stay: letters are text there, or the question names them.
    pub(super) fn fixed(self) -> bool {
        !matches!(self, Self::Main | Self::Forest | Self::Detail | Self::Jobs | Self::Plan)
    }
}

/// Every action that can have other keys, with its keys and what it does, one a line.
pub fn actions() -> Vec<(&'static str, String, &'static str)> {
    let map = Keymap::default();
    let mut seen: Vec<(&str, String, &str)> = Vec::new();
    for binding in keymap::TABLE.iter().filter(|b| !b.context.fixed()) {
        if seen.iter().all(|(name, ..)| *name != binding.action.name()) {
            let keys = map.keys(binding).join(" ");
            seen.push((binding.action.name(), keys, binding.help));
        }
    }
    seen
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn wish(name: &str, keys: &[&str]) -> Result<Keymap> {
        let keys = keys.iter().map(|k| (*k).to_owned()).collect();
        Keymap::new(&BTreeMap::from([(name.to_owned(), keys)]))
    }

    #[test]
    fn what_is_wrong_is_named() {
        let said = |result: Result<Keymap>| result.unwrap_err().to_string();
        assert!(said(wish("comit", &["x"])).contains("keys.comit: no such action"));
        assert!(said(wish("commit", &["hyper-x"])).contains("keys.commit: \"hyper-x\" is no key"));
        assert!(said(wish("commit", &["p"])).contains("keys.commit: \"p\" is the key of pull"));
        assert!(said(wish("quit", &[])).contains("keys.quit: it needs a key"));
    }

    #[test]
    fn a_wish_replaces_the_keys_of_the_table() {
        let map = wish("commit", &["M", "ctrl-k"]).unwrap();
        let commit = TABLE.iter().find(|b| b.action.name() == "commit").unwrap();
        assert_eq!(map.keys(commit), ["M", "ctrl-k"]);
        assert_eq!(map.label(commit, true), "M Ctrl-k");
        let none = wish("commit", &[]).unwrap();
        assert_eq!(none.label(commit, true), ":commit");
    }
}
