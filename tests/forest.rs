//! Scanning folders that hold anything: good images, garbage, traps. Images are made by hand here,
//! so that no other program is needed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "forest/images.rs"]
mod images;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use cowherd::chain::{Gate, MAX_DEPTH};
use cowherd::error::Kind;
use cowherd::forest::{self, Forest, Node, ProblemKind, ScanOptions};
use cowherd::image::Format;
use cowherd::storage::{Access, Lock, LockState, RealFile};
use images::{qcow2, qed};
use rustix::fs::{CWD, FileType, Mode, inotify, mknodat};
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        fs::write(self.path(name), bytes).unwrap();
        self
    }

    fn scan(&self) -> Forest {
        scan(&[self.path("")], &ScanOptions::default())
    }
}

/// A scan that must end, whatever is in the way.
fn scan(paths: &[PathBuf], options: &ScanOptions) -> Forest {
    let (done, wait) = mpsc::channel();
    let (paths, options) = (paths.to_vec(), options.clone());
    std::thread::spawn(move || done.send(forest::scan(&paths, &options)));
    wait.recv_timeout(Duration::from_secs(20)).expect("the scan hangs").unwrap()
}

fn at<'a>(forest: &'a Forest, name: &str) -> &'a Node {
    let node = forest.nodes.iter().find(|n| n.path.ends_with(name));
    node.unwrap_or_else(|| panic!("{name} is not among {:?}", names(forest)))
}

fn names(forest: &Forest) -> Vec<String> {
    forest.nodes.iter().map(Node::name).collect()
}

fn kinds(node: &Node) -> Vec<ProblemKind> {
    node.problems.iter().map(|p| p.kind).collect()
}

/// Every drawing of every forest must come to an end.
fn draw(forest: &Forest) {
    for ascii in [true, false] {
        assert_eq!(forest::layout(forest, ascii).boxes.len(), forest.nodes.len());
        assert!(forest::text(forest, ascii).len() > forest.nodes.len());
    }
    assert_eq!(forest::to_json(forest)["images"].as_array().unwrap().len(), forest.nodes.len());
}

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// Says what is opened in a folder.
struct Watch(rustix::fd::OwnedFd);

impl Watch {
    fn on(folder: &Path) -> Self {
        let fd = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&fd, folder, inotify::WatchFlags::OPEN).unwrap();
        Self(fd)
    }

    fn opened(&self) -> Vec<String> {
        let mut buf = [std::mem::MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.0, &mut buf);
        std::iter::from_fn(|| {
            let event = events.next().ok()?;
            Some(event.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned()))
        })
        .collect()
    }
}

#[test]
fn a_herd_hangs_together() {
    let dir = Folder::new();
    fs::create_dir(dir.path("sub")).unwrap();
    dir.put("base", vec![1; 1 << 20])
        .put("a.qed", qed(Some("base"), true))
        .put("b.qcow2", qcow2(Some("a.qed"), Some("qed")))
        .put("sub/c.qcow2", qcow2(Some("../b.qcow2"), Some("qcow2")))
        .put("sub/.hidden", qcow2(Some("../b.qcow2"), Some("qcow2")))
        .put(".gitignore", "*")
        .put("notes.txt", "not an image");
    let forest = dir.scan();
    assert_eq!(names(&forest), ["a.qed", "b.qcow2", "base", ".hidden", "c.qcow2"]);
    assert!(forest.nodes.iter().all(|n| n.problems.is_empty()), "{:#?}", forest.nodes);
    assert_eq!(forest.roots().len(), 1);
    let base = forest.find(&dir.path("base")).unwrap();
    assert_eq!(at(&forest, "base").format, Some(Format::Raw));
    assert_eq!(forest.descendants(base).len(), 4);
    let json = forest::to_json(&forest);
    assert_eq!(json["images"][0]["backing"]["resolved"], dir.path("base").to_str().unwrap());
    assert_eq!(json["images"][1]["children"].as_array().unwrap().len(), 2);
    draw(&forest);
}

#[test]
fn garbage_is_shown_and_never_a_crash() {
    let dir = Folder::new();
    dir.put("text.qcow2", "hello, I am a text file").put("empty.qcow2", "").put("empty.img", "");
    let (good, old) = (qcow2(Some("base.img"), Some("raw")), qed(Some("base.img"), true));
    for cut in [4, 8, 71, 103, 110, 512, 65536, 65537, 131_072, 196_608] {
        dir.put(&format!("cut-{cut}.qcow2"), &good[..cut]);
    }
    for cut in [4, 63, 64, 4096, 8191] {
        dir.put(&format!("cut-{cut}.qed"), &old[..cut]);
    }
    let forest = dir.scan();
    for name in ["text.qcow2", "empty.qcow2"] {
        assert_eq!(kinds(at(&forest, name)), [ProblemKind::NotAnImage], "{name}");
        assert_eq!(at(&forest, name).format, None);
    }
    assert!(at(&forest, "empty.img").problems.is_empty());
    assert_eq!(forest.nodes.len(), 18);
    for node in forest.nodes.iter().filter(|n| n.name().starts_with("cut-")) {
        assert!(!node.problems.is_empty(), "{} passes for an image", node.name());
        assert!(node.format.is_some());
    }
    draw(&forest);
}

