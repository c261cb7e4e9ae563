//! A screen as SVG: characters as text, lines and blocks as shapes, so that it looks the same with
//! every font.

use std::fmt::Write;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

const W: f64 = 8.4;
const H: f64 = 18.0;
const PAD: f64 = 14.0;
const BACK: &str = "#14171c";
const FRONT: &str = "#d5d9e0";

pub fn render(buffer: &Buffer) -> String {
    let (columns, rows) = (buffer.area.width, buffer.area.height);
    let (w, h) = (f64::from(columns) * W + 2.0 * PAD, f64::from(rows) * H + 2.0 * PAD);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w:.1} {h:.1}\" width=\"{w:.0}\" height=\"{h:.0}\" \
         font-family=\"'DejaVu Sans Mono',Menlo,Consolas,'Liberation Mono',monospace\" font-size=\"14\" \
         xml:space=\"preserve\">\n<rect width=\"{w:.1}\" height=\"{h:.1}\" rx=\"8\" fill=\"{BACK}\"/>\n"
    );
    for y in 0..rows {
        backgrounds(buffer, y, &mut out);
        let mut x = 0;
        while x < columns {
            x += run(buffer, x, y, &mut out);
        }
    }
    out.push_str("</svg>\n");
    out
}

fn at(x: u16, y: u16) -> (f64, f64) {
    (PAD + f64::from(x) * W, PAD + f64::from(y) * H)
}

fn reversed(cell: &Cell) -> bool {
    cell.modifier.contains(Modifier::REVERSED)
}

fn backgrounds(buffer: &Buffer, y: u16, out: &mut String) {
    let mut x = 0;
    while x < buffer.area.width {
        let start = x;
        let style = |x: u16| (reversed(&buffer[(x, y)]), opacity(&buffer[(x, y)]), colour(&buffer[(x, y)]));
        while x < buffer.area.width && style(x) == style(start) {
            x += 1;
        }
        let (on, opacity, colour) = style(start);
        if on {
            let ((px, py), width) = (at(start, y), f64::from(x - start) * W);
            let _ = writeln!(
                out,
                "<rect x=\"{px:.1}\" y=\"{py:.1}\" width=\"{width:.1}\" height=\"{H}\" fill=\"{colour}\"{opacity}/>"
            );
        }
    }
}

/// Draws the cells from `x` on that can be drawn at once; returns how many.
fn run(buffer: &Buffer, x: u16, y: u16, out: &mut String) -> u16 {
    let first = &buffer[(x, y)];
    if first.symbol() == " " {
        return 1;
    }
    if let Some((path, filled)) = shape(first.symbol(), at(x, y)) {
        let long = match first.symbol() {
            "─" | "█" | "▆" => {
                (x..buffer.area.width).take_while(|x| buffer[(*x, y)] == *first).count() as u16
            }
            _ => 1,
        };
        let ((px, py), width) = (at(x, y), f64::from(long) * W);
        let path = match (long, first.symbol()) {
            (1, _) => path,
            (_, "─") => format!("M{px:.1} {:.1}h{width:.1}", py + H / 2.0),
            (_, "▆") => format!("M{px:.1} {:.1}h{width:.1}v{:.1}h-{width:.1}z", py + H / 4.0, H * 0.75),
            _ => format!("M{px:.1} {py:.1}h{width:.1}v{H}h-{width:.1}z"),
        };
        let _ = writeln!(out, "<path d=\"{path}\" {}{}/>", paint(first, filled), opacity(first));
        return long;
    }
    let mut text = String::new();
    let mut end = x;
    while end < buffer.area.width {
        let cell = &buffer[(end, y)];
        let same = cell.fg == first.fg && cell.modifier == first.modifier;
        let blank = cell.symbol() == " " && !same;
        if blank || !same || shape(cell.symbol(), (0.0, 0.0)).is_some() {
            break;
        }
        text.push_str(cell.symbol());
        end += cell.symbol().width().max(1) as u16;
    }
    let trimmed = text.trim_end();
    let width = trimmed.width() as f64 * W;
    let (px, py) = at(x, y);
    let bold = if first.modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
    let fill = if reversed(first) { BACK } else { colour(first) };
    let faint = if reversed(first) { "" } else { opacity(first) };
    let _ = writeln!(
        out,
        "<text x=\"{px:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{fill}\"{bold}{faint}>{}</text>",
        py + 13.5,
        escape(trimmed)
    );
    end - x
}

