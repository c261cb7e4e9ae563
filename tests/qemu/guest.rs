//! What a guest does to a qcow2 image, done by cowherd's own writer: any byte range, whole units
//! read, changed and mapped anew.

use std::path::Path;
use std::sync::Arc;

use cowherd::chain::{Opener, View};
use cowherd::image::qcow2::Writer;
use cowherd::image::{ExtentKind, Files, State, Target};
use cowherd::storage::{File, RealFile};
use cowherd::units::{Guest, align_down, align_up};

/// What is written.
pub(crate) enum Act<'a> {
    Data(&'a [u8]),
    Compressed(&'a [u8]),
    Zeros(u64),
    /// Whole clusters of the range are given up where they then read as zeros.
    Discard(u64),
}

impl Act<'_> {
    fn len(&self) -> u64 {
        match self {
            Self::Data(bytes) | Self::Compressed(bytes) => bytes.len() as u64,
            Self::Zeros(len) | Self::Discard(len) => *len,
        }
    }
}

/// A state of an image through its chain.
pub(crate) fn view(path: &Path, state: State) -> View {
    let opener = Opener { force_share: true, ..Opener::for_path(path) };
    opener.open(path).unwrap().view(state)
}

/// All bytes of a view.
pub(crate) fn bytes(view: &View) -> Vec<u8> {
    let mut out = vec![0xaa; view.size() as usize];
    assert_eq!(view.read_at(Guest(0), &mut out).unwrap(), out.len());
    out
}

/// Whether the image itself keeps no space for any of the range.
pub(crate) fn takes_no_space(path: &Path, at: u64, len: u64) -> bool {
    let view = view(path, State::Active);
    let mut pos = at;
    while pos < at + len {
        let extent = view.layers()[0].image.extent_at(State::Active, Guest(pos), at + len - pos).unwrap();
        if !matches!(extent.kind, ExtentKind::Unallocated | ExtentKind::Zero { host: None }) {
            return false;
        }
        pos = extent.end();
    }
    true
}

/// Does `act` at the guest offset `at`; all of it must lie on the disk.
pub(crate) fn write(path: &Path, at: u64, act: &Act<'_>) {
    let old = view(path, State::Active);
    let file: Arc<dyn File> = Arc::new(RealFile::open(path, true).unwrap());
    let opener = Opener { force_share: true, ..Opener::for_path(path) };
    let data = opener.layer(path, None).unwrap().data;
    let data = data.map(|data| Arc::new(RealFile::open(&data, true).unwrap()) as Arc<dyn File>);
    let mut writer = Writer::open(Files { image: file, data }, false).unwrap();
    writer.content_changes();
    let (unit, size, end) = (writer.unit(), writer.size(), at + act.len());
    let mut run: Vec<u8> = Vec::new();
    let mut unit_at = align_down(at, unit);
    while unit_at < align_up(end, unit) {
        let (from, to) = (unit_at.max(at), (unit_at + unit).min(end));
        let whole = from == unit_at && to >= (unit_at + unit).min(size);
        let discards = matches!(act, Act::Discard(_));
        if discards && !whole {
            unit_at += unit;
            continue;
        }
        if discards || matches!(act, Act::Zeros(_)) && whole {
            flush(&mut writer, &mut run, unit_at);
            if writer.zero(Guest(unit_at), to - unit_at).unwrap() || discards {
                unit_at += unit;
                continue;
            }
        }
        // Behind the end of the disk there are zeros, for the day it grows.
        let mut buf = vec![0; unit as usize];
        let on_disk = unit.min(size - unit_at) as usize;
        assert_eq!(old.read_at(Guest(unit_at), &mut buf[..on_disk]).unwrap(), on_disk);
        let part = &mut buf[(from - unit_at) as usize..(to - unit_at) as usize];
        match act {
            Act::Data(bytes) | Act::Compressed(bytes) => {
                part.copy_from_slice(&bytes[(from - at) as usize..(to - at) as usize]);
            }
            Act::Zeros(_) | Act::Discard(_) => part.fill(0),
        }
        let packs = matches!(act, Act::Compressed(_));
        if packs {
            flush(&mut writer, &mut run, unit_at);
        }
        if !(packs && writer.put_compressed(Guest(unit_at), &buf).unwrap()) {
            run.extend(&buf);
        }
        unit_at += unit;
    }
    flush(&mut writer, &mut run, unit_at);
    Box::new(writer).finish().unwrap();
}

/// Writes what was collected up to the guest offset `end`.
fn flush(writer: &mut Writer, run: &mut Vec<u8>, end: u64) {
    let start = end - run.len() as u64;
    let mut done = 0;
    while done < run.len() {
        let at = Guest(start + done as u64);
        let (host, len) = writer.allocate(at, (run.len() - done) as u64).unwrap();
        writer.file().write_at(host.0, &run[done..done + len as usize]).unwrap();
        writer.map(at, host, len).unwrap();
        done += len as usize;
    }
    run.clear();
}
