//! Walking all tables once: what is used, by what, and which references are wrong.

use super::header::Header;
use super::tables::{self, Entry, PIECE};
use crate::error::{Error, Result};
use crate::image::used::Used;
use crate::storage::File;
use crate::units::Host;

/// More L2 tables than the largest L1 table has that QEMU opens.
const MAX_TABLES: usize = 4 << 20;

/// What is wrong with a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The L1 entry says "zero", which only an L2 entry can.
    ZeroInL1,
    /// An L1 entry leads to no place for a table.
    BadTable,
    /// An L2 table lies on another one, or on the L1 table.
    TableOverlap,
    /// An L2 entry leads to no place for a cluster.
    BadCluster,
    /// A cluster that something else refers to as well.
    Shared,
}

/// A table: which L1 entry leads to it, and its first cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct L2Table {
    pub(super) index: u32,
    pub(super) cluster: u64,
}

/// What the walk found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Clusters that something refers to, the header's not among them.
    pub(super) used: Used,
    /// The L2 tables that can be told from everything else, in guest order.
    pub(super) tables: Vec<L2Table>,
    /// References to clusters of data, right or wrong.
    pub(super) allocated: u64,
    /// Those whose predecessor lies elsewhere.
    pub(super) fragmented: u64,
}

impl Survey {
    /// Walks the tables of an image. `fault` hears of each wrong reference: what is wrong, where it
    /// is stored, where it leads. Tables come first, so that data on a table is the data's fault.
    pub(super) fn of(
        file: &dyn File,
        header: &Header,
        fault: &mut dyn FnMut(Fault, Host, Host) -> Result<()>,
    ) -> Result<Self> {
        let mut survey = Self::default();
        let table_clusters = u64::from(header.table_size);
        survey.used.mark_run(header.l1.0 / header.cluster_size, table_clusters)?;
        each_entry(file, header, header.l1, |at, entry| {
            let table = match entry {
                Entry::Cluster(table) => table,
                Entry::Zero => return fault(Fault::ZeroInL1, at, Host(1)),
                Entry::Unallocated => return Ok(()),
            };
            if !header.is_table(table.0) {
                return fault(Fault::BadTable, at, table);
            }
            let cluster = table.0 / header.cluster_size;
            if !survey.used.mark_run(cluster, table_clusters)? {
                return fault(Fault::TableOverlap, at, table);
            }
            if survey.tables.len() == MAX_TABLES {
                return Err(Error::unsupported("more L2 tables than any image has that QEMU opens"));
            }
            let index = ((at.0 - header.l1.0) / 8) as u32;
            survey.tables.push(L2Table { index, cluster });
            Ok(())
        })?;
        for i in 0..survey.tables.len() {
            let table = Host(survey.tables[i].cluster * header.cluster_size);
            survey.walk_l2(file, header, table, fault)?;
        }
        Ok(survey)
    }

    fn walk_l2(
        &mut self,
        file: &dyn File,
        header: &Header,
        table: Host,
        fault: &mut dyn FnMut(Fault, Host, Host) -> Result<()>,
    ) -> Result<()> {
        let mut last: Option<Host> = None;
        each_entry(file, header, table, |at, entry| {
            let Entry::Cluster(data) = entry else { return Ok(()) };
            self.allocated += 1;
            let goes_on = last.is_none_or(|last| last.checked_add(header.cluster_size) == Some(data));
            self.fragmented += u64::from(!goes_on);
            last = Some(data);
            if !header.is_cluster(data.0) {
                fault(Fault::BadCluster, at, data)
            } else if !self.used.mark(data.0 / header.cluster_size)? {
                fault(Fault::Shared, at, data)
            } else {
                Ok(())
            }
        })
    }
}

/// Calls `visit` with the place and meaning of every entry of a table that is in use. Holes of the
/// file are not read: a table can be a gigabyte of nothing.
pub(super) fn each_entry(
    file: &dyn File,
    header: &Header,
    table: Host,
    mut visit: impl FnMut(Host, Entry) -> Result<()>,
) -> Result<()> {
    // No overflow: the table was found to lie inside the file.
    let end = table.0 + header.table_bytes();
    let mut at = table.0;
    while at < end {
        let Some(data) = file.data_range(at)? else { break };
        at = (data.start & !7).max(at);
        // A file that changes underneath may answer with an empty range; go on all the same.
        let stop = data.end.max(at.saturating_add(8)).checked_next_multiple_of(8).unwrap_or(end).min(end);
        while at < stop {
            let count = ((stop - at) / 8).min(PIECE);
            let piece = tables::read(file, Host(at), count)?;
            for (i, value) in piece.iter().enumerate().filter(|(_, v)| v.get() != 0) {
                visit(Host(at + i as u64 * 8), Entry::of(*value))?;
            }
            at += count * 8;
        }
    }
    Ok(())
}
