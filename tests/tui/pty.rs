//! The real program in a pseudo-terminal: what it draws, what it leaves behind. Waits for text.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};
use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};

struct Session {
    pty: Arc<Pty>,
    child: Child,
    output: Receiver<Vec<u8>>,
    parser: vt100::Parser,
    /// Everything the program wrote.
    bytes: Vec<u8>,
}

impl Session {
    fn start(rows: u16, columns: u16, args: &[&str], environment: &[(&str, &str)]) -> Self {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(rows, columns)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cowherd"))
            .env("COWHERD_LIBVIRT_DIRS", "")
            .args(args)
            .env("TERM", "xterm-256color")
            .env("RUST_BACKTRACE", "0")
            .env_remove("NO_COLOR");
        for (name, value) in environment {
            command = command.env(name, value);
        }
        let child = command.spawn(pts).unwrap();
        let pty = Arc::new(pty);
        let (send, output) = unbounded();
        let reader = pty.clone();
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            // Linux answers EIO once the program has closed its side.
            while let Ok(n @ 1..) = (&*reader).read(&mut buffer) {
                if send.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        let size = |n| NonZeroU16::new(n).unwrap();
        let parser = vt100::Parser::new(size(rows), size(columns), 0);
        Self { pty, child, output, parser, bytes: Vec::new() }
    }

    fn screen(&self) -> String {
        self.parser.screen().contents()
    }

    fn wait(&mut self, what: &str, seen: impl Fn(&vt100::Screen) -> bool) -> &mut Self {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !seen(self.parser.screen()) {
            match self.output.recv_deadline(deadline) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Timeout) => panic!("waited for {what}:\n{}", self.screen()),
                Err(RecvTimeoutError::Disconnected) => panic!("ended before {what}:\n{}", self.screen()),
            }
        }
        self
    }

    fn take(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        self.bytes.extend_from_slice(bytes);
    }

    fn sees(&mut self, text: &str) -> &mut Self {
        self.wait(text, |screen| screen.contents().contains(text))
    }

    #[track_caller]
    fn sees_already(&self, text: &str) {
        assert!(self.screen().contains(text), "no {text:?} on:\n{}", self.screen());
    }

    fn loses(&mut self, text: &str) -> &mut Self {
        self.wait(&format!("{text} to go"), |screen| !screen.contents().contains(text))
    }

    fn types(&mut self, keys: &str) -> &mut Self {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
        self
    }

    fn resize(&mut self, rows: u16, columns: u16) -> &mut Self {
        let size = |n| NonZeroU16::new(n).unwrap();
        // What was drawn for the old size is read first, so that it does not end up on the new one.
        while let Ok(bytes) = self.output.try_recv() {
            self.take(&bytes);
        }
        self.parser.set_size(size(rows), size(columns));
        self.pty.resize(Size::new(rows, columns)).unwrap();
        self
    }

    fn signal(&mut self, signal: i32) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let signal = rustix::process::Signal::from_named_raw(signal).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end; checks that the terminal is as it was.
    fn ends(&mut self) -> ExitStatus {
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_secs(30)) {
            self.take(&bytes);
        }
        let screen = self.parser.screen();
        assert!(!screen.alternate_screen(), "left on the alternate screen");
        assert!(!screen.hide_cursor(), "left without a cursor");
        assert!(!screen.bracketed_paste(), "left with bracketed paste");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None, "left with the mouse");
        self.child.wait().unwrap()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Only matters when a test failed; then it may be gone already.
        let _ = self.child.kill();
    }
}

fn herd(folder: &Path) -> String {
    let folder = folder.join("herd");
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_cowherd"))
        .args(["demo", "--no-tui"])
        .arg(&folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    folder.to_str().unwrap().to_owned()
}

#[test]
fn a_commit_by_hand() {
    for (rows, columns) in [(24, 80), (24, 100)] {
        let folder = tempfile::tempdir().unwrap();
        let herd = herd(folder.path());
        let mut session = Session::start(rows, columns, &[&herd], &[]);
        session.sees("Snap-4.qcow2").types("/Snap-2\r").sees("filter: Snap-2").types("\x1b").loses("filter:");
        session.types("c").sees("Plan: commit Snap-2.qcow2 into Snap-1.qcow2").sees("Run");
        session.types("y").sees("done").loses("Snap-2.qcow2  ");
        assert!(!Path::new(&herd).join("Snap-2.qcow2").exists());
        session.types("q");
        assert!(session.ends().success());
    }
}

#[test]
fn a_demo_opens_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let new = folder.path().join("new");
    let mut session = Session::start(24, 100, &["demo", new.to_str().unwrap()], &[]);
    session
        .sees("imageC.qcow2")
        .types("m")
        .sees("mouse on")
        .types("?")
        .sees("Help")
        .types("\x1b")
        .loses("Help");
    session.types("q");
    assert!(session.ends().success());
}

