//! Every screen as text with its styles, kept in `tests/tui/screens/`. A stale one fails; `COWHERD_BLESS=1` writes
//! them anew.
//!
//! Below each line of the screen stands one with a letter for each cell that has a style; the letters are explained
//! at the end.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use cowherd::error::Kind;
use cowherd::job::Compared;
use cowherd::plan::{Hazard, HazardKind};
use cowherd::tui::{Floors, Input, Options};
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

use super::herd;
use super::stage::{Shared, Stage};

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

/// A form asks for what an operation needs: a name, one of several, switches; and says what is wrong.
#[test]
fn forms() {
    for (name, keys) in [
        ("form-snapshot", "/Snap-2<enter><esc>s"),
        ("form-wrong", "/imageB<enter><esc>s<backspace>1<enter>"),
        ("form-rebase", "/Snap-2<enter><esc>r"),
        ("form-export", "/imageB<enter><esc>e<tab>"),
        ("form-convert", "/Snap-2<enter><esc>x"),
        ("form-rename", "/sn1<enter><esc><f2>"),
        ("form-resize", "/Snap-4<enter><esc>:resize<enter>"),
    ] {
        let mut stage = Stage::new(80, 24);
        stage.play(keys);
        check(name, &stage);
    }
}

#[test]
fn what_the_trash_holds() {
    let mut stage = Stage::new(110, 24);
    stage.script.lock().trash =
        vec![("Snap-1.qcow2".into(), 300 * herd::MIB), ("\u{1b}[31m.img".into(), 212 * herd::MIB)];
    stage.play("R<idle>");
    check("trash-counted", &stage);
    stage.resize(80, 24);
    stage.play(":trash-restore<enter>");
    check("form-trash", &stage);
}

#[test]
fn palette_and_searches() {
    for (name, keys) in [
        ("palette", ":"),
        ("palette-found", ":shrink"),
        ("palette-nothing", ":zzz"),
        ("help-search", "?snapshot"),
        ("help-nothing", "?zzz"),
        ("filter-nothing", "/zzz"),
    ] {
        let mut stage = Stage::new(80, 24);
        stage.play(keys);
        check(name, &stage);
    }
}

#[test]
fn clean_up() {
    let mut stage = Stage::new(80, 24);
    stage.play("C<idle>");
    check("cleanup-unmarked", &stage);
    stage.play("<down><space><down>P+<idle>");
    check("cleanup-wishes", &stage);
    stage.play("<enter><idle>");
    check("cleanup-plan", &stage);
    stage.play("<esc>").resize(60, 16);
    check("cleanup-60x16", &stage);
    let mut stage = Stage::new(80, 24);
    stage.script.lock().hazards =
        vec![Hazard::new(HazardKind::InUse, "Snap-1.qcow2 is held by qemu-system-x86")];
    stage.play("C<idle><down><space><idle>");
    check("cleanup-refused", &stage);
}

#[test]
fn plans() {
    let mut stage = Stage::new(100, 24);
    stage.script.lock().hazards =
        vec![Hazard::new(HazardKind::InUse, "Snap-1.qcow2 is held by qemu-system-x86")];
    stage.play("/Snap-2<enter><esc>c<idle>");
    check("plan-forbidden", &stage);
    let mut stage = Stage::new(100, 24);
    stage.play("/Snap-2<enter><esc>d<idle>");
    check("plan-delete", &stage);
    stage.resize(60, 16);
    check("plan-60x16", &stage);
}

/// A job that waits; the UI that waits for it; how it ended; one that was cut off.
#[test]
fn jobs() {
    let mut stage = Stage::new(80, 24);
    stage.script.lock().job = Some(herd::half_way(100 * herd::MIB, 1000));
    stage.play("/Snap-2<enter><esc>c<idle>y<wait:Jobs>w<space><wait:paused>");
    check("job-paused", &stage);
    stage.play("<space><wait:copying>qw<wait:quitting when>");
    check("job-leaving", &stage);
    stage.play("<esc>");
    let compared = Compared { views: 3, compared_bytes: 60 * herd::GIB, shared_bytes: 58 * herd::GIB };
    stage.script.lock().compared = Some(compared);
    stage.script.lock().outcome = Some(Ok(
        "committed 392 MiB of Snap-2.qcow2 into Snap-1.qcow2; 1 file in the trash, freed 4 MiB".into(),
    ));
    stage.play("<wait:done><idle>");
    check("done-compared", &stage);
    let mut stage = Stage::new(80, 24);
    stage.script.lock().leftovers = vec![herd::interrupted("Snap-2.qcow2")];
    stage.play("R<idle>/Snap-2<enter><esc>4");
    check("interrupted", &stage);
}

#[test]
fn views_are_opened() {
    let mut stage = Stage::new(80, 24);
    stage.script.lock().opening = true;
    stage.play("/Snap-2<enter><esc><space>/Snap-3<enter><esc>v");
    check("verify-opening", &stage);
    stage.script.lock().opening = false;
    stage.idle();
}

#[test]
fn a_folder_that_is_not_there() {
    let paths = vec!["/nowhere/at/all".into()];
    let stage = Stage::on_engine(80, 24, Floors::shared(), Shared::default(), paths, &Options::default());
    check("scan-failed", &stage);
}

#[test]
fn the_smallest_and_a_wide_one() {
    for (name, width, height) in [("main-60x16", 60, 16), ("main-200x60", 200, 60)] {
        let mut stage = Stage::new(width, height);
        stage.play("/Snap-2<enter><esc>");
        check(name, &stage);
    }
}
