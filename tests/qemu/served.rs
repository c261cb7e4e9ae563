//! A view that cowherd, or QEMU, serves.

#[path = "../serve/client.rs"]
mod client;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::lab::Lab;

/// A program that serves until it is dropped.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) uri: String,
    pub(crate) socket: PathBuf,
}

impl Served {
    pub(crate) fn new(lab: &Lab, view: &str) -> Self {
        let socket = lab.outside().join("our socket");
        let mut command = lab.command();
        command.args(["serve", view, "--socket"]).arg(&socket);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        let Some((_, uri)) = ready.trim_end().split_once(" at ") else {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("serve {view}: {ready}{said}");
        };
        Self { child, uri: uri.to_owned(), socket }
    }

    /// The active state, as QEMU serves it, read-only or not.
    pub(crate) fn by_qemu(lab: &Lab, name: &str, format: &str, how: &[&str]) -> Self {
        let socket = lab.outside().join("qemu-socket");
        let child = Command::new("qemu-nbd")
            .args(how)
            .args(["--allocation-depth", "--persistent", "--format", format, "--socket"])
            .arg(&socket)
            .arg(name)
            .current_dir(lab.dir())
            .spawn()
            .unwrap();
        // It listens before it opens the image, and greets after that.
        let greets = || UnixStream::connect(&socket).is_ok_and(|mut to| to.read_exact(&mut [0; 18]).is_ok());
        while !greets() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let uri = format!("nbd+unix:///?socket={}", socket.display());
        Self { child, uri, socket }
    }

    /// Block status of everything: allocation and depth.
    pub(crate) fn status(&self) -> Vec<Vec<(u64, u64, u32)>> {
        let mut client = client::Client::connect(&self.socket);
        let size = client.open(&["base:allocation", "qemu:allocation-depth"]);
        client.map(size, 2)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.socket);
    }
}
