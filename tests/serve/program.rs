//! `cowherd serve` as a script sees it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::*;

const PROGRAM: &str = env!("CARGO_BIN_EXE_cowherd");

struct Place {
    _folder: TempDir,
    path: PathBuf,
}

/// A folder with an image of 4 MiB over another one.
fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let place = Place { _folder: folder, path };
    let bytes: Vec<u8> = (0..4_u32 << 20).map(|i| (i / 512 * 7 + 1) as u8).collect();
    std::fs::write(place.path.join("base.img"), &bytes).unwrap();
    place.expect("create top.qcow2 -f qcow2 -b base.img -F raw", 0);
    place.expect("snapshot create top.qcow2 sn0 --yes -q", 0);
    place
}

impl Place {
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(line.split_whitespace()).current_dir(&self.path).stdin(Stdio::null());
        command.env("COWHERD_LIBVIRT_DIRS", "");
        command
    }

    #[track_caller]
    fn expect(&self, line: &str, code: i32) -> Output {
        let done = self.command(line).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{line}: {said}");
        done
    }

    fn serve(&self, line: &str) -> Served {
        Served::start(self.command(line))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// A server that is ready.
struct Served {
    child: Child,
    ready: String,
    rest: BufReader<std::process::ChildStdout>,
}

impl Served {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut rest = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        rest.read_line(&mut ready).unwrap();
        if ready.is_empty() {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("it did not start: {said}");
        }
        Self { child, ready, rest }
    }

    /// Its end after this signal, and what it said in the meantime.
    fn stop(mut self, signal: Signal) -> (ExitStatus, String, String) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        self.rest.read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap(), out, err)
    }
}

#[test]
fn it_says_where_and_ends_with_the_signal() {
    let place = place();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        for (view, name) in [("top.qcow2", ""), ("top.qcow2@sn0", "x/y"), ("base.img", "")] {
            let named = if name.is_empty() { String::new() } else { format!("--name {name}") };
            let served = place.serve(&format!("serve {view} --socket here.sock {named}"));
            let uri = format!(
                "nbd+unix:///{}?socket={}",
                name.replace('/', "%2F"),
                place.path("here.sock").display()
            );
            assert_eq!(served.ready, format!("serving {view} at {uri}\n"));
            let mut client = Client::connect(&place.path("here.sock"));
            client.hello(3);
            assert_eq!(client.go(name, &[]).0, 4 << 20);
            assert_eq!(client.read(512, 1).unwrap(), [8]);
            let (status, out, err) = served.stop(signal);
            assert_eq!(status.code(), Some(code), "{err}");
            assert!(out.contains(&format!("'{uri}'")), "how it is used: {out}");
            assert!(err.starts_with("cowherd: stopped") && err.lines().count() == 1, "{err}");
            assert!(!place.path("here.sock").exists());
            assert!(client.is_over());
        }
    }
}

