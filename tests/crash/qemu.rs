//! A few of the states through the eyes of QEMU, where it is installed.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use cowherd::chain::{Gate, Opener};
use cowherd::image::{Format, State};
use cowherd::units::Guest;

use crate::common::scanned;
use crate::judge::{is_fenced, refused};

pub(crate) fn installed() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND
        .get_or_init(|| Command::new("qemu-img").arg("--version").output().is_ok_and(|o| o.status.success()))
}

/// QEMU opens every image in `dir`, finds nothing worse than leaks, and reads from it what cowherd reads.
pub(crate) fn reads_the_same(dir: &Path, what: &str) {
    if !installed() {
        return;
    }
    let (forest, refused) = (scanned(dir), refused(dir));
    // QEMU looks for a data file with a relative name where it is started.
    for path in refused.iter().filter(|path| is_fenced(path)) {
        let info = Command::new("qemu-img").arg("info").arg("-U").arg(path).output().unwrap();
        assert!(!info.status.success(), "{what}: QEMU opens {} in spite of its fence", path.display());
    }
    for node in forest.nodes.iter().filter(|node| !refused.contains(&node.path)) {
        let format = node.format.unwrap();
        if format != Format::Raw {
            let check = Command::new("qemu-img")
                .arg("check")
                .args(["-f", format.name()])
                .arg(&node.path)
                .current_dir(dir)
                .output();
            let check = check.unwrap();
            let fine = matches!(check.status.code(), Some(0 | 3));
            let said = String::from_utf8_lossy(&check.stderr);
            assert!(fine, "{what}: qemu-img check {}: {said}", node.path.display());
        }
        let flat = dir.join(".flat");
        let convert = Command::new("qemu-img")
            .args(["convert", "-f", format.name(), "-O", "raw"])
            .args([&node.path, &flat])
            .current_dir(dir)
            .output()
            .unwrap();
        assert!(convert.status.success(), "{what}: {}", String::from_utf8_lossy(&convert.stderr));
        let opener = Opener { gate: Gate::for_paths([dir]), ..Opener::default() };
        let view = opener.open(&node.path).unwrap().view(State::Active);
        let mut ours = vec![0; view.size() as usize];
        view.read_at(Guest(0), &mut ours).unwrap();
        let theirs = std::fs::read(&flat).unwrap();
        std::fs::remove_file(&flat).unwrap();
        assert!(ours == theirs[..ours.len()], "{what}: QEMU reads {} differently", node.path.display());
    }
}
