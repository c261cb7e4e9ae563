//! Changing an image: everything new goes into free space, one write of sector 0 makes it true.
//!
//! A crash before the flip leaves the old image, untouched; after it the new one, complete. At no
//! instant does a check find worse than nothing at all: the new refcounts describe the new image
//! exactly, and the old ones the old. Three syncs at most: before the flip, after it, and after
//! giving the old clusters back.
//!
//! A *dry* writer goes through the same motions without writing, which is how plans know the cost.

use std::collections::BTreeMap;
use std::ops::Range;

use super::alloc::Alloc;
use super::compose::Composed;
use super::counts::Counts;
use super::edit::OpenTables;
use super::header::{Header, INCOMPAT_CORRUPT, INCOMPAT_DIRTY};
use super::image::Qcow2;
use super::pack::Room;
use super::refcounts::Refcounts;
use super::refupdate::RefUpdate;
use super::snapshots;
use super::walk::walk_all;
use crate::error::{Error, Kind, Place, Result};
use crate::image::{BackingRef, Files, State, Written};
use crate::units::{Guest, align_up, div_up};

/// A change to one image, in the making. Requests come in guest order.
pub struct Writer {
    pub(super) image: Qcow2,
    pub(super) header: Header,
    pub(super) l1: Vec<u64>,
    /// L1 tables of snapshots that a change is about, by place in the snapshot table.
    pub(super) saved: BTreeMap<usize, Vec<u64>>,
    /// The states that requests are about.
    pub(super) selected: Vec<State>,
    pub(super) open: Option<OpenTables>,
    /// Whether COPIED flags of the active state may have become wrong.
    pub(super) unshares: bool,
    pub(super) l2_next: usize,
    pub(super) alloc: Alloc,
    pub(super) refs: RefUpdate,
    pub(super) table: Option<Vec<snapshots::Entry>>,
    pub(super) room: Room,
    pub(super) tidy: bool,
    pub(super) leaves_room: bool,
    /// Whether all of it goes back to the file system, however little.
    pub(super) gives_all: bool,
    pub(super) content_changes: bool,
    /// Where the bitmap directory will lie, when it moves.
    pub(super) bitmaps_at: Option<u64>,
    /// Sector 0 to be, when it is not the one that is there with other values.
    pub(super) composed: Option<Composed>,
    /// The backing file that the image will name, or that it will name none.
    pub(super) link: Option<Option<BackingRef>>,
    pub(super) dry: bool,
    /// Length to go back to when the change is given up; `None` once the flip was tried.
    pub(super) old_len: Option<u64>,
    pub(super) done: Written,
    /// Ranges of the external data file that the new state does not use, in order.
    pub(super) external_freed: Vec<Range<u64>>,
    /// Whether the header says no more than holds while data is overwritten in place.
    pub(super) external_begun: bool,
}

impl Writer {
    /// Starts a change of the image in `file`; with `dry` nothing is ever written.
    ///
    /// An image that was not closed cleanly gets its refcounts from its references, in the same
    /// flip. Refused by name: images that are marked corrupt, or damaged beyond refcounts. Data cannot
    /// be written into encrypted images, though everything else can be changed about them.
    pub fn open(files: impl Into<Files>, dry: bool) -> Result<Self> {
        let image = Qcow2::open(files).map_err(|e| e.remedy("check the image first"))?;
        writable(&image).at(image.file.path())?;
        if image.header.incompatible & INCOMPAT_DIRTY == 0 {
            let old = Refcounts::open(&image.file, &image.header)?;
            return Self::new(image, old, None, dry);
        }
        let (walked, old) = walk_all(&image)?;
        if walked.report.corruptions > walked.copied {
            let first = walked.report.findings.first().map_or("", |f| f.message.as_str());
            return Err(
                Error::corrupt(format!("not closed cleanly, and damaged: {first}")).at(image.file.path())
            );
        }
        let mut writer = Self::new(image, old, Some(walked.counts), dry)?;
        writer.refs.recount(&mut writer.alloc, false)?;
        writer.header.incompatible &= !INCOMPAT_DIRTY;
        Ok(writer)
    }

    /// Starts a repair: refcounts are taken from the references, with `only_leaks` just where they
    /// are too high.
    pub(super) fn recounted(image: Qcow2, only_leaks: bool, dry: bool) -> Result<Self> {
        let (walked, old) = walk_all(&image)?;
        let mut writer = Self::new(image, old, Some(walked.counts), dry)?;
        writer.refs.recount(&mut writer.alloc, only_leaks)?;
        Ok(writer)
    }

