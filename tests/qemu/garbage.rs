//! Garbage in the folder: shown as problems, never a crash, nothing outside opened.

use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::Value;

use crate::lab::Lab;
use crate::{Case, QEMU, case, reading};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("garbage::shown_as_problems", problems),
        case("garbage::truncated_at_every_length", truncated),
        case("garbage::nothing_outside_is_opened", outside).needs(&["qemu-img", "qemu-io", "strace"]),
        case("garbage::hostile_names_are_escaped", names),
        case("garbage::flipped_bytes_never_crash", flipped).needs(QEMU),
    ]
}

/// Everything unpleasant in one folder, beside a sound image.
fn fill(lab: &Lab) {
    let write = |name: &str, bytes: &[u8]| std::fs::write(lab.path(name), bytes).unwrap();
    lab.img("create -q -f qcow2 sound.qcow2 1M");
    write("notes.qcow2", b"just text\n");
    write("empty.qcow2", b"");
    write("magic.qcow2", b"QFI\xfb");
    lab.img("create -q -f qcow2 whole.qcow2 1M");
    let whole = std::fs::read(lab.path("whole.qcow2")).unwrap();
    write("truncated.qcow2", &whole[..100]);
    std::fs::remove_file(lab.path("whole.qcow2")).unwrap();
    lab.img("create -q -f qcow2 -u -b loop2.qcow2 -F qcow2 loop1.qcow2 1M");
    lab.img("create -q -f qcow2 -u -b loop1.qcow2 -F qcow2 loop2.qcow2 1M");
    lab.img("create -q -f qcow2 self.qcow2 1M");
    lab.img("rebase -u -b self.qcow2 -F qcow2 self.qcow2");
    lab.img("create -q -f qcow2 -u -b gone.qcow2 -F qcow2 orphan.qcow2 1M");
    lab.img("create -q -f qcow2 -u -b json:{\"driver\":\"raw\"} -F raw json.qcow2 1M");
    lab.img("create -q -f qcow2 -u -b nbd://localhost/x -F raw nbd.qcow2 1M");
    lab.img("create -q -f qcow2 -u -b ../secret.img -F raw outside.qcow2 1M");
    lab.img("create -q -f qcow2 -u -b /dev/zero -F raw device.qcow2 1M");
    std::fs::write(lab.outside().join("secret.img"), b"secret").unwrap();
    symlink("../secret.img", lab.path("link.img")).unwrap();
    symlink(".", lab.path("around")).unwrap();
    let fifo = Command::new("mkfifo").arg(lab.path("pipe.qcow2")).status();
    assert!(fifo.unwrap().success());
}

fn kinds(tree: &Value, lab: &Lab, name: &str) -> Vec<String> {
    let path = lab.path(name).display().to_string();
    let images = tree["images"].as_array().unwrap();
    let image = images.iter().find(|i| i["path"] == path.as_str());
    let image = image.unwrap_or_else(|| panic!("{name} is not shown: {tree:#}"));
    image["problems"].as_array().unwrap().iter().map(|p| p["kind"].as_str().unwrap().to_owned()).collect()
}

fn problems() {
    let lab = Lab::new();
    fill(&lab);
    let tree = lab.run("tree . --json").expect(0).json();
    for (name, kind) in [
        ("magic.qcow2", "corrupt"),
        ("truncated.qcow2", "corrupt"),
        ("loop1.qcow2", "backing-loop"),
        ("loop2.qcow2", "backing-loop"),
        ("self.qcow2", "backing-loop"),
        ("orphan.qcow2", "backing-missing"),
        ("json.qcow2", "backing-refused"),
        ("nbd.qcow2", "backing-refused"),
        ("outside.qcow2", "backing-refused"),
        ("device.qcow2", "backing-refused"),
        ("notes.qcow2", "not-an-image"),
        ("empty.qcow2", "not-an-image"),
    ] {
        let found = kinds(&tree, &lab, name);
        assert!(found.iter().any(|k| k == kind), "{name}: {found:?}, not {kind}");
    }
    assert!(kinds(&tree, &lab, "sound.qcow2").is_empty());
    for line in ["tree .", "tree . --space", "tree . --ascii", "figure .", "figure . --ascii"] {
        let answer = lab.run(line).expect(0);
        assert!(answer.text().contains("loop1"), "{line}: {}", answer.text());
    }
    for (name, code) in [
        ("loop1.qcow2", 13),
        ("self.qcow2", 13),
        ("orphan.qcow2", 1),
        ("json.qcow2", 13),
        ("nbd.qcow2", 13),
        ("outside.qcow2", 13),
        ("device.qcow2", 13),
        ("truncated.qcow2", 13),
    ] {
        for line in [format!("cat {name}"), format!("commit {name} --yes"), format!("map --json {name}")] {
            let answer = lab.run(&line).expect(code);
            assert!(answer.err.starts_with("cowherd: "), "{line}: {}", answer.err);
        }
    }
    let refused = lab.run("cat outside.qcow2").expect(13);
    assert!(refused.err.contains("--allow"), "{}", refused.err);
}

