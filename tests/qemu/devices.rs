//! Raw images on block devices (a loop device, which needs root), and raw files of odd sizes.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::lab::{Lab, assert_same, exists};
use crate::{Case, case};

const MIB: u64 = 1 << 20;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("devices::read_as_qemu_reads", read).unless(no_loop_device),
        case("devices::commit_into_a_device", commit).unless(no_loop_device),
        case("devices::a_device_cannot_grow", cannot_grow).unless(no_loop_device),
        case("devices::raw_files_of_any_size", odd_sizes),
    ]
}

/// A loop device over a file; gone with the value.
struct Loop(PathBuf);

impl Loop {
    fn over(file: &Path) -> Result<Self, String> {
        let done = Command::new("losetup").args(["-f", "--show"]).arg(file).output();
        let done = done.map_err(|e| format!("losetup: {e}"))?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if done.status.success() { Ok(Self(said(&done.stdout).into())) } else { Err(said(&done.stderr)) }
    }

    fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("-d").arg(&self.0).status();
    }
}

/// Why there can be no loop device here.
fn no_loop_device() -> Option<String> {
    if !exists("losetup") {
        return Some("losetup not installed".to_owned());
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(MIB).unwrap();
    Loop::over(file.path()).err().map(|e| format!("no loop device to be had: {e}"))
}

/// A raw disk of 4 MiB with something on it, outside the folder of images.
fn disk(lab: &Lab) -> Loop {
    let path = lab.outside().join("disk");
    std::fs::File::create(&path).unwrap().set_len(4 * MIB).unwrap();
    let device = Loop::over(&path).unwrap();
    lab.scribble(device.name(), "raw", 4 * MIB, 1, 16);
    device
}

fn bytes(device: &Loop) -> Vec<u8> {
    std::fs::read(&device.0).unwrap()
}

fn read() {
    let lab = Lab::new();
    let device = disk(&lab);
    assert_same("cat", &lab.cat(device.name()), &bytes(&device));
    let info = lab.run(&format!("info --json {}", device.name())).expect(0).json();
    assert_eq!(info["virtual-size"], 4 * MIB);
    lab.img(&format!("convert -f raw -O qcow2 {} copy.qcow2", device.name()));
    lab.run(&format!("compare {} copy.qcow2", device.name())).expect(0);
}

fn commit() {
    let lab = Lab::new();
    let device = disk(&lab);
    lab.img(&format!("create -q -f qcow2 -b {} -F raw top.qcow2", device.name()));
    lab.scribble("top.qcow2", "qcow2", 4 * MIB, 2, 16);
    lab.img(&format!("create -q -f qed -b {} -F raw side.qed", device.name()));
    lab.scribble("side.qed", "qed", 4 * MIB, 3, 6);
    let before = lab.views();
    for allow in ["", "--allow /dev", "--allow /"] {
        let refused = lab.run(&format!("commit top.qcow2 --yes {allow}")).expect(13);
        assert!(refused.err.contains(&format!("--allow {}", device.name())), "{}", refused.err);
    }
    lab.run(&format!("commit top.qcow2 --yes --allow {}", device.name())).expect(0);
    let after = lab.views();
    assert_same("the device", &bytes(&device), &before["top.qcow2"]);
    for view in ["top.qcow2", "side.qed"] {
        assert_same(view, &after[view], &before[view]);
    }
    lab.assert_clean();
}

fn cannot_grow() {
    let lab = Lab::new();
    let device = disk(&lab);
    lab.img(&format!("create -q -f qcow2 -b {} -F raw top.qcow2 5M", device.name()));
    lab.scribble("top.qcow2", "qcow2", 5 * MIB, 4, 8);
    let before = bytes(&device);
    let answer = lab.run(&format!("commit top.qcow2 --yes --allow {}", device.name())).expect(13);
    assert!(answer.err.contains("cannot grow"), "{}", answer.err);
    assert!(before == bytes(&device));
}

/// Whatever the length, the disk is whole sectors, and what lies behind the end of the file is zero.
fn odd_sizes() {
    for (size, longer) in [(1, false), (511, true), (513, false), (MIB + 1000, true), (3 * MIB - 1, false)] {
        let lab = Lab::new();
        let path = lab.path("base.img");
        let file = OpenOptions::new().create_new(true).write(true).open(&path).unwrap();
        file.set_len(size).unwrap();
        file.write_all_at(&[7; 100][..100.min(size as usize)], size.saturating_sub(100)).unwrap();
        drop(file);
        assert_same("cat", &lab.cat("base.img"), &lab.bytes("base.img", None));
        let top = size.next_multiple_of(512) + if longer { 65536 + 512 } else { 0 };
        lab.img(&format!("create -q -f qcow2 -b base.img -F raw top.qcow2 {top}"));
        lab.img(&format!("create -q -f qed -b base.img -F raw side.qed {}", top + 4096));
        lab.io("top.qcow2", "qcow2", &[format!("write -q -P 5 {} 512", (top - 512) / 1024 * 512)]);
        let before = lab.views();
        lab.run("commit top.qcow2 --yes").expect(0);
        let after = lab.views();
        assert_same(&format!("{size}: base"), &after["base.img"], &before["top.qcow2"]);
        for view in ["top.qcow2", "side.qed"] {
            assert_same(&format!("{size}: {view}"), &after[view], &before[view]);
        }
        lab.assert_clean();
    }
}
