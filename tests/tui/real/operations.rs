//! Every operation, from the key to the files.

use std::path::Path;
use std::process::Command;

use cowherd::image::Format;

use super::yard::Yard;
use crate::common::{self, Random};

/// Selects an image; the first snapshot of one is a row below it.
fn to(name: &str) -> String {
    format!("/{name}<enter><esc>")
}

const DONE: &str = "<wait:✓ done><idle>";

#[test]
fn commit_down() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage.play(&to("top")).play("c<wait:Plan: commit top.qcow2 into mid.qcow2><idle>");
    stage.sees("commit down into mid.qcow2").sees("pull up into leaf.qcow2");
    // The file of top has a snapshot that would go with it: that takes its name.
    stage.play("y").sees("type top.qcow2 to consent").play("top.qcow2<enter>").play(DONE);
    assert!(!yard.has("top.qcow2") && !yard.trash().is_empty());
    assert_eq!(yard.now("mid.qcow2"), yard.was("top.qcow2"), "the base reads what the top read");
    assert_eq!(yard.backing("leaf.qcow2").as_deref(), Some("mid.qcow2"));
    yard.kept_but(&["mid.qcow2", "top.qcow2", "top.qcow2@#1"]);
}

#[test]
fn a_commit_that_keeps_the_file_takes_a_yes() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage.play(&to("leaf")).play("c<wait:Plan: commit leaf><idle>").sees("[ ] move leaf.qcow2 to the trash");
    stage.play("<enter>").lacks("Plan:");
    yard.kept_but(&[]);
    stage.play("c<wait:[ y Run ]>y").play(DONE);
    assert!(yard.has("leaf.qcow2") && yard.trash().is_empty());
    assert_eq!(yard.now("top.qcow2"), yard.was("leaf.qcow2"));
    yard.kept_but(&["top.qcow2"]);
}

#[test]
fn commit_into_a_layer_further_down() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage.play(&to("leaf")).play("c<wait:[ y Run ]>").sees("into: top.qcow2");
    stage.play("<tab><space><idle>").sees("into: mid.qcow2").sees("Plan: commit leaf.qcow2 into mid.qcow2");
    stage.play("<space><idle>").sees("into: base.img").play("<esc>");
    yard.kept_but(&[]);
}

#[test]
fn delete_a_layer_in_the_way_that_changes_nothing_else() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage.play(&to("top")).play("d<wait:Plan: delete top.qcow2><idle>").sees("✓ cheapest safe way");
    stage.play("a").sees("Plan: commit top.qcow2 into mid.qcow2").play("a").sees("Plan: delete top.qcow2");
    stage.play("yside.qcow2<enter>").sees("type top.qcow2 to consent");
    assert!(yard.has("top.qcow2"));
    stage.play("<esc>d<wait:Plan: delete><idle>ytop.qcow2<enter>").play(DONE);
    assert!(!yard.has("top.qcow2"));
    assert_eq!(yard.backing("leaf.qcow2").as_deref(), Some("mid.qcow2"));
    yard.kept_but(&["top.qcow2", "top.qcow2@#1"]);
}

#[test]
fn back_from_the_trash_and_gone_for_good() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage.play(&to("side")).play("d<wait:[ y Run ]>y").play(DONE);
    assert!(!yard.has("side.qcow2"));
    stage.play("<esc>:trash-res<enter><wait:Restore from the trash>").sees("side.qcow2").play("<enter>");
    // Nothing is rewritten: Enter is enough.
    stage.play("<wait:[ Enter Run ]><enter>").play("<wait:restored><idle>").sees("side.qcow2");
    yard.kept_but(&[]);

    stage.play("<esc>").play(&to("side")).play("d<wait:[ y Run ]>y").play(DONE);
    stage.play("<esc>:trash-empty<enter><wait:empty the trash: 1 files>").sees("for good");
    stage.play("y").sees("type trash to consent").play("trash<enter><wait:deleted 1 files><idle>");
    assert!(yard.trash().is_empty() && !yard.has("side.qcow2"));
}