#[test]
fn signals_restore_the_terminal() {
    for signal in [15, 1] {
        let folder = tempfile::tempdir().unwrap();
        let herd = herd(folder.path());
        let mut session = Session::start(24, 80, &[&herd], &[]);
        session.sees("Snap-4.qcow2");
        session.signal(signal);
        let status = session.ends();
        assert!(!status.success() && status.signal().is_none(), "{status}");
    }
}

#[test]
fn without_colour_not_a_byte_of_it_and_the_cursor_row_is_reversed() {
    let folder = tempfile::tempdir().unwrap();
    let herd = herd(folder.path());
    let mut session = Session::start(24, 80, &[&herd], &[("NO_COLOR", "1")]);
    session.sees("Snap-4.qcow2").types("j").wait("a reversed row", |screen| {
        (0..24).any(|row| screen.cell(row, 10).is_some_and(|cell| cell.inverse()))
    });
    let text = String::from_utf8_lossy(&session.bytes).into_owned();
    let coloured = text.split("\x1b[").skip(1).any(|rest| {
        let sgr = rest.split_once('m').map_or("", |(sgr, _)| sgr);
        sgr.split(';').any(|n| n.parse::<u8>().is_ok_and(|n| matches!(n, 30..=38 | 40..=48 | 90..=107)))
    });
    assert!(!coloured, "{text:?}");
    session.types("q");
    assert!(session.ends().success());
}

/// Without a shell that controls jobs the kernel does not stop the program, so it comes back at once.
#[test]
fn suspended_it_gives_the_terminal_back_and_takes_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let herd = herd(folder.path());
    let mut session = Session::start(24, 80, &[&herd], &[]);
    session.sees("Snap-4.qcow2").types("\x1a");
    let there_and_back = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.split_once("\x1b[?1049l").is_some_and(|(_, after)| after.contains("\x1b[?1049h"))
    };
    while !there_and_back(&session.bytes) {
        let bytes = session.output.recv_timeout(Duration::from_secs(30)).unwrap();
        session.take(&bytes);
    }
    session.sees("Snap-4.qcow2").types("j").sees("Enter").types("q");
    assert!(session.ends().success());
}

#[test]
fn every_size() {
    let folder = tempfile::tempdir().unwrap();
    let herd = herd(folder.path());
    let sizes = [
        (1, 1, None),
        (15, 59, Some("needs 60x16, has 59x15")),
        (16, 60, Some("RootBase.img")),
        (24, 80, Some("Snap-4.qcow2")),
        (24, 100, Some("Snap-4.qcow2")),
        (60, 200, Some("imageC.qcow2")),
    ];
    for (rows, columns, text) in sizes {
        let mut session = Session::start(rows, columns, &[&herd], &[]);
        match text {
            Some(text) => session.sees(text),
            None => session.wait("anything", |screen| screen.alternate_screen() && screen.contents() != ""),
        };
        session.types("q");
        assert!(session.ends().success(), "{columns}x{rows}");
    }
}

#[test]
fn resized_while_running() {
    let folder = tempfile::tempdir().unwrap();
    let herd = herd(folder.path());
    let mut session = Session::start(24, 80, &[&herd], &[]);
    session.sees("Snap-4.qcow2").resize(15, 59).sees("needs 60x16, has 59x15");
    session.resize(60, 200).sees("imageC.qcow2").types("/Snap-2\r").sees("filter: Snap-2");
    session.resize(1, 1).wait("one cell", |screen| screen.contents().chars().count() == 1);
    session.resize(16, 60).sees("Snap-2.qcow2").resize(24, 100).sees("Figure").types("q");
    assert!(session.ends().success());
}

#[test]
fn without_a_usable_terminal_the_tree_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let herd = herd(folder.path());
    let mut session = Session::start(24, 80, &[&herd], &[("TERM", "dumb")]);
    assert!(session.ends().success());
    assert!(session.screen().contains("RootBase.img"), "{}", session.screen());
    let piped = std::process::Command::new(env!("CARGO_BIN_EXE_cowherd")).arg(&herd).output().unwrap();
    assert!(piped.status.success());
    let text = String::from_utf8(piped.stdout).unwrap();
    assert!(text.contains("Snap-4.qcow2") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_panic_restores_the_terminal_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let herd = herd(folder.path());
    let mut session = Session::start(24, 80, &[&herd], &[]);
    session.sees("Snap-4.qcow2").types("m").sees("mouse on").types(":debug-panic\r");
    assert_eq!(session.ends().code(), Some(101));
    session.sees_already("asked for in the palette");
}