#[test]
fn damaged_headers_and_tables_never_crash_a_scan() {
    let dir = Folder::new();
    let values = [0, 1, 3, 0xff, 0x200, 0x1000, 0x0001_0000, 0x7fff_ffff, u32::MAX];
    let places = (0..112).step_by(4).chain([65536, 65540, 131_072, 131_074, 196_608, 196_612]);
    let small = qed(None, false);
    for at in places {
        for value in values {
            let mut bytes = qcow2(Some("gone"), Some("raw"));
            bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
            dir.put(&format!("{at}-{value}.qcow2"), &bytes);
            if let Some(field) = small.get(at..at + 4) {
                let mut bytes = small.clone();
                bytes[at..at + field.len()].copy_from_slice(&value.to_le_bytes());
                dir.put(&format!("{at}-{value}.qed"), &bytes);
            }
        }
    }
    let options = ScanOptions { space: true, ..ScanOptions::default() };
    let forest = scan(&[dir.path("")], &options);
    assert_eq!(forest.nodes.len(), (34 + 28) * values.len());
    draw(&forest);
}

#[test]
fn what_is_named_is_an_image() {
    let dir = Folder::new();
    dir.put("notes.txt", "hello").put("x.qcow2", "hello").put("other", "hello");
    let forest = scan(&[dir.path("notes.txt"), dir.path("x.qcow2")], &ScanOptions::default());
    assert_eq!(names(&forest), ["notes.txt", "x.qcow2"]);
    assert_eq!(at(&forest, "notes.txt").format, Some(Format::Raw));
    assert_eq!(kinds(at(&forest, "x.qcow2")), [ProblemKind::NotAnImage]);
    // An image that is named stands for its folder.
    let lines = forest::text(&forest, true);
    assert!(lines[1].starts_with("notes.txt ") && lines[2].starts_with("x.qcow2 "), "{lines:#?}");
    // Named twice, and met in its folder: still one node, and the name counts.
    let again = scan(&[dir.path(""), dir.path("notes.txt"), dir.path("")], &ScanOptions::default());
    assert_eq!(names(&again), ["notes.txt", "x.qcow2"]);
    let gone = forest::scan(&[dir.path("gone")], &ScanOptions::default()).unwrap_err();
    assert_eq!(gone.kind(), Kind::NotFound);
}

#[test]
fn loops_are_flagged_and_end() {
    let dir = Folder::new();
    dir.put("self.qed", qed(Some("self.qed"), false))
        .put("a.qcow2", qcow2(Some("b.qcow2"), Some("qcow2")))
        .put("b.qcow2", qcow2(Some("link"), Some("qcow2")))
        .put("c.qcow2", qcow2(Some("a.qcow2"), Some("qcow2")))
        .put("over.qcow2", qcow2(Some("c.qcow2"), Some("qcow2")));
    symlink("c.qcow2", dir.path("link")).unwrap();
    let forest = dir.scan();
    for name in ["self.qed", "a.qcow2", "b.qcow2", "c.qcow2"] {
        assert_eq!(kinds(at(&forest, name)), [ProblemKind::BackingLoop], "{name}");
    }
    assert!(at(&forest, "over.qcow2").problems.is_empty());
    let a = forest.find(&dir.path("a.qcow2")).unwrap();
    assert_eq!(forest.parent(a), None, "the loop is cut at its first member");
    assert_eq!(forest.descendants(a).len(), 3);
    draw(&forest);
}

#[test]
fn a_hard_link_to_itself_is_a_loop() {
    let dir = Folder::new();
    fs::create_dir(dir.path("sub")).unwrap();
    dir.put("a.qcow2", qcow2(Some("x/a.qcow2"), Some("qcow2")));
    fs::create_dir(dir.path("x")).unwrap();
    fs::hard_link(dir.path("a.qcow2"), dir.path("x/a.qcow2")).unwrap();
    let forest = dir.scan();
    let upper = forest.find(&dir.path("a.qcow2")).unwrap();
    assert_eq!(kinds(forest.get(upper).unwrap()), [ProblemKind::BackingLoop]);
    draw(&forest);
}

