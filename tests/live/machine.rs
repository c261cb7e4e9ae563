//! A machine: a process of QEMU, the guest's serial line and QEMU's monitor.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub(crate) const QEMU: &str = "qemu-system-x86_64";

/// For anything a machine is asked, however busy the host.
const PATIENCE: Duration = Duration::from_secs(180);

/// Where `tests/live/guest` put the guest.
pub(crate) fn guest() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("live")
}

/// Killed when this is dropped.
pub(crate) struct Machine {
    process: Child,
    keys: ChildStdin,
    screen: Receiver<Vec<u8>>,
    monitor: BufReader<UnixStream>,
}

impl Machine {
    /// Starts the guest with `disk` (qcow2, in `dir`).
    pub(crate) fn boot(dir: &Path, disk: &str) -> Self {
        let mut machine = Self::start(dir, disk, &[]);
        machine.answer();
        machine
    }

    /// The same machine, but what it has in memory comes from the file `state`, in `dir`.
    pub(crate) fn resume(dir: &Path, disk: &str, state: &str) -> Self {
        let mut machine = Self::start(dir, disk, &["-incoming", "defer"]);
        // Older ones know no `file:`.
        let exec = format!("exec:cat {state}");
        let uri = if machine.version() < 9 { exec } else { format!("file:{state}") };
        machine.qmp("migrate-incoming", &json!({ "uri": uri }));
        machine.wait_until("the state is read", |machine| {
            let migrate = machine.qmp("query-migrate", &json!({}));
            assert_ne!(migrate["status"], "failed", "{migrate}");
            migrate["status"] == "completed"
        });
        machine
    }

    fn start(dir: &Path, disk: &str, more: &[&str]) -> Self {
        let socket = dir.join(format!("{disk}.monitor"));
        let file = format!("driver=qcow2,node-name=disk0,file.driver=file,file.filename={disk}");
        let mut process = Command::new(QEMU)
            // Not KVM: many hosts have none, and some have one that does not run a guest.
            .args(["-accel", "tcg", "-machine", "pc", "-m", "128"])
            .args(["-no-user-config", "-nodefaults", "-display", "none", "-serial", "stdio"])
            .args(["-append", "console=ttyS0 quiet loglevel=0 panic=-1", "-no-reboot"])
            .arg("-kernel")
            .arg(guest().join("kernel"))
            .arg("-initrd")
            .arg(guest().join("initramfs"))
            .args(["-blockdev", &file, "-device", "virtio-blk-pci,drive=disk0"])
            .arg("-qmp")
            .arg(format!("unix:{},server=on,wait=off", socket.display()))
            .args(more)
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let (keys, mut out) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let (put, screen) = channel();
        std::thread::spawn(move || {
            let mut buf = [0; 4096];
            while let Ok(n @ 1..) = out.read(&mut buf) {
                if put.send(buf[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        let monitor = connect(&socket, &mut process);
        Self { process, keys, screen, monitor }
    }

    /// The major version of QEMU, which it says first; then it takes commands.
    fn version(&mut self) -> u64 {
        self.qmp("query-version", &json!({}))["qemu"]["major"].as_u64().unwrap()
    }

    /// A command to the monitor; it must succeed.
    pub(crate) fn qmp(&mut self, command: &str, arguments: &Value) -> Value {
        let line = json!({ "execute": command, "arguments": arguments }).to_string() + "\n";
        self.monitor.get_mut().write_all(line.as_bytes()).unwrap();
        loop {
            let said = hear(&mut self.monitor);
            if let Some(answer) = said.get("return") {
                return answer.clone();
            }
            assert!(said.get("event").is_some(), "{command} {arguments}: {said}");
        }
    }

    fn wait_until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert!(start.elapsed() < PATIENCE, "never: {what}");
            sleep(Duration::from_millis(20));
        }
    }

    /// A snapshot of disk and memory, by a job of the monitor.
    pub(crate) fn save(&mut self, tag: &str) {
        let what = json!({ "job-id": tag, "tag": tag, "vmstate": "disk0", "devices": ["disk0"] });
        self.qmp("snapshot-save", &what);
        self.wait_until("the snapshot is there", |machine| {
            let jobs = machine.qmp("query-jobs", &json!({}));
            assert!(jobs[0].get("error").is_none(), "{jobs}");
            jobs[0]["status"] == "concluded"
        });
        self.qmp("job-dismiss", &json!({ "id": tag }));
    }

    /// The same by the command for people.
    pub(crate) fn savevm(&mut self, tag: &str) {
        let line = json!({ "command-line": format!("savevm {tag}") });
        assert_eq!(self.qmp("human-monitor-command", &line), "");
    }

    /// What a command to the guest's shell says; it must succeed.
    pub(crate) fn ask(&mut self, command: &str) -> String {
        writeln!(self.keys, "{command}").unwrap();
        self.answer()
    }

    /// What the guest says until it waits for the next command.
    fn answer(&mut self) -> String {
        let start = Instant::now();
        let mut heard = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&heard).replace('\r', "");
            if let Some((said, code)) = text.rsplit_once("RC ")
                && let Some(code) = code.strip_suffix('\n')
            {
                assert_eq!(code, "0", "the guest: {text}");
                return said.trim().to_owned();
            }
            let left = PATIENCE.saturating_sub(start.elapsed());
            match self.screen.recv_timeout(left) {
                Ok(more) => heard.extend(more),
                Err(e) => panic!("{e}; the guest so far: {text}"),
            }
        }
    }

    /// A number that goes up while the guest runs.
    pub(crate) fn count(&mut self) -> u64 {
        self.ask("cat /tmp/count").parse().unwrap()
    }

    /// Waits until the guest has counted further.
    pub(crate) fn counts_on(&mut self) {
        let before = self.count();
        self.wait_until("it counts", |machine| machine.count() > before);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The monitor of a process that was just started.
fn connect(socket: &Path, process: &mut Child) -> BufReader<UnixStream> {
    let start = Instant::now();
    let stream = loop {
        match UnixStream::connect(socket) {
            Ok(stream) => break stream,
            Err(e) => assert!(start.elapsed() < PATIENCE, "{}: {e}", socket.display()),
        }
        assert!(process.try_wait().unwrap().is_none(), "{QEMU} has ended");
        sleep(Duration::from_millis(20));
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut monitor = BufReader::new(stream);
    hear(&mut monitor);
    monitor.get_mut().write_all(b"{\"execute\": \"qmp_capabilities\"}\n").unwrap();
    hear(&mut monitor);
    monitor
}

/// One line of the monitor.
fn hear(monitor: &mut BufReader<UnixStream>) -> Value {
    let mut line = String::new();
    let read = monitor.read_line(&mut line);
    assert!(matches!(read, Ok(1..)), "{QEMU} has ended, or does not answer: {read:?}");
    serde_json::from_str(&line).unwrap()
}
