//! The pictures in `screenshots/`. A stale one fails; `COWHERD_BLESS=1` draws them anew.

use std::fs;
use std::path::PathBuf;

use cowherd::plan::{Hazard, HazardKind};
use cowherd::tui::Options;

use super::herd;
use super::stage::Stage;
use super::svg;

fn picture(name: &str, stage: &Stage) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("screenshots").join(format!("{name}.svg"));
    let drawn = svg::render(stage.app.backend().buffer());
    if std::env::var_os("COWHERD_BLESS").is_some_and(|v| v == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &drawn).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == drawn,
        "{} is stale; look at it after: COWHERD_BLESS=1 cargo test --test tui pictures\n{}",
        path.display(),
        stage.screen()
    );
}

#[test]
fn main_screen() {
    let mut stage = Stage::new(100, 24);
    stage.play("/Snap-2<enter><esc>");
    picture("main", &stage);
}

#[test]
fn main_screen_80() {
    let mut stage = Stage::new(80, 24);
    stage.play("/Snap-2<enter><esc>");
    picture("main-80x24", &stage);
}

#[test]
fn info() {
    let mut stage = Stage::new(100, 24);
    stage.play("/imageB<enter><esc>3");
    picture("info", &stage);
}

#[test]
fn health() {
    let mut stage = Stage::new(100, 24);
    stage.play("/broken<enter><esc>4");
    picture("health", &stage);
}

#[test]
fn cleanup() {
    let mut stage = Stage::new(100, 30);
    stage.play("C<idle><down><space><space><idle>");
    picture("cleanup", &stage);
}

#[test]
fn plan() {
    let mut stage = Stage::new(110, 34);
    stage.play("/Snap-2<enter><esc>c<idle>");
    picture("plan", &stage);
}

#[test]
fn plan_80() {
    let mut stage = Stage::new(80, 24);
    stage.play("/Snap-2<enter><esc>c<idle>");
    picture("plan-80x24", &stage);
}

#[test]
fn running_job() {
    let mut stage = Stage::new(100, 24);
    stage.script.lock().job = Some(herd::half_way(0, 0));
    stage.play("/Snap-2<enter><esc>c<idle>y<wait:Jobs>");
    stage.script.lock().job = Some(herd::half_way(243 * herd::MIB, 4000));
    stage.play("<wait:56 %>");
    picture("job", &stage);
}

#[test]
fn finished_job() {
    let mut stage = Stage::new(100, 24);
    stage.script.lock().job = Some(herd::half_way(430 * herd::MIB, 7000));
    stage.play("/Snap-2<enter><esc>c<idle>y<wait:Jobs>");
    stage.script.lock().outcome =
        Some(Ok("committed 392 MiB of Snap-2.qcow2 into Snap-1.qcow2; 1 file in the trash".into()));
    stage.play("<wait:done><idle>");
    picture("done", &stage);
}

#[test]
fn consent() {
    let mut stage = Stage::new(100, 24);
    stage.script.lock().hazards =
        vec![Hazard::new(HazardKind::HardLinks, "Snap-1.qcow2 has a second name, which is not followed")];
    stage.play("/Snap-2<enter><esc>c<idle>ySnap");
    picture("consent", &stage);
}

#[test]
fn quit() {
    let mut stage = Stage::new(80, 24);
    stage.script.lock().job = Some(herd::half_way(100 * herd::MIB, 1000));
    stage.play("/Snap-2<enter><esc>c<idle>y<wait:Jobs>q");
    picture("quit", &stage);
}

#[test]
fn filter() {
    let mut stage = Stage::new(100, 24);
    stage.play("/sn1");
    picture("filter", &stage);
}

#[test]
fn help() {
    let mut stage = Stage::new(100, 24);
    stage.play("?");
    picture("help", &stage);
}

#[test]
fn long_chain() {
    let options = Options { color: true, ..Options::default() };
    let mut stage = Stage::with(80, 24, herd::long_chain(60), &options);
    stage.play("<pgdn><pgdn>");
    picture("long-chain", &stage);
}

#[test]
fn plain_ascii() {
    let options = Options { color: false, ascii: true, ..Options::default() };
    let mut stage = Stage::with(100, 24, herd::herd(), &options);
    stage.play("/Snap-2<enter><esc>");
    picture("ascii", &stage);
}
