//! The one error of the library: a stable kind, a sentence, the place, what to do, and the cause.
//!
//! Every refusal in cowherd is one line (what failed, on which file, at which offset, and why)
//! and, when something can be done about it, one more line with the remedy. The kind decides the
//! exit code; the words are for people.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::text::Shown;

/// Result of everything in the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure this is. Faces choose exit codes and colours by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The operating system refused a call.
    Io,
    /// The file's content contradicts its format; a hostile or damaged image.
    Corrupt,
    /// Valid, but something cowherd cannot do (yet), by name.
    Unsupported,
    /// A name found inside an image is outside what the gate allows.
    Gate,
    /// Another process holds the image.
    InUse,
    /// The file system has no locks, so nobody else could be kept away.
    NoLocks,
    /// The file system has not enough room.
    NoSpace,
    /// The arguments make no sense together.
    Usage,
    /// A file or a snapshot that was named does not exist.
    NotFound,
    /// A name that was to be new is taken.
    Exists,
    /// Something changed between planning and doing.
    Changed,
    /// A job on the file was cut off and waits to be finished or rolled back.
    Interrupted,
    /// A plan needs consent that was not given.
    Consent,
    /// A view does not read as it must: found when it was compared after a change.
    Differs,
    /// Stopped on request; nothing is lost.
    Cancelled,
    /// A defect in cowherd itself, caught before it could do harm.
    Internal,
}

/// A failure: kind, sentence, place, cause and remedy.
#[derive(Debug, thiserror::Error)]
pub struct Error {
    kind: Kind,
    what: String,
    path: Option<PathBuf>,
    offset: Option<u64>,
    remedy: Option<String>,
    #[source]
    source: Option<io::Error>,
}

impl Error {
    /// A failure of `kind` described by one lower-case sentence without a full stop.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), path: None, offset: None, remedy: None, source: None }
    }

    /// An operating system error while doing `what`.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::NoSpace,
            io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Io,
        };
        Self { source: Some(source), ..Self::new(kind, what) }
    }

    /// The image contradicts its format.
    pub fn corrupt(what: impl Into<String>) -> Self {
        Self::new(Kind::Corrupt, what)
    }

    /// Valid, but not supported.
    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::new(Kind::Unsupported, what)
    }

    /// Names the file, unless an inner layer already did.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Self {
        self.path.get_or_insert_with(|| path.to_path_buf());
        self
    }

    /// Names the byte offset in the file, unless an inner layer already did.
    #[must_use]
    pub fn offset(mut self, offset: u64) -> Self {
        self.offset.get_or_insert(offset);
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy.get_or_insert_with(|| remedy.into());
        self
    }

    /// Says what else to do, or what is left, after what was said already.
    #[must_use]
    pub fn also(mut self, more: &str) -> Self {
        self.remedy = Some(match self.remedy {
            Some(remedy) => format!("{remedy}; {more}"),
            None => more.to_owned(),
        });
        self
    }

    /// The stable kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The file it is about.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What can be done, as a sentence.
    pub fn what_to_do(&self) -> Option<&str> {
        self.remedy.as_deref()
    }

    /// The sentence alone, without place and cause.
    pub fn sentence(&self) -> &str {
        &self.what
    }
}

impl fmt::Display for Error {
    // The whole line, cause included: faces print one line and never walk the sources.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", Shown::path(path))?;
        }
        write!(f, "{}", Shown::new(&self.what))?;
        if let Some(offset) = self.offset {
            write!(f, " (at offset {offset:#x})")?;
        }
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

/// Adds the place to any library result.
pub trait Place<T> {
    /// Names the file the failure is about.
    fn at(self, path: &Path) -> Result<T>;
}

impl<T> Place<T> for Result<T> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|e| e.at(path))
    }
}
