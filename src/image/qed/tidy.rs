//! Moving clusters into holes and cutting the file.
//!
//! A cluster is copied, the copy made durable, and only then is the one reference to it changed
//! where it is. A reference is eight bytes in one sector, and both places hold the same bytes, so
//! at every instant every reader reads the same and no cluster is referenced twice; a crash leaves
//! leaks. The place that was given up is used again only after the change is durable.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::header::{Header, SECTOR};
use super::layout::{Batch, Layout, Move, Owner};
use super::survey::{Survey, each_entry};
use super::tables::Entry;
use crate::error::{Error, Kind, Result};
use crate::image::Written;
use crate::image::used::Used;
use crate::storage::{CopyBuffer, File, copy_data, copy_range, holes, read_exact_or_zero};
use crate::units::Host;

impl Header {
    /// Where everything lies, as `l1` (or the survey) has it.
    pub(super) fn layout(&self, used: Used, tables: impl Iterator<Item = (u64, u32)>) -> Layout {
        let mut places: BTreeMap<u64, Owner> =
            tables.map(|(cluster, index)| (cluster, Owner::L1Entry(index))).collect();
        places.insert(self.l1.0 / self.cluster_size, Owner::Header);
        Layout::new(self.header_clusters, u64::from(self.table_size), used, places)
    }

    /// Writes this header over the one in `file`, in one sector, between two syncs.
    pub(super) fn flip(&self, file: &dyn File) -> Result<()> {
        file.sync()?;
        let mut sector = [0; SECTOR];
        read_exact_or_zero(file, 0, &mut sector)?;
        file.write_at(0, &self.store(&sector))?;
        file.sync()
    }
}

impl Survey {
    /// The L2 tables as a layout wants them.
    pub(super) fn places(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.tables.iter().map(|table| (table.cluster, table.index))
    }
}

/// Fills the holes of an image from its end and cuts the file behind the last used cluster. Every
/// reference in the image must be a good one. With `dry` nothing is written, only counted.
pub(super) fn tidy(
    file: &Arc<dyn File>,
    header: &mut Header,
    mut layout: Layout,
    dry: bool,
) -> Result<Written> {
    let (done, buffer) = (Written::default(), CopyBuffer::default());
    let mut tidy = Tidy { file: &**file, header, dry, done, buffer };
    let mut end = layout.used.end();
    let (size, table_bytes) = (tidy.header.cluster_size, tidy.header.table_bytes());
    let mut filled = 0;
    while let Some(batch) = layout.next()? {
        // What is moved into a hole of the file takes room there before it gives any back.
        filled += match &batch {
            Batch::Data(moves) => {
                moves.iter().map(|(_, to)| hole_at(&**file, to * size, size)).sum::<Result<u64>>()?
            }
            Batch::Tables(moves) => {
                moves.iter().map(|m| hole_at(&**file, m.to * size, table_bytes)).sum::<Result<u64>>()?
            }
        };
        match &batch {
            Batch::Data(moves) => tidy.data(moves, &layout)?,
            Batch::Tables(moves) => tidy.tables(moves)?,
        }
        let grown = layout.used.end().saturating_sub(end);
        tidy.done.extra_bytes += grown * tidy.header.cluster_size;
        end += grown;
    }
    // What was added at the end is cut off again.
    tidy.done.freed_bytes = tidy.done.extra_bytes;
    tidy.done.extra_bytes += filled;
    let (done, len) = (tidy.done, layout.limit() * header.cluster_size);
    if !dry && file.len()? > len {
        file.set_len(len)?;
    }
    header.file_size = len;
    Ok(done)
}

/// Bytes of a range inside the file that take no room yet.
fn hole_at(file: &dyn File, from: u64, len: u64) -> Result<u64> {
    let end = file.len()?.min(from.saturating_add(len));
    holes(file, from.min(end), end - from.min(end))
}

struct Tidy<'a> {
    file: &'a dyn File,
    header: &'a mut Header,
    dry: bool,
    done: Written,
    buffer: CopyBuffer,
}

impl Tidy<'_> {
    fn data(&mut self, moves: &[(u64, u64)], layout: &Layout) -> Result<()> {
        let size = self.header.cluster_size;
        self.done.data_bytes += moves.len() as u64 * size;
        self.done.meta_bytes += moves.len() as u64 * 8;
        if self.dry {
            return Ok(());
        }
        let mut rest = moves;
        while let Some((from, to)) = rest.first() {
            let goes_on = |(i, m): &(usize, &(u64, u64))| **m == (from + *i as u64, to + *i as u64);
            let run = rest.iter().enumerate().take_while(goes_on).count();
            copy_data(self.file, from * size, self.file, to * size, run as u64 * size, &mut self.buffer)?;
            rest = &rest[run..];
        }
        self.file.sync()?;
        let mut changed = 0;
        for (table, _) in layout.tables().filter(|(_, owner)| *owner != Owner::Header) {
            each_entry(self.file, self.header, Host(table * size), |at, entry| {
                let Entry::Cluster(host) = entry else { return Ok(()) };
                if let Ok(i) = moves.binary_search_by_key(&(host.0 / size), |(from, _)| *from) {
                    changed += 1;
                    self.file.write_at(at.0, &(moves[i].1 * size).to_le_bytes())?;
                }
                Ok(())
            })?;
        }
        self.file.sync()?;
        if changed != moves.len() {
            return Err(Error::new(
                Kind::Internal,
                "a cluster was moved that nothing, or too much, refers to",
            ));
        }
        Ok(())
    }

    fn tables(&mut self, moves: &[Move]) -> Result<()> {
        let (size, bytes) = (self.header.cluster_size, self.header.table_bytes());
        for m in moves {
            self.done.meta_bytes += bytes;
            if !self.dry {
                copy_range(self.file, m.from * size, self.file, m.to * size, bytes, &mut self.buffer)?;
            }
        }
        if !self.dry {
            self.file.sync()?;
        }
        for m in moves {
            match m.owner {
                Owner::L1Entry(index) => {
                    self.done.meta_bytes += 8;
                    if !self.dry {
                        let at = self.header.l1.0 + u64::from(index) * 8;
                        self.file.write_at(at, &(m.to * size).to_le_bytes())?;
                    }
                }
                Owner::Header => {
                    self.done.meta_bytes += SECTOR as u64;
                    self.header.l1 = Host(m.to * size);
                    if !self.dry {
                        self.header.flip(self.file)?;
                    }
                }
            }
        }
        if self.dry { Ok(()) } else { self.file.sync() }
    }
}
