//! Colours by role and glyphs by meaning.
//!
//! What is drawn names roles; [`Colours::paint`] puts the user's colours in their place, once for each frame. Only
//! the 16 ANSI colours on the terminal's own background, by default never white, black or yellow text (one of them
//! is unreadable somewhere). Every colour is doubled by a glyph or a word, so that nothing is lost without it.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

use crate::error::{Error, Kind, Result};
use crate::text::Shown;

/// Styles by what they mean.
pub(super) struct Theme;

/// A role, as a colour that no terminal ever gets to see.
const fn role(number: usize) -> Style {
    Style::new().fg(Color::Indexed(number as u8))
}

impl Theme {
    pub(super) const PLAIN: Style = Style::new();
    pub(super) const DIM: Style = role(0);
    pub(super) const BOLD: Style = role(1);
    pub(super) const FOCUS: Style = role(2);
    pub(super) const TITLE: Style = role(3);
    pub(super) const KEY: Style = role(4);
    pub(super) const OK: Style = role(5);
    pub(super) const LIVE: Style = role(6);
    pub(super) const WARN: Style = role(7);
    pub(super) const DANGER: Style = role(8);
    pub(super) const SNAPSHOT: Style = role(9);
    pub(super) const SELECTED: Style = Style::new().add_modifier(Modifier::REVERSED);
}

/// The roles by the name that a theme gives them, with their usual style.
const ROLES: [(&str, Style); 10] = [
    ("dim", Style::new().add_modifier(Modifier::DIM)),
    ("bold", Style::new().add_modifier(Modifier::BOLD)),
    ("focus", Style::new().fg(Color::Cyan)),
    ("title", Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD)),
    ("key", Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD)),
    ("ok", Style::new().fg(Color::Green)),
    ("live", Style::new().fg(Color::Green).add_modifier(Modifier::BOLD)),
    ("warn", Style::new().fg(Color::Magenta).add_modifier(Modifier::BOLD)),
    ("danger", Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)),
    ("snapshot", Style::new().fg(Color::Blue)),
];

/// What the roles look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Colours([Style; ROLES.len()]);

impl Default for Colours {
    fn default() -> Self {
        Self(ROLES.map(|(_, style)| style))
    }
}

impl Colours {
    /// The usual look, with other styles for some roles: the name of a role and words such as `bold red` or
    /// `black on yellow`. Fails with [`Kind::Usage`], naming the word that is not understood.
    pub fn new(wishes: &BTreeMap<String, String>) -> Result<Self> {
        let mut colours = Self::default();
        for (name, words) in wishes {
            let at = ROLES.iter().position(|(known, _)| known == name).ok_or_else(|| {
                let known: Vec<_> = ROLES.iter().map(|(name, _)| *name).collect();
                unknown(&format!("role \"{}\"", Shown::new(name)), &known.join(", "))
            })?;
            colours.0[at] = style(words)?;
        }
        Ok(colours)
    }

    /// Puts colours in the place of roles; without `colour` only bold, dim and the like stay.
    ///
    /// A coloured reversed cell would lose its reverse on the way to the terminal under `NO_COLOR`.
    pub(super) fn paint(&self, buffer: &mut Buffer, colour: bool) {
        for cell in &mut buffer.content {
            if let Color::Indexed(number) = cell.fg {
                let style = self.0.get(usize::from(number)).copied().unwrap_or_default();
                cell.fg = style.fg.unwrap_or_default();
                cell.bg = style.bg.unwrap_or(cell.bg);
                cell.modifier.insert(style.add_modifier);
            }
            if !colour {
                cell.fg = Color::Reset;
                cell.bg = Color::Reset;
            }
        }
    }
}

fn unknown(what: &str, known: &str) -> Error {
    Error::new(Kind::Usage, format!("the theme names the unknown {what}")).remedy(format!("known: {known}"))
}

