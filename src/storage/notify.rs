//! Tells when images in folders come, go or are written, without looking again and again.
//!
//! Asked for is what closes, makes, moves or removes files: a running guest that writes all day is silent, and so
//! are our own scans. Files of our own jobs do not count.

use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, Event, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use super::names::is_ours;
use crate::error::{Error, Result};

/// What changes in a folder are worth a look.
const CHANGES: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);
/// Changes seldom come alone: how long nothing must have happened.
const QUIET: Duration = Duration::from_millis(250);
/// How long a change is kept back at most, while more come.
const LONGEST: Duration = Duration::from_secs(2);
/// Folders that are watched at most.
const FOLDERS: usize = 8192;

/// Watches folders.
#[derive(Debug)]
pub struct Watch {
    inotify: OwnedFd,
}

impl Watch {
    /// Watches nothing yet. Fails when the system has no room for another watcher.
    pub fn new() -> Result<Self> {
        let inotify =
            inotify::init(CreateFlags::CLOEXEC).map_err(|e| Error::io("cannot watch folders", e.into()))?;
        Ok(Self { inotify })
    }

    /// Watches `paths` with everything below, and the folders of images: also what is new among them. Whatever
    /// cannot be watched is left out.
    pub fn cover(&self, paths: &[PathBuf]) {
        let folder = |path: &PathBuf| {
            if path.is_dir() { Some(path.clone()) } else { path.parent().map(Path::to_path_buf) }
        };
        let mut todo: VecDeque<(PathBuf, bool)> =
            paths.iter().filter_map(|path| Some((folder(path)?, path.is_dir()))).collect();
        for _ in 0..FOLDERS {
            let Some((folder, deep)) = todo.pop_front() else { return };
            if inotify::add_watch(&self.inotify, &folder, CHANGES).is_err() || !deep {
                continue;
            }
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            let folders = entries.flatten().filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir()));
            todo.extend(folders.filter(|e| !is_ours(&e.file_name())).map(|e| (e.path(), true)));
        }
    }

    /// Blocks until something changed, and then until it is quiet again.
    pub fn wait(&self) -> Result<()> {
        while !self.read()? {}
        let start = Instant::now();
        while start.elapsed() < LONGEST && self.more()? {
            self.read()?;
        }
        Ok(())
    }

    /// Takes what has happened, or waits for it. Says whether it matters.
    fn read(&self) -> Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut events = Reader::new(&self.inotify, &mut buffer);
        let mut matters = false;
        loop {
            match events.next() {
                Ok(event) => matters |= does_matter(&event),
                Err(Errno::INTR) => continue,
                Err(e) => return Err(Error::io("cannot watch folders", e.into())),
            }
            if events.is_buffer_empty() {
                return Ok(matters);
            }
        }
    }

    /// Whether something happens before it has been quiet for long enough.
    fn more(&self) -> Result<bool> {
        let quiet = Timespec { tv_sec: 0, tv_nsec: QUIET.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&self.inotify, PollFlags::IN)], Some(&quiet)) {
            Ok(n) => Ok(n > 0),
            Err(Errno::INTR) => Ok(true),
            Err(e) => Err(Error::io("cannot watch folders", e.into())),
        }
    }
}

fn does_matter(event: &Event<'_>) -> bool {
    use std::os::unix::ffi::OsStrExt;
    if event.events().contains(ReadFlags::IGNORED) {
        return false;
    }
    let name = event.file_name().map(|name| std::ffi::OsStr::from_bytes(name.to_bytes()));
    name.is_none_or(|name| !is_ours(name))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn what_is_written_made_or_removed_is_told_once_and_reading_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("below");
        fs::create_dir(&below).unwrap();
        fs::write(below.join("a"), b"1").unwrap();
        let watch = Watch::new().unwrap();
        watch.cover(&[folder.path().to_path_buf()]);
        let (send, told) = mpsc::channel();
        thread::spawn(move || while watch.wait().is_ok() && send.send(()).is_ok() {});
        let wait = Duration::from_secs(20);
        fs::read(below.join("a")).unwrap();
        fs::write(folder.path().join(".a.qcow2.journal"), b"ours").unwrap();
        fs::write(folder.path().join(".cowherd-x"), b"ours").unwrap();
        for _ in 0..50 {
            fs::write(below.join("b"), b"2").unwrap();
        }
        told.recv_timeout(wait).unwrap();
        assert!(told.recv_timeout(2 * QUIET).is_err(), "told twice, or what does not matter");
        fs::remove_file(below.join("b")).unwrap();
        told.recv_timeout(wait).unwrap();
        fs::rename(below.join("a"), folder.path().join("c")).unwrap();
        told.recv_timeout(wait).unwrap();
    }
}