#[test]
fn names_in_images_open_nothing_outside() {
    let (dir, outside) = (Folder::new(), Folder::new());
    outside.put("secret", "root:x:0:0").put("image.qcow2", qcow2(None, None));
    fifo(&outside.path("fifo"));
    fifo(&dir.path("fifo.img"));
    fifo(&dir.path("fifo"));
    symlink(outside.path("image.qcow2"), dir.path("link.qcow2")).unwrap();
    symlink(outside.path(""), dir.path("folder")).unwrap();
    symlink("/dev/zero", dir.path("zero.img")).unwrap();
    let traps = [
        ("json", format!("json:{{\"file.filename\":\"{}\"}}", outside.path("secret").display())),
        ("file", format!("file:{}", outside.path("secret").display())),
        ("nbd", "nbd://127.0.0.1/x".to_owned()),
        ("absolute", outside.path("secret").display().to_string()),
        ("image", outside.path("image.qcow2").display().to_string()),
        ("dots", format!("../{}/secret", outside.0.path().file_name().unwrap().to_str().unwrap())),
        ("linked", "link.qcow2".to_owned()),
        ("through", "folder/secret".to_owned()),
        ("fifo", outside.path("fifo").display().to_string()),
        ("near-fifo", "fifo".to_owned()),
        ("zero", "zero.img".to_owned()),
        ("proc", "/proc/self/mem".to_owned()),
        ("passwd", "/etc/passwd".to_owned()),
        ("dir", ".".to_owned()),
    ];
    for (name, target) in &traps {
        dir.put(&format!("{name}.qcow2"), qcow2(Some(target), Some("raw")));
        dir.put(&format!("{name}.qed"), qed(Some(target), true));
    }
    let (inside, beyond) = (Watch::on(&dir.path("")), Watch::on(&outside.path("")));
    let forest = dir.scan();
    let opened = beyond.opened();
    assert!(opened.is_empty(), "opened outside: {opened:?}");
    let opened = inside.opened();
    assert!(opened.iter().any(|n| n == "json.qcow2"), "the watch sees nothing");
    for trap in ["fifo", "fifo.img"] {
        assert!(!opened.iter().any(|n| n == trap), "{trap} was opened");
    }
    assert_eq!(forest.nodes.len(), 2 * traps.len());
    for node in &forest.nodes {
        assert_eq!(kinds(node), [ProblemKind::BackingRefused], "{}: {:?}", node.name(), node.problems);
    }
    draw(&forest);
}

#[test]
fn what_the_gate_allows_joins_the_forest() {
    let (dir, outside) = (Folder::new(), Folder::new());
    outside
        .put("base.qcow2", qcow2(Some("deeper"), Some("raw")))
        .put("deeper", "raw bytes")
        .put("other", "x");
    dir.put("top.qcow2", qcow2(Some(outside.path("base.qcow2").to_str().unwrap()), Some("qcow2")));
    let refused = dir.scan();
    assert_eq!(kinds(at(&refused, "top.qcow2")), [ProblemKind::BackingRefused]);
    assert!(at(&refused, "top.qcow2").problems[0].message.contains("--allow"));
    let gate = Gate::for_paths([outside.path("")]);
    let forest = scan(&[dir.path("")], &ScanOptions { gate, space: true, ..ScanOptions::default() });
    assert_eq!(forest.nodes.len(), 3);
    assert_eq!(forest.roots().len(), 1);
    assert!(forest.nodes.iter().all(|n| n.problems.is_empty() && n.exclusive_bytes.is_some()));
    draw(&forest);
}

#[test]
fn missing_and_wrong_references_are_told_apart() {
    let dir = Folder::new();
    dir.put("raw", vec![0; 4096])
        .put("named.qcow2", vec![7; 4096])
        .put("good.qcow2", qcow2(None, None))
        .put("missing.qcow2", qcow2(Some("gone.qcow2"), Some("qcow2")))
        .put("unsaid.qcow2", qcow2(Some("raw"), None))
        .put("unsaid.qed", qed(Some("raw"), false))
        .put("probed.qed", qed(Some("good.qcow2"), false))
        .put("wrong.qcow2", qcow2(Some("raw"), Some("qcow2")))
        .put("lie.qcow2", qcow2(Some("good.qcow2"), Some("raw")))
        .put("odd.qcow2", qcow2(Some("raw"), Some("vmdk")))
        .put("over.qcow2", qcow2(Some("named.qcow2"), Some("raw")));
    let forest = dir.scan();
    let expected: [(&str, &[ProblemKind]); 9] = [
        ("missing.qcow2", &[ProblemKind::BackingMissing]),
        ("unsaid.qcow2", &[ProblemKind::BackingFormatMissing]),
        ("unsaid.qed", &[ProblemKind::BackingFormatMissing]),
        ("probed.qed", &[]),
        ("wrong.qcow2", &[ProblemKind::BackingFormatWrong]),
        ("lie.qcow2", &[ProblemKind::BackingFormatWrong]),
        ("odd.qcow2", &[ProblemKind::Unsupported]),
        // An overlay says that it is a raw disk, whatever it is called.
        ("named.qcow2", &[]),
        ("over.qcow2", &[]),
    ];
    for (name, problems) in expected {
        assert_eq!(kinds(at(&forest, name)), problems, "{name}");
    }
    assert_eq!(at(&forest, "named.qcow2").format, Some(Format::Raw));
    draw(&forest);
}

