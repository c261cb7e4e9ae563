//! One round of compacting: what lies behind the end to come moves into free space in front of it, with
//! every table that refers to it, and one flip makes that true.
//!
//! Refcounts go with what they count. A cluster that three states share is moved once, and has three
//! references where it is then; so no table is split and no COPIED flag changes.

use super::bitmaps;
use super::compact_map::{Aim, Map, each_place, each_table, pieces};
use super::entry::{OFFSET_MASK, decode};
use super::image::Qcow2;
use super::tables::{L2, read_l2};
use super::writer::Writer;
use crate::error::{Error, Kind, Place, Result};
use crate::image::convert::Seen;
use crate::image::{Files, State, Written};
use crate::storage::{CopyBuffer, File, copy_data, holes};

/// Bytes that refcount blocks may take in memory.
const BLOCKS: u64 = 16 << 20;
/// Most bytes copied between two looks at cancel.
const CHUNK: u64 = 4 << 20;

/// Clusters that move: from and to, in order of the first.
type Moves = Vec<(u64, u64)>;

/// A round in the making.
pub(super) struct Round {
    writer: Writer,
    aim: Aim,
    data: Moves,
    tables: Moves,
}

/// What a round did, or would do.
pub(super) struct Outcome {
    pub(super) written: Written,
    /// First cluster behind everything in use.
    pub(super) end: u64,
    /// The writer, which knows the refcounts to come.
    pub(super) writer: Writer,
}

fn to(moves: &Moves, cluster: u64) -> Option<u64> {
    moves.binary_search_by_key(&cluster, |(from, _)| *from).ok().map(|i| moves[i].1)
}

/// The word with the host offset of where its cluster is then.
fn moved(moves: &Moves, bits: u32, word: u64) -> u64 {
    match to(moves, (word & OFFSET_MASK) >> bits) {
        Some(cluster) => word & !OFFSET_MASK | cluster << bits,
        None => word,
    }
}

impl Round {
    /// Finds out what can be moved, and where to; nothing is written. `None` when it is not worth it.
    pub(super) fn plan(files: &Files, map: &Map, most: u64, dry: bool) -> Result<Option<Self>> {
        let mut most = most;
        while most >= 16 {
            let Some(aim) = map.aim(most, 0) else { return Ok(None) };
            let mut writer = Writer::open(files.clone(), dry)?;
            // Long tables first, wherever there is room for them.
            let mut least = 0;
            for count in pieces(&writer.image)?.into_iter().filter(|count| *count > 1) {
                let Some(end) = writer.alloc.reserve(count, map.end)? else { return Ok(None) };
                least = least.max(end);
            }
            let Some(aim) = (if least > aim.end { map.aim(most, least) } else { Some(aim) }) else {
                return Ok(None);
            };
            let mut round = Self { writer, aim, data: Moves::new(), tables: Moves::new() };
            round.find(most)?;
            if round.place()? {
                return Ok(Some(round));
            }
            most /= 4;
        }
        Ok(None)
    }

    /// Finds the data that lies too far out, and every table that lies there or refers to it.
    fn find(&mut self, most: u64) -> Result<()> {
        let image = &self.writer.image;
        let bits = image.header.cluster_bits;
        let end = self.aim.end;
        let mut l2 = L2::empty(&image.header);
        let (mut data, mut tables) = (Vec::new(), Vec::new());
        // Several tables may refer to one cluster.
        let room = usize::try_from(most).unwrap_or(usize::MAX).saturating_mul(2);
        each_table(image, |visit| {
            let before = data.len();
            each_place(image, visit.offset, &mut l2, |first, _, moves| {
                if moves && first >= end {
                    data.push(first);
                }
            })?;
            if data.len() > before || visit.offset >> bits >= end {
                tables.push((visit.offset >> bits, 0));
            }
            if data.len() > room {
                data.sort_unstable();
                data.dedup();
                if data.len() > room {
                    return Err(Error::corrupt("more clusters are referred to than the refcounts say"));
                }
            }
            Ok(())
        })?;
        if image.extensions.can_move_bitmaps(&image.header) {
            for bitmap in &bitmaps::read(image)?.list {
                bitmap.each_cluster(image, |offset| {
                    if offset >> bits >= end {
                        data.push(offset >> bits);
                    }
                    Ok(())
                })?;
            }
        }
        data.sort_unstable();
        data.dedup();
        self.data = data.into_iter().map(|from| (from, 0)).collect();
        self.tables = tables;
        Ok(())
    }

    /// Finds a place for each, lowest first. `false` when that takes too much memory: refcount blocks that
    /// change are kept there, and scattered moves can change many.
    fn place(&mut self) -> Result<bool> {
        let Self { writer, aim, data, tables } = self;
        let most = (BLOCKS >> writer.header.cluster_bits).max(8);
        if !writer.refs.touch_behind(&mut writer.alloc, aim.end, most)? {
            return Ok(false);
        }
        for moves in [data, tables] {
            let mut rest = &mut moves[..];
            while !rest.is_empty() {
                let (at, count) = writer.alloc.scattered(rest.len() as u64)?;
                let (now, later) = rest.split_at_mut(count as usize);
                for ((from, to), place) in now.iter_mut().zip(at..) {
                    *to = place;
                    writer.refs.shift(&mut writer.alloc, *from, place)?;
                    if writer.refs.in_hand() > most {
                        return Ok(false);
                    }
                }
                rest = later;
            }
        }
        Ok(true)
    }

