//! Bytes of data that only one state holds: clusters that a state refers to and whose recorded
//! refcount is 1. Compressed clusters count with their compressed bytes when their whole host
//! cluster belongs to one state.

use super::entry::{Entry, l2_offset};
use super::image::Qcow2;
use super::refcounts::Refcounts;
use super::tables::read_l2;
use crate::error::Result;
use crate::image::{Space, State};

/// Counts for every state.
pub(super) fn space(image: &Qcow2) -> Result<Space> {
    let mut refcounts = Refcounts::open(&image.file, &image.header)?;
    let mut out = Space::default();
    for state in image.states() {
        let bytes = exclusive(image, state, &mut refcounts)?;
        match state {
            State::Active => out.active = bytes,
            State::Snapshot(_) => out.snapshots.push(bytes),
        }
    }
    Ok(out)
}

fn exclusive(image: &Qcow2, state: State, refcounts: &mut Refcounts) -> Result<u64> {
    let header = &image.header;
    let mut bytes = 0;
    for l1_entry in image.l1(state)? {
        let Some(offset) = l2_offset(header, *l1_entry)? else { continue };
        // Under a shared table everything is shared: its clusters are counted once per path.
        if refcounts.get(offset >> header.cluster_bits)? != 1 {
            continue;
        }
        let table = read_l2(&*image.file, header, offset)?;
        for index in 0..header.l2_entries() {
            let entry = table.entry(header, index)?;
            let Some((host, len)) = entry.host_range(header) else { continue };
            let own = refcounts.get(host >> header.cluster_bits)? == 1;
            bytes += match entry {
                _ if !own => 0,
                Entry::Sub { allocated, .. } => {
                    u64::from(allocated.count_ones()) * header.cluster_size() / 32
                }
                _ => len,
            };
        }
    }
    Ok(bytes)
}
