//! The terminal interface in a real pseudo-terminal, on images made by QEMU: keys in, progress
//! seen, files judged by QEMU.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};

use crate::lab::{Lab, assert_same};
use crate::{Case, case};

const ROWS: u16 = 30;
const COLUMNS: u16 = 110;

pub(crate) fn cases() -> Vec<Case> {
    vec![case("terminal::commit_by_hand", commit)]
}

/// A running interface and what is on its screen.
struct Session {
    pty: Arc<Pty>,
    child: Mutex<Child>,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
}

impl Session {
    fn start(lab: &Lab) -> Self {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(ROWS, COLUMNS)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_cowherd"))
            .env("COWHERD_LIBVIRT_DIRS", "")
            .arg(lab.dir())
            .env("TERM", "xterm-256color")
            .spawn(pts)
            .unwrap();
        let pty = Arc::new(pty);
        let (send, output) = channel();
        let reader = pty.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            // Linux answers EIO once the program has closed its side.
            while let Ok(n @ 1..) = (&*reader).read(&mut buffer) {
                if send.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        let size = |n| NonZeroU16::new(n).unwrap();
        let screen = vt100::Parser::new(size(ROWS), size(COLUMNS), 0);
        Self { pty, child: Mutex::new(child), output, screen }
    }

    fn text(&self) -> String {
        self.screen.screen().contents()
    }

    fn types(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until one of `texts` is on the screen.
    fn sees(&mut self, texts: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !texts.iter().any(|text| self.text().contains(text)) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(e) => panic!("waited for {texts:?} ({e}):\n{}", self.text()),
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Only matters when the test failed; then it may be gone already.
        let _ = self.child.lock().unwrap().kill();
    }
}

fn commit() {
    let lab = Lab::new();
    // Enough data for progress to be seen.
    lab.img("create -q -f qcow2 l1.qcow2 1G");
    lab.io("l1.qcow2", "qcow2", &["write -q -P 1 0 8M".into()]);
    for (name, below) in [("l2", "l1"), ("l3", "l2"), ("side", "l1")] {
        lab.img(&format!("create -q -f qcow2 -b {below}.qcow2 -F qcow2 {name}.qcow2"));
    }
    lab.io("l2.qcow2", "qcow2", &["write -q -P 2 4M 400M".into()]);
    lab.io("l3.qcow2", "qcow2", &["write -q -P 3 6M 1M".into()]);
    lab.io("side.qcow2", "qcow2", &["write -q -P 4 5M 1M".into()]);
    // As QEMU reads it, where all the overlays differ.
    let sample = |name: &str| {
        lab.img(&format!("dd -O raw bs=1M count=16 if={name} of=../sample"));
        std::fs::read(lab.outside().join("sample")).unwrap()
    };
    let (l2, l3, side) = (sample("l2.qcow2"), sample("l3.qcow2"), sample("side.qcow2"));

    let mut session = Session::start(&lab);
    session.sees(&["l3.qcow2"]);
    session.types("/l2\r");
    session.sees(&["filter: l2"]);
    session.types("\x1b");
    session.sees(&["side.qcow2"]);
    session.types("c");
    session.sees(&["commit l2.qcow2 into l1.qcow2"]);
    session.sees(&["Run"]);
    session.types("y");
    session.sees(&["copying", "syncing"]);
    session.sees(&["done"]);
    session.types("q");
    let status = session.child.lock().unwrap().wait().unwrap();
    assert!(status.success(), "{status}\n{}", session.text());

    lab.assert_clean();
    assert!(!lab.path("l2.qcow2").exists());
    assert_same("l1", &sample("l1.qcow2"), &l2);
    for (name, before) in [("l3.qcow2", l3), ("side.qcow2", side)] {
        assert_same(name, &sample(name), &before);
        let info = lab.img_json(&format!("info --output=json {name}"));
        assert_eq!(info["backing-filename-format"], "qcow2", "{name}");
        assert!(info["full-backing-filename"].as_str().unwrap().ends_with("l1.qcow2"), "{name}");
    }
}
