//! QED, QEMU's enhanced disk: a header, one L1 table, L2 tables, data clusters; no refcounts,
//! snapshots or compression (docs/interop/qed_spec). One concern per file:
//!
//! | file | concern |
//! |---|---|
//! | `header` | the fixed header, its limits, and the one sector in which it changes |
//! | `tables` | reading tables in pieces, with a small cache; what an entry means |
//! | `survey` | walking all tables: what is used, which references are wrong |
//! | `check` | the survey as findings |
//! | `create` | a new image |
//! | `adopt` | a header and tables laid over a file that holds the data already |
//! | `measure` | how large an image would become |
//! | `writer` | a change in the making: data and tables in free space |
//! | `commit` | making it true: one flip of sector 0 |
//! | `empty` | giving up everything an image holds |
//! | `compact` | closing the holes that nothing refers to |
//! | `alloc` | the writer's free space |
//! | `layout` | which clusters move where, so that no hole is left |
//! | `tidy` | moving them |
//! | `repair` | dropping bad references, separating shared clusters, reclaiming leaks |
//! | `relink` | a new backing file in one sector |
//!
//! Nothing in a QED image says which clusters are free: free is what nothing refers to. An
//! unreferenced cluster inside the file is a leak that QEMU never reclaims, so every change ends by
//! moving the highest clusters into the holes and cutting the file.

mod adopt;
mod alloc;
mod check;
mod commit;
mod compact;
mod create;
mod empty;
mod header;
mod layout;
mod mark;
mod measure;
mod relink;
mod repair;
mod survey;
mod tables;
mod tidy;
mod writer;

use std::sync::{Arc, OnceLock};

use super::{BackingRef, CheckReport, Details, Extent, ExtentKind, Format, Image, Snapshot, Space, State};
use crate::error::{Error, Result};
use crate::storage::File;
use crate::units::{Guest, Host};
use header::Header;
use tables::{Cache, Entry};

pub(super) use adopt::Adopter;
pub use compact::compact;
pub use create::{CreateOptions, create};
pub use empty::empty;
pub use mark::{fence, is_fenced, mark, marked};
pub use measure::{measure, units};
pub use relink::relink;
pub use repair::repair;
pub use writer::QedWriter;

/// A QED image.
pub struct Qed {
    file: Arc<dyn File>,
    header: Header,
    cache: Cache,
    overlaps: OnceLock<Vec<u64>>,
}

impl Qed {
    /// Reads and checks the header; tables are read when they are asked for.
    ///
    /// Fails with [`Kind::Corrupt`](crate::error::Kind::Corrupt) when a field contradicts the format
    /// or the file, and with [`Kind::Unsupported`](crate::error::Kind::Unsupported) for a feature
    /// bit that is not known.
    pub fn open(file: Arc<dyn File>) -> Result<Self> {
        let header = Header::read(&*file)?;
        Ok(Self { file, header, cache: Cache::default(), overlaps: OnceLock::new() })
    }

    /// How many guest bytes from `at` no L2 table maps (0 when one does), looking no further than
    /// `end`; and the L2 table for `at` otherwise.
    fn l2_for(&self, at: u64, end: u64) -> Result<(u64, Option<Host>)> {
        let span = self.header.l2_span();
        let first = at / span;
        let (piece, place) = self.l1_piece(first)?;
        let value = piece[place].get();
        if value == 0 {
            let entries = self.header.table_entries();
            let mut next = first + piece[place..].iter().take_while(|v| v.get() == 0).count() as u64;
            if next == first - place as u64 + piece.len() as u64 {
                next = tables::skip_hole(&*self.file, self.header.l1, entries, next.min(entries))?;
            }
            let stop = next.saturating_mul(span).min(end);
            return Ok((stop - at, None));
        }
        if !self.header.is_table(value) {
            let what = format!("L1 entry leads to {value:#x}, misaligned or outside the file");
            return Err(Error::corrupt(what).offset(self.header.l1.0 + first * 8));
        }
        if self.overlaps()?.binary_search(&value).is_ok() {
            let what = format!("L1 entry leads to {value:#x}, where another table lies as well");
            return Err(Error::corrupt(what).offset(self.header.l1.0 + first * 8));
        }
        Ok((0, Some(Host(value))))
    }

