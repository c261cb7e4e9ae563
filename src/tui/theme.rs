//! Colours by role and glyphs by meaning.
//!
//! Only the 16 ANSI colours on the terminal's own background, never white, black or yellow text
//! (one of them is unreadable somewhere). Every colour is doubled by a glyph or a word, so that
//! nothing is lost without it.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

/// Styles by what they mean.
pub(super) struct Theme;

impl Theme {
    pub(super) const PLAIN: Style = Style::new();
    pub(super) const DIM: Style = Style::new().add_modifier(Modifier::DIM);
    pub(super) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD).remove_modifier(Modifier::DIM);
    pub(super) const FOCUS: Style = Style::new().fg(Color::Cyan);
    pub(super) const TITLE: Style =
        Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD).remove_modifier(Modifier::DIM);
    pub(super) const KEY: Style = Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD);
    pub(super) const OK: Style = Style::new().fg(Color::Green);
    pub(super) const LIVE: Style = Style::new().fg(Color::Green).add_modifier(Modifier::BOLD);
    pub(super) const WARN: Style = Style::new().fg(Color::Magenta).add_modifier(Modifier::BOLD);
    pub(super) const DANGER: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
    pub(super) const SNAPSHOT: Style = Style::new().fg(Color::Blue);
    pub(super) const SELECTED: Style = Style::new().add_modifier(Modifier::REVERSED);
}

/// What lines, marks and badges look like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glyphs {
    pub(super) ascii: bool,
    pub(super) border: border::Set<'static>,
    pub(super) cut: &'static str,
    pub(super) marker: &'static str,
    pub(super) in_use: &'static str,
    pub(super) problem: &'static str,
    pub(super) snapshot: &'static str,
    pub(super) opened: &'static str,
    pub(super) closed: &'static str,
    pub(super) branch: &'static str,
    pub(super) last_branch: &'static str,
    pub(super) trunk: &'static str,
    pub(super) follows: &'static str,
    pub(super) dot: &'static str,
    pub(super) ok: &'static str,
    pub(super) failed: &'static str,
    pub(super) into: &'static str,
    pub(super) down: &'static str,
    pub(super) based_on: &'static str,
    pub(super) bar: &'static [&'static str],
    pub(super) track: &'static str,
    pub(super) scroll: (&'static str, &'static str),
    pub(super) rule: &'static str,
}

const UNICODE: Glyphs = Glyphs {
    ascii: false,
    border: border::PLAIN,
    cut: "…",
    marker: "▌",
    in_use: "●",
    problem: "!",
    snapshot: "◆",
    opened: "▾ ",
    closed: "▸ ",
    branch: "├─",
    last_branch: "└─",
    trunk: "│ ",
    follows: "↳ ",
    dot: "·",
    ok: "✓",
    failed: "✗",
    into: "→",
    down: "▼",
    based_on: "←",
    bar: &["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"],
    track: "─",
    scroll: ("│", "┃"),
    rule: "─",
};

const ASCII_BORDER: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

const ASCII: Glyphs = Glyphs {
    ascii: true,
    border: ASCII_BORDER,
    cut: "~",
    marker: ">",
    in_use: "@",
    problem: "!",
    snapshot: "*",
    opened: "v ",
    closed: "> ",
    branch: "|-",
    last_branch: "`-",
    trunk: "| ",
    follows: "^ ",
    dot: "-",
    ok: "+",
    failed: "x",
    into: "->",
    down: "v",
    based_on: "<-",
    bar: &["#"],
    track: ".",
    scroll: ("|", "#"),
    rule: "-",
};

impl Glyphs {
    pub(super) fn new(ascii: bool) -> Self {
        if ascii { ASCII } else { UNICODE }
    }
}

/// Takes all colour out of what was drawn and leaves bold, dim and reverse.
///
/// A coloured reversed cell would lose its reverse on the way to the terminal under `NO_COLOR`.
pub(super) fn without_colour(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        cell.fg = Color::Reset;
        cell.bg = Color::Reset;
        cell.underline_color = Color::Reset;
    }
}
