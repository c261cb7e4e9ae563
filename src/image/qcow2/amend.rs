//! Another version, or refcounts of another width, with all states kept.
//!
//! Each is one switch. Refcounts of another width are a new table and new blocks in free space. Another version
//! is another header; what version 2 cannot say (zero clusters) is said otherwise in the same switch, and
//! snapshots get the sizes that version 3 wants of them.

use std::collections::{BTreeMap, BTreeSet};

use super::alloc::Alloc;
use super::block::Block;
use super::compose::compose;
use super::create::CreateOptions;
use super::entry::{Entry, l2_offset};
use super::extensions::{BITMAPS, FEATURE_NAMES};
use super::header::{
    AUTOCLEAR_BITMAPS, Header, INCOMPAT_COMPRESSION, INCOMPAT_DATA_FILE, INCOMPAT_EXTENDED_L2, SECTOR,
};
use super::image::Qcow2;
use super::refcounts::{Refcounts, max_refcount};
use super::tables::{read_l2, to_be_bytes};
use super::writer::Writer;
use crate::error::{Error, Kind, Place, Result};
use crate::image::{Encryption, Files, Image, State, Target, Written};
use crate::storage::{Unused, read_exact_or_zero};
use crate::units::{Guest, align_up, div_up};

/// Gives the image in `files` the version, or the refcount width, that `to` has. With `dry` nothing is written,
/// only counted.
///
/// Fails with [`Kind::Unsupported`] when something cannot be said in the new version or does not fit the new
/// width, and when both are asked for at once: that takes two switches.
pub(in crate::image) fn amend(files: &Files, to: &CreateOptions, dry: bool) -> Result<Written> {
    let image = Qcow2::open(files.clone())?;
    let path = files.image.path().to_path_buf();
    let order = to.refcount_bits.trailing_zeros();
    match (image.header.version == to.version, image.header.refcount_order == order) {
        (true, true) => Ok(Written::default()),
        (false, true) => version(image, files, to.version, dry).at(&path),
        (true, false) => width(image, order, dry).at(&path),
        (false, false) => {
            Err(Error::new(Kind::Internal, "another version and another refcount width at once"))
        }
    }
}

/// Another version.
fn version(image: Qcow2, files: &Files, version: u32, dry: bool) -> Result<Written> {
    if version == 2 {
        fits_version_2(&image)?;
    }
    let mut writer = Writer::open(files.clone(), dry)?;
    if version == 2 {
        without_zero_clusters(&mut writer)?;
        writer.header.compatible = 0;
        writer.header.autoclear = 0;
    } else if !image.table.is_empty() {
        let mut table = image.table.clone();
        for (entry, shown) in table.iter_mut().zip(image.snapshots()) {
            entry.record_sizes(&*image.file, shown)?;
        }
        writer.table = Some(table);
    }
    writer.header.version = version;
    // The names of features are words for people, and the sector has better use for its room.
    let extensions = image.extensions.without(FEATURE_NAMES);
    let name = image.backing().map(|backing| backing.name.clone());
    let name = name.as_ref().map(|name| std::os::unix::ffi::OsStrExt::as_bytes(name.as_os_str()));
    let behind = align_up(image.header_end().max(SECTOR as u64), 8);
    writer.composed = Some(compose(&writer.header, &extensions, name, behind)?);
    Box::new(writer).finish()
}

fn fits_version_2(image: &Qcow2) -> Result<()> {
    let header = &image.header;
    let bits = [
        (INCOMPAT_EXTENDED_L2, "subclusters"),
        (INCOMPAT_DATA_FILE, "an external data file"),
        (INCOMPAT_COMPRESSION, "zstd compression"),
    ];
    let mut found: Vec<_> =
        bits.iter().filter(|(bit, _)| header.incompatible & bit != 0).map(|(_, what)| *what).collect();
    if header.refcount_order != 4 {
        found.push("refcounts of another width than 16 bits");
    }
    if image.extensions.get(BITMAPS).is_some() && header.autoclear & AUTOCLEAR_BITMAPS != 0 {
        found.push("dirty bitmaps");
    }
    if header.encryption == Some(Encryption::Luks) {
        found.push("LUKS encryption");
    }
    if image.snapshots().iter().any(|s| s.virtual_size != header.size) {
        found.push("snapshots of another size than the disk");
    }
    match found.is_empty() {
        true => Ok(()),
        false => Err(Error::unsupported(format!("version 2 has no {}", found.join(", ")))),
    }
}

