//! A folder of images, QEMU's tools and cowherd's, and what both say.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Whether a program can be started.
pub(crate) fn exists(program: &str) -> bool {
    let run = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

/// Numbers that look random and are the same every time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// What cowherd answered.
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.out)
            .unwrap_or_else(|e| panic!("not JSON: {e}\n{}\n{}", self.text(), self.err))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code; stdout:\n{}\nstderr:\n{}", self.text(), self.err);
        self
    }
}

/// Every view of every image by name (`image` or `image@snapshot`), as bytes.
pub(crate) type Views = BTreeMap<String, Vec<u8>>;

/// A temporary folder of images.
pub(crate) struct Lab {
    folder: TempDir,
    root: PathBuf,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("cowherd-qemu-").tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        // Pattern files outside the folder of images.
        std::fs::create_dir(root.join("images")).unwrap();
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for i in 0..4 {
            let bytes: Vec<u8> = (0..8192).flat_map(|_| random.next().to_le_bytes()).collect();
            std::fs::write(root.join(format!("pattern{i}")), bytes).unwrap();
        }
        Self { folder, root }
    }

    /// The folder of images.
    pub(crate) fn dir(&self) -> PathBuf {
        self.root.join("images")
    }

    /// The folder around it, which no test names.
    pub(crate) fn outside(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Runs a program in the folder of images and gives its standard output; it must succeed.
    pub(crate) fn tool<S: AsRef<OsStr>>(&self, program: &str, args: &[S]) -> Vec<u8> {
        let done = self.try_tool(program, args);
        let shown: Vec<_> = args.iter().map(|a| a.as_ref().to_string_lossy()).collect();
        assert!(
            done.status.success(),
            "{program} {shown:?}: {}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
        done.stdout
    }

    pub(crate) fn try_tool<S: AsRef<OsStr>>(&self, program: &str, args: &[S]) -> Output {
        Command::new(program).args(args).current_dir(self.dir()).stdin(Stdio::null()).output().unwrap()
    }

    /// `qemu-img` with space separated arguments (names here have no spaces).
    pub(crate) fn img(&self, line: &str) -> Vec<u8> {
        self.tool("qemu-img", &line.split_whitespace().collect::<Vec<_>>())
    }

    pub(crate) fn img_json(&self, line: &str) -> Value {
        serde_json::from_slice(&self.img(line)).unwrap()
    }

    /// qemu-io commands on one image.
    pub(crate) fn io(&self, name: &str, format: &str, commands: &[String]) {
        let mut args = vec!["-f".to_owned(), format.to_owned()];
        for command in commands {
            args.extend(["-c".to_owned(), command.clone()]);
        }
        args.push(name.to_owned());
        let done = self.try_tool("qemu-io", &args);
        let text =
            String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        // qemu-io reports a failed command only in its text.
        assert!(done.status.success() && !text.contains("failed"), "qemu-io {name}: {text}");
    }

    /// Writes what looks random all over an image: data, patterns, zeros, discards.
    pub(crate) fn scribble(&self, name: &str, format: &str, size: u64, seed: u64, count: usize) {
        let mut random = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1);
        let commands: Vec<_> = (0..count)
            .map(|_| {
                let at = random.below(size / 512) * 512;
                let len = ((1 + random.below(300)) * 512).min(size - at);
                match random.below(20) {
                    0..12 => {
                        let pattern = self.root.join(format!("pattern{}", random.below(4)));
                        format!("write -q -s {} {at} {len}", pattern.display())
                    }
                    12..14 => format!("write -q -P {} {at} {len}", random.below(255) + 1),
                    14..18 => format!("write -q -z {at} {len}"),
                    _ => format!("discard -q {at} {len}"),
                }
            })
            .collect();
        self.io(name, format, &commands);
    }

    /// What a guest reads, as QEMU sees it.
    pub(crate) fn bytes(&self, name: &str, snapshot: Option<&str>) -> Vec<u8> {
        let out = self.root.join(format!("bytes-{}-{}", name.replace('/', "-"), snapshot.unwrap_or("")));
        let mut args = vec!["convert".to_owned(), "-O".into(), "raw".into()];
        if let Some(snapshot) = snapshot {
            args.extend(["-l".into(), format!("snapshot.name={snapshot}")]);
        }
        args.extend([name.to_owned(), out.to_string_lossy().into_owned()]);
        self.tool("qemu-img", &args);
        let bytes = std::fs::read(&out).unwrap();
        std::fs::remove_file(&out).unwrap();
        bytes
    }

    /// Names of the images, without folders.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.dir())
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_file())
            .map(|entry| entry.file_name().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    /// qemu-img's snapshot names of an image.
    pub(crate) fn snapshots(&self, name: &str) -> Vec<String> {
        let info = self.img_json(&format!("info --output=json {name}"));
        let list = info["snapshots"].as_array().cloned().unwrap_or_default();
        list.iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Every view of every image, as QEMU reads it.
    pub(crate) fn views(&self) -> Views {
        let mut views = Views::new();
        for name in self.names() {
            views.insert(name.clone(), self.bytes(&name, None));
            for snapshot in self.snapshots(&name) {
                views.insert(format!("{name}@{snapshot}"), self.bytes(&name, Some(&snapshot)));
            }
        }
        views
    }

    /// The files as they are, byte for byte.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.names().into_iter().map(|n| (n.clone(), std::fs::read(self.path(&n)).unwrap())).collect()
    }

    /// Fails unless `qemu-img check` finds nothing at all in any image that it can check.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        for name in self.names() {
            let done = self.try_tool("qemu-img", &["check", &name]);
            let code = done.status.code().unwrap();
            let text = String::from_utf8_lossy(&done.stdout).into_owned();
            assert!(code == 0 || code == 63, "qemu-img check {name}: exit {code}\n{text}");
        }
    }

    /// cowherd, run in the folder of images without a terminal.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cowherd"));
        command.current_dir(self.dir()).stdin(Stdio::null()).env_remove("NO_COLOR");
        // Not those of the machine that runs the tests.
        command.env("COWHERD_LIBVIRT_DIRS", self.outside().join("domains"));
        command
    }

    pub(crate) fn cowherd<S: AsRef<OsStr>>(&self, args: &[S]) -> Answer {
        let done = self.command().args(args).output().unwrap();
        Answer {
            code: done.status.code().unwrap_or(-1),
            out: done.stdout,
            err: String::from_utf8_lossy(&done.stderr).into_owned(),
        }
    }

    /// cowherd with space separated arguments.
    pub(crate) fn run(&self, line: &str) -> Answer {
        self.cowherd(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// A view as cowherd reads it.
    pub(crate) fn cat(&self, view: &str) -> Vec<u8> {
        self.cowherd(&["cat", view]).expect(0).out
    }
}

/// Where two byte strings differ, in words short enough for a message.
#[track_caller]
pub(crate) fn assert_same(what: &str, got: &[u8], expected: &[u8]) {
    assert_eq!(got.len(), expected.len(), "{what}: length");
    if let Some(at) = got.iter().zip(expected).position(|(a, b)| a != b) {
        let count = got.iter().zip(expected).filter(|(a, b)| a != b).count();
        panic!("{what}: {count} bytes differ, the first at {at:#x}");
    }
}
