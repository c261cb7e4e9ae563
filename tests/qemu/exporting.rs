//! Views exported as images of their own, as deltas and as linear chains, and chains imported again: read by
//! QEMU, which never had this.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use cowherd::chain::{Opener, StateSpec, ViewSpec};
use cowherd::error::Kind;
use serde_json::Value;

use crate::busy::qemu_io;
use crate::lab::{Lab, assert_same};
use crate::{Case, case};

const MIB: u64 = 1 << 20;
const CLUSTER: usize = 64 << 10;

/// The chain of the proposal of 2013, oldest view first: image, snapshot, and the file it becomes.
const LINEAR: [(&str, Option<&str>, &str); 7] = [
    ("imageA.qcow2", Some("sn0"), "imageA_sn0"),
    ("imageA.qcow2", None, "imageA"),
    ("imageB.qcow2", Some("sn0"), "imageB_sn0"),
    ("imageB.qcow2", Some("sn1"), "imageB_sn1"),
    ("imageB.qcow2", None, "imageB"),
    ("imageC.qcow2", Some("sn0"), "imageC_sn0"),
    ("imageC.qcow2", None, "imageC"),
];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("export::the_proposals_own_example", || acceptance("qcow2", &[])),
        case("export::the_proposals_own_example_as_qed", || acceptance("qed", &["-O", "qed"])),
        case("export::the_proposals_own_example_compressed", || acceptance("qcow2", &["-c"])),
        case("export::full_copies_in_every_format", full_copies),
        case("export::a_snapshot_keeps_its_own_size", sizes),
        case("export::deltas", deltas),
        case("export::a_chain_goes_on_where_an_older_one_ended", goes_on),
        case("export::a_delta_on_the_wrong_image_needs_consent", wrong_older),
        case("export::by_content_leaves_out_what_was_written_again", by_content),
        case("export::diff_lists_what_differs", diff),
        case("export::machine_state", machine_state),
        case("export::machine_state_in_a_chain", machine_state_in_a_chain),
        case("export::while_a_guest_writes", while_a_guest_writes),
        case("export::a_snapshot_deleted_meanwhile_is_noticed", deleted_meanwhile),
        case("export::hostile_names_stay_in_the_folder", hostile_names),
        case("export::names_that_are_taken", taken),
        case("export::killed_leaves_nothing_that_has_a_name", || cut_off("KILL", None)),
        case("export::stopped_leaves_nothing", || cut_off("INT", Some(130))),
        case("export::import::the_reverse", the_reverse),
        case("export::import::layers_of_one_name", layers_of_one_name),
        case("export::import::compressed", || imported(&["-c"])),
        case("export::import::with_other_clusters", || imported(&["-o", "cluster_size=4k,refcount_bits=64"])),
    ]
}

/// `imageA(sn0) <- imageB(sn0, sn1) <- imageC(sn0)`: data, zeros and holes; the disk grows on the way.
fn mixed(lab: &Lab) {
    lab.img("create -q -f qcow2 imageA.qcow2 16M");
    lab.scribble("imageA.qcow2", "qcow2", 16 * MIB, 1, 40);
    lab.img("snapshot -c sn0 imageA.qcow2");
    lab.scribble("imageA.qcow2", "qcow2", 16 * MIB, 2, 12);
    lab.img("create -q -f qcow2 -b imageA.qcow2 -F qcow2 imageB.qcow2 20M");
    for (snapshot, seed) in [("sn0", 3), ("sn1", 4)] {
        lab.scribble("imageB.qcow2", "qcow2", 20 * MIB, seed, 10);
        lab.img(&format!("snapshot -c {snapshot} imageB.qcow2"));
    }
    // A cluster that the snapshot holds and the active state leaves to the backing file again.
    lab.io("imageB.qcow2", "qcow2", &["discard -q 1M 512k".into(), "write -q -P 9 5M 64k".into()]);
    lab.img("create -q -f qcow2 -b imageB.qcow2 -F qcow2 imageC.qcow2");
    lab.scribble("imageC.qcow2", "qcow2", 20 * MIB, 5, 8);
    lab.img("snapshot -c sn0 imageC.qcow2");
    lab.scribble("imageC.qcow2", "qcow2", 20 * MIB, 6, 8);
}