    /// Tables that overlap one another, in order: with them a small file could claim more runs than
    /// anybody can read.
    fn overlaps(&self) -> Result<&[u64]> {
        if let Some(known) = self.overlaps.get() {
            return Ok(known);
        }
        let found = check::overlapping_tables(self)?;
        Ok(self.overlaps.get_or_init(|| found))
    }

    fn l1_piece(&self, index: u64) -> Result<(tables::Piece, usize)> {
        self.cache.piece(&*self.file, self.header.l1, self.header.table_entries(), index)
    }
}

impl Image for Qed {
    fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    fn format(&self) -> Format {
        Format::Qed
    }

    fn cluster_size(&self) -> u64 {
        self.header.cluster_size
    }

    fn header_end(&self) -> u64 {
        let (start, len) = self.header.backing_place;
        let name = if self.header.backing.is_some() { u64::from(start) + u64::from(len) } else { 0 };
        name.max(header::LEN)
    }

    fn backing(&self) -> Option<&BackingRef> {
        self.header.backing.as_ref()
    }

    fn snapshots(&self) -> &[Snapshot] {
        &[]
    }

    fn virtual_size(&self, _: State) -> u64 {
        self.header.image_size
    }

    fn extent_at(&self, _: State, at: Guest, max: u64) -> Result<Extent> {
        let size = self.header.cluster_size;
        let end = at.0.saturating_add(max).min(self.header.image_size);
        if at.0 >= end {
            return Err(Error::new(crate::error::Kind::Internal, "extent beyond the virtual disk"));
        }
        let (empty, table) = self.l2_for(at.0, end)?;
        let Some(table) = table else {
            return Ok(Extent { start: at, len: empty, kind: ExtentKind::Unallocated });
        };
        let entries = self.header.table_entries();
        let index = at.0 / size % entries;
        let (mut piece, mut place) = self.cache.piece(&*self.file, table, entries, index)?;
        let first = Entry::of(piece[place]);
        let kind = match first {
            Entry::Unallocated => ExtentKind::Unallocated,
            Entry::Zero => ExtentKind::Zero { host: None },
            Entry::Cluster(host) if self.header.is_cluster(host.0) => {
                ExtentKind::Data { host: Host(host.0 + at.0 % size) }
            }
            Entry::Cluster(host) => {
                let what = format!("L2 entry leads to {host}, misaligned or outside the file");
                return Err(Error::corrupt(what).offset(table.0 + index * 8));
            }
        };
        // One step per cluster as long as the next entry continues the run.
        let mut run = 1;
        let mut stop = (at.0 - at.0 % size).saturating_add(size);
        while stop < end && index + run < entries {
            place += 1;
            if place == piece.len() {
                // The file system is only asked where what was read anyway does not decide.
                if first == Entry::Unallocated {
                    let hole = tables::skip_hole(&*self.file, table, entries, index + run)?;
                    stop = stop.saturating_add((hole - index - run).saturating_mul(size));
                    run = hole - index;
                    if stop >= end || hole == entries {
                        break;
                    }
                }
                (piece, place) = self.cache.piece(&*self.file, table, entries, index + run)?;
            }
            let next = match first {
                Entry::Cluster(host) => host.checked_add(run * size).map(Entry::Cluster),
                same => Some(same),
            };
            let found = Entry::of(piece[place]);
            if next != Some(found) || matches!(found, Entry::Cluster(h) if !self.header.is_cluster(h.0)) {
                break;
            }
            run += 1;
            stop = stop.saturating_add(size);
        }
        Ok(Extent { start: at, len: stop.min(end) - at.0, kind })
    }

    fn details(&self) -> Details {
        Details::Qed { need_check: self.header.need_check, table_size: self.header.table_size }
    }

    fn check(&self) -> Result<CheckReport> {
        check::check(self)
    }

    fn space(&self) -> Result<Space> {
        let bytes = check::data_clusters(self)?.saturating_mul(self.header.cluster_size);
        Ok(Space { active: bytes, snapshots: Vec::new() })
    }
}

#[cfg(test)]
mod tests;