/// Zero clusters of all states become unallocated, or over a backing file clusters of zeros.
fn without_zero_clusters(writer: &mut Writer) -> Result<()> {
    let backed = writer.header.backing_offset != 0;
    let states: Vec<State> = writer.image.states().collect();
    let most = usize::try_from(max_refcount(&writer.header)).unwrap_or(usize::MAX);
    let tables = states.iter().map(|s| writer.image.l1(*s).map(|l1| l1.len())).collect::<Result<Vec<_>>>()?;
    for index in 0..tables.into_iter().max().unwrap_or(0) {
        let mut open = Vec::new();
        for state in &states {
            let entry = writer.image.l1(*state)?.get(index).copied().unwrap_or(0);
            if let Some(offset) = l2_offset(&writer.header, entry)? {
                open.push((*state, read_l2(&*writer.image.file, &writer.header, offset)?));
            }
        }
        for place in 0..writer.header.l2_entries() {
            let mut zeros = Vec::new();
            for (state, table) in &open {
                if matches!(table.entry(&writer.header, place)?, Entry::Zero { .. }) {
                    zeros.push(*state);
                }
            }
            let cluster = index as u64 * writer.header.l2_entries() + place;
            for states in zeros.chunks(most) {
                writer.selected = states.to_vec();
                match backed {
                    false => writer.set_entry(cluster, (0, 0))?,
                    true => zero_data(writer, cluster)?,
                }
            }
        }
    }
    writer.close_l2()?;
    writer.selected = vec![State::Active];
    Ok(())
}

/// A new cluster of zeros for the selected states: a hole, which takes no room.
fn zero_data(writer: &mut Writer, cluster: u64) -> Result<()> {
    let size = writer.cluster_size();
    let at = Guest(cluster << writer.header.cluster_bits);
    let (host, len) = writer.allocate(at, size)?;
    if !writer.is_rehearsal() {
        let file = &writer.image.file;
        if file.len()? < host.0 + len {
            file.set_len(host.0 + len)?;
        }
        file.punch(host.0, len)?;
    }
    writer.map(at, host, len)
}

/// Refcounts of another width.
fn width(image: Qcow2, order: u32, dry: bool) -> Result<Written> {
    if image.header.version < 3 {
        return Err(Error::unsupported("version 2 has refcounts of 16 bits only"));
    }
    let old = image.header.clone();
    let new = Header { refcount_order: order, ..old.clone() };
    let mut counts = Refcounts::open(&image.file, &old)?;
    let gone = structures(&counts, &old)?;
    let mut alloc = Alloc::new(&old, Refcounts::open(&image.file, &old)?, None);
    let plan = Placed::find(&mut counts, &mut alloc, &old, &new, &gone)?;
    let size = new.cluster_size();
    let taken = (plan.blocks.len() as u64 + plan.table.1) * size;
    let mut done = Written {
        meta_bytes: taken + SECTOR as u64,
        extra_bytes: taken,
        freed_bytes: gone.len() as u64 * size,
        ..Written::default()
    };
    let mut entries = vec![0; (plan.table.1 * size / 8) as usize];
    for (index, at) in &plan.blocks {
        let block = plan.block(&mut counts, &new, &gone, *index)?;
        if let Some(entry) = entries.get_mut(*index as usize) {
            *entry = at << new.cluster_bits;
        }
        if !dry {
            image.file.write_at(at << new.cluster_bits, &block.bytes)?;
        }
    }
    if dry {
        return Ok(done);
    }
    let file = image.file.clone();
    file.write_at(plan.table.0 << new.cluster_bits, &to_be_bytes(&entries))?;
    image.watched.was_readable()?;
    let len = file.len()?;
    if !len.is_multiple_of(size) {
        file.set_len(align_up(len, size))?;
    }
    file.sync()?;
    let mut sector = [0; SECTOR];
    read_exact_or_zero(&*file, 0, &mut sector)?;
    let header = Header {
        reftable_offset: plan.table.0 << new.cluster_bits,
        reftable_clusters: plan.table.1 as u32,
        ..new
    };
    // Byte 96, the width, is no value that any other change stores.
    sector[96..100].copy_from_slice(&order.to_be_bytes());
    file.write_at(0, &header.store(&sector)?)?;
    file.sync()?;
    let holes = gone.iter().map(|cluster| (cluster << old.cluster_bits, size)).collect();
    Unused::new(file, holes).give_back()?;
    done.freed_bytes = gone.len() as u64 * size;
    Ok(done)
}

