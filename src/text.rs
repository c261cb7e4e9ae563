//! The boundary between untrusted text and a terminal.
//!
//! Names of files, snapshots and backing files come from images and file systems that anybody may
//! have written. Whatever reaches a terminal passes through [`Shown`], which escapes control and
//! bidirectional-override characters (a `qemu-img snapshot -l` prints them raw).

use std::fmt;
use std::path::Path;

use humansize::{BINARY, FormatSize};

/// Text that is safe to print: control, bidi and zero-width characters appear as `\u{..}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    /// Escapes `raw`.
    pub fn new(raw: &str) -> Self {
        let mut out = String::with_capacity(raw.len());
        for c in raw.chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if unsafe_on_terminal(c) => out.extend(c.escape_unicode()),
                c => out.push(c),
            }
        }
        Self(out)
    }

    /// Escapes bytes that should be UTF-8 but need not be.
    pub fn bytes(raw: &[u8]) -> Self {
        Self::new(&String::from_utf8_lossy(raw))
    }

    /// Escapes a path.
    pub fn path(path: &Path) -> Self {
        Self::new(&path.to_string_lossy())
    }

    /// The escaped text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The escaped text, owned.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn unsafe_on_terminal(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{061c}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// A byte count for people, in binary units: `392 MiB`, `4.10 GiB`.
pub fn human_size(bytes: u64) -> String {
    bytes.format_size(BINARY.decimal_places(if bytes >= 1 << 30 { 2 } else { 1 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_bidi_are_escaped() {
        let hostile = "a\x1b]52;c;x\x07b\u{202e}c\u{9b}d\ne";
        let shown = Shown::new(hostile);
        assert_eq!(shown.as_str(), "a\\u{1b}]52;c;x\\u{7}b\\u{202e}c\\u{9b}d\\ne");
    }

    #[test]
    fn ordinary_text_is_untouched() {
        assert_eq!(Shown::new("Überbau-1 (日本).qcow2").as_str(), "Überbau-1 (日本).qcow2");
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(human_size(0), "0 B");
        assert_eq!(human_size(1 << 20), "1 MiB");
        assert_eq!(human_size(20 << 30), "20 GiB");
    }
}
