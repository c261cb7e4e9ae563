//! Hazards as scripts meet them: what is said before a change, how serious it is, and what it takes to go
//! on. Needs nothing but cowherd: the images are those of the demo.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod domains;
mod kinds;
mod stage;
mod unprotected;

use stage::Stage;

#[test]
fn every_kind_is_explained() {
    let stage = Stage::new();
    let help = stage.run("help hazards").expect(0).out;
    for kind in cowherd::plan::HazardKind::ALL {
        assert!(help.contains(kind.name()) && help.contains(kind.meaning()), "{kind}: {help}");
    }
}

#[test]
fn the_scanned_folders_are_named() {
    let stage = Stage::new();
    let plan = stage.plan("commit Snap-2.qcow2");
    let folder = stage.path("").display().to_string();
    let said = plan.said("other-folders");
    assert_eq!(said.len(), 1);
    assert!(said[0].0 == "info" && said[0].1.contains(folder.trim_end_matches('/')), "{said:?}");
}
