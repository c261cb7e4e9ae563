//! What changes under the UI's hands, what it must not do, and names that want to do harm.

use cowherd::image::Format;
use cowherd::tui::{Floors, Input};

use super::yard::Yard;
use crate::common::{self, Random};

#[test]
fn an_image_that_changes_between_plan_and_consent_is_not_touched() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage.play("/leaf<enter><esc>c<wait:[ y Run ]>");
    common::scribble(&yard.path("leaf.qcow2"), Format::Qcow2, &mut Random::new(99));
    let (changed, top) = (yard.now("leaf.qcow2"), yard.was("top.qcow2"));
    assert_ne!(changed, yard.was("leaf.qcow2"));
    stage.play("y<wait:✗ failed><idle>").sees("changed");
    assert_eq!((yard.now("leaf.qcow2"), yard.now("top.qcow2")), (changed, top));
}

#[test]
fn what_vanishes_is_missed_in_words() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage.play("/leaf<enter><esc>");
    std::fs::remove_file(yard.path("leaf.qcow2")).unwrap();
    stage.play("c<wait:This cannot be planned>").sees("leaf.qcow2").play("<esc>");
    stage.play("R<gone:leaf.qcow2><idle>").play("/side<enter><esc>c<wait:[ y Run ]>");
    std::fs::remove_file(yard.path("side.qcow2")).unwrap();
    stage.play("y<wait:✗ failed><idle>").sees("side.qcow2");
    assert_eq!(yard.now("mid.qcow2"), yard.was("mid.qcow2"));
}

#[test]
fn a_child_that_appears_while_the_plan_is_looked_at_gets_a_new_plan() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage.play("/leaf<enter><esc>c<wait:[ y Run ]>").lacks("new.qcow2");
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_cowherd"))
        .args(["overlay", "-q", "--yes"])
        .args([yard.path("top.qcow2"), yard.path("new.qcow2")])
        .status();
    assert!(made.unwrap().success());
    stage.play("<esc>R<wait:new.qcow2><idle>").play("/leaf<enter><esc>c<wait:[ y Run ]>");
    stage.sees("new.qcow2");
    let new = yard.now("new.qcow2");
    stage.play("y<wait:✓ done><idle>");
    assert_eq!(yard.now("new.qcow2"), new);
    yard.kept_but(&["top.qcow2"]);
}

#[test]
fn read_only_changes_nothing_whatever_is_pressed() {
    let yard = Yard::new();
    let mut stage = yard.stage_on(Floors::shared(), true);
    for keys in
        ["/leaf<enter><esc>c", "/leaf<enter><esc>p", "/side<enter><esc>d", "/leaf<enter><esc>o<enter>"]
    {
        stage.play(keys).play("<wait:Run ]><idle>y").sees("--read-only");
        stage.play("<tab><tab><tab><tab><enter><esc><esc><esc>");
    }
    yard.kept_but(&[]);
    assert!(yard.trash().is_empty() && !yard.has("leaf-1.qcow2"));
}

#[test]
fn names_that_want_to_do_harm_stay_names() {
    const EVIL: &str = "\u{1b}]0;x\u{7}\u{202e}gnp.qcow2";
    let yard = Yard::new();
    std::fs::rename(yard.path("side.qcow2"), yard.path(EVIL)).unwrap();
    common::snapshot(&yard.path(EVIL), "\u{1b}[2J\u{200b}sn");
    let mut stage = yard.stage();
    let safe = |stage: &crate::stage::Stage| {
        let screen = stage.screen();
        let wrong = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{200b}' | '\u{202e}');
        assert!(!screen.contains(wrong), "{screen:?}");
    };
    let looks = [
        "c<idle>",
        "p<idle>",
        "r",
        "r<enter><idle>",
        "s",
        "o",
        "o<enter><idle>",
        "e",
        "d<idle>",
        "<f2>",
        ":x",
        "?",
    ];
    for keys in looks {
        stage.play("/gnp<enter><esc>").play(keys);
        safe(&stage);
        stage.play("<esc><esc>");
        stage.play("/gnp<enter><esc>j").play(keys);
        safe(&stage);
        stage.play("<esc><esc>");
    }
    // A name cannot be pasted as consent, and a form takes no control characters.
    stage.play("/gnp<enter><esc><f2>");
    stage.send(Input::Paste("\u{1b}[2J".into()));
    safe(&stage);
    stage.play("<esc>");
    // It can be consented to as it is shown: nobody can type an escape.
    stage.play("/gnp<enter><esc>d<wait:Run ]>y").play("\\u{1b}]0;x\\u{7}\\u{202e}gnp.qcow2<enter>");
    stage.play("<wait:✓ done><idle>");
    assert!(!yard.has(EVIL));
    yard.kept_but(&["side.qcow2"]);
}
