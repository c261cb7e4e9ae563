//! The writer as everybody else sees it.

use std::sync::Arc;

use super::compression::compress;
use super::entry::{ALL_ALLOCATED, COPIED, zeros};
use super::header::{AUTOCLEAR_BITMAPS, MAX_L1_BYTES};
use super::refcounts::max_refcount;
use super::writer::Writer;
use crate::error::{Error, Place, Result};
use crate::image::{BackingRef, Packer, State, Target, Written};
use crate::storage::{File, Unused};
use crate::units::{Guest, Host, align_up, div_up};

impl Target for Writer {
    fn in_place(&self) -> bool {
        self.header.external_data()
    }

    fn unit(&self) -> u64 {
        self.cluster_size()
    }

    fn size(&self) -> u64 {
        self.header.size
    }

    fn most_states(&self) -> usize {
        usize::try_from(max_refcount(&self.header)).unwrap_or(usize::MAX)
    }

    fn select(&mut self, states: &[State]) -> Result<()> {
        self.selected.clear();
        self.selected.extend_from_slice(states);
        Ok(())
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
        if self.header.external_data() {
            self.external_freed(
                align_up(size, self.cluster_size())..align_up(self.header.size, self.cluster_size()),
            )?;
        }
        self.l2_next = self.l1.len();
        self.header.size = size;
        Ok(())
    }

    fn content_changes(&mut self) {
        self.content_changes = true;
    }

    fn relink(&mut self, backing: Option<&BackingRef>) -> Result<bool> {
        // Before anything is copied for it: whether there is room.
        self.with_link(&backing.cloned())?;
        self.link = Some(backing.cloned());
        Ok(true)
    }

    fn allocate(&mut self, at: Guest, len: u64) -> Result<(Host, u64)> {
        if self.header.encryption.is_some() {
            return Err(
                Error::unsupported("encrypted; cowherd cannot write data into it").at(self.image.file.path())
            );
        }
        if self.header.external_data() {
            return self.external_place(at, len);
        }
        let (at, count) = self.alloc.some(div_up(len, self.cluster_size()))?;
        self.refs.add(&mut self.alloc, at, count, self.selected.len() as i64)?;
        let bytes = count << self.header.cluster_bits;
        self.wrote_data(bytes);
        Ok((Host(at << self.header.cluster_bits), bytes))
    }

    fn map(&mut self, at: Guest, host: Host, len: u64) -> Result<()> {
        for (i, cluster) in self.clusters(at, len)?.enumerate() {
            let host = host.0 + ((i as u64) << self.header.cluster_bits);
            let copied = if self.selected.len() == 1 { COPIED } else { 0 };
            self.set_entry(cluster, (host | copied, ALL_ALLOCATED))?;
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

    fn packer(&self) -> Option<Packer> {
        let header = self.header.clone();
        Some(Box::new(move |cluster| compress(&header, cluster)))
    }

    fn put_packed(&mut self, at: Guest, packed: &[u8]) -> Result<bool> {
        self.store_packed(at, packed)
    }

    fn file(&self) -> &Arc<dyn File> {
        self.image.data.as_ref().unwrap_or(&self.image.file)
    }

    fn is_dry(&self) -> bool {
        self.dry
    }

    fn finish(self: Box<Self>) -> Result<Written> {
        let (written, unused) = self.finish_soon()?;
        unused.map_or(Ok(()), Unused::give_back)?;
        Ok(written)
    }

    fn finish_soon(mut self: Box<Self>) -> Result<(Written, Option<Unused>)> {
        let path = self.image.file.path().to_path_buf();
        self.close_l2()?;
        if self.unshares {
            self.mark_copied()?;
        }
        let untouched = !self.tidy
            && self.refs.is_empty()
            && self.table.is_none()
            && !self.saved_changed()?
            && self.header == self.image.header
            && **self.image.l1(State::Active)? == *self.l1;
        self.external_settle().at(&path)?;
        let stale = self.content_changes && self.image.header.autoclear & AUTOCLEAR_BITMAPS != 0;
        // Data in place changes without any table.
        if untouched && !(stale && self.in_place()) {
            if self.link.is_some() {
                self.flip().at(&path)?;
            }
            self.external_give_back().at(&path)?;
            return Ok((self.done, None));
        }
        if stale {
            self.drop_bitmaps().at(&path)?;
        }
        self.write_l1().at(&path)?;
        self.write_saved_l1s().at(&path)?;
        self.write_snapshots().at(&path)?;
        self.write_refcounts().at(&path)?;
        let freed = self.refs.freed(&mut self.alloc)?;
        let end = self.refs.end(&mut self.alloc)?;
        self.flip().at(&path)?;
        let unused = self.cut_off(&freed, end).at(&path)?;
        self.external_give_back().at(&path)?;
        Ok((self.done, Some(unused)))
    }
}
