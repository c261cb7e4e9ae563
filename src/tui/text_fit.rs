//! Fitting text into columns: width-aware cutting and padding, and numbers for people.
//!
//! Knows terminal widths and nothing else. Text must already be safe to print.

use std::time::Duration;

use humansize::{BINARY, FormatSize};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns that `text` takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// `text` cut to at most `columns`, the cut marked with `mark` (`…`, or `~` in ASCII).
pub(super) fn fit(text: &str, columns: usize, mark: &str) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(mark.width());
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        out.push(c);
    }
    if columns >= mark.width() {
        out.push_str(mark);
    }
    out
}

/// The end of `text`, at most `columns` of it, the cut marked with `mark`.
pub(super) fn fit_end(text: &str, columns: usize, mark: &str) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let backwards: String = text.chars().rev().collect();
    let kept = fit(&backwards, columns.saturating_sub(mark.width()), "");
    format!("{mark}{}", kept.chars().rev().collect::<String>())
}

/// `text` cut and filled with blanks to exactly `columns`.
pub(super) fn left(text: &str, columns: usize, mark: &str) -> String {
    let mut out = fit(text, columns, mark);
    out.push_str(&" ".repeat(columns.saturating_sub(out.width())));
    out
}

/// `text` cut to `columns` and pushed to the right edge.
pub(super) fn right(text: &str, columns: usize, mark: &str) -> String {
    let out = fit(text, columns, mark);
    format!("{}{out}", " ".repeat(columns.saturating_sub(out.width())))
}

/// `text` broken at blanks into lines of at most `columns`; words that are longer are cut hard.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let gap = usize::from(used > 0);
        if used > 0 && used + gap + word.width() > columns {
            lines.push(String::new());
            used = 0;
        } else if gap == 1 {
            push(&mut lines, " ");
            used += 1;
        }
        for c in word.chars() {
            let w = c.width().unwrap_or(0);
            if used + w > columns && used > 0 {
                lines.push(String::new());
                used = 0;
            }
            push(&mut lines, c.encode_utf8(&mut [0; 4]));
            used += w;
        }
    }
    lines
}

fn push(lines: &mut [String], text: &str) {
    if let Some(last) = lines.last_mut() {
        last.push_str(text);
    }
}

/// A byte count in at most eight columns: `75.5 MiB`, `840 MiB`, `4.1 GiB`.
pub(super) fn size(bytes: u64) -> String {
    let mut scaled = bytes as f64;
    while scaled >= 1024.0 {
        scaled /= 1024.0;
    }
    let whole = scaled >= 99.95 || scaled.fract() < 0.05 || bytes < 1024;
    bytes.format_size(BINARY.decimal_places(usize::from(!whole)))
}

/// `1 image`, `3 images`.
pub(super) fn count(n: usize, one: &str) -> String {
    format!("{n} {one}{}", if n == 1 { "" } else { "s" })
}

/// `0:01`, `12:07`, `3:00:00`.
pub(super) fn clock(time: Duration) -> String {
    let s = time.as_secs();
    match s / 3600 {
        0 => format!("{}:{:02}", s / 60, s % 60),
        h => format!("{h}:{:02}:{:02}", s / 60 % 60, s % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_are_never_halved() {
        assert_eq!(fit("日本語", 4, "…"), "日…");
        assert_eq!(fit("日本語", 6, "…"), "日本語");
        assert_eq!(left("日本語", 4, "…"), "日… ");
        assert_eq!(fit("abc", 0, "…"), "");
        assert_eq!(right("abc", 5, "…"), "  abc");
    }

    #[test]
    fn wrapping_keeps_every_word() {
        assert_eq!(wrap("move it to the trash", 8), ["move it", "to the", "trash"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
    }

    #[test]
    fn sizes_stay_narrow() {
        let wanted = [(0, "0 B"), (1023, "1023 B"), (20 << 30, "20 GiB"), (841 << 20, "841 MiB")];
        for (bytes, text) in wanted {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size((4 << 30) + (100 << 20)), "4.1 GiB");
        assert!((0..64).all(|n| size(u64::MAX >> n).len() <= 8));
    }

    #[test]
    fn clocks() {
        assert_eq!(clock(Duration::from_secs(61)), "1:01");
        assert_eq!(clock(Duration::from_secs(3 * 3600)), "3:00:00");
    }
}