/// What each view of the chain shows, as QEMU reads it.
fn shown(lab: &Lab) -> Vec<Vec<u8>> {
    LINEAR.iter().map(|(image, snapshot, _)| lab.bytes(image, *snapshot)).collect()
}

/// Bytes of whole clusters in which two views differ; beyond its end one shows zeros.
fn difference(old: &[u8], new: &[u8]) -> u64 {
    let zeros = vec![0; CLUSTER];
    let clusters = new.chunks(CLUSTER).enumerate().filter(|(i, new)| {
        let at = i * CLUSTER;
        let old = old.get(at..old.len().min(at + new.len())).unwrap_or_default();
        old != &new[..old.len()] || new[old.len()..] != zeros[..new.len() - old.len()]
    });
    clusters.map(|(_, cluster)| cluster.len() as u64).sum()
}

/// Bytes of data that the file itself holds.
fn held(lab: &Lab, file: &str) -> u64 {
    let map = lab.cowherd(&["map", "--layer", "--json", file]).expect(0).json();
    let data = |run: &&Value| run["data"] == true && run["zero"] == false;
    map.as_array().unwrap().iter().filter(data).map(|run| run["length"].as_u64().unwrap()).sum()
}

fn acceptance(format: &str, options: &[&str]) {
    let lab = Lab::new();
    mixed(&lab);
    let (before, shown) = (lab.files(), shown(&lab));
    let export = ["export", "imageC.qcow2", "--chain", "--out", "linear", "--yes"];
    let planned = lab.cowherd(&[&export[..], options, &["--dry-run", "--json"]].concat()).expect(0).json();
    assert_eq!(planned["views_changed"], serde_json::json!([]));
    lab.cowherd(&[&export[..], options].concat()).expect(0);
    assert!(lab.files() == before, "a source was written");

    let (mut last, mut total, mut differs): (&[u8], u64, u64) = (&[], 0, 0);
    for (i, ((.., stem), bytes)) in LINEAR.iter().zip(&shown).enumerate() {
        let file = format!("linear/{stem}.{format}");
        assert_same(&file, &lab.bytes(&file, None), bytes);
        let check = lab.try_tool("qemu-img", &["check", &file]);
        assert!(check.status.success(), "{file}: {}", String::from_utf8_lossy(&check.stdout));
        let chain = lab.img_json(&format!("info --output=json --backing-chain {file}"));
        let names: Vec<_> = chain.as_array().unwrap().iter().map(|i| i["filename"].clone()).collect();
        let wanted: Vec<_> =
            LINEAR[..=i].iter().rev().map(|(.., stem)| format!("linear/{stem}.{format}")).collect();
        assert_eq!(names, wanted, "{file}");
        total += held(&lab, &file);
        differs += difference(last, bytes);
        last = bytes;
    }
    assert!(total <= differs, "{total} bytes of data for {differs} that differ");
    assert!(total > 0);

    let list = std::fs::read_to_string(lab.path("linear/manifest.json")).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    for ((image, snapshot, stem), entry) in LINEAR.iter().zip(list["chain"].as_array().unwrap()) {
        assert_eq!(entry["file"], format!("{stem}.{format}"));
        assert!(entry["image"].as_str().unwrap().ends_with(image), "{entry}");
        assert_eq!(entry["snapshot"]["name"].as_str(), *snapshot);
    }
    // What it was predicted to cost, the files cost; compressed it may be less.
    if options != ["-c"] {
        assert_eq!(planned["cost"]["exact"], true, "{}", planned["cost"]);
    }
}

