//! Bytes of data that only one state holds: clusters that a state refers to and whose recorded
//! refcount is 1. Compressed clusters count with their compressed bytes when their whole host
//! cluster belongs to one state.

use std::collections::HashSet;

use super::entry::{Entry, l2_offset};
use super::image::Qcow2;
use super::refcounts::Refcounts;
use super::tables::read_l2;
use crate::error::{Error, Result};
use crate::image::{Image, Space, State};
use crate::storage::is_hole;

/// Counts for every state.
pub(super) fn space(image: &Qcow2) -> Result<Space> {
    let mut refcounts = Refcounts::open(&image.file, &image.header)?;
    let mut out = Space::default();
    let mut seen =
        Seen { l1_bytes: image.file.len()?.saturating_add(image.cluster_size()), ..Seen::default() };
    for state in image.states() {
        let bytes = exclusive(image, state, &mut refcounts, &mut seen)?;
        match state {
            State::Active => out.active = bytes,
            State::Snapshot(_) | State::VmState(_) => out.snapshots.push(bytes),
        }
    }
    Ok(out)
}

/// What was looked at: hostile refcounts may claim that a shared table has one owner only, and each
/// table is read once.
#[derive(Default)]
struct Seen {
    tables: HashSet<u64>,
    /// Bytes that L1 tables may still have: honest ones do not overlap, so they fit into the file.
    l1_bytes: u64,
}

fn exclusive(image: &Qcow2, state: State, refcounts: &mut Refcounts, seen: &mut Seen) -> Result<u64> {
    let header = &image.header;
    let mut bytes: u64 = 0;
    let place = image.l1_place(state);
    let left = seen.l1_bytes.checked_sub(u64::from(place.entries) * 8);
    seen.l1_bytes = left.ok_or_else(|| Error::corrupt("L1 tables overlap").offset(place.offset))?;
    if place.entries > 0 && !seen.tables.insert(place.offset) {
        return Err(Error::corrupt("L1 tables overlap").offset(place.offset));
    }
    for (_, l1_entry) in image.l1(state)?.used() {
        let Some(offset) = l2_offset(header, l1_entry)? else { continue };
        // Under a shared table everything is shared: its clusters are counted once per path.
        if refcounts.get(offset >> header.cluster_bits)? != 1 {
            continue;
        }
        if !seen.tables.insert(offset) || is_hole(&*image.file, offset, header.cluster_size())? {
            continue;
        }
        let table = read_l2(&*image.file, header, offset)?;
        for index in 0..header.l2_entries() {
            let entry = table.entry(header, index)?;
            let Some((host, len)) = entry.place(header) else { continue };
            // An external data file has one state only.
            let own = header.external_data() || refcounts.get(host >> header.cluster_bits)? == 1;
            bytes = bytes.saturating_add(match entry {
                _ if !own => 0,
                Entry::Sub { allocated, .. } => {
                    u64::from(allocated.count_ones()) * header.cluster_size() / 32
                }
                _ => len,
            });
        }
    }
    Ok(bytes)
}
