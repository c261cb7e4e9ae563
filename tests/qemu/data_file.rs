//! Images whose data lies in a file of its own: read as QEMU reads them, made as QEMU makes them, and
//! never opened behind the user's back.

use serde_json::Value;

use crate::lab::{Lab, assert_same};
use crate::{Case, case, commit};

const SIZE: u64 = 3 << 20;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("data_file::read_like_qemu", read),
        case("data_file::made_by_cowherd", made),
        case("data_file::raw_by_itself_stays_so", raw_by_itself),
        case("data_file::part_of_its_image", part_of_its_image),
        case("data_file::of_two_images", of_two_images),
        case("data_file::outside_needs_allow", outside),
        case("data_file::goes_to_the_trash_with_its_image", trashed),
        case("data_file::what_cannot_be_in_it", cannot),
    ]
}

/// a.qcow2 with its data in data/a, below it a base.
fn make(lab: &Lab, options: &str) {
    std::fs::create_dir(lab.path("data")).unwrap();
    commit::layer(lab, "base.qcow2", None, "", SIZE, 1, 10);
    let options = format!("data_file=data/a{options}");
    commit::layer(lab, "a.qcow2", Some(("base.qcow2", "qcow2")), &options, SIZE, 2, 12);
}

fn read() {
    for options in ["", ",cluster_size=4k", ",cluster_size=16k,extended_l2=on"] {
        let lab = Lab::new();
        make(&lab, options);
        assert_same("content", &lab.cat("a.qcow2"), &lab.bytes("a.qcow2", None));
        let (ours, qemu) = ("info --json a.qcow2", "info --output=json a.qcow2");
        let (ours, qemu) = (lab.run(ours).expect(0).json(), lab.img_json(qemu));
        let data = |info: &Value| info["format-specific"]["data"].clone();
        assert_eq!(data(&ours), data(&qemu));
        let map = lab.run("map --json a.qcow2").expect(0).json();
        let places: Vec<_> =
            map.as_array().unwrap().iter().filter(|e| e["depth"] == 0 && e["data"] == true).collect();
        assert!(!places.is_empty());
        for entry in places {
            assert_eq!(entry["offset"], entry["start"], "{entry}");
            assert!(entry["filename"].as_str().unwrap().ends_with("/data/a"), "{entry}");
        }
        lab.run("check a.qcow2").expect(0);
        // The same data file again: equal without reading, and different from its base.
        let told = lab.run("compare --json a.qcow2 a.qcow2").expect(0).json();
        assert_eq!(told["shared_bytes"], SIZE, "{told}");
        lab.run("compare a.qcow2 base.qcow2").expect(1);
    }
}

fn made() {
    let lab = Lab::new();
    for (name, more) in [
        ("a", ""),
        ("b", ",data_file_raw=on"),
        ("c", ",preallocation=falloc"),
        ("d", ",cluster_size=16k,extended_l2=on"),
    ] {
        lab.run(&format!("create {name}.qcow2 3M -f qcow2 -o data_file={name}.data{more}")).expect(0);
        lab.scribble(&format!("{name}.qcow2"), "qcow2", SIZE, 7, 12);
        lab.img(&format!("check {name}.qcow2"));
        let view = format!("{name}.qcow2");
        assert_same(&view, &lab.cat(&view), &lab.bytes(&view, None));
    }
    assert!(std::fs::read(lab.path("b.data")).unwrap()[..SIZE as usize] == lab.cat("b.qcow2"));
    // Nothing is overwritten, and a failure leaves nothing behind.
    std::fs::write(lab.path("old"), "precious").unwrap();
    lab.run("create e.qcow2 3M -f qcow2 -o data_file=old").expect(1);
    assert_eq!(std::fs::read(lab.path("old")).unwrap(), b"precious");
    assert!(!lab.path("e.qcow2").exists());
    lab.run("create e.qcow2 -f qcow2 -b a.qcow2 -F qcow2 -o data_file=e,data_file_raw=on").expect(2);
    assert!(!lab.path("e").exists());
}