fn full_copies() {
    let lab = Lab::new();
    mixed(&lab);
    for view in ["imageB.qcow2", "imageB.qcow2@sn0", "imageA.qcow2@sn0"] {
        let expected = lab.cat(view);
        for (file, format, options) in [
            ("x.qcow2", "qcow2", &[][..]),
            ("x.v2", "qcow2", &["-o", "compat=0.10,cluster_size=4k"]),
            ("x.sub", "qcow2", &["-o", "extended_l2=on,cluster_size=16k"]),
            ("x.zlib", "qcow2", &["-c"]),
            ("x.zstd", "qcow2", &["-c", "-o", "compression_type=zstd"]),
            ("x.qed", "qed", &["-O", "qed"]),
            ("x.raw", "raw", &["-O", "raw"]),
        ] {
            let args = [&["export", view, "--out", file, "--yes"], options].concat();
            lab.cowherd(&args).expect(0);
            let raw = lab.outside().join("copy");
            let raw = raw.to_str().unwrap();
            lab.tool("qemu-img", &["convert", "-f", format, "-O", "raw", file, raw]);
            assert_same(&format!("{view} as {file}"), &std::fs::read(raw).unwrap(), &expected);
            if format != "raw" {
                lab.img(&format!("check -q {file}"));
            }
            let compressed = lab.img_json(&format!("map --output=json {file}"));
            let compressed = compressed.as_array().unwrap().iter().any(|run| run["compressed"] == true);
            assert_eq!(compressed, options.contains(&"-c"), "{file}");
            std::fs::remove_file(lab.path(file)).unwrap();
        }
    }
    lab.cowherd(&["export", "imageA.qcow2", "--out", "x", "-O", "raw", "-c", "--yes"]).expect(2);
    lab.cowherd(&["export", "imageA.qcow2", "--out", "x", "-o", "preallocation=full", "--yes"]).expect(2);
    assert!(!lab.path("x").exists());
}

/// qemu-img takes a snapshot for as long as its image is now.
fn sizes() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 a.qcow2 2M");
    lab.io("a.qcow2", "qcow2", &["write -q -P 1 0 2M".into()]);
    lab.img("snapshot -c long a.qcow2");
    lab.img("resize -q --shrink a.qcow2 1050112");
    lab.img("snapshot -c short a.qcow2");
    lab.img("resize -q a.qcow2 3M");
    lab.io("a.qcow2", "qcow2", &["write -q -P 2 2M 1M".into()]);
    lab.cowherd(&["export", "a.qcow2", "--chain", "--out", "linear", "--yes"]).expect(0);
    let (ones, now) = (|n: usize| vec![1; n], lab.bytes("a.qcow2", None));
    assert_same("long", &lab.bytes("linear/a_long.qcow2", None), &ones(2 << 20));
    assert_same("short", &lab.bytes("linear/a_short.qcow2", None), &ones(1_050_112));
    assert_same("now", &lab.bytes("linear/a.qcow2", None), &now);
    // And back: what was cut off must not come back when the disk grows again.
    lab.cowherd(&["import", "linear/a.qcow2", "--out", "back.qcow2", "--yes"]).expect(0);
    assert_same("long", &lab.cat("back.qcow2@a_long"), &ones(2 << 20));
    assert_same("short", &lab.cat("back.qcow2@a_short"), &ones(1_050_112));
    assert_same("now", &lab.bytes("back.qcow2", None), &now);
    lab.img("check -q back.qcow2");
}

