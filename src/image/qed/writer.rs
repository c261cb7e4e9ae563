//! Changing an image: new data and tables go where nothing is referred to, one write of sector 0
//! makes them true.
//!
//! A crash before the flip leaves the old image, untouched; after it the new one, complete. At no
//! instant does a check find worse than leaks: the bytes behind the old end before the flip, what
//! the old image held after it. The change ends by moving the highest clusters into those holes
//! (see `tidy`), so that it leaves none.
//!
//! NEED_CHECK says that references may lead to clusters that never reached the disk. They are
//! dropped before anything is allocated, because a file that grows would make them lead to somebody
//! else's data; the flip clears the bit.
//!
//! A *dry* writer goes through the same motions without writing, which is how plans know the cost.

use std::sync::Arc;

use zerocopy::IntoBytes;
use zerocopy::little_endian::U64;

use super::Qed;
use super::alloc::Alloc;
use super::check::sentence;
use super::header::Header;
use super::repair::heal;
use super::survey::{Fault, Survey};
use super::tables;
use crate::error::{Error, Kind, Place, Result};
use crate::image::used::Used;
use crate::image::{Target, Written};
use crate::storage::File;
use crate::units::{Guest, Host, align_up, div_up};

/// A change to one image, in the making. Requests come in guest order.
pub struct QedWriter {
    pub(super) image: Qed,
    pub(super) header: Header,
    pub(super) l1: Vec<U64>,
    pub(super) old_l1: Vec<U64>,
    l2: Option<OpenL2>,
    l2_next: usize,
    pub(super) alloc: Alloc,
    /// What the new image will not refer to, though the old one does or it was handed out.
    pub(super) dropped: Used,
    pub(super) dry: bool,
    /// Length to go back to when the change is given up; `None` once the flip was tried.
    pub(super) old_len: Option<u64>,
    pub(super) done: Written,
}

/// The L2 table that requests currently fall into.
struct OpenL2 {
    index: usize,
    words: Vec<U64>,
    changed: bool,
}

impl QedWriter {
    /// Starts a change of the image in `file`; with `dry` nothing is ever written.
    ///
    /// An image that was not closed cleanly is checked first, and references to clusters that are
    /// not there are dropped, at once. Fails with [`Kind::Corrupt`] when references are wrong in
    /// another way, and with [`Kind::Unsupported`] for tables larger than QEMU can open.
    pub fn open(file: Arc<dyn File>, dry: bool) -> Result<Self> {
        let path = file.path().to_path_buf();
        Self::start(file, dry).at(&path)
    }

    fn start(file: Arc<dyn File>, dry: bool) -> Result<Self> {
        let image = Qed::open(file)?;
        image.header.writable()?;
        let mut header = image.header.clone();
        let old_len = image.file.len()?;
        let mut dead = 0;
        let survey = Survey::of(&*image.file, &header, &mut |fault, at, to| match fault {
            Fault::Shared | Fault::TableOverlap => Err(damaged(fault, at, to)),
            _ if header.need_check => {
                dead += 1;
                Ok(())
            }
            _ => Err(damaged(fault, at, to)),
        })?;
        let mut done = Written::default();
        if dead > 0 {
            done.meta_bytes += heal(&image.file, &header, dry)?;
        }
        header.need_check = false;
        let l1 = tables::whole(&*image.file, &header, header.l1, |at| header.is_table(at))?;
        Ok(Self {
            alloc: Alloc::new(&header, survey.used),
            old_l1: l1.clone(),
            l1,
            l2: None,
            l2_next: 0,
            dropped: Used::default(),
            dry,
            old_len: Some(old_len),
            done,
            header,
            image,
        })
    }

    fn table_clusters(&self) -> u64 {
        u64::from(self.header.table_size)
    }

    fn entry(&self, index: usize) -> Result<u64> {
        let entry = self.l1.get(index).map(|e| e.get());
        entry.ok_or_else(|| Error::new(Kind::Internal, "a change beyond the virtual size"))
    }

    /// Writes a table into free space; gives its offset.
    pub(super) fn put_table(&mut self, words: &[U64]) -> Result<u64> {
        let at = self.alloc.exact(self.table_clusters())? * self.header.cluster_size;
        self.done.meta_bytes += self.header.table_bytes();
        self.done.extra_bytes += self.header.table_bytes();
        if !self.dry {
            self.image.file.write_at(at, words.as_bytes())?;
        }
        Ok(at)
    }

    pub(super) fn drop_table(&mut self, at: u64) -> Result<()> {
        self.dropped.mark_run(at / self.header.cluster_size, self.table_clusters()).map(|_| ())
    }

    fn open_l2(&mut self, index: usize) -> Result<&mut OpenL2> {
        if self.l2.as_ref().is_none_or(|t| t.index != index) {
            self.close_l2()?;
            if index < self.l2_next {
                return Err(Error::new(Kind::Internal, "changes out of guest order"));
            }
            let words = match self.entry(index)? {
                0 => vec![U64::ZERO; self.header.table_entries() as usize],
                at => tables::whole(&*self.image.file, &self.image.header, Host(at), |at| {
                    at == 1 || self.image.header.is_cluster(at)
                })?,
            };
            self.l2 = Some(OpenL2 { index, words, changed: false });
        }
        self.l2.as_mut().ok_or_else(|| Error::new(Kind::Internal, "no table is open"))
    }