    fn new(image: Qcow2, old: Refcounts, real: Option<Counts>, dry: bool) -> Result<Self> {
        let header = image.header.clone();
        Ok(Self {
            l1: image.l1(State::Active)?.to_vec(),
            saved: BTreeMap::new(),
            selected: vec![State::Active],
            open: None,
            unshares: false,
            l2_next: 0,
            alloc: Alloc::new(&header, old, real),
            refs: RefUpdate::new(&header),
            table: None,
            room: Room::default(),
            tidy: false,
            leaves_room: false,
            gives_all: false,
            content_changes: false,
            bitmaps_at: None,
            composed: None,
            link: None,
            old_len: Some(image.file.len()?),
            header,
            image,
            dry,
            done: Written::default(),
            external_freed: Vec::new(),
            external_begun: false,
        })
    }

    pub(super) fn cluster_size(&self) -> u64 {
        self.header.cluster_size()
    }

    pub(super) fn put(&mut self, cluster: u64, bytes: &[u8]) -> Result<()> {
        self.done.meta_bytes += bytes.len() as u64;
        self.done.extra_bytes += align_up(bytes.len() as u64, self.cluster_size());
        if !self.dry {
            self.image.file.write_at(cluster << self.header.cluster_bits, bytes)?;
        }
        Ok(())
    }

    pub(super) fn wrote_data(&mut self, bytes: u64) {
        self.done.data_bytes += bytes;
        self.done.extra_bytes += bytes;
    }

    pub(super) fn is_rehearsal(&self) -> bool {
        self.dry
    }

    /// Takes `count` clusters in a row for metadata, counted once each.
    pub(super) fn take(&mut self, count: u64, refcount: i64) -> Result<u64> {
        let at = self.alloc.exact(count)?;
        self.refs.add(&mut self.alloc, at, count, refcount)?;
        Ok(at)
    }

    /// Drops one reference to every cluster of a host range.
    pub(super) fn drop_range(&mut self, offset: u64, len: u64) -> Result<()> {
        self.add_range(offset, len, -1)
    }

    /// Adds `by` to the refcount of every cluster of a host range.
    pub(super) fn add_range(&mut self, offset: u64, len: u64, by: i64) -> Result<()> {
        let Some(last) = len.checked_sub(1).and_then(|n| offset.checked_add(n)) else { return Ok(()) };
        let (first, last) = (offset >> self.header.cluster_bits, last >> self.header.cluster_bits);
        self.refs.add(&mut self.alloc, first, last - first + 1, by)
    }

    /// The size of the disk can only change when every snapshot records its own.
    pub(super) fn sizes_are_recorded(&self) -> Result<()> {
        let unsized_snapshot = |s: &snapshots::Entry| s.extra < 16;
        let old_kind = self.header.version < 3 && !self.image.table.is_empty();
        if old_kind || self.image.table.iter().any(unsized_snapshot) {
            return Err(Error::unsupported(
                "an image whose snapshots do not record their size cannot be resized",
            ));
        }
        Ok(())
    }

    pub(super) fn clusters(&self, at: Guest, len: u64) -> Result<std::ops::Range<u64>> {
        let end = at.0.checked_add(len).filter(|_| at.is_aligned(self.cluster_size()));
        let end = end.ok_or_else(|| Error::new(Kind::Internal, "a change that is not cluster aligned"))?;
        Ok(at.0 >> self.header.cluster_bits..div_up(end, self.cluster_size()))
    }

    /// Forgets everything the active state holds: all of it reads through to the backing file.
    pub fn clear(&mut self) -> Result<()> {
        self.close_l2()?;
        self.drop_tree(&self.l1.clone())?;
        if self.header.external_data() {
            self.external_freed(0..self.header.size.saturating_add(self.cluster_size()))?;
        }
        self.l1.fill(0);
        self.l2_next = self.l1.len();
        Ok(())
    }

    /// Leaves the blocks of freed clusters to the file: a [`tidy`](Self::tidy) that follows cuts them
    /// off at once, which is cheaper than punching holes first.
    pub fn leave_room(&mut self) {
        self.leaves_room = true;
    }

    /// Places all refcounts and the L1 table anew, as low in the file as there is room; what is free
    /// behind them is cut off.
    pub fn tidy(&mut self) -> Result<()> {
        self.tidy = true;
        self.refs.touch_all(&mut self.alloc)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A change that was given up leaves bytes behind the old end; nothing refers to them.
        // Failing to cut them off harms nothing: the next writer takes the room.
        if let (false, Some(len)) = (self.dry, self.old_len) {
            let _ = self.image.file.set_len(len);
        }
    }
}

fn writable(image: &Qcow2) -> Result<()> {
    if image.header.incompatible & INCOMPAT_CORRUPT != 0 {
        return Err(Error::unsupported("marked corrupt").remedy("repair it first: cowherd check -r all"));
    }
    // Neither can be written without changing what the other shows.
    if image.header.external_data() && !image.table.is_empty() {
        return Err(Error::unsupported("internal snapshots in an image with an external data file"));
    }
    Ok(())
}
