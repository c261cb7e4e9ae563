//! How the UI behaves whatever is done with it: mouse, colours, hostile names, depth, speed, rest.

use std::time::Duration;

use cowherd::tui::{Input, Options};

use super::herd;
use super::stage::Stage;

#[test]
fn a_click_selects_and_another_one_closes() {
    use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
    let click = |row| {
        let kind = MouseEventKind::Down(MouseButton::Left);
        Input::Mouse(MouseEvent { kind, column: 20, row, modifiers: KeyModifiers::NONE })
    };
    let mut stage = Stage::new(100, 24);
    stage.send(click(3));
    assert!(stage.selected_line().contains("Snap-1"));
    stage.send(click(3));
    stage.lacks("Overlay-2.qcow2");
    stage.send(click(3));
    stage.sees("Overlay-2.qcow2");
    stage.send(click(22));
    assert!(stage.selected_line().contains("Snap-1"), "nothing is below the last row");
}

#[test]
fn the_selection_stays_in_view_when_the_screen_shrinks() {
    let mut stage = Stage::with(100, 60, herd::long_chain(60), &Options::default());
    stage.play("G").resize(80, 16);
    assert!(stage.selected_line().contains("layer-59"));
}

#[test]
fn hostile_names_are_shown_escaped() {
    let mut bad = herd::node("a\u{1b}]52;c;x\u{7}\u{202e}b.qcow2", None, 1);
    bad.snapshots = vec![herd::snapshot(1, "\u{1b}[2J\u{200b}", "\u{9b}31m", 0)].into();
    let options = Options::default();
    let mut stage = Stage::with(140, 30, herd::forest(vec![bad]), &options);
    for keys in ["", "j", "3", "4", "k", "3", "y", "?", "<esc>/\u{202e}"] {
        stage.play(keys);
        let screen = stage.screen();
        let wrong = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{200b}' | '\u{202e}');
        assert!(!screen.contains(wrong), "{screen:?}");
    }
    stage.play("<esc>").sees("a\\u{1b}]52");
}

#[test]
fn without_colour_the_selection_stays_reversed() {
    use ratatui::style::{Color, Modifier};
    let mut stage = Stage::with(100, 24, herd::herd(), &Options::default());
    stage.play("j");
    assert!(stage.selected_line().contains("Snap-1"));
    let buffer = stage.app.backend().buffer();
    assert!(buffer.content.iter().all(|c| c.fg == Color::Reset && c.bg == Color::Reset));
    assert!(buffer.content.iter().any(|c| c.modifier.contains(Modifier::REVERSED)));
}

#[test]
fn rows_stay_in_their_pane_however_deep() {
    let name = |i: usize| format!("trunk-{i:03}.qcow2");
    let mut nodes = Vec::new();
    for i in 0..200 {
        let below = (i > 0).then(|| name(i - 1));
        nodes.push(herd::node(&name(i), below.as_deref(), 1));
        nodes.push(herd::node(&format!("side-{i:03}.qcow2"), below.as_deref(), 1));
    }
    let mut stage = Stage::with(80, 24, herd::forest(nodes), &Options::default());
    stage.play("G<pgup><pgup>");
    let screen = stage.screen();
    let edge = screen.lines().nth(1).and_then(|top| top.chars().position(|c| c == '┐')).unwrap();
    for line in screen.lines().skip(1).take(22) {
        let border = line.chars().nth(edge).unwrap_or(' ');
        assert!("│┐┘┃".contains(border), "{border:?} in {line}");
    }
    let selected = stage.selected_line();
    assert!(selected.contains("trunk-1") || selected.contains("side-1"), "{selected}");
}

#[test]
fn ten_thousand_images_stay_quick() {
    let mut nodes = Vec::new();
    for base in 0..1000 {
        nodes.push(herd::node(&format!("base-{base:04}.img"), None, 1));
        for i in 0..9 {
            nodes.push(herd::node(
                &format!("o-{base:04}-{i}.qcow2"),
                Some(&format!("base-{base:04}.img")),
                1,
            ));
        }
    }
    let mut stage = Stage::with(100, 24, herd::forest(nodes), &Options::default());
    stage.play("G");
    let start = std::time::Instant::now();
    stage.play("kkkkkkkkkkkkkkkkkkkk");
    let each = start.elapsed() / 20;
    // A frame is 33 ms; without optimisation it may take a few of them.
    let limit = if cfg!(debug_assertions) { 300 } else { 33 };
    assert!(each < Duration::from_millis(limit), "{each:?} a key");
    eprintln!("{each:?} a key");
}

#[test]
fn nothing_is_drawn_while_nothing_happens() {
    let mut stage = Stage::new(100, 24);
    let (_send, silent) = crossbeam_channel::unbounded();
    let start = std::time::Instant::now();
    assert!(stage.app.turn(&silent, Some(Duration::from_millis(80))).unwrap());
    assert!(start.elapsed() >= Duration::from_millis(80), "woke without a reason");
}
