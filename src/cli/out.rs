//! Standard output: buffered, escaped where it must be, and allowed to be a closed pipe.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use serde::Serialize;
use serde_json::json;

use super::args::Global;
use super::values::{Watch, When};

/// Where a command writes, and what the user said about looks.
pub(super) struct Out {
    to: BufWriter<StdoutLock<'static>>,
    /// Only ASCII characters.
    pub(super) ascii: bool,
    /// Only what was asked for.
    pub(super) quiet: bool,
    /// With colours.
    pub(super) color: bool,
    /// How what is done is told.
    pub(super) notes: Notes,
}

/// Whether, and how, standard error says what is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notes {
    No,
    Lines,
    /// Objects, among those that show progress.
    Json,
}

impl Out {
    /// Standard output, with colours as the user, `NO_COLOR` and the terminal want.
    pub(super) fn new(global: &Global) -> Self {
        let stdout = io::stdout();
        let color = match global.color {
            When::Always => true,
            When::Never => false,
            When::Auto => {
                let unwanted = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
                let dumb = std::env::var_os("TERM").is_none_or(|v| v.is_empty() || v == "dumb");
                !unwanted && !dumb && stdout.is_terminal()
            }
        };
        Self {
            to: BufWriter::with_capacity(64 << 10, stdout.lock()),
            ascii: global.ascii,
            quiet: global.quiet,
            color,
            notes: if global.verbose { Notes::Lines } else { Notes::No },
        }
    }

    /// Columns of the terminal that this is read on, if it is one.
    pub(super) fn columns(&self) -> Option<usize> {
        let columns = io::stdout().is_terminal().then(|| crossterm::terminal::size().ok()).flatten()?.0;
        (columns > 0).then_some(columns.into())
    }

    /// From here on what is done goes where progress goes as `watch` says.
    pub(super) fn notes_beside(&mut self, watch: Watch) {
        if self.notes == Notes::Lines && watch == Watch::Json {
            self.notes = Notes::Json;
        }
    }

    /// One line about what was done, if it was asked for. Whatever is untrusted in it must have been
    /// escaped. Standard error may be closed.
    pub(super) fn note(&self, line: impl AsRef<str>) {
        let mut stderr = io::stderr();
        let _ = match self.notes {
            Notes::No => Ok(()),
            Notes::Lines => writeln!(stderr, "{}", line.as_ref()),
            Notes::Json => writeln!(stderr, "{}", json!({ "note": line.as_ref() })),
        };
    }

    /// One line. Whatever is untrusted in it must have been escaped.
    pub(super) fn line(&mut self, line: impl AsRef<str>) -> io::Result<()> {
        self.to.write_all(line.as_ref().as_bytes())?;
        self.to.write_all(b"\n")
    }

    /// Several lines.
    pub(super) fn lines<S: AsRef<str>>(&mut self, lines: impl IntoIterator<Item = S>) -> io::Result<()> {
        lines.into_iter().try_for_each(|line| self.line(line))
    }

    /// Bytes as they are.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(bytes)
    }

    /// One JSON document.
    pub(super) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        // serde_json wraps the io::Error of a closed pipe; it must come out again as it was.
        serde_json::to_writer_pretty(&mut self.to, value).map_err(io::Error::from)?;
        self.to.write_all(b"\n")
    }

    /// Everything written so far reaches the reader.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
