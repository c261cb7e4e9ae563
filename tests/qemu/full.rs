//! A file system that is too small, or read-only: said before anything is touched, with how much is missing. It
//! is one of our own, mounted where the machine lets anybody do that.

use std::process::{Command, Output, Stdio};

use crate::lab::Lab;
use crate::{Case, case};

pub(crate) fn cases() -> Vec<Case> {
    let needs: &[&str] = &["unshare", "cksum"];
    let all: [(&str, fn()); 4] = [
        ("full::what_is_missing_is_said_first", missing),
        ("full::no_space_wins_over_consent", wins),
        ("full::a_conversion_needs_room_for_its_tables", no_room_for_tables),
        ("full::a_read_only_mount_stays_as_it_is", read_only),
    ];
    all.into_iter().map(|(name, run)| case(name, run).needs(needs).unless(cannot_mount)).collect()
}

fn cannot_mount() -> Option<String> {
    let run = inside("true");
    let why = String::from_utf8_lossy(&run.stderr).lines().next().unwrap_or_default().to_owned();
    (!run.status.success()).then(|| format!("no file system can be mounted: {why}"))
}

/// Runs shell commands in a new file system of 24 MiB.
fn inside(commands: &str) -> Output {
    let lab = Lab::new();
    let script = format!("set -e; mount -t tmpfs -o size=24M tmpfs \"$1\"; cd \"$1\"; {commands}");
    Command::new("unshare")
        .args(["-rm", "sh", "-c", &script, "sh"])
        .arg(lab.dir())
        .env("COWHERD", env!("CARGO_BIN_EXE_cowherd"))
        .env("COWHERD_LIBVIRT_DIRS", "")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// A base that takes most of the room, and what would make another copy of it.
const HERD: &str = "$COWHERD create -q -f raw base.img 64M
    $COWHERD create -q -f qcow2 -b base.img -F raw top.qcow2
    head -c 16M /dev/urandom | dd of=base.img conv=notrunc status=none";

/// Runs a command that has no room; its exit code and whether all files stay as they are.
fn refused(prepare: &str, line: &str) -> String {
    let done = inside(&format!(
        "{HERD}\n{prepare}\nbefore=$(cksum *); code=0; $COWHERD {line} || code=$?
        test \"$before\" = \"$(cksum *)\" && echo \"refused with $code, nothing changed\""
    ));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&done.stdout) + &text(&done.stderr)
}

fn missing() {
    let told = refused("", "pull top.qcow2 --yes");
    assert!(told.contains("refused with 12, nothing changed"), "{told}");
    // 16 MiB and tables into less than 8.
    let hazard = told.lines().find(|line| line.contains("no-space")).unwrap_or_else(|| panic!("{told}"));
    let before = hazard.split(" MiB more free space").next().unwrap();
    let missing: f64 = before.rsplit(' ').next().unwrap().parse().unwrap_or_else(|e| panic!("{e}: {hazard}"));
    assert!((8.0..10.0).contains(&missing), "{hazard}");
}

fn wins() {
    // Another name of the file asks for consent.
    let told = refused("ln top.qcow2 other-name", "pull top.qcow2 --yes");
    assert!(told.contains("hard-links") && told.contains("refused with 12"), "{told}");
}

/// A raw image and a QED image, and no block left.
fn no_room_for_tables() {
    for line in ["convert base.img --to qcow2 --in-place --yes", "convert it.qed --to qcow2 --in-place --yes"]
    {
        let told = refused("$COWHERD create -q -f qed it.qed 64M; cat /dev/zero >fill || true", line);
        assert!(told.contains("refused with 12, nothing changed"), "{line}: {told}");
        assert!(told.contains("more free space"), "{line}: {told}");
    }
}

fn read_only() {
    for line in [
        "convert base.img --to qcow2 --in-place --yes",
        "convert top.qcow2 --to qed --in-place --yes",
        "snapshot create top.qcow2 now --yes",
    ] {
        let told = refused("mount -o remount,ro \"$1\"", line);
        assert!(told.contains("refused with 1, nothing changed"), "{line}: {told}");
        assert!(told.contains("cowherd: ") && told.contains("ead-only file system"), "{line}: {told}");
    }
}