    /// Does it. Stopping before the flip leaves the image as it was.
    pub(super) fn run(mut self, seen: Seen<'_>) -> Result<Outcome> {
        let path = self.writer.image.file.path().to_path_buf();
        self.copy(seen).at(&path)?;
        self.write_tables().at(&path)?;
        self.write_l1s().at(&path)?;
        let Self { mut writer, aim, data, .. } = self;
        if writer.header.snapshots_offset >> writer.header.cluster_bits >= aim.end && writer.table.is_none() {
            writer.table = Some(writer.image.table.clone());
        }
        writer.write_snapshots().at(&path)?;
        if writer.image.extensions.can_move_bitmaps(&writer.header) {
            let bits = writer.header.cluster_bits;
            writer.move_bitmaps(|offset| moved(&data, bits, offset)).at(&path)?;
        }
        writer.write_refcounts().at(&path)?;
        let end = writer.refs.end(&mut writer.alloc)?;
        writer.flip().at(&path)?;
        Ok(Outcome { written: writer.done, end, writer })
    }

    fn copy(&mut self, seen: Seen<'_>) -> Result<()> {
        let bits = self.writer.header.cluster_bits;
        let mut copier =
            Copier { buffer: CopyBuffer::default(), dry: self.writer.dry, done: Written::default() };
        let mut rest = &self.data[..];
        let most = (CHUNK >> bits).max(1) as usize;
        while let Some((from, to)) = rest.first() {
            let goes_on = |(i, m): &(usize, &(u64, u64))| **m == (from + *i as u64, to + *i as u64);
            let run = rest.iter().take(most).enumerate().take_while(goes_on).count();
            let bytes = (run as u64) << bits;
            copier.copy(&*self.writer.image.file, from << bits, to << bits, bytes)?;
            seen(bytes)?;
            rest = &rest[run..];
        }
        self.writer.done.data_bytes += copier.done.data_bytes;
        self.writer.done.extra_bytes += copier.done.extra_bytes;
        Ok(())
    }

    fn write_tables(&mut self) -> Result<()> {
        let Self { writer, data, tables, .. } = self;
        let header = writer.header.clone();
        for (from, to) in tables.iter() {
            let mut words =
                read_l2(&*writer.image.file, &header, from << header.cluster_bits)?.to_words(&header);
            for index in 0..words.len() {
                let (word, bitmap) = words.get(index);
                let entry = decode(&header, word, bitmap)?;
                // A compressed cluster stays, and its word is no plain offset.
                if entry.counted(&header).is_some() && !entry.is_compressed() {
                    words.set(index, (moved(data, header.cluster_bits, word), bitmap));
                }
            }
            writer.put(*to, &words.to_be_bytes())?;
        }
        Ok(())
    }

    /// The active L1 table, and those of snapshots that refer to a table that moved or lie too far out.
    fn write_l1s(&mut self) -> Result<()> {
        let Self { writer, aim, tables, .. } = self;
        let bits = writer.header.cluster_bits;
        writer.l1.iter_mut().for_each(|entry| *entry = moved(tables, bits, *entry));
        writer.write_l1()?;
        for index in 0..writer.image.table.len() {
            let old = writer.image.l1(State::Snapshot(index))?;
            let place = writer.image.l1_place(State::Snapshot(index));
            let changed = old.used().any(|(_, entry)| moved(tables, bits, entry) != entry);
            if place.entries == 0 || !changed && place.offset >> bits < aim.end {
                continue;
            }
            let words: Vec<u64> = old.iter().map(|entry| moved(tables, bits, *entry)).collect();
            writer.drop_range(place.offset, u64::from(place.entries) * 8)?;
            let at = writer.write_table(&words)?;
            let mut table = writer.table.take().unwrap_or_else(|| writer.image.table.clone());
            let entry = table.get_mut(index).ok_or_else(|| Error::new(Kind::Internal, "no such snapshot"))?;
            entry.moved(at, words.len() as u32);
            writer.table = Some(table);
        }
        Ok(())
    }
}

/// Copies within one file, holes as holes.
pub(super) struct Copier {
    buffer: CopyBuffer,
    dry: bool,
    pub(super) done: Written,
}

impl Copier {
    /// One that really copies.
    pub(super) fn new() -> Self {
        Self { buffer: CopyBuffer::default(), dry: false, done: Written::default() }
    }

    pub(super) fn copy(&mut self, file: &dyn File, from: u64, to: u64, len: u64) -> Result<()> {
        let (mut at, end) = (from, from + len);
        while at < end {
            let data = file.data_range(at)?.unwrap_or(end..end);
            let start = data.start.clamp(at, end);
            self.clear(file, to + (at - from), start - at)?;
            let stop = data.end.clamp(start, end);
            let place = to + (start - from);
            self.done.data_bytes += stop - start;
            self.done.extra_bytes += holes(file, place, stop - start)?;
            if !self.dry && stop > start {
                copy_data(file, start, file, place, stop - start, &mut self.buffer)?;
            }
            at = stop;
        }
        Ok(())
    }

    /// What was a hole is one again, whatever lay there before.
    fn clear(&self, file: &dyn File, at: u64, len: u64) -> Result<()> {
        if self.dry || holes(file, at, len)? == len {
            return Ok(());
        }
        file.punch(at, len)
    }
}

impl Qcow2 {
    /// The first thing wrong that the recorded refcounts would lead astray.
    pub(super) fn sound(&self) -> Result<u64> {
        let report = super::check::check(self)?;
        match report.findings.iter().find(|f| f.severity == crate::image::Severity::Corruption) {
            Some(first) => Err(Error::corrupt(format!("damaged: {}", first.message))
                .offset(first.offset)
                .remedy("repair it first: cowherd check -r all")),
            None if report.corruptions > 0 => {
                Err(Error::corrupt("damaged").remedy("repair it first: cowherd check -r all"))
            }
            None => Ok(report.leaks),
        }
    }
}
