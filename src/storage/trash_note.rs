//! The note beside a file in the trash: where it came from, why, and what it read through then.
//!
//! Whoever can write to the folder can write such a note, so nothing in it is believed before it is
//! checked against the files.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{File, RealFile, Stamp, read_exact_or_zero};
use crate::error::{Error, Result};
use crate::wire;

/// Far more than any honest note has.
const MAX_BYTES: u64 = 1 << 20;

/// What is written beside a file in the trash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Where it lay, an absolute path.
    #[serde(with = "wire::path")]
    pub original: PathBuf,
    /// The operation that moved it away.
    pub operation: String,
    /// One line for people: the title of the plan.
    pub why: String,
    /// Seconds since 1970.
    #[serde(default)]
    pub when: u64,
    /// The name of its format, when it is an image.
    #[serde(default)]
    pub format: Option<String>,
    /// Its external data file.
    #[serde(default)]
    pub data: Option<Below>,
    /// The image that it holds the data of.
    #[serde(default, with = "wire::path_option")]
    pub data_of: Option<PathBuf>,
    /// What it read through, nearest first; nothing when that could not be found out.
    #[serde(default)]
    pub reads: Option<Vec<Below>>,
    /// Whether that very operation changed what it read through.
    #[serde(default)]
    pub changed_below: bool,
}

/// A file that one in the trash reads through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Below {
    /// Where it lay.
    #[serde(with = "wire::path")]
    pub path: PathBuf,
    /// What it looked like.
    pub stamp: Stamp,
}

impl Note {
    /// A note of now, about a file that reads through nothing known.
    pub fn new(original: &Path, operation: &str, why: &str) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            original: original.to_path_buf(),
            operation: operation.to_owned(),
            why: why.to_owned(),
            when: now.as_secs(),
            format: None,
            data: None,
            data_of: None,
            reads: None,
            changed_below: false,
        }
    }

    /// As it is written.
    pub fn text(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map(|text| text + "\n")
            .map_err(|e| Error::io("cannot write the note in the trash", e.into()).at(&self.original))
    }

    /// Reads the note at `path`.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let file = RealFile::open(path, false)?;
        let len = file.len()?;
        if len > MAX_BYTES {
            return Err(Error::unsupported(format!("{len} bytes are too many for a note")).at(path));
        }
        let mut bytes = vec![0; len as usize];
        read_exact_or_zero(&file, 0, &mut bytes)?;
        serde_json::from_slice(&bytes).map_err(|e| Error::corrupt(format!("is no note: {e}")).at(path))
    }
}