fn deltas() {
    let lab = Lab::new();
    mixed(&lab);
    lab.cowherd(&["export", "imageB.qcow2@sn0", "--out", "older.qcow2", "--yes"]).expect(0);
    for (of, format) in [("imageB.qcow2@sn1", "qcow2"), ("imageB.qcow2", "qed"), ("imageC.qcow2", "qcow2")] {
        let args =
            ["export", of, "--since", "imageB.qcow2@sn0", "-b", "older.qcow2", "-F", "qcow2", "-O", format];
        lab.cowherd(&[&args[..], &["--out", "delta", "--yes"]].concat()).expect(0);
        assert_same(of, &lab.bytes("delta", None), &lab.cat(of));
        let info = lab.img_json("info --output=json delta");
        assert_eq!(info["backing-filename"], "older.qcow2");
        lab.img("check -q delta");
        let differs = difference(&lab.cat("imageB.qcow2@sn0"), &lab.cat(of));
        assert!(held(&lab, "delta") <= differs, "{of}: {} for {differs}", held(&lab, "delta"));
        std::fs::remove_file(lab.path("delta")).unwrap();
    }
    // To the state that is there already, without a copy of it; and to what is no relation, by content.
    lab.img("convert -O raw imageA.qcow2 other.raw");
    for older in ["imageA.qcow2", "other.raw"] {
        let format = if older.ends_with("raw") { "raw" } else { "qcow2" };
        let args = ["export", "imageC.qcow2@sn0", "--since", older, "-b", older, "-F", format];
        lab.cowherd(&[&args[..], &["--out", "delta", "--yes"]].concat()).expect(0);
        assert_same(older, &lab.bytes("delta", None), &lab.cat("imageC.qcow2@sn0"));
        let differs = difference(&lab.cat("imageA.qcow2"), &lab.cat("imageC.qcow2@sn0"));
        assert!(held(&lab, "delta") <= differs, "{older}: {} for {differs}", held(&lab, "delta"));
        std::fs::remove_file(lab.path("delta")).unwrap();
    }
    lab.cowherd(&["export", "imageB.qcow2", "--since", "imageB.qcow2@sn0", "--out", "x"]).expect(2);
}

fn wrong_older() {
    let lab = Lab::new();
    mixed(&lab);
    lab.img("create -q -f qcow2 short.qcow2 1M");
    let args = ["export", "imageB.qcow2", "--since", "imageB.qcow2@sn0", "-b", "short.qcow2", "--out", "x"];
    let refused = lab.cowherd(&[&args[..], &["--yes"]].concat()).expect(10);
    assert!(refused.err.contains("--accept older-view"), "{}", refused.err);
    assert!(!lab.path("x").exists());
    lab.cowherd(&[&args[..], &["--yes", "--accept", "older-view"]].concat()).expect(0);
}

fn by_content() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 a.qcow2 8M");
    lab.io("a.qcow2", "qcow2", &["write -q -P 1 0 8M".into()]);
    lab.img("snapshot -c sn0 a.qcow2");
    lab.io("a.qcow2", "qcow2", &["write -q -P 1 0 4M".into(), "write -q -P 2 4M 64k".into()]);
    lab.cowherd(&["export", "a.qcow2@sn0", "--out", "older.qcow2", "--yes"]).expect(0);
    let args = ["export", "a.qcow2", "--since", "a.qcow2@sn0", "-b", "older.qcow2", "--yes", "--out"];
    lab.cowherd(&[&args[..], &["places"]].concat()).expect(0);
    lab.cowherd(&[&args[..], &["content", "--by-content"]].concat()).expect(0);
    assert_eq!((held(&lab, "places"), held(&lab, "content")), (4 * MIB + 65536, 65536));
    for file in ["places", "content"] {
        assert_same(file, &lab.bytes(file, None), &lab.bytes("a.qcow2", None));
    }
}

/// A snapshot with machine state, as savevm leaves it: written behind the disk, and its length in the table.
fn with_machine_state(lab: &Lab, name: &str, bytes: u64) {
    lab.img(&format!("create -q -f qcow2 {name} 3M"));
    lab.io(name, "qcow2", &["write -q -P 1 0 1M".into(), format!("write -q -b -P 7 0 {bytes}")]);
    lab.img(&format!("snapshot -c sn0 {name}"));
    lab.io(name, "qcow2", &["write -q -P 2 0 1M".into(), "write -q -b -P 8 0 64k".into()]);
    // qemu-img takes no machine state itself, so the length is put in by hand ("Snapshots").
    let path = lab.path(name);
    let mut image = std::fs::read(&path).unwrap();
    let table = u64::from_be_bytes(image[64..72].try_into().unwrap()) as usize;
    image[table + 32..table + 36].copy_from_slice(&(bytes as u32).to_be_bytes());
    image[table + 40..table + 48].copy_from_slice(&bytes.to_be_bytes());
    std::fs::write(&path, image).unwrap();
}

