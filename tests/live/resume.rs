//! What `export --vmstate` writes is enough to go on from: the guest answers with what it had in memory, and
//! reads what it had on its disk, when the snapshot was made.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::machine::Machine;

/// Name and test.
pub(crate) const TESTS: &[(&str, fn())] = &[
    ("resume::after_the_guest_is_gone", after_the_guest_is_gone),
    ("resume::beside_the_guest_that_still_runs", beside_the_guest_that_still_runs),
    ("resume::from_a_chain", from_a_chain),
];

fn after_the_guest_is_gone() {
    let lab = Lab::new();
    lab.tool("qemu-img", "create -q -f qcow2 disk.qcow2 8M");
    let (old, before) = saved_and_changed(&lab, Machine::save);
    drop(old);
    lab.cowherd("export disk.qcow2@sn0 --out out.qcow2 --vmstate out.state --yes");
    before.goes_on(&mut Machine::resume(&lab.dir(), "out.qcow2", "out.state"));
    lab.tool("qemu-img", "check -q out.qcow2");
}

fn beside_the_guest_that_still_runs() {
    let lab = Lab::new();
    lab.tool("qemu-img", "create -q -f qcow2 -o cluster_size=16k,extended_l2=on disk.qcow2 8M");
    let (mut old, before) = saved_and_changed(&lab, Machine::save);
    let after = Remembered::of(&mut old);
    lab.cowherd("export disk.qcow2@sn0 --out out.qcow2 --vmstate out.state --yes");
    let mut new = Machine::resume(&lab.dir(), "out.qcow2", "out.state");
    before.goes_on(&mut new);
    // The other one has not noticed.
    after.goes_on(&mut old);
    drop((old, new));
    lab.tool("qemu-img", "check -q disk.qcow2");
    lab.tool("qemu-img", "check -q out.qcow2");
}

fn from_a_chain() {
    let lab = Lab::new();
    // Of which the guest overwrites some; the last L2 table maps more than the disk has.
    std::fs::write(lab.dir().join("base.raw"), vec![9; 9 << 20]).unwrap();
    lab.tool("qemu-img", "create -q -f qcow2 -o cluster_size=4k -b base.raw -F raw disk.qcow2");
    let (old, before) = saved_and_changed(&lab, Machine::savevm);
    drop(old);
    lab.cowherd("export disk.qcow2 --chain --out out --yes");
    let list = std::fs::read_to_string(lab.dir().join("out/manifest.json")).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let memory: Vec<_> = list["chain"].as_array().unwrap().iter().map(|link| &link["memory"]).collect();
    assert_eq!(memory, [&Value::Null, &Value::from("disk_sn0.vmstate"), &Value::Null]);
    // The next link is based on that file, so the guest gets its own on top.
    lab.cowherd("overlay out/disk_sn0.qcow2 out/next.qcow2 --yes");
    before.goes_on(&mut Machine::resume(&lab.dir().join("out"), "next.qcow2", "disk_sn0.vmstate"));
}

/// A guest after a snapshot `sn0` by `save`, and what it had then; it has other things now.
fn saved_and_changed(lab: &Lab, save: fn(&mut Machine, &str)) -> (Machine, Remembered) {
    let mut guest = Machine::boot(&lab.dir(), "disk.qcow2");
    guest.ask("kept=$(head -c 16 /dev/urandom | md5sum)");
    guest.ask("to_disk if=/dev/urandom count=4");
    guest.counts_on();
    let before = Remembered::of(&mut guest);
    save(&mut guest, "sn0");
    guest.ask("kept=other");
    guest.ask("to_disk if=/dev/urandom count=2 seek=1");
    let after = Remembered::of(&mut guest);
    assert!(after.kept != before.kept && after.disk != before.disk);
    guest.counts_on();
    (guest, before)
}

/// What a guest can be known by.
#[derive(Debug)]
struct Remembered {
    /// Which boot of the kernel this is.
    boot: String,
    /// A variable of its shell.
    kept: String,
    /// The sum of all that is on its disk.
    disk: String,
    /// How far another process has counted.
    count: u64,
}

impl Remembered {
    fn of(guest: &mut Machine) -> Self {
        Self {
            boot: guest.ask("cat /proc/sys/kernel/random/boot_id"),
            kept: guest.ask("echo $kept"),
            disk: guest.ask("from_disk | md5sum"),
            count: guest.count(),
        }
    }

    /// Fails unless `guest` is the one that remembers this, still alive and writing.
    #[track_caller]
    fn goes_on(&self, guest: &mut Machine) {
        let now = Self::of(guest);
        assert_eq!((&now.boot, &now.kept, &now.disk), (&self.boot, &self.kept, &self.disk));
        assert!(now.count >= self.count, "{now:?} after {self:?}");
        guest.counts_on();
        guest.ask("head -c 1048576 /dev/urandom >/tmp/new && to_disk if=/tmp/new seek=5");
        guest.ask("from_disk skip=5 count=1 | cmp - /tmp/new");
    }
}

/// A folder of images.
struct Lab(TempDir);

impl Lab {
    fn new() -> Self {
        Self(tempfile::Builder::new().prefix("cowherd-live-").tempdir().unwrap())
    }

    fn dir(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap()
    }

    /// Runs a program with space separated arguments; it must succeed.
    #[track_caller]
    fn tool(&self, program: &str, line: &str) {
        let mut command = Command::new(program);
        command.args(line.split_whitespace()).current_dir(self.dir()).stdin(Stdio::null());
        // Not those of the machine that runs the tests.
        command.env("COWHERD_LIBVIRT_DIRS", self.dir().join("domains"));
        let done = command.output().unwrap();
        let text = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{program} {line}: {text}");
    }

    #[track_caller]
    fn cowherd(&self, line: &str) {
        self.tool(env!("CARGO_BIN_EXE_cowherd"), line);
    }
}