#[test]
fn the_socket_is_never_open_to_others() {
    let place = place();
    let mut command = Command::new("sh");
    command.args(["-c", "umask 0; exec \"$0\" serve top.qcow2 --socket s", PROGRAM]).current_dir(&place.path);
    let served = Served::start(command);
    assert_eq!(mode(&place.path("s")), 0o600);
    served.stop(Signal::TERM);
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_is_read_is_not_changed_meanwhile() {
    let place = place();
    let served = place.serve("serve top.qcow2 --socket s");
    place.expect("snapshot create top.qcow2 sn1 --yes", 11);
    place.expect("snapshot create base.img sn1 --yes", 13);
    place.expect("cat top.qcow2 --length 1", 0);
    place.expect("serve top.qcow2 --socket s", 11);
    served.stop(Signal::TERM);
    place.expect("snapshot create top.qcow2 sn1 --yes -q", 0);
}

#[test]
fn a_snapshot_that_is_gone_is_an_error() {
    let place = place();
    let served = place.serve("serve top.qcow2@sn0 --socket s --force-share");
    let mut chunks = Client::opened(&place.path("s"), &["base:allocation"]);
    let mut simple = Client::connect(&place.path("s"));
    simple.hello(3);
    simple.go("", &[]);
    assert_eq!(chunks.read(512, 1).unwrap(), [8]);
    place.expect("snapshot create top.qcow2 sn1 --yes -q", 0);
    assert_eq!(chunks.read(0, 4 << 20).unwrap().len(), 4 << 20, "another one is its own");
    place.expect("snapshot delete top.qcow2 sn0 --yes -q --accept no-undo", 0);
    for len in [512, 4 << 20] {
        let failed = chunks.read(0, len).unwrap_err();
        assert_eq!((failed.code, failed.before), (EIO, vec![]));
        assert!(failed.message.contains("deleted"), "{}", failed.message);
        assert_eq!(simple.read(0, len).unwrap_err().code, EIO);
    }
    assert_eq!(chunks.status(0, 512, 0, 1).unwrap_err().code, EIO);
    served.stop(Signal::TERM);
}

#[test]
fn a_killed_one_leaves_nothing_in_the_way() {
    let place = place();
    let mut served = place.serve("serve top.qcow2 --socket s");
    served.child.kill().unwrap();
    served.child.wait().unwrap();
    assert!(place.path("s").exists());
    let served = place.serve("serve top.qcow2 --socket s");
    Client::opened(&place.path("s"), &[]).read(0, 512).unwrap();
    served.stop(Signal::TERM);
}

#[test]
fn one_layer_alone() {
    let place = place();
    let served = place.serve("serve top.qcow2 --layer --socket s");
    let mut client = Client::opened(&place.path("s"), &["base:allocation", "qemu:allocation-depth"]);
    assert_eq!(client.status(0, 4 << 20, 0, 2).unwrap(), [vec![(4 << 20, 3)], vec![(4 << 20, 0)]]);
    assert_eq!(client.read(0, 512).unwrap(), [0; 512]);
    served.stop(Signal::TERM);
}

#[test]
fn ports() {
    let place = place();
    let served = place.serve("serve top.qcow2 --tcp 0");
    let address = served.ready.trim_end().rsplit_once("nbd://").unwrap().1.trim_end_matches('/').to_owned();
    assert!(address.starts_with("127.0.0.1:"), "{}", served.ready);
    let mut client = Client::new(std::net::TcpStream::connect(&address).unwrap());
    client.open(&[]);
    client.read(0, 1 << 20).unwrap();
    let (_, _, err) = served.stop(Signal::TERM);
    assert!(!err.contains("warning"), "{err}");
    // Everywhere only when that was written.
    let (_, _, err) = place.serve("serve top.qcow2 --tcp 0.0.0.0:0").stop(Signal::TERM);
    assert!(err.contains("no encryption and no authentication"), "{err}");
}

#[test]
fn usage() {
    let place = place();
    for (line, code) in [
        ("serve top.qcow2", 2),
        ("serve --socket s", 2),
        ("serve top.qcow2 --socket s --tcp 0", 2),
        ("serve top.qcow2 --tcp localhost:1", 2),
        ("serve top.qcow2 --tcp 70000", 2),
        ("serve top.qcow2 --tcp 0.0.0.0", 2),
        ("serve top.qcow2 --socket s --max-clients 0", 2),
        ("serve top.qcow2 --socket base.img", 1),
        ("serve top.qcow2 --socket no-folder/s", 1),
        ("serve top.qcow2@none --socket s", 1),
        ("serve none.qcow2 --socket s", 1),
        ("serve base.img -f qcow2 --socket s", 13),
    ] {
        let done = place.expect(line, code);
        assert!(!done.stderr.is_empty() && done.stdout.is_empty(), "{line}");
        assert!(!place.path("s").exists(), "{line}");
    }
    let long = format!("serve top.qcow2 --socket s --name {}", "x".repeat(4097));
    place.expect(&long, 2);
}

#[test]
fn verbose_tells_of_each_client() {
    let place = place();
    let served = place.serve("serve top.qcow2 --socket s -v --max-clients 1");
    let mut client = Client::opened(&place.path("s"), &[]);
    assert!(Client::connect(&place.path("s")).is_over());
    client.request(DISC, 0, 0, 0);
    assert!(client.is_over());
    let (_, _, err) = served.stop(Signal::TERM);
    for line in ["client 1: connected", "client 1: reads with structured", "client 2: turned away"] {
        assert!(err.contains(line), "{line}: {err}");
    }
}

#[test]
fn memory_stays_small() {
    let place = place();
    place.expect("create large.qcow2 40M -f qcow2 -b base.img -F raw", 0);
    let served = place.serve("serve large.qcow2 --socket s");
    std::thread::scope(|scope| {
        for n in 0..16 {
            let path = place.path("s");
            scope.spawn(move || {
                let mut client = Client::connect(&path);
                client.hello(3);
                if n % 2 == 0 {
                    client.structured();
                }
                client.go("", &[]);
                client.read(0, 32 << 20).unwrap();
            });
        }
    });
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 100 << 10, "{kib} KiB at most");
    served.stop(Signal::TERM);
}
