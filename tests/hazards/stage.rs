//! The demo herd, and a folder of libvirt's.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Stage {
    root: TempDir,
}

pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

/// What `--dry-run --json` prints.
pub(crate) struct Plan(pub(crate) Value);

impl Plan {
    /// Severity and message of each hazard of a kind.
    pub(crate) fn said(&self, kind: &str) -> Vec<(String, String)> {
        let all = self.0["hazards"].as_array().unwrap().iter().filter(|h| h["kind"] == kind);
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        all.map(|h| (text(&h["severity"]), text(&h["message"]))).collect()
    }
}

impl Stage {
    pub(crate) fn new() -> Self {
        let stage = Self { root: tempfile::tempdir().unwrap() };
        std::fs::create_dir(stage.domains()).unwrap();
        let made = Command::new(env!("CARGO_BIN_EXE_cowherd"))
            .args(["demo", "--no-tui", "-q"])
            .arg(stage.path(""))
            .output();
        assert!(made.unwrap().status.success());
        // What these tests say is about the two chains alone.
        for other in ["test.qed", "broken.qcow2", "orphan.qcow2"] {
            std::fs::remove_file(stage.path(other)).unwrap();
        }
        stage
    }

    /// A file of the herd.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join("herd").join(name)
    }

    /// Where the domains are.
    pub(crate) fn domains(&self) -> PathBuf {
        self.root.path().join("domains")
    }

    /// Defines a domain with these elements in its `<devices>`.
    pub(crate) fn define(&self, name: &str, devices: &str) {
        let text = format!(
            "<domain type='kvm'><name>{name}</name><uuid>u-{name}</uuid><devices>{devices}</devices></domain>"
        );
        std::fs::write(self.domains().join(format!("{name}.xml")), text).unwrap();
    }

    /// A disk of a domain.
    pub(crate) fn disk(&self, name: &str) -> String {
        let path = self.path(name);
        format!("<disk><driver type='qcow2'/><source file='{}'/></disk>", path.display())
    }

    pub(crate) fn run(&self, line: &str) -> Answer {
        let done = Command::new(env!("CARGO_BIN_EXE_cowherd"))
            .args(line.split_whitespace())
            .current_dir(self.path(""))
            .env("COWHERD_LIBVIRT_DIRS", self.domains())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Answer { code: done.status.code().unwrap(), out: text(done.stdout), err: text(done.stderr) }
    }

    pub(crate) fn plan(&self, line: &str) -> Plan {
        Plan(self.run(&format!("{line} --dry-run --json")).expect(0).json())
    }
}
