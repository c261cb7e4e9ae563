//! `--no-protect`: what is left out is named, and nothing else is.

use std::path::Path;

use cowherd::chain::{Gate, Opener};
use cowherd::image::State;
use cowherd::units::Guest;

use crate::stage::Stage;

/// Images that read the base of `Snap-1.qcow2` besides it.
const OTHERS: [&str; 2] = ["RootBase.img", "Overlay-2.qcow2"];

fn head(path: &Path) -> Vec<u8> {
    let opener = Opener { gate: Gate::for_paths([path]), ..Opener::default() };
    let mut bytes = vec![0; 128 << 20];
    opener.open(path).unwrap().view(State::Active).read_at(Guest(0), &mut bytes).unwrap();
    bytes
}

#[test]
fn a_commit_names_who_changes_and_costs_less() {
    let stage = Stage::new();
    let line = "commit Snap-1.qcow2";
    let (kept, let_go) = (stage.plan(line), stage.plan(&format!("{line} --no-protect")));
    let cost = |plan: &crate::stage::Plan| plan.0["cost"]["write_bytes"].as_u64().unwrap();
    assert!(cost(&let_go) < cost(&kept), "{} of {}", cost(&let_go), cost(&kept));
    assert!(kept.said("unprotected").is_empty());
    let said = let_go.said("unprotected");
    assert!(said.len() == 1 && said[0].0 == "danger" && said[0].1.contains("Overlay-2.qcow2"), "{said:?}");

    let answer = stage.run(&format!("{line} --no-protect --yes")).expect(10);
    assert!(answer.err.contains("--accept unprotected"), "{}", answer.err);
    let images = ["Snap-2.qcow2", "Snap-3.qcow2", "Snap-4.qcow2", "imageA.qcow2"];
    let before: Vec<_> = images.iter().chain(&OTHERS).map(|name| head(&stage.path(name))).collect();
    stage.run(&format!("{line} --no-protect --yes --accept unprotected")).expect(0);
    for (name, before) in images.iter().chain(&OTHERS).zip(before) {
        assert_eq!(head(&stage.path(name)) == before, images.contains(name), "{name}");
    }
}

#[test]
fn who_reads_nothing_of_it_is_not_named() {
    let stage = Stage::new();
    // One that has all of it already, and one on top of the other reader.
    stage.run("overlay Snap-1.qcow2 has-it.qcow2 --yes").expect(0);
    stage.run("pull has-it.qcow2 --base RootBase.img --yes --accept backing-format").expect(0);
    stage.run("overlay Overlay-2.qcow2 above.qcow2 --yes").expect(0);
    let plan = stage.plan("commit Snap-1.qcow2 --no-protect");
    let mut named: Vec<_> = plan.0["views_changed"].as_array().unwrap().iter().map(|v| v.as_str()).collect();
    named.sort_unstable();
    let paths: Vec<_> = ["Overlay-2.qcow2", "RootBase.img", "Snap-1.qcow2", "above.qcow2"]
        .map(|name| stage.path(name).display().to_string())
        .into();
    assert_eq!(named, paths.iter().map(|path| Some(path.as_str())).collect::<Vec<_>>());
}

#[test]
fn a_deleted_layer_shows_no_more() {
    let stage = Stage::new();
    let plan = stage.plan("delete Snap-3.qcow2 --no-protect");
    assert!(plan.said("unprotected")[0].1.contains("Snap-4.qcow2"));
    let (below, top) = (head(&stage.path("Snap-2.qcow2")), head(&stage.path("Snap-4.qcow2")));
    stage.run("delete Snap-3.qcow2 --no-protect --yes").expect(10);
    stage.run("delete Snap-3.qcow2 --no-protect --yes --accept unprotected").expect(0);
    assert!(head(&stage.path("Snap-2.qcow2")) == below && head(&stage.path("Snap-4.qcow2")) != top);
}
