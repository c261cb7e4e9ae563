//! Every cluster to where a raw image has it: at its guest offset.
//!
//! At every moment the image is a qcow2 that reads the same. First all tables move behind the end of the disk
//! to come; then, window by window, whatever lies in a window and belongs elsewhere moves behind the end as
//! well, and what belongs there comes home. Each round ends with one switch, and its copies go where nothing
//! is referred to. In the end nothing is left in the way but the header, whose sector is switched by whoever
//! can bring the rest to an end.

use std::ops::Range;

use super::compact_round::Copier;
use super::compose::compose;
use super::entry::{Entry, OFFSET_MASK, l2_offset};
use super::extensions::Extensions;
use super::header::{AUTOCLEAR_JOB, SECTOR};
use super::image::Qcow2;
use super::tables::read_l2;
use super::writer::Writer;
use crate::error::{Error, Kind, Place, Result};
use crate::image::convert::{Seen, Start, Switch, Unrolled};
use crate::image::{Files, Image, State, Target, Written};
use crate::storage::{File, is_hole};
use crate::units::{Guest, div_up};

/// Clusters of a window at most, of which a round keeps a bit each.
const MOST: u64 = 1 << 18;
/// A window is this part of the disk, so that little room is needed behind its end.
const WINDOWS: u64 = 32;
/// And no less than this many clusters.
const LEAST: u64 = 64;
/// Bytes copied between two looks at cancel.
const CHUNK: u64 = 4 << 20;

/// Moves all data of the image in `files` to its guest offset. `seen` is told of bytes that were moved, and fails
/// to stop; then the image is what the last round left.
pub(in crate::image) fn unroll(files: &Files, seen: Seen<'_>) -> Result<Unrolled> {
    let path = files.image.path().to_path_buf();
    rounds(files, seen).at(&path)
}

/// Clusters that a window has in an image of so many.
pub(crate) fn window(clusters: u64) -> u64 {
    (clusters / WINDOWS).clamp(LEAST, MOST)
}

fn rounds(files: &Files, seen: Seen<'_>) -> Result<Unrolled> {
    let image = Qcow2::open(files.clone())?;
    can_be_raw(&image)?;
    let (size, cluster) = (image.header.size, image.header.cluster_size());
    let disk = div_up(size, cluster);
    let floor = disk.max(1);
    let mut done = Written::default();
    add(&mut done, tables_behind(files, floor)?);
    let step = window(disk);
    for number in 0..div_up(disk, step) + 1 {
        let at = |number: u64| (number * step).min(disk)..((number + 1) * step).min(disk);
        let home = number.checked_sub(1).map_or(0..0, at);
        add(&mut done, Round { files, floor, home, clear: at(number) }.run(seen)?);
    }
    head(files, size, done)
}

fn add(done: &mut Written, more: Written) {
    done.data_bytes += more.data_bytes;
    done.meta_bytes += more.meta_bytes;
    done.freed_bytes += more.freed_bytes;
    done.extra_bytes = done.extra_bytes.max(more.extra_bytes);
}

fn can_be_raw(image: &Qcow2) -> Result<()> {
    let options = crate::image::convert::options(image)?;
    if let Some(first) = options.obstacles.first() {
        return Err(Error::unsupported(format!("raw cannot hold {first}")));
    }
    match image.backing() {
        Some(_) => Err(Error::unsupported("raw cannot have a backing file")),
        None => Ok(()),
    }
}

/// A writer that puts everything behind the disk, and gives back what it does not use.
fn writer(files: &Files, floor: u64) -> Result<Writer> {
    let mut writer = Writer::open(files.clone(), false)?;
    writer.alloc.begin_at(floor);
    writer.gives_all = true;
    Ok(writer)
}

/// All tables, behind the disk; a header without extensions; zeros as nothing at all.
fn tables_behind(files: &Files, floor: u64) -> Result<Written> {
    let mut writer = writer(files, floor)?;
    let header = writer.header.clone();
    for index in 0..writer.l1.len() {
        let Some(offset) = l2_offset(&header, writer.l1[index])? else { continue };
        let mut words = read_l2(&*writer.image.file, &header, offset)?.to_words(&header);
        let mut dropped = Vec::new();
        for place in 0..words.len() {
            let (word, bitmap) = words.get(place);
            match super::entry::decode(&header, word, bitmap)? {
                Entry::Zero { host } => {
                    dropped.extend(host);
                    words.set(place, (0, 0));
                }
                Entry::Compressed { .. } => {
                    return Err(Error::unsupported("compressed clusters have no place in a raw image")
                        .offset(offset + place * header.l2_entry_size()));
                }
                _ => {}
            }
        }
        dropped.into_iter().try_for_each(|host| writer.drop_range(host, header.cluster_size()))?;
        writer.drop_range(offset, header.cluster_size())?;
        writer.l1[index] = 0;
        if !words.is_empty() {
            let at = writer.take(1, 1)?;
            writer.put(at, &words.to_be_bytes())?;
            writer.l1[index] = at << header.cluster_bits | super::entry::COPIED;
        }
    }
    let is_job = header.autoclear & AUTOCLEAR_JOB;
    writer.header.autoclear = is_job;
    writer.header.compatible = 0;
    writer.composed = Some(compose(&writer.header, &Extensions::default(), None, SECTOR as u64)?);
    writer.tidy()?;
    Box::new(writer).finish()
}

/// One round.
struct Round<'a> {
    files: &'a Files,
    floor: u64,
    /// Slots of guest clusters that come home: nothing lies there that belongs elsewhere.
    home: Range<u64>,
    /// Slots that are cleared of what belongs elsewhere.
    clear: Range<u64>,
}