fn paint(cell: &Cell, filled: bool) -> String {
    let colour = if reversed(cell) { BACK } else { colour(cell) };
    if filled {
        format!("fill=\"{colour}\" shape-rendering=\"crispEdges\"")
    } else {
        format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.2\"")
    }
}

/// A line or block character as a path, and whether it is filled.
fn shape(symbol: &str, (x, y): (f64, f64)) -> Option<(String, bool)> {
    let c = symbol.chars().next()?;
    let (cx, cy, r, b) = (x + W / 2.0, y + H / 2.0, x + W, y + H);
    let line = |parts: &[(f64, f64, f64, f64)]| {
        parts.iter().map(|(a, b, c, d)| format!("M{a:.1} {b:.1}L{c:.1} {d:.1}")).collect::<String>()
    };
    let (left, right, up, down) = ((x, cy, cx, cy), (cx, cy, r, cy), (cx, y, cx, cy), (cx, cy, cx, b));
    let corner = |hx: f64, vy: f64| format!("M{hx:.1} {cy:.1}Q{cx:.1} {cy:.1} {cx:.1} {vy:.1}");
    let part =
        |eighths: f64| format!("M{x:.1} {y:.1}h{:.2}v{H}h-{:.2}z", W * eighths / 8.0, W * eighths / 8.0);
    Some(match c {
        '─' => (line(&[left, right]), false),
        '│' => (line(&[up, down]), false),
        '┌' => (line(&[right, down]), false),
        '┐' => (line(&[left, down]), false),
        '└' => (line(&[right, up]), false),
        '┘' => (line(&[left, up]), false),
        '├' => (line(&[up, down, right]), false),
        '╭' => (corner(r, b), false),
        '╮' => (corner(x, b), false),
        '╰' => (corner(r, y), false),
        '╯' => (corner(x, y), false),
        '┃' => (format!("M{:.1} {y:.1}h3v{H}h-3z", cx - 1.5), true),
        '█'..='▏' => {
            let eighths = f64::from(0x2590 - c as u32);
            (part(eighths), true)
        }
        '◀' => (format!("M{r:.1} {:.1}v8L{x:.1} {cy:.1}z", cy - 4.0), true),
        '▶' => (format!("M{x:.1} {:.1}v8L{r:.1} {cy:.1}z", cy - 4.0), true),
        '▼' => (format!("M{:.1} {:.1}h7L{cx:.1} {:.1}z", cx - 3.5, y + 5.0, b - 4.0), true),
        '▄' => (format!("M{x:.1} {cy:.1}h{W}v{:.1}h-{W}z", H / 2.0), true),
        '▆' => (format!("M{x:.1} {:.1}h{W}v{:.1}h-{W}z", y + H / 4.0, H * 0.75), true),
        '░' => {
            let dots = (0..8).map(|i| {
                let (row, col) = (f64::from(i / 2), f64::from(i % 2) + f64::from(i / 2 % 2) / 2.0);
                format!("M{:.1} {:.1}h1.5v1.5h-1.5z", x + 0.6 + col * 4.2, y + 5.0 + row * 3.2)
            });
            (dots.collect(), true)
        }
        '▲' => (format!("M{:.1} {:.1}h7L{cx:.1} {:.1}z", cx - 3.5, b - 5.0, y + 4.0), true),
        _ => return None,
    })
}

fn opacity(cell: &Cell) -> &'static str {
    if cell.modifier.contains(Modifier::DIM) { " opacity=\"0.5\"" } else { "" }
}

fn colour(cell: &Cell) -> &'static str {
    match cell.fg {
        Color::Red => "#ef6b73",
        Color::Green => "#8ccf7e",
        Color::Blue => "#67b0f0",
        Color::Magenta => "#c992ea",
        Color::Cyan => "#5fc9d4",
        Color::Yellow => "#e5c76b",
        _ => FRONT,
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
