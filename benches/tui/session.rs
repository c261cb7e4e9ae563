//! The program in a pseudo-terminal.

use std::fs;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};

const ROWS: u16 = 24;
const COLUMNS: u16 = 100;

pub(crate) struct Session {
    pty: Arc<Pty>,
    child: Child,
    output: Receiver<Vec<u8>>,
    parser: vt100::Parser,
}

/// The row of the screen that is reversed.
pub(crate) fn selected(screen: &vt100::Screen) -> Option<u16> {
    (0..ROWS).find(|row| screen.cell(*row, 10).is_some_and(vt100::Cell::inverse))
}

impl Session {
    pub(crate) fn start(folder: &Path) -> Self {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(ROWS, COLUMNS)).unwrap();
        let command = Command::new(env!("CARGO_BIN_EXE_cowherd"))
            .arg(folder)
            .env("COWHERD_LIBVIRT_DIRS", "")
            .env("TERM", "xterm-256color");
        let child = command.spawn(pts).unwrap();
        let pty = Arc::new(pty);
        let (send, output) = unbounded();
        let reader = pty.clone();
        thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(n @ 1..) = (&*reader).read(&mut buffer) {
                if send.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        let size = |n| NonZeroU16::new(n).unwrap();
        let parser = vt100::Parser::new(size(ROWS), size(COLUMNS), 0);
        Self { pty, child, output, parser }
    }

    pub(crate) fn until(&mut self, seen: impl Fn(&vt100::Screen) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !seen(self.parser.screen()) {
            let bytes = self.output.recv_deadline(deadline);
            self.parser.process(&bytes.unwrap_or_else(|_| panic!("{}", self.parser.screen().contents())));
        }
    }

    pub(crate) fn shows(&mut self, text: &str) -> bool {
        while let Ok(bytes) = self.output.try_recv() {
            self.parser.process(&bytes);
        }
        self.parser.screen().contents().contains(text)
    }

    pub(crate) fn selected(&self) -> Option<u16> {
        selected(self.parser.screen())
    }

    pub(crate) fn types(&mut self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Time on the processors so far.
    pub(crate) fn cpu(&self) -> Duration {
        // The scheduler's own account, in nanoseconds: the ticks of `stat` are far too coarse.
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let one = |task: fs::DirEntry| {
            let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            text.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0)
        };
        Duration::from_nanos(tasks.flatten().map(one).sum())
    }

    pub(crate) fn quit(mut self) {
        self.types("q");
        self.child.wait().unwrap();
    }
}