/// A style from words: colours by their ANSI names, `on` before a background, and `bold`, `dim`, `italic`,
/// `underlined`, `reversed`.
fn style(words: &str) -> Result<Style> {
    const COLOURS: [(&str, Color); 17] = [
        ("default", Color::Reset),
        ("black", Color::Black),
        ("red", Color::Red),
        ("green", Color::Green),
        ("yellow", Color::Yellow),
        ("blue", Color::Blue),
        ("magenta", Color::Magenta),
        ("cyan", Color::Cyan),
        ("white", Color::Gray),
        ("bright-black", Color::DarkGray),
        ("bright-red", Color::LightRed),
        ("bright-green", Color::LightGreen),
        ("bright-yellow", Color::LightYellow),
        ("bright-blue", Color::LightBlue),
        ("bright-magenta", Color::LightMagenta),
        ("bright-cyan", Color::LightCyan),
        ("bright-white", Color::White),
    ];
    const MODIFIERS: [(&str, Modifier); 5] = [
        ("bold", Modifier::BOLD),
        ("dim", Modifier::DIM),
        ("italic", Modifier::ITALIC),
        ("underlined", Modifier::UNDERLINED),
        ("reversed", Modifier::REVERSED),
    ];
    let (mut style, mut behind) = (Style::new(), false);
    for word in words.split_whitespace() {
        let colour = COLOURS.iter().find(|(name, _)| *name == word).map(|(_, colour)| *colour);
        let modifier = MODIFIERS.iter().find(|(name, _)| *name == word).map(|(_, modifier)| *modifier);
        style = match (colour, modifier) {
            (Some(colour), _) if std::mem::take(&mut behind) => style.bg(colour),
            (Some(colour), _) => style.fg(colour),
            (None, Some(modifier)) => style.add_modifier(modifier),
            (None, None) if word == "on" => {
                behind = true;
                style
            }
            (None, None) => {
                let known =
                    COLOURS.iter().map(|(name, _)| *name).chain(MODIFIERS.iter().map(|(name, _)| *name));
                let known: Vec<_> = known.collect();
                return Err(unknown(&format!("word \"{}\"", Shown::new(word)), &known.join(", ")));
            }
        };
    }
    Ok(style)
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
    pub(super) marked: &'static str,
    /// A piece of a strip: data that is seen, data of which less than half is, data that is not, zeros, nothing.
    pub(super) strip: [&'static str; 5],
    pub(super) differs: &'static str,
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
    marked: "✓",
    strip: ["▆", "▄", "░", "0", "·"],
    differs: "▲",
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
    marked: "+",
    strip: ["#", "=", "x", "0", "."],
    differs: "^",
};

impl Glyphs {
    pub(super) fn new(ascii: bool) -> Self {
        if ascii { ASCII } else { UNICODE }
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use super::*;

    fn wish(role: &str, words: &str) -> Result<Colours> {
        Colours::new(&BTreeMap::from([(role.to_owned(), words.to_owned())]))
    }

    #[test]
    fn roles_become_colours_and_without_colour_the_rest_stays() {
        let drawn = |colours: &Colours, colour| {
            let mut buffer = Buffer::empty(Rect::new(0, 0, 2, 1));
            buffer.set_string(0, 0, "a", Theme::DANGER);
            buffer.set_string(1, 0, "b", Theme::SELECTED.patch(Theme::BOLD));
            colours.paint(&mut buffer, colour);
            [&buffer[(0, 0)], &buffer[(1, 0)]].map(|cell| (cell.fg, cell.bg, cell.modifier))
        };
        let usual = drawn(&Colours::default(), true);
        assert_eq!(usual[0], (Color::Red, Color::Reset, Modifier::BOLD));
        assert_eq!(usual[1], (Color::Reset, Color::Reset, Modifier::BOLD | Modifier::REVERSED));
        let other = wish("danger", "underlined bright-yellow on blue").unwrap();
        assert_eq!(drawn(&other, true)[0], (Color::LightYellow, Color::Blue, Modifier::UNDERLINED));
        assert_eq!(drawn(&other, false)[0], (Color::Reset, Color::Reset, Modifier::UNDERLINED));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let said = |wish: Result<Colours>| wish.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(said(wish("dangre", "red")).contains("role \"dangre\""));
        assert!(said(wish("danger", "rde")).contains("word \"rde\""));
        assert!(wish("danger", "bold red on default").is_ok());
    }
}