#[test]
fn pull_to_stand_alone_and_to_a_base() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage
        .play(&to("leaf"))
        .play("p<wait:Plan: pull><idle>")
        .sees("based on: nothing")
        .play("<tab><space><idle>");
    stage.sees("based on: mid.qcow2").sees("commit down into mid.qcow2").play("y").play(DONE);
    assert_eq!(yard.backing("leaf.qcow2").as_deref(), Some("mid.qcow2"));
    yard.kept_but(&[]);
    stage.play("<esc>").play(&to("leaf")).play("p<wait:[ y Run ]>y").play(DONE);
    assert_eq!(yard.backing("leaf.qcow2"), None);
    yard.kept_but(&[]);
}

#[test]
fn rebase_safely_and_unsafely() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage.play(&to("side")).play("r<wait:Rebase side.qcow2>").play("top<enter><wait:[ y Run ]>");
    stage.sees("rebase side.qcow2 onto top.qcow2").play("y").play(DONE);
    assert_eq!(yard.backing("side.qcow2").as_deref(), Some("top.qcow2"));
    yard.kept_but(&[]);
    stage.play("<esc>").play(&to("side")).play("r<wait:Rebase side.qcow2>").play("base<tab><space><enter>");
    stage.play("<wait:Run ]>y").sees("type side.qcow2 to consent").play("side.qcow2<enter>").play(DONE);
    assert_eq!(yard.backing("side.qcow2").as_deref(), Some("base.img"));
    yard.kept_but(&["side.qcow2"]);
}

#[test]
fn internal_snapshots_from_first_to_last() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage.play(&to("leaf")).play("s<wait:Snapshot of leaf.qcow2>").sees("sn0");
    stage.play("<backspace><backspace><backspace><enter>").sees("it needs a name");
    stage.play("before<enter><wait:[ y Run ]>y").play(DONE);
    assert_eq!(yard.snapshots("leaf.qcow2"), ["before"]);
    yard.kept_but(&[]);

    stage
        .play("<esc>")
        .play(&to("leaf"))
        .play("s<wait:Snapshot of>")
        .play("<backspace><backspace><backspace>");
    stage.play("before<enter>").sees("has this name already").play("<esc>");

    stage.play("/before<enter><esc><f2><wait:Rename leaf.qcow2@before>").play("hand<enter><wait:[ y Run ]>y");
    stage.play(DONE);
    assert_eq!(yard.snapshots("leaf.qcow2"), ["beforehand"]);

    stage
        .play("<esc>/beforehand<enter><esc>d<wait:Run ]>y")
        .sees("type beforehand to consent")
        .play("beforehand<enter>");
    stage.play(DONE);
    assert!(yard.snapshots("leaf.qcow2").is_empty());
    yard.kept_but(&[]);
}

#[test]
fn going_back_to_a_snapshot_and_to_the_backing_file() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    common::snapshot(&yard.path("leaf.qcow2"), "then");
    common::scribble(&yard.path("leaf.qcow2"), Format::Qcow2, &mut Random::new(5));
    assert_ne!(yard.now("leaf.qcow2"), yard.was("leaf.qcow2"));
    stage.play("R<wait:then><idle>/then<enter><esc>b<wait:Run ]>y").sees("type leaf.qcow2 to consent");
    stage.play("leaf.qcow2<enter>").play(DONE);
    yard.kept_but(&[]);
    // What others are based on does not change under them.
    stage.play("<esc>").play(&to("top")).play("jb<wait:It cannot be done>").lacks("Run ]");
    let screen = stage.screen();
    let place = |text| screen.find(text).unwrap_or_else(|| panic!("no {text:?} on:\n{screen}"));
    assert!(place("is based on") < place("is lost"), "why not comes first:\n{screen}");
    stage.play("<esc>");

    stage.play("<esc>").play(&to("side")).play("b<wait:Run ]>yside.qcow2<enter>").play(DONE);
    assert_eq!(yard.now("side.qcow2"), yard.was("mid.qcow2"));
    yard.kept_but(&["side.qcow2"]);
}

