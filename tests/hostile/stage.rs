//! A folder for one case, with traps beside it, and who opened what.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, inotify, mknodat};
use tempfile::TempDir;

use crate::build::Bytes;
use crate::case::Case;
use crate::qcow2::Qcow2;

/// `herd/` holds the case; `outside/` holds what no name in an image may lead to.
pub(crate) struct Stage {
    _root: TempDir,
    pub(crate) herd: PathBuf,
    pub(crate) outside: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let path = root.path().canonicalize().unwrap();
        let (herd, outside) = (path.join("herd"), path.join("outside"));
        fs::create_dir(&herd).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), "root:x:0:0").unwrap();
        crate::qcow2::v3().write(&outside.join("image.qcow2"));
        Self { _root: root, herd, outside }
    }

    /// A case, and an overlay over it.
    pub(crate) fn set(case: &Case) -> Self {
        let stage = Self::new();
        (case.set)(&stage);
        stage.put("over.qcow2", &Qcow2::over("x.img", Some(stage.format_of("x.img"))).build());
        stage
    }

    pub(crate) fn put(&self, name: &str, bytes: &Bytes) {
        bytes.write(&self.herd.join(name));
    }

    pub(crate) fn fifo(&self, name: &str) {
        mknodat(CWD, self.herd.join(name), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }

    pub(crate) fn socket(&self, name: &str) {
        std::os::unix::net::UnixListener::bind(self.herd.join(name)).unwrap();
    }

    pub(crate) fn link(&self, target: impl AsRef<Path>, name: &str) {
        std::os::unix::fs::symlink(target, self.herd.join(name)).unwrap();
    }

    /// The format its first bytes claim.
    pub(crate) fn format_of(&self, name: &str) -> &'static str {
        let mut magic = [0; 4];
        let read = fs::File::open(self.herd.join(name)).and_then(|mut f| f.read_exact(&mut magic));
        match &magic {
            _ if read.is_err() => "raw",
            b"QFI\xfb" => "qcow2",
            b"QED\0" => "qed",
            _ => "raw",
        }
    }

    /// What every file is now: name, length, time of change, and a hash of its data.
    pub(crate) fn state(&self) -> Vec<(String, u64, i128, u64)> {
        let mut all: Vec<_> =
            fs::read_dir(&self.herd).unwrap().map(|e| describe(&e.unwrap().path())).collect();
        all.sort();
        all
    }
}

fn describe(path: &Path) -> (String, u64, i128, u64) {
    let meta = fs::symlink_metadata(path).unwrap();
    let time = i128::from(meta.mtime()) << 32 | i128::from(meta.mtime_nsec());
    let special = meta.file_type().is_fifo() || meta.file_type().is_socket() || meta.is_symlink();
    let hash = if special || meta.is_dir() { 0 } else { hash(path) };
    (path.display().to_string(), meta.len(), time, hash)
}

/// A hash of the data of a file and of where it lies; holes are left out.
fn hash(path: &Path) -> u64 {
    use cowherd::storage::{File, RealFile};
    let file = RealFile::open(path, false).unwrap();
    let mut hasher = DefaultHasher::new();
    let mut at = 0;
    while let Some(data) = file.data_range(at).unwrap() {
        let mut bytes = vec![0; (data.end - data.start).min(1 << 20) as usize];
        let n = file.read_at(data.start, &mut bytes).unwrap().max(1);
        hasher.write_u64(data.start);
        hasher.write(&bytes);
        at = data.start + n as u64;
    }
    hasher.finish()
}

/// Says what is opened in a folder.
pub(crate) struct Watch(rustix::fd::OwnedFd);

impl Watch {
    pub(crate) fn on(folder: &Path) -> Self {
        let fd = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&fd, folder, inotify::WatchFlags::OPEN).unwrap();
        Self(fd)
    }

    /// Names opened since the last call; the folder itself has none.
    pub(crate) fn opened(&self) -> Vec<String> {
        let mut buf = [MaybeUninit::uninit(); 8192];
        let mut events = inotify::Reader::new(&self.0, &mut buf);
        let name =
            |e: inotify::Event<'_>| e.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
        let mut all: Vec<_> = std::iter::from_fn(|| events.next().ok().map(name)).collect();
        all.retain(|name| !name.is_empty());
        all.sort();
        all.dedup();
        all
    }
}
