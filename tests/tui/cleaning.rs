//! The clean-up wizard on real files: each way through it, and what it leaves on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cowherd::chain::{Gate, Opener};
use cowherd::image::State;
use cowherd::tui::{Floors, Options};

use super::files::content;
use super::stage::{Shared, Stage};

struct Demo {
    folder: tempfile::TempDir,
}

impl Demo {
    fn new() -> Self {
        let demo = Self { folder: tempfile::tempdir().unwrap() };
        let made = std::process::Command::new(env!("CARGO_BIN_EXE_cowherd"))
            .args(["demo", "--no-tui"])
            .arg(demo.herd())
            .output()
            .unwrap();
        assert!(made.status.success());
        demo
    }

    fn herd(&self) -> PathBuf {
        self.folder.path().join("herd")
    }

    fn stage(&self) -> Stage {
        let herd = self.herd();
        let options = Options { gate: Gate::for_paths([&herd]), ..Options::default() };
        let mut stage = Stage::on_engine(100, 30, Floors::shared(), Shared::default(), vec![herd], &options);
        stage.play("<idle>");
        stage
    }

    /// Every image that can be read, and a sum of what it shows.
    fn views(&self) -> BTreeMap<String, u64> {
        let names = self.herd().read_dir().unwrap().flatten().map(|entry| entry.file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        let images = names.filter(|name| !name.starts_with('.') && name != "broken.qcow2");
        images.map(|name| (name.clone(), content(&self.herd(), &name))).collect()
    }

    fn snapshots(&self, image: &str) -> Vec<String> {
        let path = self.herd().join(image);
        let chain = Opener::for_path(&path).open(&path).unwrap();
        assert!(chain.view(State::Active).size() > 0);
        chain.top().image.snapshots().iter().map(|one| one.name.clone()).collect()
    }

    /// The names in the order of the wizard.
    fn lines(&self) -> Vec<String> {
        let tree = std::process::Command::new(env!("CARGO_BIN_EXE_cowherd"))
            .args(["tree", "--json"])
            .arg(self.herd())
            .output()
            .unwrap();
        let tree: serde_json::Value = serde_json::from_slice(&tree.stdout).unwrap();
        let images = tree["images"].as_array().unwrap();
        let image = |path: &str| images.iter().find(|image| image["path"] == path).unwrap();
        let roots =
            images.iter().filter(|i| i["backing"].is_null() || !i["problems"].as_array().unwrap().is_empty());
        let mut todo: Vec<String> = roots.map(|i| i["path"].as_str().unwrap().to_owned()).collect();
        todo.reverse();
        let mut lines = Vec::new();
        while let Some(path) = todo.pop() {
            let found = image(&path);
            lines.push(name(Path::new(&path)));
            lines.extend(
                found["snapshots"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_owned()),
            );
            let children = found["children"].as_array().unwrap().iter();
            let mut children: Vec<_> = children.map(|c| c.as_str().unwrap().to_owned()).collect();
            children.reverse();
            todo.extend(children);
        }
        lines
    }

    fn base_of(&self, image: &str) -> String {
        let path = self.herd().join(image);
        let chain = Opener::for_path(&path).open(&path).unwrap();
        name(&chain.layers()[1].path)
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// All views but these are as they were, and these are not there.
fn assert_gone(demo: &Demo, before: &BTreeMap<String, u64>, gone: &[&str]) {
    let mut expected = before.clone();
    gone.iter().for_each(|name| assert!(expected.remove(*name).is_some(), "{name} was never there"));
    assert_eq!(demo.views(), expected);
}

#[test]
fn what_is_marked_goes_and_the_rest_reads_as_before() {
    let demo = Demo::new();
    let before = demo.views();
    let mut stage = demo.stage();
    stage.play("C<idle>").sees("Clean up").sees("orphaned").sees("free to go");
    stage.play(&to("Snap-2.qcow2", &demo.lines())).play("<space><idle>");
    stage.sees("goes 1 view").sees("1 file to the trash");
    stage
        .play("<enter><idle>")
        .sees("Plan: clean up: 1 view, 1 file to the trash")
        .play("y<wait:✓ done><idle>");
    stage.sees("on the file system");
    assert_gone(&demo, &before, &["Snap-2.qcow2"]);
    assert_eq!(demo.base_of("Snap-3.qcow2"), "Snap-1.qcow2");
}

#[test]
fn neighbours_are_merged_into_one_of_them_where_that_writes_less() {
    let demo = Demo::new();
    let mut before = demo.views();
    let mut stage = demo.stage();
    stage.play("C<idle>").play(&to("Snap-1.qcow2", &demo.lines()));
    stage.play("<space><space><idle>").sees("goes 2 views").sees("merging down into Snap-1.qcow2 writes");
    stage.play("<enter><idle>y<wait:✓ done><idle>");
    // What others read stays under the name of the lowest, and shows what the highest showed.
    let shown = before["Snap-2.qcow2"];
    before.insert("Snap-1.qcow2".to_owned(), shown);
    assert_gone(&demo, &before, &["Snap-2.qcow2"]);
    assert_eq!(demo.base_of("Snap-3.qcow2"), "Snap-1.qcow2");
}

#[test]
fn a_snapshot_alone_goes() {
    let demo = Demo::new();
    let before = demo.views();
    let mut stage = demo.stage();
    stage.play("C<idle>").play(&to("imageB.qcow2", &demo.lines()));
    stage.play("<down><space><idle>").sees("goes 1 view").play("<enter><idle>");
    stage.sees("imageB.qcow2@#1 (sn0)").play("y");
    stage.play("clean up<enter><wait:✓ done><idle>");
    assert_eq!(demo.snapshots("imageB.qcow2"), ["sn1"]);
    assert_gone(&demo, &before, &[]);
}

#[test]
fn the_last_of_each_line_stay() {
    let demo = Demo::new();
    let before = demo.views();
    let mut stage = demo.stage();
    stage
        .play("C<idle>+<idle>")
        .sees("the last 1 of each line")
        .play("+<idle>")
        .sees("the last 2 of each line");
    stage.play("-<idle>").sees("the last 1 of each line").play("<enter><idle>y");
    stage.play("clean up<enter><wait:✓ done><idle>");
    let now = demo.views();
    for tip in ["Snap-4.qcow2", "imageC.qcow2", "test.qed", "orphan.qcow2", "RootBase.img"] {
        assert_eq!(now.get(tip), before.get(tip), "{tip}");
    }
    let gone = ["Snap-1.qcow2", "Snap-3.qcow2", "imageA.qcow2", "imageB.qcow2", "Overlay-2.qcow2"];
    assert!(gone.iter().all(|gone| !now.contains_key(*gone)), "{:?}", now.keys());
    assert_eq!(demo.snapshots("imageC.qcow2"), [""; 0]);
}

#[test]
fn what_is_free_to_go_is_proposed() {
    let demo = Demo::new();
    let before = demo.views();
    let mut stage = demo.stage();
    stage.play("C<idle>p<idle>").sees("goes 1 view").sees("1 file to the trash");
    stage.play("<enter><idle>").sees("orphan.qcow2").play("y<wait:✓ done><idle>");
    assert_gone(&demo, &before, &["orphan.qcow2"]);
    stage.play("<esc>C<idle>p").sees("nothing is free to go by itself");
}

#[test]
fn what_is_younger_stays() {
    let demo = Demo::new();
    let before = demo.views();
    let mut stage = demo.stage();
    // The images were made just now; of the snapshots one is a day old, the others are older.
    stage.play("C<idle>aa<idle>").sees("stays younger than 7 days").sees("goes 1 view");
    stage.play("<enter><idle>y").sees("type clean up to consent").play("clean up<enter><wait:✓ done><idle>");
    assert!(demo.snapshots("imageA.qcow2").is_empty(), "it was nine days old");
    assert_eq!(demo.snapshots("imageB.qcow2"), ["sn0", "sn1"]);
    assert_gone(&demo, &before, &[]);
}

#[test]
fn what_is_pinned_stays_whatever_is_wished() {
    let demo = Demo::new();
    let before = demo.views();
    let mut stage = demo.stage();
    stage.play("C<idle>+<idle>").sees("the last 1 of each line");
    stage.play(&to("imageB.qcow2", &demo.lines())).play("P").sees("3 pinned").sees("[=] ");
    // Wishing anew does not undo it; a mark does.
    stage.play("+-<idle>").sees("3 pinned").play("<up> ").lacks("pinned").play("<up>P").sees("3 pinned");
    stage.play("<enter><idle>y").play("clean up<enter><wait:✓ done><idle>");
    let now = demo.views();
    assert_eq!(now.get("imageB.qcow2"), before.get("imageB.qcow2"));
    assert_eq!(demo.snapshots("imageB.qcow2"), ["sn0", "sn1"]);
    assert!(!now.contains_key("imageA.qcow2") && !now.contains_key("Snap-1.qcow2"), "{:?}", now.keys());
    assert_eq!(now.get("imageC.qcow2"), before.get("imageC.qcow2"));
}

#[test]
fn what_is_in_use_is_refused() {
    let demo = Demo::new();
    let before = demo.views();
    let socket = demo.folder.path().join("socket");
    let mut other = std::process::Command::new(env!("CARGO_BIN_EXE_cowherd"))
        .args(["serve", "-q", "--socket"])
        .args([&socket, &demo.herd().join("orphan.qcow2")])
        .spawn()
        .unwrap();
    let start = std::time::Instant::now();
    while !socket.exists() {
        assert!(start.elapsed().as_secs() < 20, "nothing is served");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let mut stage = demo.stage();
    stage.play("C<idle>").play(&to("orphan.qcow2", &demo.lines())).play(" <idle>").sees("cannot run: ");
    stage.play("<enter><idle>").sees("It cannot be done").lacks("Run ]").play("y<enter>");
    other.kill().unwrap();
    other.wait().unwrap();
    assert_gone(&demo, &before, &[]);
}

#[test]
fn nothing_happens_without_marks_or_consent() {
    let demo = Demo::new();
    let before = demo.views();
    let mut stage = demo.stage();
    stage.play("C<idle><enter>").sees("nothing is marked");
    // The images were made just now, their snapshots look older.
    stage.play("a<idle>").sees("younger than 1 day").sees("goes 4 views");
    stage.play("aaaaa<idle>").sees("goes 0 views").sees("stays what is not marked");
    stage.play("p<idle><enter><idle><esc>").sees("Clean up").play("<esc>").lacks("What it comes to");
    assert_gone(&demo, &before, &[]);
}

/// The keys from the first line to that of an image.
fn to(image: &str, lines: &[String]) -> String {
    "<down>".repeat(lines.iter().position(|line| line == image).unwrap())
}