fn machine_state() {
    let lab = Lab::new();
    with_machine_state(&lab, "a.qcow2", 200 * 1024);
    lab.cowherd(&["export", "a.qcow2@sn0", "--out", "disk.qcow2", "--vmstate", "memory", "--yes"]).expect(0);
    assert_same("memory", &std::fs::read(lab.path("memory")).unwrap(), &vec![7; 200 * 1024]);
    assert_same("disk", &lab.bytes("disk.qcow2", None), &lab.cat("a.qcow2@sn0"));
    for view in ["a.qcow2", "disk.qcow2"] {
        let none = lab.cowherd(&["export", view, "--out", "x", "--vmstate", "y", "--yes"]).expect(2);
        assert!(none.err.contains("no machine state"), "{}", none.err);
    }
    assert!(!lab.path("x").exists() && !lab.path("y").exists());
}

fn machine_state_in_a_chain() {
    let lab = Lab::new();
    with_machine_state(&lab, "a.qcow2", 130 * 512);
    lab.cowherd(&["export", "a.qcow2", "--chain", "--out", "out", "--yes"]).expect(0);
    assert_same("memory", &std::fs::read(lab.path("out/a_sn0.vmstate")).unwrap(), &vec![7; 130 * 512]);
    let list = std::fs::read_to_string(lab.path("out/manifest.json")).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["chain"][0]["memory"], "a_sn0.vmstate");
    assert_eq!(list["chain"][1]["memory"], Value::Null);
}

fn while_a_guest_writes() {
    let lab = Lab::new();
    mixed(&lab);
    let expected = lab.cat("imageC.qcow2@sn0");
    let mut guest = qemu_io(&lab, "imageC.qcow2");
    guest.write("write -P 77 0 8M");
    lab.cowherd(&["export", "imageC.qcow2@sn0", "--out", "x.qcow2", "--yes"]).expect(0);
    lab.cowherd(&["export", "imageC.qcow2", "--out", "y.qcow2", "--yes"]).expect(11);
    lab.cowherd(&["export", "imageC.qcow2", "--chain", "--out", "linear", "--yes"]).expect(11);
    assert_same("by cat", &lab.cat("imageC.qcow2@sn0"), &expected);
    drop(guest);
    assert_same("exported", &lab.bytes("x.qcow2", None), &expected);
    lab.img("check -q x.qcow2");
    assert!(!lab.path("y.qcow2").exists());
}

fn deleted_meanwhile() {
    let lab = Lab::new();
    mixed(&lab);
    let _guest = qemu_io(&lab, "imageC.qcow2");
    let spec =
        ViewSpec { state: StateSpec::Name("sn0".into()), ..ViewSpec::active(&lab.path("imageC.qcow2")) };
    let view = Opener::for_path(&spec.path).open_view(&spec).unwrap();
    view.still_there().unwrap();
    drop(_guest);
    let gone = |view: &cowherd::chain::View| view.still_there().unwrap_err().kind();
    lab.img("snapshot -d sn0 imageC.qcow2");
    assert_eq!(gone(&view), Kind::Changed);
    // Another one of that name and id is not the same.
    lab.img("snapshot -c sn0 imageC.qcow2");
    assert_eq!(gone(&view), Kind::Changed);
}

fn hostile_names() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 a.qcow2 1M");
    for name in ["../../escape", "-rf", "a b;$(touch x)", "\u{1b}[2J", "..", "x/y", "sn", "SN", "manifest"] {
        lab.tool("qemu-img", &["snapshot", "-c", name, "a.qcow2"]);
    }
    lab.cowherd(&["export", "a.qcow2", "--chain", "--out", "out", "--yes"]).expect(0);
    let mut names: Vec<_> =
        std::fs::read_dir(lab.path("out")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    let names: Vec<_> = names.iter().map(|n| n.to_str().unwrap()).collect();
    assert_eq!(names.len(), 11, "{names:?}");
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    assert!(names.iter().all(|n| !n.starts_with(['.', '-']) && n.chars().all(plain)), "{names:?}");
    assert_eq!(lab.names(), ["a.qcow2"]);
}