impl Round<'_> {
    fn run(self, seen: Seen<'_>) -> Result<Written> {
        let mut writer = writer(self.files, self.floor)?;
        let (header, file) = (writer.header.clone(), writer.image.file.clone());
        let mut moves =
            Moves { file: &*file, bits: header.cluster_bits, pending: None, copier: Copier::new(), seen };
        let mut emptied = 0;
        let mut owned = vec![false; (self.home.end - self.home.start) as usize];
        for index in 0..writer.l1.len() {
            let Some(offset) = l2_offset(&header, writer.l1[index])? else { continue };
            let table = read_l2(&*file, &header, offset)?;
            for place in 0..header.l2_entries() {
                let entry = table.entry(&header, place)?;
                let Some((host, _)) = entry.counted(&header) else { continue };
                let (guest, slot) = (index as u64 * header.l2_entries() + place, host >> header.cluster_bits);
                let (word, bitmap) = table.raw(&header, place);
                let moved = |to: u64| (word & !OFFSET_MASK | to << header.cluster_bits, bitmap);
                // The header keeps the first slot to the end.
                if self.home.contains(&guest) && guest > 0 {
                    owned[(guest - self.home.start) as usize] = true;
                    if slot != guest {
                        self.is_free(&mut writer, guest)?;
                        writer.refs.add(&mut writer.alloc, guest, 1, 1)?;
                        moves.add(slot, guest)?;
                        writer.set_entry(guest, moved(guest))?;
                    }
                    if let Entry::Sub { allocated, .. } = entry {
                        moves.flush()?;
                        emptied += without_parts(
                            &*file,
                            guest << header.cluster_bits,
                            header.cluster_size() / 32,
                            allocated,
                        )?;
                    }
                } else if self.clear.contains(&slot) && slot != guest {
                    let to = writer.take(1, 1)?;
                    moves.add(slot, to)?;
                    writer.set_entry(guest, moved(to))?;
                }
            }
        }
        moves.flush()?;
        let copied = moves.copier.done;
        self.empty_slots(&mut writer, &owned)?;
        writer.wrote_data(copied.data_bytes + emptied);
        Box::new(writer).finish()
    }

    /// What comes home overwrites nothing.
    fn is_free(&self, writer: &mut Writer, slot: u64) -> Result<()> {
        match writer.alloc.old().get(slot)? {
            0 => Ok(()),
            _ => Err(Error::new(Kind::Internal, "a cluster would be overwritten that is in use")
                .offset(slot << writer.header.cluster_bits)),
        }
    }

    /// Slots that nothing belongs to read as zeros.
    fn empty_slots(&self, writer: &mut Writer, owned: &[bool]) -> Result<()> {
        let (file, bits) = (writer.image.file.clone(), writer.header.cluster_bits);
        let mut empty =
            self.home.clone().filter(|s| *s > 0 && !owned[(*s - self.home.start) as usize]).peekable();
        while let Some(first) = empty.next() {
            self.is_free(writer, first)?;
            let mut end = first + 1;
            while empty.next_if_eq(&end).is_some() {
                self.is_free(writer, end)?;
                end += 1;
            }
            let (at, len) = (first << bits, (end - first) << bits);
            if !is_hole(&*file, at, len)? {
                file.punch(at, len)?;
            }
        }
        Ok(())
    }
}

/// Zeros in the parts of a cluster that are not stored; gives how many bytes.
fn without_parts(file: &dyn File, at: u64, part: u64, allocated: u32) -> Result<u64> {
    let zeros = vec![0; part as usize];
    let empty = || (0..32).filter(|i| allocated >> i & 1 == 0);
    empty().try_for_each(|i| file.write_at(at + i * part, &zeros))?;
    Ok(empty().count() as u64 * part)
}

/// Copies of clusters within the file, neighbours together.
struct Moves<'a> {
    file: &'a dyn File,
    bits: u32,
    /// From, to, how many.
    pending: Option<(u64, u64, u64)>,
    copier: Copier,
    seen: Seen<'a>,
}

impl Moves<'_> {
    fn add(&mut self, from: u64, to: u64) -> Result<()> {
        if let Some((start, place, count)) = &mut self.pending
            && (*start + *count, *place + *count) == (from, to)
            && *count << self.bits < CHUNK
        {
            *count += 1;
            return Ok(());
        }
        self.flush()?;
        self.pending = Some((from, to, 1));
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let Some((from, to, count)) = self.pending.take() else { return Ok(()) };
        let bytes = count << self.bits;
        self.copier.copy(self.file, from << self.bits, to << self.bits, bytes)?;
        (self.seen)(bytes)
    }
}

/// The rest of the first cluster goes where nothing reads it: behind the header. What is left is one sector.
fn head(files: &Files, size: u64, mut written: Written) -> Result<Unrolled> {
    let image = Qcow2::open(files.clone())?;
    let file = &*files.image;
    let len = image.header.cluster_size().min(size);
    let mut first = vec![0; (len as usize).max(SECTOR)];
    let mut at = 0;
    while at < len {
        let extent = image.extent_at(State::Active, Guest(at), len - at)?;
        let part = &mut first[at as usize..(at + extent.len) as usize];
        image.read(&extent, 0, part)?;
        at += extent.len;
    }
    let (sector, rest) = first.split_at(SECTOR);
    if !rest.is_empty() {
        file.write_at(SECTOR as u64, rest)?;
        written.data_bytes += rest.len() as u64;
    }
    file.sync()?;
    let sector = sector.first_chunk().copied().unwrap_or([0; SECTOR]);
    written.meta_bytes += SECTOR as u64;
    Ok(Unrolled { written, switch: Switch { old: Start::of(file)?, new: Start { sector, len: size } } })
}
