//! Reading L1 and L2 tables, with a small cache of L2 tables.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zerocopy::IntoBytes;

use super::entry::{Entry, decode, l2_offset};
use super::header::Header;
use crate::error::{Error, Result};
use crate::storage::{File, read_data_into_zeros};

/// L2 tables kept: enough for several readers at different places, little enough to forget.
const CACHE_BYTES: u64 = 4 << 20;
const CACHE_TABLES: u64 = 64;
/// L1 tables kept: the active state, and whatever it is compared with.
const L1_TABLES: usize = 3;

/// Where an L1 table lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct L1Place {
    pub(super) offset: u64,
    pub(super) entries: u32,
}

/// An L1 table.
#[derive(Debug)]
pub(super) struct L1 {
    place: L1Place,
    words: Vec<u64>,
    /// Entries that do not lie in holes of the file.
    parts: Vec<Range<usize>>,
    /// L2 tables that several entries point at, in order: with them a small file could claim more
    /// runs than anybody can read.
    repeated: Vec<u64>,
}

impl std::ops::Deref for L1 {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        &self.words
    }
}

impl L1 {
    fn load(file: &dyn File, header: &Header, place: L1Place) -> Result<Self> {
        let (words, parts) = read_l1(file, header, place)?;
        let data = parts.iter().flat_map(|part| &words[part.clone()]);
        let mut tables: Vec<u64> = data.filter_map(|e| l2_offset(header, *e).ok().flatten()).collect();
        tables.sort_unstable();
        let mut repeated: Vec<u64> =
            tables.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        repeated.dedup();
        Ok(Self { place, words, parts, repeated })
    }

    /// Index and value of every entry that is not zero.
    pub(super) fn used(&self) -> impl Iterator<Item = (usize, u64)> {
        let entries = self.parts.iter().flat_map(|part| part.clone().zip(&self.words[part.clone()]));
        entries.map(|(index, word)| (index, *word)).filter(|(_, word)| *word != 0)
    }

    /// Where entry `index` lies in the file.
    pub(super) fn entry_at(&self, index: usize) -> u64 {
        self.place.offset.saturating_add(index as u64 * 8)
    }

    /// Whether more than one entry points at this L2 table.
    pub(super) fn is_repeated(&self, table: u64) -> bool {
        self.repeated.binary_search(&table).is_ok()
    }

    /// The host range of the table itself.
    pub(super) fn range(&self) -> Range<u64> {
        self.place.offset..self.entry_at(self.words.len())
    }
}

/// Most recently used L1 tables, newest last: a table of snapshots may claim terabytes of them.
#[derive(Debug, Default)]
pub(super) struct L1Cache(Mutex<Vec<(L1Place, Arc<L1>)>>);

impl L1Cache {
    /// The entries of the table at `place`, host endian.
    pub(super) fn load(&self, file: &dyn File, header: &Header, place: L1Place) -> Result<Arc<L1>> {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = cache.iter().rposition(|(p, _)| *p == place) {
            let table = cache[at].1.clone();
            cache[at..].rotate_left(1);
            return Ok(table);
        }
        drop(cache);
        let table = Arc::new(L1::load(file, header, place)?);
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= L1_TABLES {
            cache.remove(0);
        }
        cache.push((place, table.clone()));
        Ok(table)
    }
}

/// Reads an L1 table that must lie inside the file.
fn read_l1(file: &dyn File, header: &Header, place: L1Place) -> Result<Sparse> {
    let bytes = u64::from(place.entries) * 8;
    let end = place.offset.checked_add(bytes);
    if !place.offset.is_multiple_of(header.cluster_size())
        || end.is_none_or(|end| {
            bytes > 0 && end >= file.len().unwrap_or(0).saturating_add(header.cluster_size())
        })
    {
        return Err(Error::corrupt("L1 table does not lie inside the file").offset(place.offset));
    }
    read_sparse(file, place.offset, place.entries as usize)
}

/// Reads a table of `count` words. Fresh zeros take no memory before they are written to, so a
/// sparse table takes none at all, and no time.
pub(super) fn read_words(file: &dyn File, offset: u64, count: usize) -> Result<Vec<u64>> {
    Ok(read_sparse(file, offset, count)?.0)
}

/// A table, and which of its entries do not lie in holes of the file.
type Sparse = (Vec<u64>, Vec<Range<usize>>);

fn read_sparse(file: &dyn File, offset: u64, count: usize) -> Result<Sparse> {
    let mut words = vec![0u64; count];
    let parts = read_data_into_zeros(file, offset, words.as_mut_bytes())?;
    // A file system's blocks are whole sectors, so no word lies in two parts.
    let parts: Vec<_> = parts.into_iter().map(|part| part.start / 8..part.end.div_ceil(8)).collect();
    for part in &parts {
        words[part.clone()].iter_mut().for_each(|w| *w = u64::from_be(*w));
    }
    Ok((words, parts))
}

/// Numbers as big-endian 64-bit words.
pub(super) fn to_be_bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_be_bytes()).collect()
}

/// One L2 table as it lies in the file.
#[derive(Debug, Clone)]
pub(super) struct L2(Arc<[u64]>);

impl L2 {
    /// A table that maps nothing.
    pub(super) fn empty(header: &Header) -> Self {
        Self(std::iter::repeat_n(0, (header.cluster_size() / 8) as usize).collect())
    }