fn taken() {
    let lab = Lab::new();
    mixed(&lab);
    std::fs::write(lab.path("there"), "precious").unwrap();
    lab.cowherd(&["export", "imageA.qcow2", "--out", "there", "--yes"]).expect(2);
    assert_eq!(std::fs::read(lab.path("there")).unwrap(), b"precious");
    std::fs::create_dir(lab.path("out")).unwrap();
    std::fs::write(lab.path("out/imageC.qcow2"), "precious").unwrap();
    lab.cowherd(&["export", "imageC.qcow2", "--chain", "--out", "out", "--yes"]).expect(2);
    assert_eq!(std::fs::read_dir(lab.path("out")).unwrap().count(), 1);
    assert_eq!(std::fs::read(lab.path("out/imageC.qcow2")).unwrap(), b"precious");
}

/// Waits until something is so.
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, |entries| entries.count())
}

/// The second file of a chain is under way when the export is stopped.
fn cut_off(signal: &str, code: Option<i32>) {
    let lab = Lab::new();
    mixed(&lab);
    let (before, folder) = (lab.views(), lab.path("linear"));
    let export = ["export", "imageC.qcow2", "--chain", "--out", "linear", "--yes"];
    let mut child = lab
        .command()
        .args(export)
        .args(["--rate-limit", "4M"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("two files are under way", || entries(&folder) >= 2);
    lab.tool("kill", &[&format!("-{signal}"), &child.id().to_string()]);
    assert_eq!(child.wait().unwrap().code(), code);
    let named = |folder: &Path| {
        let names = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name());
        names.filter(|n| !n.to_str().unwrap().starts_with('.')).count()
    };
    assert_eq!(named(&folder), 0);
    if code.is_some() {
        assert_eq!(entries(&folder), 0);
    }
    assert!(lab.views() == before, "a view changed");
    // The next one takes over what was left.
    lab.cowherd(&export).expect(0);
    assert_eq!((entries(&folder), named(&folder)), (LINEAR.len() + 1, LINEAR.len() + 1));
    assert_same("the top", &lab.bytes("linear/imageC.qcow2", None), &before["imageC.qcow2"]);
}

fn the_reverse() {
    let lab = Lab::new();
    mixed(&lab);
    let shown = shown(&lab);
    lab.cowherd(&["export", "imageC.qcow2", "--chain", "--out", "linear", "--yes"]).expect(0);
    lab.cowherd(&["import", "linear/imageC.qcow2", "--out", "all.qcow2", "--yes"]).expect(0);
    lab.img("check -q all.qcow2");
    let stems: Vec<_> = LINEAR[..6].iter().map(|(.., stem)| *stem).collect();
    assert_eq!(lab.snapshots("all.qcow2"), stems);
    for (stem, bytes) in stems.iter().zip(&shown) {
        assert_same(stem, &lab.cat(&format!("all.qcow2@{stem}")), bytes);
    }
    assert_same("active", &lab.bytes("all.qcow2", None), &shown[6]);
    // Shared, not copied: no more data than the files of the chain have between them.
    let files = LINEAR.iter().map(|(.., stem)| held(&lab, &format!("linear/{stem}.qcow2"))).sum::<u64>();
    let size = std::fs::metadata(lab.path("all.qcow2")).unwrap().len();
    assert!(size <= files + 4 * MIB, "{size} bytes for {files} of data");
}

/// A mixed chain at once, with other options.
fn imported(options: &[&str]) {
    let lab = Lab::new();
    mixed(&lab);
    let shown = shown(&lab);
    let args = ["import", "imageC.qcow2", "--out", "all.qcow2", "--yes"];
    lab.cowherd(&[&args[..], options].concat()).expect(0);
    lab.img("check -q all.qcow2");
    for ((.., stem), bytes) in LINEAR[..6].iter().zip(&shown) {
        assert_same(stem, &lab.cat(&format!("all.qcow2@{stem}")), bytes);
    }
    assert_same("active", &lab.bytes("all.qcow2", None), &shown[6]);
}

fn layers_of_one_name() {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("sub")).unwrap();
    lab.img("create -q -f qed a.qed 1M");
    lab.io("a.qed", "qed", &["write -q -P 1 0 64k".into()]);
    for (below, format, image) in [("a.qed", "qed", "a.qcow2"), ("../a.qcow2", "qcow2", "sub/a.qcow2")] {
        lab.img(&format!("create -q -f qcow2 -b {below} -F {format} {image}"));
    }
    lab.cowherd(&["import", "sub/a.qcow2", "--allow", ".", "--out", "all.qcow2", "--yes"]).expect(0);
    assert_eq!(lab.snapshots("all.qcow2"), ["a", "a-2"]);
    lab.cowherd(&["export", "sub/a.qcow2", "--allow", ".", "--chain", "--out", "out", "--yes"]).expect(0);
    for file in ["a.qcow2", "a-2.qcow2", "a-3.qcow2", "manifest.json"] {
        assert!(lab.path("out").join(file).exists(), "{file}");
    }
}

