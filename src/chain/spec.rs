//! How a view is written: `IMAGE`, `IMAGE@NAME` or `IMAGE@#ID`.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::image::Format;
use crate::text::Shown;

/// Which state of an image is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateSpec {
    /// The active state.
    Active,
    /// An internal snapshot by name.
    Name(String),
    /// An internal snapshot by id.
    Id(String),
    /// The saved machine state of an internal snapshot, by the id of that.
    VmState(String),
}

/// A view as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewSpec {
    /// The image.
    #[serde(with = "crate::wire::path")]
    pub path: PathBuf,
    /// Its state.
    pub state: StateSpec,
    /// The format of the image, when it must not be probed.
    pub format: Option<Format>,
}

impl ViewSpec {
    /// The active state of the image at `path`.
    pub fn active(path: &Path) -> Self {
        Self { path: path.to_path_buf(), state: StateSpec::Active, format: None }
    }

    /// Reads `IMAGE`, `IMAGE@NAME` or `IMAGE@#ID`. A file that exists under the whole literal name
    /// wins; so does one under the longest name before an `@`.
    pub fn parse(text: &OsStr) -> Self {
        let active = Self::active(Path::new(text));
        let bytes = text.as_bytes();
        if active.path.exists() {
            return active;
        }
        let ats = (0..bytes.len()).rev().filter(|i| bytes[*i] == b'@');
        let candidates: Vec<_> = ats.map(|i| Self::split(bytes, i)).collect();
        let existing = candidates.iter().find(|c| c.path.exists());
        existing.or(candidates.first()).cloned().unwrap_or(active)
    }

    /// How it is written, with the last part of the path alone; safe to print.
    pub fn name(&self) -> String {
        let file = self.path.file_name().unwrap_or(self.path.as_os_str());
        let file = Shown::new(&file.to_string_lossy()).into_string();
        match &self.state {
            StateSpec::Active => file,
            StateSpec::Name(name) => format!("{file}@{}", Shown::new(name)),
            StateSpec::Id(id) => format!("{file}@#{}", Shown::new(id)),
            StateSpec::VmState(id) => format!("the machine state of {file}@#{}", Shown::new(id)),
        }
    }

    fn split(bytes: &[u8], at: usize) -> Self {
        let state = String::from_utf8_lossy(&bytes[at + 1..]).into_owned();
        Self {
            path: PathBuf::from(OsStr::from_bytes(&bytes[..at])),
            state: match state.strip_prefix('#') {
                Some(id) => StateSpec::Id(id.to_owned()),
                None => StateSpec::Name(state),
            },
            format: None,
        }
    }
}

impl fmt::Display for StateSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active => write!(f, "(active)"),
            Self::Name(name) => write!(f, "\"{}\"", Shown::new(name)),
            Self::Id(id) => write!(f, "#{}", Shown::new(id)),
            Self::VmState(id) => write!(f, "machine state of #{}", Shown::new(id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_exists_wins() {
        let dir = tempfile::tempdir().unwrap();
        let literal = dir.path().join("a@b");
        std::fs::write(&literal, b"").unwrap();
        assert_eq!(ViewSpec::parse(literal.as_os_str()).state, StateSpec::Active);

        let named = dir.path().join("a@b@sn0");
        let spec = ViewSpec::parse(named.as_os_str());
        assert_eq!((spec.path, spec.state), (literal, StateSpec::Name("sn0".into())));
    }

    #[test]
    fn ids_and_names_differ() {
        assert_eq!(ViewSpec::parse(OsStr::new("x@1")).state, StateSpec::Name("1".into()));
        assert_eq!(ViewSpec::parse(OsStr::new("x@#1")).state, StateSpec::Id("1".into()));
    }
}