    /// Puts the table at `offset` in place of this one.
    pub(super) fn read(&mut self, file: &dyn File, offset: u64) -> Result<()> {
        let words = Arc::make_mut(&mut self.0);
        let bytes = words.as_mut_bytes();
        let read = file.read_at(offset, bytes)?;
        if read == 0 {
            return Err(Error::corrupt("L2 table lies beyond the end of the file").offset(offset));
        }
        bytes[read..].fill(0);
        words.iter_mut().for_each(|word| *word = u64::from_be(*word));
        Ok(())
    }

    /// The entry of cluster `index` in this table.
    pub(super) fn entry(&self, header: &Header, index: u64) -> Result<Entry> {
        let (entry, bitmap) = self.raw(header, index);
        decode(header, entry, bitmap)
    }

    /// The entry undecoded, with its subcluster bitmap (0 without subclusters).
    pub(super) fn raw(&self, header: &Header, index: u64) -> (u64, u64) {
        let words = stride(header);
        let at = index as usize * words;
        let word = |i| self.0.get(i).copied().unwrap_or(0);
        (word(at), if words == 2 { word(at + 1) } else { 0 })
    }

    /// All words of the table.
    pub(super) fn words(&self) -> &[u64] {
        &self.0
    }

    /// A copy to change.
    pub(super) fn to_words(&self, header: &Header) -> Words {
        Words { words: self.0.to_vec(), stride: stride(header) }
    }
}

/// Words per L2 entry: two with subclusters.
fn stride(header: &Header) -> usize {
    (header.l2_entry_size() / 8) as usize
}

/// An L2 table in the making.
#[derive(Debug, Clone)]
pub(super) struct Words {
    words: Vec<u64>,
    stride: usize,
}

impl Words {
    /// A table that maps nothing.
    pub(super) fn empty(header: &Header) -> Self {
        let stride = stride(header);
        Self { words: vec![0; header.l2_entries() as usize * stride], stride }
    }

    /// Entry `index` with its subcluster bitmap.
    pub(super) fn get(&self, index: u64) -> (u64, u64) {
        let at = index as usize * self.stride;
        let word = |i: usize| self.words.get(i).copied().unwrap_or(0);
        (word(at), if self.stride == 2 { word(at + 1) } else { 0 })
    }

    /// Replaces entry `index`; the bitmap is dropped where entries have none.
    pub(super) fn set(&mut self, index: u64, (word, bitmap): (u64, u64)) {
        let at = index as usize * self.stride;
        if let Some(slot) = self.words.get_mut(at) {
            *slot = word;
        }
        if let (2, Some(slot)) = (self.stride, self.words.get_mut(at + 1)) {
            *slot = bitmap;
        }
    }

    /// Entries the table has.
    pub(super) fn len(&self) -> u64 {
        (self.words.len() / self.stride) as u64
    }

    /// Whether it maps nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|w| *w == 0)
    }

    /// As it lies in a file.
    pub(super) fn to_be_bytes(&self) -> Vec<u8> {
        to_be_bytes(&self.words)
    }
}

/// What is known about L2 tables.
#[derive(Debug, Default)]
pub(super) struct L2Cache(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Most recently used tables, newest last.
    tables: Vec<(u64, L2)>,
    /// The last hole that a table was found in: millions of them may lie there. A table that this
    /// image refers to is written by nobody while the image is open, so it stays in its hole.
    hole: Range<u64>,
}

enum Found {
    Table(L2),
    Hole,
    Nothing,
}

impl L2Cache {
    /// The table that `l1_entry` points to, `None` when it points to none or maps nothing.
    pub(super) fn load(&self, file: &dyn File, header: &Header, l1_entry: u64) -> Result<Option<L2>> {
        let Some(offset) = l2_offset(header, l1_entry)? else { return Ok(None) };
        match self.find(offset, header.cluster_size()) {
            Found::Table(table) => return Ok(Some(table)),
            Found::Hole => return Ok(None),
            Found::Nothing => {}
        }
        let (hole, is_last) = match file.data_range(offset)? {
            Some(data) => (offset..data.start, false),
            None => (offset..file.len()?, true),
        };
        // The last cluster of a file need not be written out in full.
        if !hole.is_empty() && is_last || hole.end.saturating_sub(offset) >= header.cluster_size() {
            self.known().hole = hole;
            return Ok(None);
        }
        let table = read_l2(file, header, offset)?;
        let mut known = self.known();
        let room = (CACHE_BYTES / header.cluster_size()).clamp(4, CACHE_TABLES) as usize;
        if known.tables.len() >= room {
            known.tables.remove(0);
        }
        known.tables.push((offset, table.clone()));
        Ok(Some(table))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, offset: u64, cluster: u64) -> Found {
        let mut known = self.known();
        if known.hole.start <= offset && offset.saturating_add(cluster) <= known.hole.end {
            return Found::Hole;
        }
        let Some(at) = known.tables.iter().rposition(|(o, _)| *o == offset) else { return Found::Nothing };
        let hit = known.tables.remove(at);
        let table = hit.1.clone();
        known.tables.push(hit);
        Found::Table(table)
    }
}

/// Reads the L2 table at `offset`, past the cache.
pub(super) fn read_l2(file: &dyn File, header: &Header, offset: u64) -> Result<L2> {
    let mut table = L2::empty(header);
    table.read(file, offset)?;
    Ok(table)
}
