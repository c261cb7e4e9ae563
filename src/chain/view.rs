//! What a guest reads: one state of an image through its whole chain.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Content, Cursor, Differs, Extents, Layer};
use crate::error::{Error, Kind, Place, Result};
use crate::image::{Extent, ExtentKind, State};
use crate::storage::FileId;
use crate::units::Guest;

/// One state of an image, readable through its backing files. Cheap to clone; usable from several
/// threads.
#[derive(Debug, Clone)]
pub struct View {
    layers: Arc<[Layer]>,
    state: State,
}

/// A run of a view that one layer answers in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewExtent {
    /// First guest byte.
    pub start: Guest,
    /// Length in bytes, never 0.
    pub len: u64,
    /// Which layer answers, 0 on top. For a run that no layer holds: the deepest one that was asked.
    pub depth: usize,
    /// What it answers; [`ExtentKind::Unallocated`] when no layer holds the run (it reads as zeros).
    pub kind: ExtentKind,
}

impl ViewExtent {
    /// First guest byte after the run.
    pub fn end(&self) -> u64 {
        self.start.0 + self.len
    }

    /// Whether the run is known to read as zeros without reading it.
    pub fn reads_zero(&self) -> bool {
        matches!(self.kind, ExtentKind::Zero { .. } | ExtentKind::Unallocated)
    }

    pub(super) fn joins(&self, next: &Self) -> bool {
        let contiguous = match self.kind {
            ExtentKind::Compressed { .. } => false,
            kind => kind.advance(self.len) == next.kind,
        };
        contiguous && self.depth == next.depth && self.end() == next.start.0
    }
}

/// Whether two runs, each of a view, are known to be equal without reading: zeros both, or the same
/// place in the same file. Nothing stands for zeros.
pub fn known_equal(a: Option<(&View, &ViewExtent)>, b: Option<(&View, &ViewExtent)>) -> bool {
    let stored = |run: Option<(&View, &ViewExtent)>| run.is_some_and(|(_, extent)| !extent.reads_zero());
    match (a, b) {
        (Some((view, run)), Some((other, twin))) if stored(a) && stored(b) => {
            run.kind == twin.kind && view.file_of(run).is_some_and(|file| other.file_of(twin) == Some(file))
        }
        _ => !stored(a) && !stored(b),
    }
}

impl View {
    pub(super) fn new(layers: Arc<[Layer]>, state: State) -> Self {
        Self { layers, state }
    }

    /// Bytes a guest sees. A snapshot has its own size, which can differ from the image's.
    pub fn size(&self) -> u64 {
        self.layers[0].image.virtual_size(self.state)
    }

    /// The layers, top first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Which state of the top image this is.
    pub fn state(&self) -> State {
        self.state
    }

    /// The state of the layer at `depth`: that of the view on top, active below.
    pub(super) fn state_at(&self, depth: usize) -> State {
        if depth == 0 { self.state } else { State::Active }
    }

    /// The runs between `from` and `to` (cut at the size of the view), coalesced.
    pub fn extents(&self, from: u64, to: u64) -> Extents<'_> {
        Extents::new(Cow::Borrowed(self), from, to)
    }

    /// The same of a view that nobody else needs.
    pub fn into_extents(self, from: u64, to: u64) -> Extents<'static> {
        Extents::new(Cow::Owned(self), from, to)
    }

    /// For walking this view run by run.
    pub fn cursor(&self) -> Cursor<'_> {
        Cursor::new(Cow::Borrowed(self))
    }

    /// One run at `at`, at most `max` bytes, not coalesced. For more than one use
    /// [`cursor`](Self::cursor).
    ///
    /// A backing file shorter than its overlay answers nothing beyond its end: zeros, as in QEMU.
    pub fn extent_at(&self, at: Guest, max: u64) -> Result<ViewExtent> {
        self.cursor().extent_at(at, max)
    }

    /// Where this view, up to its end, is not what `since` is; nothing stands for a disk of zeros. In ranges of
    /// whole `unit`s where content was compared.
    pub fn differs<'a>(&'a self, since: Option<&'a View>, unit: u64, content: Content) -> Differs<'a> {
        Differs::new(Some(self), since, self.size(), unit, content)
    }

    /// Whether one of the two is read through the layers of the other, so that what one of them stores apart
    /// was written as a change.
    pub fn is_related(&self, other: &View) -> bool {
        let ids = |view: &View| view.layers.iter().map(|l| l.image.file().id()).collect::<Vec<_>>();
        let (mine, theirs) = (ids(self), ids(other));
        theirs.iter().all(|id| mine.contains(id)) || mine.iter().all(|id| theirs.contains(id))
    }

    /// Whether the top image itself (not a backing file) decides what is read at `at`, and for how
    /// many bytes, at most `max`, that stays so.
    pub fn allocated(&self, at: Guest, max: u64) -> Result<(bool, u64)> {
        let max = max.min(self.size().saturating_sub(at.0));
        let extent = self.layers[0].image.extent_at(self.state, at, max).at(&self.layers[0].path)?;
        Ok((extent.kind.is_allocated(), extent.len))
    }

    /// Makes sure that what was read so far is what this state holds. An image that is not locked is asked
    /// again whether it has the state.
    ///
    /// Fails with [`Kind::Changed`] when the snapshot was deleted meanwhile, or another one took its place.
    pub fn still_there(&self) -> Result<()> {
        let top = &self.layers[0];
        if top.is_locked() || top.image.still_has(self.state).at(&top.path)? {
            return Ok(());
        }
        Err(Error::new(Kind::Changed, "the snapshot was deleted or replaced while it was read").at(&top.path))
    }

    /// Reads guest bytes; returns how many, fewer than asked only at the end of the view.
    pub fn read_at(&self, at: Guest, buf: &mut [u8]) -> Result<usize> {
        let end = at.0.saturating_add(buf.len() as u64).min(self.size());
        let mut pos = at.0;
        let mut cursor = self.cursor();
        while pos < end {
            let extent = cursor.extent_at(Guest(pos), end - pos)?;
            let from = (pos - at.0) as usize;
            let part = &mut buf[from..from + extent.len as usize];
            self.read_extent(&extent, 0, part)?;
            pos += extent.len;
        }
        Ok(end.saturating_sub(at.0) as usize)
    }

    /// The file that a run is stored in. Without its data file there is none to tell; reading then
    /// says why.
    pub(super) fn file_of(&self, extent: &ViewExtent) -> Option<FileId> {
        self.layers.get(extent.depth)?.image.data().ok().map(|file| file.id())
    }

    /// Fills `buf` from `skip` bytes into a run that this view returned.
    pub fn read_extent(&self, extent: &ViewExtent, skip: u64, buf: &mut [u8]) -> Result<()> {
        if extent.reads_zero() {
            buf.fill(0);
            return Ok(());
        }
        let layer = &self.layers[extent.depth];
        if let Some(how) = layer.image.encryption() {
            let how = format!("{how:?}").to_uppercase();
            return Err(Error::unsupported(format!("content is encrypted ({how}) and cannot be read"))
                .at(&layer.path));
        }
        let run = Extent { start: extent.start, len: extent.len, kind: extent.kind };
        layer.image.read(&run, skip, buf).at(&layer.path)
    }
}