/// Whoever reads the data file alone sees the disk, whatever was done to the image.
fn raw_by_itself() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 -o data_file=a.data,data_file_raw=on a.qcow2 3M");
    lab.scribble("a.qcow2", "qcow2", SIZE, 3, 20);
    lab.img("create -q -f qcow2 -b a.qcow2 -F qcow2 top.qcow2");
    lab.scribble("top.qcow2", "qcow2", SIZE, 4, 20);
    let top = lab.bytes("top.qcow2", None);
    lab.run("commit top.qcow2 --yes").expect(0);
    assert_same("the data file", &std::fs::read(lab.path("a.data")).unwrap(), &top);
    lab.run("resize a.qcow2 5M --yes").expect(0);
    lab.run("resize a.qcow2 1537k --shrink --yes --accept no-undo").expect(13);
    lab.run("commit top.qcow2 --remove --yes").expect(0);
    lab.run("resize a.qcow2 1537k --shrink --yes --accept no-undo").expect(0);
    assert_same("the data file", &std::fs::read(lab.path("a.data")).unwrap(), &top[..1537 << 10]);
    let info = lab.img_json("info --output=json a.qcow2");
    assert_eq!(info["format-specific"]["data"]["data-file-raw"], true, "{info}");
    lab.img("check a.qcow2");
}

/// It is no image of the forest, and nothing is planned for it alone.
fn part_of_its_image() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 -o data_file=a.img a.qcow2 3M");
    lab.scribble("a.qcow2", "qcow2", SIZE, 3, 4);
    let tree = lab.run("tree . --json").expect(0).json();
    assert_eq!(tree["images"].as_array().unwrap().len(), 1, "{tree}");
    assert_eq!(tree["images"][0]["data_file"]["path"], "a.img");
    assert!(
        tree["images"][0]["disk_size"].as_u64().unwrap() > lab.path("a.qcow2").metadata().unwrap().len() / 2
    );
    let answer = lab.run("resize a.img 4M --yes").expect(2);
    assert!(answer.err.contains("a.qcow2"), "{}", answer.err);
}

/// Writing to one would change the other.
fn of_two_images() {
    let lab = Lab::new();
    make(&lab, "");
    std::fs::copy(lab.path("a.qcow2"), lab.path("b.qcow2")).unwrap();
    let tree = lab.run("tree . --json").expect(0).json();
    let flagged = tree["images"].as_array().unwrap().iter().filter(|image| {
        image["problems"].as_array().unwrap().iter().any(|p| p["kind"] == "data-file-shared")
    });
    assert_eq!(flagged.count(), 2, "{tree}");
    lab.img("create -q -f qcow2 -b a.qcow2 -F qcow2 top.qcow2");
    lab.scribble("top.qcow2", "qcow2", SIZE, 4, 4);
    let before = (lab.files(), std::fs::read(lab.path("data/a")).unwrap());
    let answer = lab.run("commit top.qcow2 --yes").expect(13);
    assert!(answer.err.contains("data file"), "{}", answer.err);
    assert!(before == (lab.files(), std::fs::read(lab.path("data/a")).unwrap()));
}

fn outside() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 -o data_file=../a.data a.qcow2 3M");
    lab.scribble("a.qcow2", "qcow2", SIZE, 3, 4);
    let expected = lab.bytes("a.qcow2", None);
    let answer = lab.run("cat a.qcow2").expect(13);
    assert!(answer.err.contains("--allow"), "{}", answer.err);
    // What needs no data needs no consent.
    lab.run("info a.qcow2").expect(0);
    lab.run("check a.qcow2").expect(0);
    let allowed = lab.outside().display().to_string();
    let bytes = lab.cowherd(&["cat", "a.qcow2", "--allow", &allowed]).expect(0).out;
    assert_same("content", &bytes, &expected);
}

fn trashed() {
    let lab = Lab::new();
    make(&lab, "");
    lab.run("commit a.qcow2 --remove --yes").expect(0);
    assert!(!lab.path("a.qcow2").exists() && !lab.path("data/a").exists());
    let kept: Vec<_> = std::fs::read_dir(lab.path("data/.cowherd-trash")).unwrap().collect();
    assert!(!kept.is_empty());
}

fn cannot() {
    let lab = Lab::new();
    make(&lab, "");
    let answer = lab.run("snapshot create a.qcow2 sn0 --yes").expect(13);
    assert!(answer.err.contains("external data file"), "{}", answer.err);
    lab.img("check a.qcow2");
}
