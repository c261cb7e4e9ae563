//! Repairing an image: dropping references that lead nowhere, giving clusters that are shared by
//! mistake to each of their owners, reclaiming leaks.

use std::sync::Arc;

use zerocopy::little_endian::U64;

use super::Qed;
use super::check::sentence;
use super::header::{Header, SECTOR};
use super::survey::{Fault, Survey, each_entry};
use super::tables::Entry;
use super::tidy::tidy;
use crate::error::{Error, Place, Result};
use crate::image::{Repair, Written};
use crate::storage::{CopyBuffer, File, copy_data};
use crate::units::{Host, div_up};

/// Shared clusters that are separated in one go: 16 MiB of places. What is left is found the next time.
const MAX_SHARED: usize = 1 << 20;

/// Repairs the image in `file`, which is held for writing; with `dry` only counts what that would
/// write. A sound image is left alone.
///
/// [`Repair::Leaks`] refuses an image with worse damage. [`Repair::All`] drops references that lead
/// nowhere (as QEMU does), copies clusters that are referenced twice, and reclaims leaks.
///
/// Guest ranges whose reference leads nowhere, which fail to be read, read through to the backing
/// file afterwards. Everything else reads as before, at every instant.
///
/// Fails with [`Kind::Corrupt`](crate::error::Kind::Corrupt), with nothing written, when L2 tables
/// overlap: nobody can tell which is right.
pub fn repair(file: Arc<dyn File>, what: Repair, dry: bool) -> Result<Written> {
    let path = file.path().to_path_buf();
    mend(file, what, dry).at(&path)
}

fn mend(file: Arc<dyn File>, what: Repair, dry: bool) -> Result<Written> {
    let image = Qed::open(file.clone())?;
    let mut header = image.header.clone();
    header.writable()?;
    let size = header.cluster_size;
    let (mut dead, mut shared) = (false, Vec::new());
    let survey = Survey::of(&*file, &header, &mut |fault, at, to| {
        if fault == Fault::TableOverlap || what == Repair::Leaks {
            return Err(Error::corrupt(sentence(fault, to)).offset(at.0).remedy(match what {
                Repair::Leaks => "repair all of it, not only leaks",
                Repair::All => "nobody can tell which is right; copy what can be read to a new image",
            }));
        }
        dead |= fault != Fault::Shared;
        if fault == Fault::Shared && shared.len() < MAX_SHARED {
            shared.push((at, to));
        }
        Ok(())
    })?;
    let mut done = Written::default();
    let clusters = header.file_size / size;
    let leaks = clusters > header.header_clusters + survey.used.count();
    if dead {
        done.meta_bytes += heal(&file, &header, dry)?;
    }
    let places: Vec<_> = survey.places().collect();
    let mut used = survey.used;
    if !shared.is_empty() {
        let first = div_up(file.len()?, size);
        used.mark_run(first, shared.len() as u64)?;
        done.extra_bytes += shared.len() as u64 * size;
        done.data_bytes += shared.len() as u64 * size;
        done.meta_bytes += shared.len() as u64 * 8;
        if !dry {
            separate(&*file, &shared, first, size)?;
        }
    }
    if header.need_check {
        header.need_check = false;
        done.meta_bytes += SECTOR as u64;
        if !dry {
            header.flip(&*file)?;
        }
    }
    if leaks || dead || !shared.is_empty() {
        let layout = header.layout(used, places.into_iter());
        let (before, left) = (clusters * size + done.extra_bytes, layout.limit() * size);
        let tidied = tidy(&file, &mut header, layout, dry)?;
        done.data_bytes += tidied.data_bytes;
        done.meta_bytes += tidied.meta_bytes;
        done.extra_bytes += tidied.extra_bytes;
        done.freed_bytes = (before + tidied.freed_bytes).saturating_sub(left);
    }
    Ok(done)
}

/// Drops every reference that leads nowhere, where it is: eight bytes at a time, each of which is
/// true by itself. New tables would make the file longer, and a reference behind its old end would
/// suddenly lead to them. Returns how many bytes that took.
pub(super) fn heal(file: &Arc<dyn File>, header: &Header, dry: bool) -> Result<u64> {
    let mut bytes = 0;
    let mut wipe = |at: Host| -> Result<()> {
        bytes += 8;
        if dry { Ok(()) } else { file.write_at(at.0, &U64::ZERO.to_bytes()) }
    };
    let mut tables = Vec::new();
    each_entry(&**file, header, header.l1, |at, entry| match entry {
        Entry::Cluster(table) if header.is_table(table.0) => {
            tables.push(table);
            Ok(())
        }
        _ => wipe(at),
    })?;
    for table in tables {
        each_entry(&**file, header, table, |at, entry| match entry {
            Entry::Cluster(data) if !header.is_cluster(data.0) => wipe(at),
            _ => Ok(()),
        })?;
    }
    if !dry {
        file.sync()?;
    }
    Ok(bytes)
}

/// Gives each of these references (where it is, where it leads) a copy of its own, from cluster
/// `first` on, behind the end of the file.
fn separate(file: &dyn File, shared: &[(Host, Host)], first: u64, size: u64) -> Result<()> {
    let mut buffer = CopyBuffer::default();
    for ((_, from), to) in shared.iter().zip(first..) {
        copy_data(file, from.0, file, to * size, size, &mut buffer)?;
    }
    file.sync()?;
    for ((at, _), to) in shared.iter().zip(first..) {
        file.write_at(at.0, &(to * size).to_le_bytes())?;
    }
    file.sync()
}