#[test]
fn a_chain_of_300_is_flagged_where_it_gets_too_deep() {
    let dir = Folder::new();
    for i in 0..300 {
        let below = (i > 0).then(|| format!("{:03}.x", i - 1));
        let bytes =
            if i % 2 == 0 { qed(below.as_deref(), false) } else { qcow2(below.as_deref(), Some("qed")) };
        dir.put(&format!("{i:03}.x"), bytes);
    }
    let forest = dir.scan();
    assert_eq!(forest.nodes.len(), 300);
    for (i, node) in forest.nodes.iter().enumerate() {
        let deep = kinds(node) == [ProblemKind::TooDeep];
        assert_eq!(deep, i >= MAX_DEPTH, "{i}: {:?}", node.problems);
    }
    let top = forest.find(&dir.path("299.x")).unwrap();
    assert_eq!(forest.ancestors(top).len(), 299);
    assert_eq!(forest::layout(&forest, true).boxes.len(), MAX_DEPTH);
    assert_eq!(forest::text(&forest, true).len(), 301);
}

#[test]
fn our_own_files_are_no_images() {
    let dir = Folder::new();
    fs::create_dir(dir.path(".cowherd-trash")).unwrap();
    dir.put(".cowherd-trash/old.qcow2", qcow2(None, None)).put("a.qcow2", qcow2(None, None));
    assert_eq!(names(&dir.scan()), ["a.qcow2"]);
}

#[test]
fn who_writes_is_seen_without_being_disturbed() {
    let dir = Folder::new();
    dir.put("a.qcow2", qcow2(None, None)).put("b.qcow2", qcow2(None, None));
    let open = |name| Arc::new(RealFile::open(&dir.path(name), true).unwrap());
    let _writer = Lock::acquire(open("a.qcow2"), Access::Write).unwrap();
    let _reader = Lock::acquire(open("b.qcow2"), Access::Read).unwrap();
    let forest = dir.scan();
    let mode = |name| at(&forest, name).in_use.as_ref().map(|u| u.mode);
    assert_eq!(mode("a.qcow2"), Some(LockState::Write));
    assert_eq!(mode("b.qcow2"), Some(LockState::Read));
    draw(&forest);
}

#[test]
fn edits_keep_ids_and_edges_together() {
    let dir = Folder::new();
    dir.put("a.img", vec![0; 4096])
        .put("b.qcow2", qcow2(Some("a.img"), Some("raw")))
        .put("c.qcow2", qcow2(Some("b.qcow2"), Some("qcow2")))
        .put("d.qcow2", qcow2(Some("b.qcow2"), Some("qcow2")));
    let before = dir.scan();
    let id = |forest: &Forest, name: &str| forest.find(&dir.path(name)).unwrap();
    let (a, b) = (id(&before, "a.img"), id(&before, "b.qcow2"));
    // The commit of b into a: its children move down, then it goes.
    let after = before.relinked(id(&before, "c.qcow2"), Some(a)).relinked(id(&before, "d.qcow2"), Some(a));
    assert!(after.get(b).unwrap().children.is_empty());
    let after = after.removed(b);
    assert_eq!(names(&after), ["a.img", "c.qcow2", "d.qcow2"]);
    assert_eq!(after.get(a).unwrap().children, [id(&after, "c.qcow2"), id(&after, "d.qcow2")]);
    let backing = at(&after, "c.qcow2").backing.clone().unwrap();
    assert_eq!((backing.name.as_str(), backing.format.as_deref()), ("a.img", Some("raw")));
    // What is still based on a removed file misses it; putting it back mends that edge.
    let broken = before.removed(b);
    assert_eq!(kinds(at(&broken, "d.qcow2")), [ProblemKind::BackingMissing]);
    let mended = broken.with_node(at(&before, "b.qcow2").clone());
    assert_eq!(
        mended.nodes.iter().map(|n| &n.children).collect::<Vec<_>>(),
        before.nodes.iter().map(|n| &n.children).collect::<Vec<_>>()
    );
    assert_eq!(before.relinked(b, None).roots().len(), 2);
    // Even a senseless edit makes a forest that ends.
    let circle = before.relinked(b, Some(id(&before, "c.qcow2")));
    assert_eq!(kinds(at(&circle, "b.qcow2")), [ProblemKind::BackingLoop]);
    draw(&circle);
    draw(&after);
}