#[test]
fn an_overlay_takes_enter_alone() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage.play(&to("leaf")).play("o<wait:Overlay on leaf.qcow2>").sees("leaf-1.qcow2");
    stage.play("<enter><wait:[ Enter Run ]>").sees("Plan: ").play("<enter>").play(DONE).sees("leaf-1.qcow2");
    assert_eq!(yard.backing("leaf-1.qcow2").as_deref(), Some("leaf.qcow2"));
    assert_eq!(yard.now("leaf-1.qcow2"), yard.was("leaf.qcow2"));
    yard.kept_but(&[]);
}

#[test]
fn a_name_that_is_taken_is_refused_in_words() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage
        .play(&to("leaf"))
        .play("<f2><wait:Rename leaf.qcow2><enter>")
        .sees("an image has this name already");
    stage.play("<esc>").play(&to("mid")).play("<f2><wait:Rename mid.qcow2>");
    stage.play("<backspace><backspace><backspace><backspace><backspace><backspace>dle.qcow2<enter>");
    stage.play("<wait:[ y Run ]>y").play(DONE);
    assert!(!yard.has("mid.qcow2"));
    assert_eq!(yard.backing("top.qcow2").as_deref(), Some("middle.qcow2"));
    assert_eq!(yard.now("leaf.qcow2"), yard.was("leaf.qcow2"));
    assert_eq!(yard.now("middle.qcow2@#1"), yard.was("mid.qcow2@#1"));
}

#[test]
fn a_disk_grows_and_is_cut() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage.play(&to("side")).play(":resize<enter><wait:Resize side.qcow2>").sees("1M");
    stage
        .play("x<enter>")
        .sees("a number, then k, M, G, T")
        .play("<backspace><backspace><backspace>+1M<enter>");
    stage.play("<wait:[ y Run ]>y").play(DONE);
    let size = |name: &str| {
        let forest = crate::common::scanned(yard.folder());
        forest.get(forest.find(&yard.path(name)).unwrap()).unwrap().virtual_size
    };
    assert_eq!(size("side.qcow2"), 2 << 20);
    stage
        .play("<esc>")
        .play(&to("side"))
        .play(":resize<enter><wait:Resize><backspace><backspace>512k<enter>");
    stage.play("<wait:would lose><tab><space><wait:Run ]>y").sees("type side.qcow2 to consent");
    stage.play("side.qcow2<enter>").play(DONE);
    assert_eq!(size("side.qcow2"), 512 << 10);
    yard.kept_but(&["side.qcow2"]);
}

#[test]
fn compact_and_repair_change_no_view() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage.play(&to("top")).play(":compact<enter><wait:[ y Run ]>y").play(DONE);
    yard.kept_but(&[]);
    stage.play("<esc>").play(&to("top")).play(":repair<enter><wait:[ y Run ]>").sees("repair: leaks");
    stage.play("y").play(DONE);
    yard.kept_but(&[]);
}

#[test]
fn what_is_marked_as_used_and_is_not_is_given_back() {
    let yard = Yard::new();
    leak(&yard.path("top.qcow2"));
    let code = || {
        let checked =
            Command::new(env!("CARGO_BIN_EXE_cowherd")).arg("check").arg(yard.path("top.qcow2")).output();
        checked.unwrap().status.code()
    };
    assert_eq!(code(), Some(3), "leaks only");
    let mut stage = yard.stage();
    stage.play(&to("top")).play(":repair<enter><wait:[ y Run ]>y").play(DONE);
    assert_eq!(code(), Some(0));
    yard.kept_but(&[]);
}

/// Counts one cluster, at the end of a qcow2 with clusters of 4 KiB, that nothing refers to.
fn leak(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let word = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let (block, cluster) = (word(word(48)), bytes.len().div_ceil(4096));
    assert!(cluster < 2048, "the first block counts it");
    bytes[block + 2 * cluster + 1] = 1;
    bytes.resize(4096 * (cluster + 1), 0);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_base_that_becomes_another_format_keeps_its_overlays() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage.play(&to("base")).play("x<wait:Convert base.img>").sees("qcow2").play("<enter>");
    stage.play("<wait:Run ]><idle>y").play(DONE);
    assert!(std::fs::read(yard.path("base.img")).unwrap().starts_with(b"QFI\xfb"));
    yard.kept_but(&[]);
    stage
        .play("<esc>")
        .play(&to("base"))
        .play("x<wait:Convert base.img>raw<enter><wait:from qcow2 to raw><idle>");
    stage.play("y").play(DONE);
    assert_eq!(std::fs::read(yard.path("base.img")).unwrap().len(), 1 << 20);
    yard.kept_but(&[]);
}

