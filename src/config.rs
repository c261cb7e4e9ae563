//! What the user has settled once and for all: `cowherd/config.toml` in the folder for configuration.
//!
//! ```toml
//! allow = ["/srv/templates"]   # folders that names in images may lead to, as with --allow
//! ascii = true                 # draw with plain ASCII characters
//!
//! [keys]                       # by the name of the action; `cowherd help keys` lists them
//! commit = "M"
//! quit = ["q", "ctrl-q"]
//!
//! [theme]                      # by the name of the role: colours by their ANSI names, bold, dim, ...
//! danger = "bold bright-red"
//! snapshot = "cyan"
//! ```
//!
//! Whatever is not known is an error: a misspelt wish must not be passed over.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use crate::error::{Error, Kind, Result};
use crate::text::Shown;

/// Keys by the name of their action.
pub type Keys = BTreeMap<String, Vec<String>>;

/// Far more than any honest file has.
const MAX_BYTES: u64 = 1 << 20;

/// The settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where names in images may lead, beyond what is named on the command line.
    pub allow: Vec<PathBuf>,
    /// Draw with plain ASCII characters.
    pub ascii: bool,
    /// Other keys.
    #[serde(deserialize_with = "keys")]
    pub keys: Keys,
    /// Other looks, by the name of the role.
    pub theme: BTreeMap<String, String>,
}

impl Config {
    /// Reads the user's file; without one, nothing is settled.
    ///
    /// Fails with [`Kind::Usage`], naming the key and the line, when something in it is not understood.
    pub fn load() -> Result<Self> {
        match Self::place() {
            Some(path) => Self::read(&path),
            None => Ok(Self::default()),
        }
    }

    /// Where the file lies: below `$XDG_CONFIG_HOME`, or `~/.config`.
    pub fn place() -> Option<PathBuf> {
        let given = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let folder = given("XDG_CONFIG_HOME").or_else(|| Some(given("HOME")?.join(".config")))?;
        Some(folder.join("cowherd").join("config.toml"))
    }

    /// The settings in the file at `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let unread = |e| Error::io("cannot read the configuration", e).at(path);
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Self::default());
            }
            Err(e) => return Err(unread(e)),
        };
        let mut text = String::new();
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unread)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(Error::new(Kind::Usage, "is too long for a configuration").at(path));
        }
        Self::parse(&text).map_err(|e| e.at(path))
    }

    /// The settings in `text`.
    pub fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|e| {
            let line = e.span().map(|span| text.get(..span.start).unwrap_or("").matches('\n').count() + 1);
            let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            Error::new(Kind::Usage, format!("{place}{}", Shown::new(e.message())))
        })
    }
}

/// One key, or several.
fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Keys, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a key or an array of keys is wanted, each a string")]
    enum OneOrMore {
        One(String),
        More(Vec<String>),
    }
    let found = BTreeMap::<String, OneOrMore>::deserialize(deserializer)?;
    let all = |(name, keys)| match keys {
        OneOrMore::One(key) => (name, vec![key]),
        OneOrMore::More(keys) => (name, keys),
    };
    Ok(found.into_iter().map(all).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_one_or_several() {
        let config = Config::parse(
            "allow = [\"/srv\"]\n[keys]\ncommit = \"C\"\nquit = [\"q\", \"ctrl-q\"]\n[theme]\nok = \"blue\"\n",
        );
        let config = config.unwrap();
        assert_eq!(config.allow, [PathBuf::from("/srv")]);
        assert_eq!(config.keys["commit"], ["C"]);
        assert_eq!(config.theme["ok"], "blue");
        assert_eq!(config.keys["quit"], ["q", "ctrl-q"]);
    }

    #[test]
    fn what_is_not_known_is_named_with_its_line() {
        let said = Config::parse("ascii = true\nalow = [\"/srv\"]\n").unwrap_err().to_string();
        assert!(said.contains("line 2") && said.contains("alow"), "{said}");
        let said = Config::parse("ascii = \"yes\"\n").unwrap_err().to_string();
        assert!(said.contains("line 1") && said.contains("boolean"), "{said}");
        assert!(!said.contains('\n'), "{said}");
    }

    #[test]
    fn no_file_settles_nothing() {
        assert_eq!(Config::read(Path::new("/nowhere/config.toml")).unwrap(), Config::default());
    }
}
