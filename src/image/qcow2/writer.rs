//! Changing an image: everything new goes into free space, one write of sector 0 makes it true.
//!
//! A crash before the flip leaves the old image, untouched; after it the new one, complete. At no
//! instant does a check find worse than nothing at all: the new refcounts describe the new image
//! exactly, and the old ones the old. Three syncs at most: before the flip, after it, and after
//! giving the old clusters back.
//!
//! A *dry* writer goes through the same motions without writing, which is how plans know the cost.

use std::sync::Arc;

use super::alloc::Alloc;
use super::counts::Counts;
use super::entry::{ALL_ALLOCATED, COPIED, decode, l2_offset, zeros};
use super::header::{
    AUTOCLEAR_BITMAPS, Header, INCOMPAT_CORRUPT, INCOMPAT_DATA_FILE, INCOMPAT_DIRTY, MAX_L1_BYTES, SECTOR,
};
use super::image::Qcow2;
use super::pack::Room;
use super::refcounts::Refcounts;
use super::refupdate::RefUpdate;
use super::snapshots;
use super::tables::{Words, read_l2, to_be_bytes};
use super::walk::walk;
use crate::error::{Error, Kind, Place, Result};
use crate::image::{State, Target, Written};
use crate::storage::{File, read_exact_or_zero};
use crate::units::{Guest, Host, align_up, div_up};

/// A change to one image, in the making. Requests come in guest order.
pub struct Writer {
    pub(super) image: Qcow2,
    pub(super) header: Header,
    pub(super) l1: Vec<u64>,
    l2: Option<OpenL2>,
    pub(super) l2_next: usize,
    pub(super) alloc: Alloc,
    pub(super) refs: RefUpdate,
    pub(super) table: Option<Vec<snapshots::Entry>>,
    pub(super) room: Room,
    tidy: bool,
    leaves_room: bool,
    content_changes: bool,
    dry: bool,
    /// Length to go back to when the change is given up; `None` once the flip was tried.
    old_len: Option<u64>,
    done: Written,
}

/// The L2 table that requests currently fall into.
struct OpenL2 {
    index: usize,
    words: Words,
    changed: bool,
}

impl Writer {
    /// Starts a change of the image in `file`; with `dry` nothing is ever written.
    ///
    /// An image that was not closed cleanly gets its refcounts from its references, in the same
    /// flip. Refused by name: images that are marked corrupt, or damaged beyond refcounts, or
    /// with an external data file. Data cannot be written into encrypted
    /// images, though everything else can be changed about them.
    pub fn open(file: Arc<dyn File>, dry: bool) -> Result<Self> {
        let image = Qcow2::open(file).map_err(|e| e.remedy("check the image first"))?;
        writable(&image).at(image.file.path())?;
        if image.header.incompatible & INCOMPAT_DIRTY == 0 {
            let old = Refcounts::open(&image.file, &image.header)?;
            return Self::new(image, old, None, dry);
        }
        let (walked, old) = walk(&image)?;
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
        let (walked, old) = walk(&image)?;
        let mut writer = Self::new(image, old, Some(walked.counts), dry)?;
        writer.refs.recount(&mut writer.alloc, only_leaks)?;
        Ok(writer)
    }