    fn close_l2(&mut self) -> Result<()> {
        let Some(table) = self.l2.take() else { return Ok(()) };
        self.l2_next = table.index + 1;
        if !table.changed {
            return Ok(());
        }
        let old = self.entry(table.index)?;
        if old != 0 {
            self.drop_table(old)?;
        }
        let empty = table.words.iter().all(|w| w.get() == 0);
        let at = if empty { 0 } else { self.put_table(&table.words)? };
        self.l1[table.index] = U64::new(at);
        Ok(())
    }

    /// Points one guest cluster at something else and drops what it pointed at.
    fn set_entry(&mut self, cluster: u64, new: u64) -> Result<()> {
        let entries = self.header.table_entries();
        let index = usize::try_from(cluster / entries).unwrap_or(usize::MAX);
        let table = self.open_l2(index)?;
        let word = table.words.get_mut((cluster % entries) as usize);
        let word = word.ok_or_else(|| Error::new(Kind::Internal, "entry beyond its table"))?;
        let old = std::mem::replace(word, U64::new(new)).get();
        table.changed |= old != new;
        if old > 1 && old != new {
            self.dropped.mark(old / self.header.cluster_size)?;
        }
        Ok(())
    }

    fn clusters(&self, at: Guest, len: u64) -> Result<std::ops::Range<u64>> {
        let size = self.header.cluster_size;
        let end = at.0.checked_add(len).filter(|_| at.is_aligned(size));
        let end = end.ok_or_else(|| Error::new(Kind::Internal, "a change that is not cluster aligned"))?;
        Ok(at.0 / size..div_up(end, size))
    }

    /// Forgets everything the image holds: all of it reads through to the backing file. Must be
    /// the only request.
    pub fn clear(&mut self) -> Result<()> {
        if self.l1.iter().all(|e| e.get() == 0) {
            return Ok(());
        }
        self.l2 = None;
        let runs: Vec<_> = self.alloc.used.runs(0).collect();
        for (first, count) in runs {
            self.dropped.mark_run(first, count)?;
        }
        // The L1 table is dropped when the new one is written.
        self.dropped.unmark_run(self.header.l1.0 / self.header.cluster_size, self.table_clusters());
        self.l1.fill(U64::ZERO);
        self.l2_next = self.l1.len();
        Ok(())
    }
}

impl Target for QedWriter {
    fn unit(&self) -> u64 {
        self.header.cluster_size
    }

    fn size(&self) -> u64 {
        self.header.image_size
    }

    fn grow(&mut self, size: u64) -> Result<()> {
        if size <= self.header.image_size {
            return Ok(());
        }
        let size = align_up(size, 512);
        if size > self.header.mappable() {
            return Err(Error::unsupported(format!(
                "{size} bytes are too many for this cluster and table size"
            )));
        }
        self.header.image_size = size;
        Ok(())
    }

    fn shrink(&mut self, size: u64) -> Result<()> {
        if size >= self.header.image_size {
            return Ok(());
        }
        let size = align_up(size, 512);
        let (first, entries) = (div_up(size, self.header.cluster_size), self.header.table_entries());
        for index in (first / entries) as usize..self.l1.len() {
            if self.entry(index)? != 0 || self.l2.as_ref().is_some_and(|t| t.index == index) {
                let start = index as u64 * entries;
                for cluster in first.max(start)..start + entries {
                    self.set_entry(cluster, 0)?;
                }
            }
        }
        self.header.image_size = size;
        Ok(())
    }

    fn allocate(&mut self, _: Guest, len: u64) -> Result<(Host, u64)> {
        let size = self.header.cluster_size;
        let (at, count) = self.alloc.some(div_up(len, size))?;
        self.done.data_bytes += count * size;
        self.done.extra_bytes += count * size;
        // Until it is mapped nothing refers to it.
        self.dropped.mark_run(at, count)?;
        Ok((Host(at * size), count * size))
    }

    fn map(&mut self, at: Guest, host: Host, len: u64) -> Result<()> {
        let size = self.header.cluster_size;
        for (cluster, i) in self.clusters(at, len)?.zip(0..) {
            self.set_entry(cluster, host.0 + i * size)?;
            self.dropped.unmark_run(host.0 / size + i, 1);
        }
        Ok(())
    }

    fn zero(&mut self, at: Guest, len: u64) -> Result<bool> {
        let zero = u64::from(self.header.backing.is_some());
        for cluster in self.clusters(at, len)? {
            self.set_entry(cluster, zero)?;
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
        self.close_l2().at(&path)?;
        if self.l1 != self.old_l1 || self.header != self.image.header {
            self.commit().at(&path)?;
        }
        Ok(self.done)
    }
}

impl Drop for QedWriter {
    fn drop(&mut self) {
        // A change that was given up leaves leaks behind the old end. Failing to cut them off
        // harms nothing: the next writer takes the room.
        if let (false, Some(len)) = (self.dry, self.old_len)
            && self.image.file.len().is_ok_and(|now| now > len)
        {
            let _ = self.image.file.set_len(len);
        }
    }
}

fn damaged(fault: Fault, at: Host, to: Host) -> Error {
    Error::corrupt(sentence(fault, to)).offset(at.0).remedy("repair the image first")
}
