//! What a file is beside its bytes: owner, mode, access list and attributes stay through every change, and
//! a new image takes over who may open it.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use rustix::fs::{XattrFlags, getxattr, setxattr};

use crate::commit::{branch_above, chain};
use crate::lab::Lab;
use crate::{Case, case};

/// Changes of the herd of `branch_above`, one at a time.
const LINES: &[&str] = &[
    "commit l4.qcow2",
    "commit l2.qcow2",
    "pull l4.qcow2",
    "rebase l4.qcow2 --base base.qcow2",
    "rename l2.qcow2 middle.qcow2",
    "delete l2.qcow2",
    "resize l4.qcow2 9M",
    "snapshot create l4.qcow2 new",
    "check -r all l4.qcow2",
];

/// An attribute of the user's own.
const NOTE: &str = "user.cowherd.test";
const ACL: &str = "system.posix_acl_access";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> = LINES
        .iter()
        .map(|line| case(format!("keeping::{}", line.replace(' ', "_")), || keeps(line)))
        .map(|case| case.unless(|| cannot(NOTE, b"x")))
        .collect();
    cases.push(case("keeping::an_overlay_can_be_opened_by_whoever_opens_its_base", overlay));
    cases.push(
        case("keeping::an_overlay_has_the_access_list_of_its_base", access_list)
            .unless(|| cannot(ACL, &list())),
    );
    cases.push(case("keeping::create_asks_nobody", create));
    cases
}

/// Why files here cannot have such an attribute.
fn cannot(name: &str, value: &[u8]) -> Option<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let set = setxattr(file.path(), name, value, XattrFlags::empty());
    set.err().map(|e| format!("no {name} in the folder for temporary files: {e}"))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn attribute(path: &Path, name: &str) -> Vec<u8> {
    let mut value = vec![0; 1 << 10];
    let len = getxattr(path, name, &mut value[..]).unwrap_or(0);
    value.truncate(len);
    value
}

/// An access list: user, one more user, group, the most of both, others.
fn list() -> Vec<u8> {
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, perm, id) in [(1u16, 6u16, u32::MAX), (2, 6, 4242), (4, 4, u32::MAX), (16, 6, u32::MAX)] {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(perm.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes.extend(32u16.to_le_bytes());
    bytes.extend(0u16.to_le_bytes());
    bytes.extend(u32::MAX.to_le_bytes());
    bytes
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Owner, group, mode and attribute by inode, which a rename keeps.
fn marks(folder: &Path) -> BTreeMap<u64, (u32, u32, u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        let meta = entry.metadata().unwrap();
        if meta.is_dir() {
            all.extend(marks(&entry.path()));
        } else {
            let note = attribute(&entry.path(), NOTE);
            all.insert(meta.ino(), (meta.uid(), meta.gid(), meta.mode(), note));
        }
    }
    all
}

fn keeps(line: &str) {
    let lab = Lab::new();
    branch_above(&lab);
    for (i, name) in lab.names().iter().enumerate() {
        let path = lab.path(name);
        setxattr(&path, NOTE, name.as_bytes(), XattrFlags::empty()).unwrap();
        set_mode(&path, if i % 2 == 0 { 0o640 } else { 0o606 });
        if is_root() {
            chown(&path, Some(4000 + i as u32), Some(5000)).unwrap();
        }
    }
    let before = marks(&lab.dir());
    lab.run(&format!("{line} --yes")).expect(0);
    let after = marks(&lab.dir());
    for (file, marks) in before {
        assert_eq!(after.get(&file), Some(&marks), "{line}");
    }
}

fn overlay() {
    let lab = Lab::new();
    chain(&lab);
    let base = lab.path("l4.qcow2");
    if is_root() {
        chown(&base, Some(4000), Some(5000)).unwrap();
    }
    let old = base.metadata().unwrap();
    for (i, (mode, expected)) in [(0o640, 0o640), (0o6664, 0o664), (0o444, 0o644)].into_iter().enumerate() {
        set_mode(&base, mode);
        let name = format!("new{i}.qcow2");
        lab.run(&format!("overlay l4.qcow2 {name} --yes")).expect(0);
        let new = lab.path(&name).metadata().unwrap();
        assert_eq!(
            (new.mode() & 0o7777, new.uid(), new.gid()),
            (expected, old.uid(), old.gid()),
            "over a base of mode {mode:o}"
        );
    }
}

fn access_list() {
    let lab = Lab::new();
    chain(&lab);
    setxattr(lab.path("l4.qcow2"), ACL, &list(), XattrFlags::empty()).unwrap();
    lab.run("overlay l4.qcow2 new.qcow2 --yes").expect(0);
    assert_eq!(attribute(&lab.path("new.qcow2"), ACL), list());
    let modes = ["l4.qcow2", "new.qcow2"].map(|name| lab.path(name).metadata().unwrap().mode());
    assert_eq!(modes[0], modes[1]);
    // A list that the folder has for new files is not one of the base.
    setxattr(lab.dir(), "system.posix_acl_default", &list(), XattrFlags::empty()).unwrap();
    lab.run("overlay l3.qcow2 plain.qcow2 --yes").expect(0);
    assert_eq!(attribute(&lab.path("plain.qcow2"), ACL), attribute(&lab.path("l3.qcow2"), ACL));
}

fn create() {
    let lab = Lab::new();
    chain(&lab);
    set_mode(&lab.path("l4.qcow2"), 0o666);
    lab.run("create -f qcow2 -b l4.qcow2 -F qcow2 new.qcow2").expect(0);
    let plain = lab.path("plain");
    std::fs::write(&plain, "").unwrap();
    let modes = [lab.path("new.qcow2"), plain].map(|path| path.metadata().unwrap().mode());
    assert_eq!(modes[0], modes[1]);
}
