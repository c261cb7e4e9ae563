//! The sample herd: the chain of the classic snapshot notes with a branch, a chain of images that have internal
//! snapshots as well, a QED image, an overlay that lost its base, and one that nobody needs.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use crate::error::{Place, Result};
use crate::image::qcow2::Writer;
use crate::image::{self, BackingRef, Format, NewImage, Snapshot, Target};
use crate::storage::{File, RealFile};
use crate::units::Guest;

const MIB: u64 = 1 << 20;
const VIRTUAL_SIZE: u64 = 1024 * MIB;
const DAY: u32 = 24 * 60 * 60;

/// One image of the herd and its history.
struct Sketch {
    name: &'static str,
    format: Format,
    backing: Option<(&'static str, Format)>,
    history: &'static [Act],
}

/// What happened to an image. Places and lengths in MiB.
enum Act {
    Write(u64, u64),
    Zero(u64, u64),
    /// An internal snapshot, taken this many days ago.
    Snapshot(&'static str, u32),
    /// A boot sector with the number that a disk has from being partitioned.
    Boot(u32),
}

use Act::{Boot, Snapshot as Take, Write, Zero};

const RAW: Format = Format::Raw;
const QCOW2: Format = Format::Qcow2;
const QED: Format = Format::Qed;

const HERD: &[Sketch] = &[
    Sketch {
        name: "RootBase.img",
        format: RAW,
        backing: None,
        history: &[Write(0, 24), Write(512, 8), Boot(0xc0e5_0001)],
    },
    Sketch {
        name: "Snap-1.qcow2",
        format: QCOW2,
        backing: Some(("RootBase.img", RAW)),
        history: &[Write(4, 8), Write(100, 6)],
    },
    Sketch {
        name: "Snap-2.qcow2",
        format: QCOW2,
        backing: Some(("Snap-1.qcow2", QCOW2)),
        history: &[Write(2, 6), Zero(16, 4), Write(104, 16)],
    },
    Sketch {
        name: "Snap-3.qcow2",
        format: QCOW2,
        backing: Some(("Snap-2.qcow2", QCOW2)),
        history: &[Write(6, 2), Write(110, 4), Write(700, 3)],
    },
    Sketch {
        name: "Snap-4.qcow2",
        format: QCOW2,
        backing: Some(("Snap-3.qcow2", QCOW2)),
        history: &[Write(0, 1), Write(300, 12)],
    },
    Sketch {
        name: "Overlay-2.qcow2",
        format: QCOW2,
        backing: Some(("RootBase.img", RAW)),
        history: &[Write(8, 3), Write(400, 5)],
    },
    Sketch {
        name: "imageA.qcow2",
        format: QCOW2,
        backing: None,
        history: &[Write(0, 16), Take("sn0", 9), Write(4, 4)],
    },
    Sketch {
        name: "imageB.qcow2",
        format: QCOW2,
        backing: Some(("imageA.qcow2", QCOW2)),
        history: &[
            Write(2, 4),
            Take("sn0", 6),
            Write(3, 6),
            Take("sn1", 4),
            Write(6, 2),
            Zero(8, 2),
            Write(20, 6),
        ],
    },
    Sketch {
        name: "imageC.qcow2",
        format: QCOW2,
        backing: Some(("imageB.qcow2", QCOW2)),
        history: &[Write(12, 4), Take("sn0", 1), Write(13, 2), Write(22, 8)],
    },
    Sketch {
        name: "test.qed",
        format: QED,
        backing: Some(("RootBase.img", RAW)),
        history: &[Write(40, 4), Zero(42, 1)],
    },
    // It was based on the disk that RootBase.img is, under a name that is not there any more.
    Sketch {
        name: "broken.qcow2",
        format: QCOW2,
        backing: Some(("Golden.img", RAW)),
        history: &[Write(60, 2), Boot(0xc0e5_0001)],
    },
    Sketch { name: "orphan.qcow2", format: QCOW2, backing: Some(("Overlay-2.qcow2", QCOW2)), history: &[] },
];

/// Builds the herd in `folder`, which must not have any of its files.
pub(super) fn build(folder: &Path) -> Result<()> {
    let mut random = Random(0x5eed_c0e5_0000_0001);
    for sketch in HERD {
        let path = folder.join(sketch.name);
        one(sketch, &path, &mut random).at(&path)?;
    }
    Ok(())
}

fn one(sketch: &Sketch, path: &Path, random: &mut Random) -> Result<()> {
    let file: Arc<dyn File> = Arc::new(RealFile::create_new(path)?);
    let reference =
        |(name, format): (&str, Format)| BackingRef { name: name.into(), format: Some(format.name().into()) };
    let backing = sketch.backing.map(reference);
    NewImage::of(sketch.format, VIRTUAL_SIZE, backing)?.create(&*file)?;
    let mut taken = 0;
    // One change per act: requests of one change must come in guest order.
    for act in sketch.history {
        match *act {
            Write(at, len) => {
                let mut target = image::write(file.clone(), sketch.format, false)?;
                write(&mut *target, at * MIB, len * MIB, random)?;
                target.finish()?;
            }
            Zero(at, len) => {
                let mut target = image::write(file.clone(), sketch.format, false)?;
                target.zero(Guest(at * MIB), len * MIB)?;
                target.finish()?;
            }
            Boot(number) => {
                let mut target = image::write(file.clone(), sketch.format, false)?;
                boot_sector(&mut *target, number)?;
                target.finish()?;
            }
            Take(name, days) => {
                taken += 1;
                let mut writer = Box::new(Writer::open(file.clone(), false)?);
                writer.snapshot(snapshot(taken, name, days))?;
                writer.finish()?;
            }
        }
    }
    Ok(())
}

fn write(target: &mut dyn Target, mut at: u64, mut len: u64, random: &mut Random) -> Result<()> {
    let mut bytes = vec![0; MIB as usize];
    while len > 0 {
        let (host, room) = target.allocate(Guest(at), len.min(MIB))?;
        let n = room.min(MIB);
        let part = &mut bytes[..n as usize];
        random.fill(part);
        target.file().write_at(host.0, part)?;
        target.map(Guest(at), host, n)?;
        (at, len) = (at + n, len.saturating_sub(n));
    }
    Ok(())
}

fn boot_sector(target: &mut dyn Target, number: u32) -> Result<()> {
    let unit = target.unit();
    let mut bytes = vec![0; unit as usize];
    bytes[440..444].copy_from_slice(&number.to_le_bytes());
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    let (host, _) = target.allocate(Guest(0), unit)?;
    target.file().write_at(host.0, &bytes)?;
    target.map(Guest(0), host, unit)
}

fn snapshot(id: u32, name: &str, days: u32) -> Snapshot {
    let now = u32::try_from(Timestamp::now().as_second()).unwrap_or(u32::MAX);
    Snapshot {
        id: id.to_string(),
        name: name.to_owned(),
        virtual_size: VIRTUAL_SIZE,
        vm_state_size: 0,
        date_sec: now.saturating_sub(days * DAY),
        date_nsec: 0,
        vm_clock_nsec: 0,
        icount: None,
    }
}

/// The same numbers every time: a demo should look the same everywhere.
struct Random(u64);

impl Random {
    fn fill(&mut self, bytes: &mut [u8]) {
        for word in bytes.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            word.copy_from_slice(&self.0.to_le_bytes()[..word.len()]);
        }
    }
}
