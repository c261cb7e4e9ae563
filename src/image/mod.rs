//! One file: raw, QED or qcow2, behind one trait.
//!
//! This floor knows the tables of a single image and never opens another file: a backing file is a
//! name here, nothing more. An image answers in [`Extent`]s: runs of guest range that are
//! unallocated, zero, data at a host offset, or compressed. Each state of an image (the active one
//! and every internal snapshot) answers separately.
//!
//! Everything read from a file is hostile until checked: sizes against the file and a cap before
//! memory is taken for them, offsets with checked arithmetic.

mod compact;
pub mod convert;
mod files;
mod format;
mod measure;
mod model;
mod new;
mod prealloc;
pub mod qcow2;
pub mod qed;
pub mod raw;
mod used;

use std::sync::Arc;

pub use compact::Compacted;
pub use files::{DataFile, Files};
pub use format::{open, probe};
pub use model::{
    BackingRef, Bitmap, CheckReport, Details, Encryption, Extent, ExtentKind, Finding, Format, Repair,
    Severity, Snapshot, Space, State, Written,
};

pub use measure::{Measure, Units, Used};
pub use new::NewImage;
pub use prealloc::Preallocation;

use crate::error::{Error, Kind, Place, Result};
use crate::storage::{File, Unused, read_exact_or_zero};
use crate::units::{Guest, Host};

/// One image file, open for reading. Usable from several threads.
pub trait Image: Send + Sync {
    /// The bytes underneath.
    fn file(&self) -> &Arc<dyn File>;

    /// Which format.
    fn format(&self) -> Format;

    /// Bytes per mapping unit, a power of two; 512 for raw.
    fn cluster_size(&self) -> u64;

    /// First byte behind the header and what belongs to it: extensions, the backing name.
    fn header_end(&self) -> u64 {
        0
    }

    /// The backing file it names, as recorded; never opened here.
    fn backing(&self) -> Option<&BackingRef>;

    /// The external data file it names, as recorded; never opened here.
    fn data_file(&self) -> Option<&DataFile> {
        None
    }

    /// The file that the host offsets of data extents are about. Fails when that is an external data
    /// file and the image was opened without it.
    fn data(&self) -> Result<&Arc<dyn File>> {
        Ok(self.file())
    }

    /// The internal snapshots in table order.
    fn snapshots(&self) -> &[Snapshot];

    /// Bytes a guest sees in `state`.
    fn virtual_size(&self, state: State) -> u64;

    /// What this file alone knows about the guest range at `at`: one run of one kind, at most `max`
    /// bytes long and never beyond the virtual size of `state`. `max` must not be 0 and `at` must
    /// lie inside the virtual size.
    fn extent_at(&self, state: State, at: Guest, max: u64) -> Result<Extent>;

    /// Fills `buf` from `skip` bytes into `extent` (one that this image returned, not unallocated).
    fn read(&self, extent: &Extent, skip: u64, buf: &mut [u8]) -> Result<()> {
        match extent.kind {
            ExtentKind::Data { host } => read_exact_or_zero(&**self.data()?, host.0 + skip, buf),
            _ => {
                buf.fill(0);
                Ok(())
            }
        }
    }

    /// Whether the file still has `state` as it was when it was opened: asked again of the file. The tables
    /// and the data of an internal snapshot do not change while it exists, so that one can be read while
    /// somebody else writes the image; what was read before a yes is what it holds.
    fn still_has(&self, state: State) -> Result<bool> {
        let _ = state;
        Ok(true)
    }

    /// What else the header says, for `info` and the badges.
    fn details(&self) -> Details;

    /// Counts every reference and compares with what the file records. Writes nothing.
    fn check(&self) -> Result<CheckReport>;

    /// Bytes of data that only one state holds: the active one and each snapshot in table order.
    fn space(&self) -> Result<Space>;

    /// Whether data is stored encrypted, so that content cannot be read here.
    fn encryption(&self) -> Option<Encryption> {
        self.details().encryption()
    }
}

/// A change to the active state of one image, in the making.
///
/// The floor's only way to write guest data: ask where bytes may go ([`allocate`](Self::allocate)),
/// put them there, then [`map`](Self::map) them; requests come in guest order and in whole
/// [`unit`](Self::unit)s. Formats with metadata change nothing that a reader can see before
/// [`finish`](Self::finish); what is [`in_place`](Self::in_place) changes at once.
pub trait Target: Send {
    /// Whether bytes that the guest sees are overwritten where they lie: raw, and external data.
    fn in_place(&self) -> bool {
        false
    }

