//! Every screen as text with its styles, kept in `tests/tui/screens/`. A stale one fails; `COWHERD_BLESS=1` writes
//! them anew.
//!
//! Below each line of the screen stands one with a letter for each cell that has a style; the letters are explained
//! at the end.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use cowherd::error::Kind;
use cowherd::tui::{Input, Options};
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

use super::herd;
use super::stage::Stage;

/// Compares what is on screen with the kept `name`.
pub fn check(name: &str, stage: &Stage) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tui/screens");
    kept(&folder.join(format!("{name}.txt")), &dump(stage.app.backend().buffer()));
}

/// Compares `drawn` with a kept file, or keeps it.
pub fn kept(path: &Path, drawn: &str) {
    if std::env::var_os("COWHERD_BLESS").is_some_and(|v| v == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, drawn).unwrap();
    }
    let kept = fs::read_to_string(path).unwrap_or_default();
    if kept != drawn {
        let lines = kept.lines().zip(drawn.lines()).filter(|(a, b)| a != b);
        let lines: Vec<_> = lines.take(12).map(|(a, b)| format!("- {a}\n+ {b}")).collect();
        panic!(
            "{} is stale; look at it after: COWHERD_BLESS=1 cargo test --test tui\n{}",
            path.display(),
            lines.join("\n")
        );
    }
}

fn dump(buffer: &Buffer) -> String {
    let mut out = String::new();
    let mut styles: Vec<String> = Vec::new();
    for cells in buffer.content.chunks(buffer.area.width.max(1) as usize) {
        let (mut text, mut marks, mut skip) = (String::new(), String::new(), 0);
        for cell in cells {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            skip = cell.symbol().width().saturating_sub(1);
            text.push_str(cell.symbol());
            let style = style(cell);
            let mark = match style.as_str() {
                "" => ' ',
                _ => {
                    let known = styles.iter().position(|s| *s == style);
                    let at = known.unwrap_or_else(|| {
                        styles.push(style);
                        styles.len() - 1
                    });
                    char::from(b'a' + at as u8)
                }
            };
            marks.extend(std::iter::repeat_n(mark, 1 + skip));
        }
        let _ = writeln!(out, "{}", text.trim_end());
        let _ = writeln!(out, "{}", marks.trim_end());
    }
    for (i, style) in styles.iter().enumerate() {
        let _ = writeln!(out, "{} = {style}", char::from(b'a' + i as u8));
    }
    out
}

fn style(cell: &Cell) -> String {
    let mut words = Vec::new();
    if cell.fg != Color::Reset {
        words.push(format!("{:?}", cell.fg).to_lowercase());
    }
    if cell.bg != Color::Reset {
        words.push(format!("on {:?}", cell.bg).to_lowercase());
    }
    words.extend(cell.modifier.iter_names().map(|(name, _): (_, Modifier)| name.to_lowercase()));
    words.join(" ")
}

#[test]
fn nothing_there() {
    let stage = Stage::with(100, 24, cowherd::forest::Forest::default(), &Options::default());
    check("empty", &stage);
}

#[test]
fn too_small() {
    check("too-small", &Stage::new(59, 15));
}

#[test]
fn one_pane() {
    let mut stage = Stage::new(70, 20);
    stage.play("/Snap-2<enter><esc>");
    check("one-pane-forest", &stage);
    stage.play("<enter>");
    check("one-pane-figure", &stage);
}

#[test]
fn snapshot_facts() {
    let mut stage = Stage::new(100, 24);
    stage.play("/sn1<enter><esc>3");
    check("info-snapshot", &stage);
}

#[test]
fn layers_that_cannot_be_told() {
    let mut stage = Stage::new(100, 24);
    stage.play("/broken<enter><esc>2<idle>");
    check("layers-refused", &stage);
}

#[test]
fn verification_refused() {
    let mut stage = Stage::new(100, 24);
    stage.play("/Snap-2<enter><esc><space>v<idle>");
    check("verify-refused", &stage);
}

#[test]
fn marks() {
    let mut stage = Stage::new(100, 24);
    stage.play("/Snap-2<enter><esc><space><space>");
    check("marks", &stage);
}

#[test]
fn refused_plan() {
    let mut stage = Stage::new(100, 24);
    stage.script.lock().refusal = Some("feature \"data-file\" cannot be written".into());
    stage.play("/Snap-2<enter><esc>c<idle>");
    check("plan-refused", &stage);
}

#[test]
fn failed_job() {
    let mut stage = Stage::new(100, 24);
    stage.play("/Snap-2<enter><esc>c<idle>y<wait:Jobs>");
    stage.script.lock().outcome = Some(Err(Kind::Io));
    stage.play("<wait:failed><idle>");
    check("failed", &stage);
}

#[test]
fn stopping() {
    let mut stage = Stage::new(100, 24);
    stage.script.lock().job = Some(herd::half_way(100 * herd::MIB, 1000));
    stage.play("/Snap-2<enter><esc>c<idle>y<wait:Jobs>wx");
    check("stop", &stage);
    stage.play("<esc>q");
    stage.send(Input::Resize);
    check("quit-100", &stage);
}

#[test]
fn read_only() {
    let options = Options { color: true, read_only: true, ..Options::default() };
    check("read-only", &Stage::with(100, 24, herd::herd(), &options));
}