/// The rest of a chain on what was exported before: what a nightly run does.
fn goes_on() {
    let lab = Lab::new();
    mixed(&lab);
    let shown = shown(&lab);
    lab.cowherd(&["export", "imageB.qcow2@sn0", "--out", "older.qcow2", "--yes"]).expect(0);
    let export = ["export", "imageC.qcow2", "--chain", "--out", "linear", "--yes"];
    let since = ["--since", "imageB.qcow2@sn0", "-b", "older.qcow2", "-F", "qcow2"];
    lab.cowherd(&[&export[..], &since].concat()).expect(0);
    for ((.., stem), bytes) in LINEAR.iter().zip(&shown).skip(3) {
        assert_same(stem, &lab.bytes(&format!("linear/{stem}.qcow2"), None), bytes);
    }
    assert_eq!(entries(&lab.path("linear")), 5);
    let info = lab.img_json("info --output=json linear/imageB_sn1.qcow2");
    assert_eq!(info["full-backing-filename"], lab.path("older.qcow2").to_str().unwrap());
    // A view of another chain is not one that this could go on.
    lab.img("convert -O qcow2 imageA.qcow2 other.qcow2");
    let other = ["--since", "other.qcow2", "-b", "other.qcow2", "-F", "qcow2", "--out", "x"];
    lab.cowherd(&[&["export", "imageC.qcow2", "--chain", "--yes"][..], &other].concat()).expect(2);
}

fn diff() {
    let lab = Lab::new();
    mixed(&lab);
    lab.img("convert -O raw imageA.qcow2 other.raw");
    for (new, old) in [
        ("imageB.qcow2@sn1", "imageB.qcow2@sn0"),
        ("imageC.qcow2", "imageA.qcow2@sn0"),
        ("imageA.qcow2@sn0", "imageC.qcow2"),
        ("other.raw", "imageA.qcow2@sn0"),
    ] {
        let (now, then) = (lab.cat(new), lab.cat(old));
        let listed = lab.cowherd(&["diff", new, old, "--json"]).expect(1).json();
        let mut rebuilt = then.clone();
        rebuilt.resize(now.len().max(then.len()), 0);
        let size = now.len();
        for range in listed.as_array().unwrap() {
            let (at, len) =
                (range["start"].as_u64().unwrap() as usize, range["length"].as_u64().unwrap() as usize);
            for i in (at..at + len).take_while(|i| *i < size.max(then.len())) {
                rebuilt[i] = now.get(i).copied().unwrap_or(0);
            }
        }
        rebuilt.truncate(size);
        assert_same(&format!("{new} since {old}"), &rebuilt, &now);
        let bytes: u64 = listed.as_array().unwrap().iter().map(|r| r["length"].as_u64().unwrap()).sum();
        let unread = lab.cowherd(&["diff", new, old, "--json", "--unread"]).expect(1).json();
        let most: u64 = unread.as_array().unwrap().iter().map(|r| r["length"].as_u64().unwrap()).sum();
        assert!(bytes <= most, "{new} since {old}: {bytes} of at most {most}");
    }
    lab.cowherd(&["diff", "other.raw", "imageA.qcow2", "-q"]).expect(0);
    lab.cowherd(&["diff", "imageA.qcow2", "gone"]).expect(2);
}