    /// Bytes per mapping unit, a power of two.
    fn unit(&self) -> u64;

    /// Virtual size the image will have, in bytes.
    fn size(&self) -> u64;

    /// How many states can have one copy of something between them.
    fn most_states(&self) -> usize {
        1
    }

    /// What follows is about these states of the image, at first the active one alone. Ranges stay in
    /// guest order across all of them.
    fn select(&mut self, states: &[State]) -> Result<()> {
        match states {
            [State::Active] => Ok(()),
            _ => Err(Error::new(Kind::Internal, "this format has one state only")),
        }
    }

    /// Makes the virtual disk at least `size` bytes long. What the last old unit holds behind the
    /// old size, and what a longer backing file has there, is the caller's to cover.
    fn grow(&mut self, size: u64) -> Result<()>;

    /// Makes the virtual disk `size` bytes long; what lies beyond is gone. The last unit keeps what
    /// it holds behind the new end.
    fn shrink(&mut self, size: u64) -> Result<()>;

    /// Says that the active state will read differently afterwards, so that what tracks its changes
    /// (dirty bitmaps) is marked invalid in the same switch.
    fn content_changes(&mut self) {}

    /// Has the image name another backing file, or none, in the same switch that makes the rest true.
    /// `false` when the format needs a switch of its own for that.
    fn relink(&mut self, backing: Option<&BackingRef>) -> Result<bool> {
        let _ = backing;
        Ok(false)
    }

    /// A place for up to `len` bytes of the guest range at `at`: where, and how many contiguous
    /// bytes (whole units, at least one).
    fn allocate(&mut self, at: Guest, len: u64) -> Result<(Host, u64)>;

    /// From `finish` on, the guest range at `at` is what was put at `host`.
    fn map(&mut self, at: Guest, host: Host, len: u64) -> Result<()>;

    /// From `finish` on, the guest range reads as zeros. `false` when the format has no way to say
    /// so; then zeros must be allocated and mapped.
    fn zero(&mut self, at: Guest, len: u64) -> Result<bool>;

    /// What compresses whole units, on any thread; nothing when the format has no compressed ones.
    fn packer(&self) -> Option<Packer> {
        None
    }

    /// From `finish` on, the unit at `at` is what was compressed to `packed`. `false` when it must be stored as
    /// it is.
    fn put_packed(&mut self, at: Guest, packed: &[u8]) -> Result<bool> {
        let _ = (at, packed);
        Ok(false)
    }

    /// The file that allocated bytes are written to.
    fn file(&self) -> &Arc<dyn File>;

    /// Whether this is a rehearsal that only counts: nothing may be written.
    fn is_dry(&self) -> bool;

    /// Makes the change durable and visible, and gives freed space back.
    fn finish(self: Box<Self>) -> Result<Written>;

    /// The same, but leaves room that takes long to give back to the caller, who must see to it before
    /// anybody changes the image again.
    fn finish_soon(self: Box<Self>) -> Result<(Written, Option<Unused>)> {
        Ok((self.finish()?, None))
    }
}

/// Compresses one unit; nothing when it does not become smaller.
pub type Packer = Box<dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync>;

/// Starts a change of the image in `files`, whose format must be known. With `dry` nothing is
/// written, only counted.
///
/// Fails with [`Kind::Unsupported`] for formats and features that
/// cannot be written yet.
pub fn write(files: impl Into<Files>, format: Format, dry: bool) -> Result<Box<dyn Target>> {
    let files = files.into();
    Ok(match format {
        Format::Raw => Box::new(raw::RawTarget::open(files.image, dry)?),
        Format::Qcow2 => Box::new(qcow2::Writer::open(files, dry)?),
        Format::Qed => Box::new(qed::QedWriter::open(files.image, dry)?),
    })
}

/// Repairs the image in `file`: one switch from the old metadata to sound metadata. With `dry`
/// nothing is written, only counted (an upper bound).
///
/// What cannot be mended stays reported by [`Image::check`].
pub fn repair(file: Arc<dyn File>, format: Format, what: Repair, dry: bool) -> Result<Written> {
    match format {
        Format::Qcow2 => qcow2::repair(file, what, dry),
        Format::Qed => qed::repair(file, what, dry),
        Format::Raw => Err(Error::unsupported("a raw image has no metadata to repair").at(file.path())),
    }
}