#[test]
fn converts_in_place() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage.play(&to("leaf.q")).play("x<wait:Convert leaf.qcow2>").sees("qed").play("<enter>");
    stage.play("<wait:[ y Run ]>").sees("from qcow2 to qed").play("y").play(DONE);
    let bytes = std::fs::read(yard.path("leaf.qcow2")).unwrap();
    assert!(bytes.starts_with(b"QED\0"));
    yard.kept_but(&[]);
}

#[test]
fn exports_in_full_since_and_as_a_chain() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage.play(&to("leaf")).play("e<wait:Export leaf.qcow2>").sees("leaf-copy.qcow2").play("<enter>");
    stage.play("<wait:[ Enter Run ]><enter>").play(DONE);
    assert_eq!(yard.now("leaf-copy.qcow2"), yard.was("leaf.qcow2"));
    assert_eq!(yard.backing("leaf-copy.qcow2"), None);

    stage.play("<esc>").play(&to("leaf.q")).play("e<wait:Export leaf.qcow2>").sees("leaf-copy-2.qcow2");
    stage.play("<tab>since mid.q<enter><wait:[ Enter Run ]><enter>").play(DONE);
    assert_eq!(yard.now("leaf-copy-2.qcow2"), yard.was("leaf.qcow2"));
    assert_eq!(yard.backing("leaf-copy-2.qcow2").as_deref(), Some("mid.qcow2"));

    stage.play("<esc>").play(&to("leaf.q")).play("e<wait:Export leaf.qcow2>");
    stage.play("<tab>whole<enter><wait:[ Enter Run ]><enter>").play(DONE);
    assert!(yard.path("leaf-copy-3.qcow2").join("manifest.json").exists());
    yard.kept_but(&[]);
}

#[test]
fn a_chain_becomes_the_snapshots_of_one_image() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage.play(&to("leaf")).play(":import<enter><wait:Import leaf.qcow2>").sees("leaf-all.qcow2");
    stage.play("<enter><wait:[ Enter Run ]><enter>").play(DONE);
    assert_eq!(yard.now("leaf-all.qcow2"), yard.was("leaf.qcow2"));
    // Each view below it, oldest first: base, mid@sn1, mid, top@sn1, top.
    assert_eq!(yard.snapshots("leaf-all.qcow2").len(), 5);
    yard.kept_but(&[]);
}

#[test]
fn what_is_verified_in_full_says_what_was_compared() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage.play(&to("leaf")).play("p<wait:[ y Run ]>").sees("[ ] verify in full");
    stage.play("Y");
    stage.play("<shift-tab><shift-tab><space><wait:[x] verify in full><idle>").play("Y");
    let copied = stage.script.lock().copied.clone();
    assert!(!copied[0].contains("--verify"), "{copied:?}");
    assert_eq!(copied[1], format!("{} --verify full", copied[0]));
    stage.play("y").play(DONE).sees("compared: ").sees("must");
    assert_eq!(yard.backing("leaf.qcow2"), None);
    yard.kept_but(&[]);

    // The command that was copied says the same on the command line.
    let yard = Yard::new();
    let words = copied[1].split(' ').skip(1).map(|word| match Path::new(word).file_name() {
        Some(name) if word.starts_with('/') => yard.path(&name.to_string_lossy()).into_os_string(),
        _ => word.into(),
    });
    let done = Command::new(env!("CARGO_BIN_EXE_cowherd")).args(words).arg("--yes").output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && said.contains("compared: "), "{said}");
}

#[test]
fn what_keeps_no_view_offers_no_comparison() {
    let yard = Yard::new();
    let mut stage = yard.stage();
    stage.play(&to("side")).play("d<wait:[ y Run ]>y").play(DONE);
    stage.play("<esc>:trash-res<enter><enter><wait:[ Enter Run ]>").lacks("verify in full");
}
