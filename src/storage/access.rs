//! Who may open a file: owner, group, mode, access list and label. A new file takes them from the one
//! that it stands in for or lies on top of, so that a guest that could open that can open this.

use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, Mode, XattrFlags, fchmod, fchown, fgetxattr, fremovexattr, fsetxattr, fstat};
use rustix::process::{Gid, Uid};

use super::File;
use crate::error::{Error, Result};

/// The access list beyond the mode, as the kernel hands it out.
const ACL: &str = "system.posix_acl_access";
/// The label of SELinux.
const LABEL: &str = "security.selinux";
/// Longest attribute there is.
const MAX_ATTRIBUTE: usize = 64 << 10;

/// Gives `new` what decides who may open it, as `like` has it; its owner can always read and write it,
/// and it is never set-user-id. Says what could not be kept: usually that takes the rights of root.
///
/// When the group cannot be kept nobody gets more than everybody has. A device has nothing to take.
pub fn adopt(new: &dyn File, like: &dyn File) -> Result<Vec<&'static str>> {
    let fail = |e: rustix::io::Errno| Error::io("cannot examine", e.into()).at(like.path());
    let (Some(to), Some(from)) = (new.fd(), like.fd()) else { return Ok(Vec::new()) };
    let (is, was) = (fstat(to).map_err(fail)?, fstat(from).map_err(fail)?);
    if FileType::from_raw_mode(was.st_mode) != FileType::RegularFile {
        return Ok(Vec::new());
    }
    let mut lost = Vec::new();
    if is.st_uid != was.st_uid && fchown(to, Some(Uid::from_raw(was.st_uid)), None).is_err() {
        lost.push("owner");
    }
    let mut keeps_group =
        is.st_gid == was.st_gid || fchown(to, None, Some(Gid::from_raw(was.st_gid))).is_ok();
    if !keeps_group {
        lost.push("group");
    }
    let list = attribute(from, ACL);
    let same_list = match &list {
        // With a list, the group's bits of the mode are what all its entries may have at most.
        Some(list) => keeps_group && fsetxattr(to, ACL, list, XattrFlags::empty()).is_ok(),
        // The folder may have one for new files.
        None => attribute(to, ACL).is_none() || fremovexattr(to, ACL).is_ok(),
    };
    if !same_list {
        keeps_group = false;
        lost.push("access list");
    }
    if fchmod(to, Mode::from_raw_mode(mode(was.st_mode, keeps_group))).is_err() {
        lost.push("mode");
    }
    let label = attribute(from, LABEL).filter(|label| attribute(to, LABEL).as_ref() != Some(label));
    if label.is_some_and(|label| fsetxattr(to, LABEL, &label, XattrFlags::empty()).is_err()) {
        lost.push("label");
    }
    Ok(lost)
}

/// Has only its owner use what `fd` is, a socket before it gets its name included.
pub fn owner_only(fd: BorrowedFd<'_>) -> Result<()> {
    fchmod(fd, Mode::RUSR | Mode::WUSR).map_err(|e| Error::io("cannot set its mode", e.into()))
}

/// The mode of a file like one of mode `was`.
fn mode(was: u32, keeps_group: bool) -> u32 {
    let (others, read_and_write) = (was & 0o007, 0o600);
    let group = if keeps_group { was & 0o070 } else { was & (others << 3) };
    (was & 0o700) | read_and_write | group | others
}

fn attribute(of: BorrowedFd<'_>, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; MAX_ATTRIBUTE];
    let len = fgetxattr(of, name, &mut value[..]).ok()?;
    value.truncate(len);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_gives_nobody_more() {
        for (was, kept, lost) in [
            (0o640, 0o640, 0o600),
            (0o660, 0o660, 0o600),
            (0o664, 0o664, 0o644),
            (0o444, 0o644, 0o644),
            (0o6755, 0o755, 0o755),
            (0o000, 0o600, 0o600),
        ] {
            assert_eq!((mode(was, true), mode(was, false)), (kept, lost), "{was:o}");
        }
    }
}
