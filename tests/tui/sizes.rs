//! Every screen at every size: nothing panics, and the smallest sizes say what they need.

use super::herd;
use super::stage::Stage;

const SIZES: [(u16, u16); 9] =
    [(1, 1), (2, 30), (59, 15), (60, 16), (79, 24), (80, 24), (100, 24), (120, 5), (200, 60)];
const SCREENS: [&str; 17] = [
    "",
    "/sn",
    "?",
    "?zzz",
    "1",
    "2<idle>",
    "3",
    "4",
    "w",
    "c<idle>",
    "c<idle>y",
    "C<idle>",
    "C<idle><space>P<idle>",
    ":",
    "r",
    "e",
    "s",
];

#[test]
fn no_size_panics() {
    for keys in SCREENS {
        let mut stage = Stage::new(100, 30);
        stage.play("/Snap-2<enter><esc>").play(keys);
        at_every_size(&mut stage);
    }
}

#[test]
fn no_size_panics_a_verification() {
    for views in [None, Some([1, 1]), Some([1, 2])] {
        let mut stage = Stage::new(100, 30);
        stage.script.lock().views = views.map(|v| v.map(|fill| herd::disk("a.img", vec![fill; 1 << 16])));
        stage.play("/Snap-2<enter><esc><space>v<idle>");
        at_every_size(&mut stage);
    }
}

fn at_every_size(stage: &mut Stage) {
    for (width, height) in SIZES.into_iter().chain((1..90).map(|n| (n, n / 2 + 1))) {
        stage.resize(width, height);
        stage.play("<down>");
    }
}

#[test]
fn too_small_says_so_and_still_quits() {
    let mut stage = Stage::new(59, 15);
    stage.sees("needs 60x16, has 59x15").play("q");
    assert!(stage.over);
}

#[test]
fn one_pane_at_a_time_below_80_columns() {
    let mut stage = Stage::new(70, 20);
    stage.sees(" Forest ").lacks(" Figure ");
    stage.play("<enter>").sees(" Figure ").lacks(" Forest ");
    stage.play("<esc>").sees(" Forest ");
}
