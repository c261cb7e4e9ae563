//! Views in memory, and servers of them.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use cowherd::chain::{Chain, Layer, View};
use cowherd::error::{Error, Kind, Result};
use cowherd::image::{self, Format, State};
use cowherd::serve::{Address, Export, Limits, Listen, Server, talk};
use cowherd::storage::{File, FileId};
use tempfile::TempDir;

use crate::client::Client;
use crate::common::Random;

/// A file with holes and bad places, which tells how much was read of it at once.
pub(crate) struct Sheet {
    pub(crate) bytes: Vec<u8>,
    pub(crate) holes: Vec<Range<u64>>,
    /// Reading this fails.
    pub(crate) bad: Range<u64>,
    /// Reading this is a defect.
    pub(crate) defect: Range<u64>,
    pub(crate) largest: AtomicUsize,
}

impl Sheet {
    /// Bytes that look random and are nowhere zero, with these holes.
    pub(crate) fn new(len: usize, holes: &[Range<u64>]) -> Self {
        let mut random = Random::new(len as u64);
        let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).collect();
        bytes.truncate(len);
        bytes.iter_mut().for_each(|byte| *byte |= 1);
        for hole in holes {
            bytes[hole.start as usize..hole.end as usize].fill(0);
        }
        Self { bytes, holes: holes.to_vec(), bad: 0..0, defect: 0..0, largest: AtomicUsize::new(0) }
    }
}

fn refused<T>() -> Result<T> {
    Err(Error::new(Kind::Io, "a server never writes"))
}

impl File for Sheet {
    fn path(&self) -> &Path {
        // What a terminal must not see.
        Path::new("sheet\x1b[31m")
    }

    fn id(&self) -> FileId {
        FileId { dev: 1, ino: 1 }
    }

    fn len(&self) -> Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.largest.fetch_max(buf.len(), Ordering::Relaxed);
        let wanted = offset..offset + buf.len() as u64;
        let hits = |range: &Range<u64>| range.start < wanted.end && wanted.start < range.end;
        assert!(!hits(&self.defect), "a defect, as the test wants it");
        if hits(&self.bad) {
            return Err(Error::new(Kind::Io, "cannot read").at(self.path()).offset(self.bad.start));
        }
        let rest = self.bytes.get(offset as usize..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_at(&self, _: u64, _: &[u8]) -> Result<()> {
        refused()
    }

    fn set_len(&self, _: u64) -> Result<()> {
        refused()
    }

    fn punch(&self, _: u64, _: u64) -> Result<()> {
        refused()
    }

    fn sync(&self) -> Result<()> {
        refused()
    }

    fn data_range(&self, offset: u64) -> Result<Option<Range<u64>>> {
        let mut at = offset;
        while let Some(hole) = self.holes.iter().find(|hole| hole.contains(&at)) {
            at = hole.end;
        }
        if at >= self.bytes.len() as u64 {
            return Ok(None);
        }
        let next = self.holes.iter().map(|hole| hole.start).filter(|start| *start > at).min();
        Ok(Some(at..next.unwrap_or(self.bytes.len() as u64)))
    }

    fn disk_size(&self) -> Result<u64> {
        self.len()
    }
}

/// The view of a raw image of these bytes.
pub(crate) fn view(sheet: Arc<Sheet>) -> View {
    let image = image::open(sheet as Arc<dyn File>, Some(Format::Raw)).unwrap();
    Chain::from_layers(vec![Layer::new(PathBuf::from("sheet\x1b[31m"), image)]).view(State::Active)
}

pub(crate) fn export(sheet: Sheet) -> Export {
    Export::new(view(Arc::new(sheet))).named("disk").unwrap()
}

/// A client of one connection, without a server around it.
pub(crate) fn connected(export: &Export) -> Client<UnixStream> {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let export = export.clone();
    thread::spawn(move || talk(&mut theirs, &export, |_| {}));
    Client::new(ours)
}

/// A connection on which everything that the client will ever say has been said.
pub(crate) struct Said<'a> {
    pub(crate) input: &'a [u8],
    pub(crate) output: Vec<u8>,
    /// The largest message at once.
    pub(crate) largest: usize,
}

impl<'a> Said<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { input, output: Vec::new(), largest: 0 }
    }
}

impl Read for Said<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.input.read(buf)
    }
}

impl Write for Said<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.largest = self.largest.max(buf.len());
        self.output.extend(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A server on a Unix socket in a folder of its own.
pub(crate) struct Serving {
    pub(crate) server: Server,
    pub(crate) path: PathBuf,
    _folder: TempDir,
}

impl Serving {
    pub(crate) fn new(export: Export, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("sock");
        let server = Server::start(export, &Listen::Unix(path.clone()), limits).unwrap();
        assert_eq!(server.address(), &Address::Unix(path.clone()));
        Self { server, path, _folder: folder }
    }

    pub(crate) fn connect(&self) -> Client<UnixStream> {
        Client::connect(&self.path)
    }

    /// Waits until so many clients are connected.
    pub(crate) fn wait_for(&self, clients: usize) {
        wait_until(|| self.server.clients() == clients);
    }
}

/// Waits for something that must happen.
pub(crate) fn wait_until(mut happened: impl FnMut() -> bool) {
    while !happened() {
        thread::sleep(Duration::from_millis(1));
    }
}
