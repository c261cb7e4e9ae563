//! The pictures in `screenshots/`. A stale one fails; `COWHERD_BLESS=1` draws them anew.

use std::path::PathBuf;

use cowherd::plan::{Hazard, HazardKind};
use cowherd::tui::Options;

use super::stage::Stage;
use super::{herd, screens, svg};

fn picture(name: &str, stage: &Stage) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("screenshots").join(format!("{name}.svg"));
    screens::check(name, stage);
    screens::kept(&path, &svg::render(stage.app.backend().buffer()));
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

/// One base with branches, snapshots inside, a guest that runs, a broken image.
#[test]
fn figure() {
    let mut before = herd::herd().nodes;
    before.iter_mut().for_each(|node| node.children.clear());
    let mut web = herd::node("web.qcow2", Some("imageB.qcow2"), 90 * herd::MIB);
    web.snapshots = vec![herd::snapshot(1, "before-upgrade", "2026-11-20T08:00:00Z", 12 * herd::MIB)].into();
    before.push(web);
    before.push(herd::node("db.qcow2", Some("imageA.qcow2"), 700 * herd::MIB));
    let options = Options { color: true, ..Options::default() };
    let mut stage = Stage::with(120, 32, herd::forest(before), &options);
    stage.play("/imageB<enter><esc>1");
    picture("figure", &stage);
}

#[test]
fn layers() {
    let mut stage = Stage::new(100, 24);
    stage.play("/imageC<enter><esc>2<idle>");
    picture("layers", &stage);
}

/// Two disks of 8 MiB, the second one with some other bytes.
fn disks(change: impl Fn(&mut [u8])) -> [cowherd::chain::View; 2] {
    let mut bytes: Vec<u8> = (0..8_u32 << 20).map(|i| (i / 4096 * 37 + i % 251) as u8).collect();
    bytes[3 << 20..5 << 20].fill(0);
    let first = herd::disk("Snap-2.qcow2", bytes.clone());
    change(&mut bytes);
    [first, herd::disk("Snap-3.qcow2", bytes)]
}

#[test]
fn verified_equal() {
    let mut stage = Stage::new(100, 24);
    stage.script.lock().views = Some(disks(|_| {}));
    stage.play("/Snap-2<enter><esc><space>/Snap-3<enter><esc>v<idle>");
    picture("verify-equal", &stage);
}

#[test]
fn verified_different() {
    let mut stage = Stage::new(100, 30);
    stage.script.lock().views = Some(disks(|bytes| {
        bytes[1_200_003..1_200_009].copy_from_slice(b"cowherd"[..6].as_ref());
        bytes[6 << 20..(6 << 20) + 700_000].fill(0x55);
    }));
    stage.play("/Snap-2<enter><esc><space>/Snap-3<enter><esc>v<idle>");
    picture("verify-different", &stage);
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
    stage.play("C<idle><down><space><down><space><idle>");
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