/// An image cut off anywhere is a failure by name, or reads what is left; it is never a panic.
fn truncated() {
    let lab = Lab::new();
    lab.img("create -q -f qcow2 -o cluster_size=512 a.qcow2 256k");
    lab.scribble("a.qcow2", "qcow2", 256 << 10, 5, 8);
    lab.img("snapshot -c sn0 a.qcow2");
    let whole = std::fs::read(lab.path("a.qcow2")).unwrap();
    for len in (0..whole.len()).step_by(whole.len() / 24 + 1) {
        std::fs::write(lab.path("cut.qcow2"), &whole[..len]).unwrap();
        assert_no_crash(&lab, "cut.qcow2", &format!("cut at {len}"));
    }
}

/// Bytes of the metadata overwritten at random.
fn flipped() {
    let lab = Lab::new();
    reading::plain(&lab);
    let whole = std::fs::read(lab.path("l1.qcow2")).unwrap();
    let mut random = crate::lab::Random(0xf11b);
    for round in 0..24 {
        let mut bytes = whole.clone();
        for _ in 0..4 {
            // Half of them in the header, the rest in the first tables.
            let limit = if random.below(2) == 0 { 160 } else { 5 << 16 };
            bytes[(random.below(limit - 4) + 4) as usize] = random.next() as u8;
        }
        std::fs::write(lab.path("l1.qcow2"), &bytes).unwrap();
        assert_no_crash(&lab, "l1.qcow2", &format!("round {round}"));
    }
}

fn assert_no_crash(lab: &Lab, name: &str, what: &str) {
    for line in [
        format!("info --json {name}"),
        format!("check {name}"),
        format!("map {name}"),
        format!("cat {name}"),
        format!("tree {name} --space"),
        format!("commit {name} --dry-run"),
    ] {
        let answer = lab.run(&line);
        assert!(
            [0, 1, 2, 3, 13].contains(&answer.code),
            "{what}: {line}: exit {} {}",
            answer.code,
            answer.err
        );
        assert!(!answer.err.contains("panicked"), "{what}: {line}: {}", answer.err);
    }
}

/// The kernel says which files were opened.
fn outside() {
    let lab = Lab::new();
    fill(&lab);
    let trace = lab.outside().join("trace");
    for command in
        [&["tree", "."][..], &["tree", ".", "--space"], &["figure", "."], &["info", "outside.qcow2"]]
    {
        let done = Command::new("strace")
            .args(["-f", "-e", "trace=open,openat,openat2", "-o"])
            .arg(&trace)
            .arg(env!("CARGO_BIN_EXE_cowherd"))
            .args(command)
            .current_dir(lab.dir())
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let opened = std::fs::read_to_string(&trace).unwrap();
        assert!(opened.contains("outside.qcow2"), "the trace shows nothing:\n{opened}");
        for never in ["secret.img", "/dev/zero", "link.img"] {
            assert!(!opened.contains(never), "{command:?} opened {never}:\n{opened}");
        }
    }
}

/// Names of files, snapshots and backing files may hold anything; a terminal sees none of it raw.
fn names() {
    let lab = Lab::new();
    let hostile = "a\u{1b}]0;owned\u{7}b\nc\u{202e}.qcow2";
    let path = lab.path(hostile);
    lab.tool("qemu-img", &["create", "-q", "-f", "qcow2", path.to_str().unwrap(), "1M"]);
    lab.tool("qemu-img", &["snapshot", "-c", "sn\u{1b}[31m\u{7}", path.to_str().unwrap()]);
    lab.tool(
        "qemu-img",
        &["create", "-q", "-f", "qcow2", "-u", "-b", "gone\u{1b}[2J", "-F", "qcow2", "child.qcow2", "1M"],
    );
    let lines: [&[&str]; 10] = [
        &["tree", "."],
        &["tree", ".", "--json"],
        &["figure", "."],
        &["info", hostile],
        &["info", "child.qcow2"],
        &["snapshot", "list", hostile],
        &["map", hostile],
        &["cat", "child.qcow2"],
        &["commit", "child.qcow2", "--dry-run"],
        &["check", "nothing\u{1b}[31m"],
    ];
    for line in lines {
        let answer = lab.cowherd(line);
        for (stream, text) in [("stdout", answer.text()), ("stderr", answer.err.clone())] {
            let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
            let raw_json = line.contains(&"--json") && bad == Some('\u{202e}');
            assert!(bad.is_none() || raw_json, "{line:?}: {stream} has {bad:?}: {text}");
        }
    }
}