/// Records `backing` as the backing file of the image in `file`, or that it has none: one sector, so
/// that it is the old one or the new one at every instant. Returns how many bytes that took. The caller holds the write lock.
///
/// QED can record no format but raw; there any other is left for the reader to find out. In the same switch
/// the image's [`fence`] goes `up` or down.
pub fn relink(file: &dyn File, format: Format, backing: Option<&BackingRef>, up: bool) -> Result<u64> {
    match format {
        Format::Raw => Err(Error::unsupported("a raw image cannot have a backing file")),
        Format::Qcow2 => qcow2::relink(file, backing, up),
        Format::Qed => qed::relink(file, backing, up),
    }
    .at(file.path())
}

/// Puts a fence around the image in `file`, or takes it away: with one, nobody opens it, neither for reading
/// nor for writing, because its header asks for something that no program knows. For as long as what it would
/// read is in flight. Durable on return; one sector. The caller holds the write lock.
pub fn fence(file: &dyn File, format: Format, up: bool) -> Result<()> {
    match format {
        Format::Raw => Err(Error::unsupported("a raw image has no place for a fence")),
        Format::Qcow2 => qcow2::fence(file, up),
        Format::Qed => qed::fence(file, up),
    }
    .at(file.path())
}

/// Whether there is a fence around the image in `file`.
pub fn is_fenced(file: &dyn File, format: Format) -> Result<bool> {
    match format {
        Format::Raw => Ok(false),
        Format::Qcow2 => qcow2::is_fenced(file),
        Format::Qed => qed::is_fenced(file),
    }
    .at(file.path())
}

/// Bytes that setting a mark or a fence writes, or clearing it: sector 0.
pub const MARK_BYTES: u64 = 512;

/// Sets or clears the mark of a job on the image in `file`: a bit in its header that every other program
/// clears when it opens the image for writing. `false` when the format has no place for one. Durable on
/// return. The caller holds the write lock.
pub fn mark(file: &dyn File, format: Format, on: bool) -> Result<bool> {
    match format {
        Format::Raw => Ok(false),
        Format::Qcow2 => qcow2::mark(file, on),
        Format::Qed => qed::mark(file, on).map(|()| true),
    }
    .at(file.path())
}

/// Whether the image in `file` bears the mark of a job; nothing when its format has no place for one.
pub fn marked(file: &dyn File, format: Format) -> Result<Option<bool>> {
    match format {
        Format::Raw => Ok(None),
        Format::Qcow2 => qcow2::marked(file),
        Format::Qed => qed::marked(file).map(Some),
    }
    .at(file.path())
}

/// Empties the active state of the image in `files`, so that all of it reads through to the backing
/// file, and makes the file as short as that allows. Internal snapshots keep what they hold. `reverts`
/// says that the active state reads something else afterwards, so that what tracks its changes (dirty
/// bitmaps) goes with it. With `dry` nothing is written; what is counted is exact for QED and an upper
/// bound for qcow2.
pub fn empty(files: impl Into<Files>, format: Format, reverts: bool, dry: bool) -> Result<Written> {
    let files = files.into();
    match format {
        Format::Raw => Err(Error::unsupported("a raw image cannot be emptied").at(files.image.path())),
        Format::Qcow2 => qcow2::empty(files, reverts, dry),
        Format::Qed => qed::empty(files.image, dry),
    }
}

/// Gives what is free in the image in `files` back to the host: what lies at its end moves into free
/// space further down, the file is cut, and holes are punched. No view changes, at any instant. `seen` is
/// told of bytes that were moved; when it fails, everything stays as it was since the last switch. With
/// `dry` nothing is written, only counted.
///
/// Fails with [`Kind::Usage`] for raw, where nothing is free, and for images that were not closed cleanly
/// or contradict themselves.
pub fn compact(
    files: impl Into<Files>,
    format: Format,
    dry: bool,
    seen: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Compacted> {
    let files = files.into();
    match format {
        Format::Raw => {
            Err(Error::new(Kind::Usage, "a raw image has nothing to compact").at(files.image.path()))
        }
        Format::Qcow2 => qcow2::compact(&files, dry, seen),
        Format::Qed => qed::compact(files.image, dry),
    }
}

impl std::fmt::Debug for dyn Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} image {}", self.format(), self.file().path().display())
    }
}