    fn new(image: Qcow2, old: Refcounts, real: Option<Counts>, dry: bool) -> Result<Self> {
        let header = image.header.clone();
        Ok(Self {
            l1: image.l1(State::Active)?.to_vec(),
            l2: None,
            l2_next: 0,
            alloc: Alloc::new(&header, old, real),
            refs: RefUpdate::new(&header),
            table: None,
            room: Room::default(),
            tidy: false,
            leaves_room: false,
            content_changes: false,
            old_len: Some(image.file.len()?),
            header,
            image,
            dry,
            done: Written::default(),
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

    fn open_l2(&mut self, index: usize) -> Result<&mut OpenL2> {
        if self.l2.as_ref().is_none_or(|t| t.index != index) {
            self.close_l2()?;
            if index < self.l2_next {
                return Err(Error::new(Kind::Internal, "changes out of guest order"));
            }
            let entry = self.l1.get(index).copied();
            let entry =
                entry.ok_or_else(|| Error::new(Kind::Internal, "a change beyond the virtual size"))?;
            let words = match l2_offset(&self.header, entry)? {
                Some(offset) => read_l2(&*self.image.file, &self.header, offset)?.to_words(&self.header),
                None => Words::empty(&self.header),
            };
            self.l2 = Some(OpenL2 { index, words, changed: false });
        }
        self.l2.as_mut().ok_or_else(|| Error::new(Kind::Internal, "no table is open"))
    }

    pub(super) fn close_l2(&mut self) -> Result<()> {
        let Some(table) = self.l2.take() else { return Ok(()) };
        self.l2_next = table.index + 1;
        if !table.changed {
            return Ok(());
        }
        if let Some(offset) = l2_offset(&self.header, self.l1[table.index])? {
            self.drop_range(offset, self.cluster_size())?;
        }
        self.l1[table.index] = 0;
        if !table.words.is_empty() {
            let at = self.take(1, 1)?;
            self.put(at, &table.words.to_be_bytes())?;
            self.l1[table.index] = at << self.header.cluster_bits | COPIED;
        }
        Ok(())
    }

    /// Points one guest cluster at something else and drops what it pointed at.
    pub(super) fn set_entry(&mut self, cluster: u64, new: (u64, u64)) -> Result<()> {
        let (table, index) = (cluster / self.header.l2_entries(), cluster % self.header.l2_entries());
        let table = self.open_l2(table as usize)?;
        let old = table.words.get(index);
        if old == new {
            return Ok(());
        }
        table.words.set(index, new);
        table.changed = true;
        match decode(&self.header, old.0, old.1)?.host_range(&self.header) {
            Some((host, len)) => self.drop_range(host, len),
            None => Ok(()),
        }
    }

    /// The size of the disk can only change when every snapshot records its own.
    fn sizes_are_recorded(&self) -> Result<()> {
        let unsized_snapshot =
            |s: &snapshots::Entry| s.raw.get(36..40).is_none_or(|b| b < 16u32.to_be_bytes().as_slice());
        let old_kind = self.header.version < 3 && !self.image.table.is_empty();
        if old_kind || self.image.table.iter().any(unsized_snapshot) {
            return Err(Error::unsupported(
                "an image whose snapshots do not record their size cannot be resized",
            ));
        }
        Ok(())
    }

    fn clusters(&self, at: Guest, len: u64) -> Result<std::ops::Range<u64>> {
        let end = at.0.checked_add(len).filter(|_| at.is_aligned(self.cluster_size()));
        let end = end.ok_or_else(|| Error::new(Kind::Internal, "a change that is not cluster aligned"))?;
        Ok(at.0 >> self.header.cluster_bits..div_up(end, self.cluster_size()))
    }

    /// Forgets everything the active state holds: all of it reads through to the backing file.
    pub fn clear(&mut self) -> Result<()> {
        self.close_l2()?;
        self.drop_tree(&self.l1.clone())?;
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

    fn write_l1(&mut self) -> Result<()> {
        let bytes = to_be_bytes(&self.l1);
        self.drop_range(self.image.header.l1_offset, u64::from(self.image.header.l1_size) * 8)?;
        let at = self.take(div_up(bytes.len() as u64, self.cluster_size()).max(1), 1)?;
        self.put(at, &bytes)?;
        self.header.l1_offset = at << self.header.cluster_bits;
        self.header.l1_size = self.l1.len() as u32;
        Ok(())
    }

    fn write_refcounts(&mut self) -> Result<()> {
        let settled = self.refs.settle(&mut self.alloc)?;
        let blocks: Vec<_> = self.refs.blocks().map(|(at, block)| (at, block.bytes.clone())).collect();
        for (at, bytes) in blocks {
            self.put(at, &bytes)?;
        }
        self.put(settled.table_at, &to_be_bytes(&settled.table))?;
        self.header.reftable_offset = settled.table_at << self.header.cluster_bits;
        self.header.reftable_clusters = settled.table_clusters as u32;
        Ok(())
    }

    fn flip(&mut self) -> Result<()> {
        // What an unknown bit promises may no longer hold. Bitmaps stay valid as long as the active
        // state reads the same.
        self.header.autoclear &= if self.content_changes { 0 } else { AUTOCLEAR_BITMAPS };
        let file = self.image.file.clone();
        let mut sector = [0; SECTOR];
        read_exact_or_zero(&*file, 0, &mut sector)?;
        let sector = self.header.store(&sector)?;
        self.done.meta_bytes += SECTOR as u64;
        if self.dry {
            return Ok(());
        }
        // Readers take whole sectors and clusters; what is missing at the end is a hole.
        let len = file.len()?;
        if !len.is_multiple_of(self.cluster_size()) {
            file.set_len(align_up(len, self.cluster_size()))?;
        }
        file.sync()?;
        self.old_len = None;
        file.write_at(0, &sector)?;
        file.sync()
    }

    /// Gives back what the new image no longer uses.
    fn give_back(&mut self, freed: &[(u64, u64)], end: u64) -> Result<()> {
        let bits = self.header.cluster_bits;
        let file = self.image.file.clone();
        self.done.freed_bytes += freed.iter().map(|(_, n)| n << bits).sum::<u64>();
        if self.dry {
            return Ok(());
        }
        let holes = freed.iter().filter(|(start, _)| *start < end && !self.leaves_room);
        for (start, len) in holes {
            file.punch(start << bits, (*len).min(end - start) << bits)?;
        }
        if file.len()? > end << bits {
            file.set_len(end << bits)?;
        }
        Ok(())
    }
}

impl Target for Writer {
    fn unit(&self) -> u64 {
        self.cluster_size()
    }

    fn size(&self) -> u64 {
        self.header.size
    }

    fn grow(&mut self, size: u64) -> Result<()> {
        if size <= self.header.size {
            return Ok(());
        }
        self.sizes_are_recorded()?;
        let size = align_up(size, 512);
        let entries = self.header.l1_entries_for(size);
        if entries * 8 > MAX_L1_BYTES {
            return Err(Error::unsupported(format!("{size} bytes are too many for this cluster size")));
        }
        self.l1.resize(self.l1.len().max(entries as usize), 0);
        self.header.size = size;
        Ok(())
    }

    fn shrink(&mut self, size: u64) -> Result<()> {
        self.sizes_are_recorded()?;
        let size = align_up(size, 512);
        let kept = self.header.l1_entries_for(size);
        // Entries of the last table kept; then whole tables.
        let disk = div_up(self.header.size, self.cluster_size());
        for cluster in div_up(size, self.cluster_size())..disk.min(kept * self.header.l2_entries()) {
            self.set_entry(cluster, (0, 0))?;
        }
        self.close_l2()?;
        let gone = self.l1.split_off(self.l1.len().min(kept as usize));
        self.drop_tree(&gone)?;
        self.l2_next = self.l1.len();
        self.header.size = size;
        Ok(())
    }

    fn content_changes(&mut self) {
        self.content_changes = true;
    }

    fn allocate(&mut self, _: Guest, len: u64) -> Result<(Host, u64)> {
        if self.header.encryption.is_some() {
            return Err(
                Error::unsupported("encrypted; cowherd cannot write data into it").at(self.image.file.path())
            );
        }
        let (at, count) = self.alloc.some(div_up(len, self.cluster_size()))?;
        self.refs.add(&mut self.alloc, at, count, 1)?;
        let bytes = count << self.header.cluster_bits;
        self.wrote_data(bytes);
        Ok((Host(at << self.header.cluster_bits), bytes))
    }

    fn map(&mut self, at: Guest, host: Host, len: u64) -> Result<()> {
        for (i, cluster) in self.clusters(at, len)?.enumerate() {
            let host = host.0 + ((i as u64) << self.header.cluster_bits);
            self.set_entry(cluster, (host | COPIED, ALL_ALLOCATED))?;
        }
        Ok(())
    }

    fn zero(&mut self, at: Guest, len: u64) -> Result<bool> {
        let backed = self.header.backing_offset != 0;
        if backed && self.header.version < 3 {
            return Ok(false);
        }
        for cluster in self.clusters(at, len)? {
            self.set_entry(cluster, if backed { zeros(&self.header) } else { (0, 0) })?;
        }
        Ok(true)
    }

    fn file(&self) -> &Arc<dyn File> {
        &self.image.file
    }

    fn is_dry(&self) -> bool {
        self.dry
    }

    fn finish(mut self: Box<Self>) -> Result<Written> {
        let path = self.image.file.path().to_path_buf();
        self.close_l2()?;
        let untouched = !self.tidy
            && self.refs.is_empty()
            && self.table.is_none()
            && self.header == self.image.header
            && **self.image.l1(State::Active)? == *self.l1;
        if untouched {
            return Ok(self.done);
        }
        self.write_l1().at(&path)?;
        self.write_snapshots().at(&path)?;
        self.write_refcounts().at(&path)?;
        let freed = self.refs.freed(&mut self.alloc)?;
        let end = self.refs.end(&mut self.alloc)?;
        self.flip().at(&path)?;
        self.give_back(&freed, end).at(&path)?;
        Ok(self.done)
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
    let no = |what: &str| Err(Error::unsupported(format!("{what}; cowherd cannot write such an image yet")));
    match image.header.incompatible {
        bits if bits & INCOMPAT_CORRUPT != 0 => {
            Err(Error::unsupported("marked corrupt").remedy("repair it first: cowherd check -r all"))
        }
        bits if bits & INCOMPAT_DATA_FILE != 0 => no("data in an external file"),
        _ => Ok(()),
    }
}