/// Clusters of the refcount table and its blocks.
fn structures(counts: &Refcounts, header: &Header) -> Result<BTreeSet<u64>> {
    let table = header.reftable_offset >> header.cluster_bits;
    let mut all: BTreeSet<u64> = (table..table + u64::from(header.reftable_clusters)).collect();
    for index in 0..counts.table.len() as u64 {
        all.extend(counts.block_offset(index)?.map(|offset| offset >> header.cluster_bits));
    }
    Ok(all)
}

/// Where the new blocks and their table lie.
struct Placed {
    /// By index: the cluster of each block.
    blocks: BTreeMap<u64, u64>,
    /// First cluster and length.
    table: (u64, u64),
    /// All of them.
    ours: BTreeSet<u64>,
}

impl Placed {
    /// Every block that counts something needs a cluster, and counts it.
    fn find(
        counts: &mut Refcounts,
        alloc: &mut Alloc,
        old: &Header,
        new: &Header,
        gone: &BTreeSet<u64>,
    ) -> Result<Self> {
        let (per_old, per_new) = (old.block_entries(), new.block_entries());
        let mut wanted = BTreeSet::new();
        for index in 0..counts.table.len() as u64 {
            let Some(block) = counts.block(index)? else { continue };
            let used = (0..per_old).filter(|i| block.get(*i) != 0).map(|i| index * per_old + i);
            wanted.extend(used.filter(|cluster| !gone.contains(cluster)).map(|cluster| cluster / per_new));
        }
        let mut placed = Self { blocks: BTreeMap::new(), table: (0, 0), ours: BTreeSet::new() };
        loop {
            let missing: Vec<u64> =
                wanted.iter().copied().filter(|index| !placed.blocks.contains_key(index)).collect();
            for index in &missing {
                let at = alloc.exact(1)?;
                placed.blocks.insert(*index, at);
                wanted.insert(at / per_new);
            }
            let needed = div_up((wanted.last().map_or(0, |last| *last) + 1) * 8, new.cluster_size());
            if placed.table.1 < needed {
                // What was taken for a shorter one is free again: nobody wrote to it.
                placed.table = (alloc.exact(needed)?, needed);
            }
            let (first, len) = placed.table;
            wanted.extend((first..first + len).map(|cluster| cluster / per_new));
            if wanted.iter().all(|index| placed.blocks.contains_key(index)) {
                placed.ours = placed.blocks.values().copied().chain(first..first + len).collect();
                return Ok(placed);
            }
        }
    }

    /// The block of this index as it will be.
    fn block(&self, counts: &mut Refcounts, new: &Header, gone: &BTreeSet<u64>, index: u64) -> Result<Block> {
        let most = max_refcount(new);
        let mut block = Block::empty(new);
        for i in 0..new.block_entries() {
            let cluster = index * new.block_entries() + i;
            let count = if gone.contains(&cluster) { 0 } else { counts.get(cluster)? };
            if count > most {
                let what = format!("a cluster has {count} references, more than the new refcounts can say");
                return Err(Error::unsupported(what).offset(cluster << new.cluster_bits));
            }
            if count > 0 {
                block.set(i, count);
            }
        }
        let range = index * new.block_entries()..(index + 1) * new.block_entries();
        for cluster in self.ours.range(range) {
            block.set(cluster % new.block_entries(), 1);
        }
        Ok(block)
    }
}
