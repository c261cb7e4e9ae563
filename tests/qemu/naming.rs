//! Overlay and rename: new names, and nobody reads anything else.

use crate::commit::{branch_above, chain, layer};
use crate::lab::{Lab, assert_same};
use crate::{Case, case};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("naming::overlay_reads_like_its_base", overlay),
        case("naming::overlay_over_raw_and_elsewhere", overlay_elsewhere),
        case("naming::rename_with_children", rename),
        case("naming::rename_into_another_folder", move_away),
        case("naming::taken_names", taken),
    ]
}

fn overlay() {
    let lab = Lab::new();
    chain(&lab);
    let before = lab.views();
    lab.run("overlay l4.qcow2 new.qcow2 --yes").expect(0);
    let after = lab.views();
    lab.assert_clean();
    for (view, bytes) in &before {
        assert_same(view, &after[view], bytes);
    }
    assert_same("the overlay", &after["new.qcow2"], &before["l4.qcow2"]);
    let info = lab.img_json("info --output=json new.qcow2");
    assert_eq!(info["backing-filename"], "l4.qcow2");
    assert_eq!(info["backing-filename-format"], "qcow2");
    // It takes what a guest writes, and its base stays.
    lab.scribble("new.qcow2", "qcow2", 4 << 20, 77, 6);
    assert_same("the base", &lab.bytes("l4.qcow2", None), &before["l4.qcow2"]);
}

fn overlay_elsewhere() {
    let lab = Lab::new();
    lab.img("create -q -f raw disk.img 3M");
    lab.scribble("disk.img", "raw", 3 << 20, 5, 6);
    std::fs::create_dir(lab.path("sub")).unwrap();
    let answer = lab.run("overlay disk.img sub/new.qcow2 --yes").expect(10);
    assert!(answer.err.contains("--accept backing-format"), "{}", answer.err);
    lab.run("overlay disk.img sub/new.qcow2 -F raw --yes").expect(0);
    assert_same(
        "the overlay",
        &lab.bytes("sub/new.qcow2", None),
        &std::fs::read(lab.path("disk.img")).unwrap(),
    );
    let info = lab.img_json("info --output=json sub/new.qcow2");
    assert_eq!(info["backing-filename"], lab.path("disk.img").to_str().unwrap());
    assert_eq!(info["backing-filename-format"], "raw");
    assert!(lab.path("sub").read_dir().unwrap().count() == 1, "something was left behind");
}

fn rename() {
    let lab = Lab::new();
    branch_above(&lab);
    let mut before = lab.views();
    lab.run("rename l2.qcow2 middle.qcow2 --yes").expect(0);
    let after = lab.views();
    lab.assert_clean();
    let moved = before.remove("l2.qcow2").unwrap();
    before.insert("middle.qcow2".to_owned(), moved);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (view, bytes) in &before {
        assert_same(view, &after[view], bytes);
        assert_same(view, &lab.cat(view), bytes);
    }
    for child in ["l3.qcow2", "side.qcow2"] {
        let info = lab.img_json(&format!("info --output=json {child}"));
        assert_eq!(
            (&info["backing-filename"], &info["backing-filename-format"]),
            (&"middle.qcow2".into(), &"qcow2".into())
        );
    }
}

fn move_away() {
    let lab = Lab::new();
    chain(&lab);
    std::fs::create_dir(lab.path("sub")).unwrap();
    let before = lab.views();
    lab.run("rename l2.qcow2 sub/l2.qcow2 --yes").expect(0);
    for (view, bytes) in before.iter().filter(|(view, _)| *view != "l2.qcow2") {
        assert_same(view, &lab.bytes(view, None), bytes);
    }
    assert_same("the one that moved", &lab.bytes("sub/l2.qcow2", None), &before["l2.qcow2"]);
    let tree = lab.run("tree . --json").expect(0).json();
    for image in tree["images"].as_array().unwrap() {
        assert_eq!(image["problems"].as_array().unwrap().len(), 0, "{image}");
    }
}

fn taken() {
    let lab = Lab::new();
    chain(&lab);
    layer(&lab, "other.qcow2", None, "", 1 << 20, 3, 2);
    let before = lab.files();
    lab.run("overlay l4.qcow2 other.qcow2 --yes").expect(2);
    lab.run("rename l2.qcow2 other.qcow2 --yes").expect(2);
    lab.run("rename l2.qcow2 nowhere/x.qcow2 --yes").expect(1);
    lab.run("overlay nothing.qcow2 new.qcow2 --yes").expect(1);
    assert!(before == lab.files());
}
