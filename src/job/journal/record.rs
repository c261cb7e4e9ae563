//! A journal as lines of text: a checksum, a space, one JSON document. What a crash leaves of the last
//! line does not add up and is as good as not written.

use std::path::{Path, PathBuf};

use flate2::Crc;
use serde::{Deserialize, Serialize};

use super::super::task::Task;
use crate::chain::{Fingerprint, ViewSpec};
use crate::error::{Error, Result};
use crate::image::{BackingRef, Format};
use crate::storage::Stamp;
use crate::wire;

/// Says that a file is a journal, and in which words.
const VERSION: u32 = 1;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::job) enum Record {
    /// The first: what is to be done.
    Job(Opening),
    /// The first and only one of a journal that says where the real one is.
    See(#[serde(with = "wire::path")] PathBuf),
    /// The images that the job writes bear its mark.
    Marked(Vec<Now>),
    /// A step is about to change the view that the plan names.
    Begun(usize),
    /// A step is done.
    Done(Done),
    /// From here on it is undone.
    Back,
    /// A step is undone.
    Undone(Done),
}

/// What is to be done, and what undoing it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::job) struct Opening {
    version: u32,
    pub(in crate::job) task: Task,
    /// Images that are marked.
    pub(in crate::job) marks: Vec<Mark>,
    /// The backing file of each image whose reference changes, as it was.
    pub(in crate::job) links: Vec<Was>,
    /// Journals elsewhere that lead here.
    pub(in crate::job) pointers: Vec<Pointer>,
    /// What views read that must read the same afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::job) remembered: Vec<Remembered>,
}

impl Opening {
    pub(in crate::job) fn new(
        task: Task,
        marks: Vec<Mark>,
        links: Vec<Was>,
        remembered: Vec<Remembered>,
    ) -> Self {
        Self { version: VERSION, task, marks, links, pointers: Vec::new(), remembered }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::job) struct Pointer(#[serde(with = "wire::path")] pub(in crate::job) PathBuf);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::job) struct Mark {
    #[serde(with = "wire::path")]
    pub(in crate::job) path: PathBuf,
    pub(in crate::job) format: Format,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::job) struct Was {
    #[serde(with = "wire::path")]
    pub(in crate::job) path: PathBuf,
    pub(in crate::job) backing: Option<BackingRef>,
}

/// What a view read before the first step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::job) struct Remembered {
    pub(in crate::job) view: ViewSpec,
    pub(in crate::job) fingerprint: Fingerprint,
}

/// A file after a step; no stamp when it is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::job) struct Now {
    #[serde(with = "wire::path")]
    pub(in crate::job) path: PathBuf,
    pub(in crate::job) stamp: Option<Stamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::job) struct Done {
    pub(in crate::job) step: usize,
    pub(in crate::job) now: Vec<Now>,
    /// Where the file of the step was moved.
    #[serde(with = "wire::path_option")]
    pub(in crate::job) moved: Option<PathBuf>,
}

fn checksum(text: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(text);
    crc.sum()
}

impl Record {
    /// The line, with its end.
    pub(super) fn line(&self) -> Result<Vec<u8>> {
        let text = serde_json::to_string(self)
            .map_err(|e| Error::new(crate::error::Kind::Internal, format!("cannot write a journal: {e}")))?;
        Ok(format!("{:08x} {text}\n", checksum(text.as_bytes())).into_bytes())
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let (sum, text) = (line.get(..8)?, line.get(9..)?);
        let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
        let record = (sum == checksum(text)).then(|| serde_json::from_slice(text).ok())??;
        match record {
            Self::Job(Opening { version, .. }) if version != VERSION => None,
            record => Some(record),
        }
    }
}

/// The records of a journal up to the first that does not add up, and how many bytes they take.
pub(super) fn records(bytes: &[u8]) -> (Vec<Record>, u64) {
    let mut good = 0;
    let mut all = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(record) = line.strip_suffix(b"\n").and_then(Record::parse) else { break };
        good += line.len() as u64;
        all.push(record);
    }
    (all, good)
}

/// Whether a file of this name may be a journal: `.NAME.ID.journal`.
pub(in crate::job) fn is_name(path: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let name = path.file_name().unwrap_or_default().as_bytes();
    name.starts_with(b".") && name.ends_with(b".journal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_and_all_behind_it_is_not_there() -> Result<()> {
        let done = |step| Record::Done(Done { step, now: Vec::new(), moved: Some("/x".into()) });
        let lines = [Record::Back.line()?, done(1).line()?, done(2).line()?];
        let whole = lines.concat();
        assert_eq!(records(&whole), (vec![Record::Back, done(1), done(2)], whole.len() as u64));
        for cut in 0..whole.len() {
            let good = lines.iter().scan(0, |end, line| {
                *end += line.len();
                (*end <= cut).then_some(())
            });
            assert_eq!(records(&whole[..cut]).0.len(), good.count(), "cut at {cut}");
        }
        let mut damaged = whole.clone();
        damaged[lines[0].len() + 12] ^= 1;
        assert_eq!(records(&damaged).0, [Record::Back]);
        Ok(())
    }
}
