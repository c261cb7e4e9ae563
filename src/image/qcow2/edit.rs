//! Editing L2 tables: those at one index at a time, of all the states that a change is about.
//!
//! States that share a table share the new one too, as long as the same happens to all of them; where
//! it does not, the table is split. A refcount counts the L1 entries that lead to a cluster, so a
//! cluster put into a table of three states has three references.

use super::entry::{COPIED, decode, l2_offset};
use super::refcounts::max_refcount;
use super::tables::{Words, read_l2};
use super::writer::Writer;
use crate::error::{Error, Kind, Result};
use crate::image::State;

/// The L2 tables that requests currently fall into.
pub(super) struct OpenTables {
    index: usize,
    tables: Vec<OpenTable>,
}

struct OpenTable {
    /// Whose table it is; each has one L1 entry for it.
    states: Vec<State>,
    /// Where it lies in the image as it is.
    old: Option<u64>,
    words: Words,
    changed: bool,
}

impl Writer {
    /// The L1 table of a state as it will be.
    fn l1_of(&mut self, state: State) -> Result<&mut Vec<u64>> {
        match state {
            State::Active => Ok(&mut self.l1),
            State::VmState(_) => Err(Error::new(Kind::Internal, "machine state is never written")),
            State::Snapshot(index) => {
                if !self.saved.contains_key(&index) {
                    self.saved.insert(index, self.image.l1(state)?.to_vec());
                }
                self.saved.get_mut(&index).ok_or_else(|| Error::new(Kind::Internal, "no such snapshot"))
            }
        }
    }

    fn open_tables(&mut self, index: usize) -> Result<()> {
        if self.open.as_ref().is_some_and(|open| open.index == index) {
            return Ok(());
        }
        self.close_l2()?;
        if index < self.l2_next {
            return Err(Error::new(Kind::Internal, "changes out of guest order"));
        }
        self.open = Some(OpenTables { index, tables: Vec::new() });
        Ok(())
    }

    /// Makes sure that the table of `state` is open.
    fn open_table(&mut self, index: usize, state: State) -> Result<()> {
        let known = |open: &OpenTables| open.tables.iter().any(|t| t.states.contains(&state));
        if self.open.as_ref().is_some_and(known) {
            return Ok(());
        }
        let entry = self.l1_of(state)?.get(index).copied();
        let entry = entry.ok_or_else(|| Error::new(Kind::Internal, "a change beyond the virtual size"))?;
        let old = l2_offset(&self.header, entry)?;
        let open = self.open.as_mut().ok_or_else(|| Error::new(Kind::Internal, "no table is open"))?;
        let shared = |t: &&mut OpenTable| !t.changed && t.old == old && old.is_some();
        if let Some(table) = open.tables.iter_mut().find(shared) {
            table.states.push(state);
            return Ok(());
        }
        let words = match old {
            Some(offset) => read_l2(&*self.image.file, &self.header, offset)?.to_words(&self.header),
            None => Words::empty(&self.header),
        };
        open.tables.push(OpenTable { states: vec![state], old, words, changed: false });
        Ok(())
    }

    /// Points one guest cluster of the selected states at something else and drops what it pointed at.
    pub(super) fn set_entry(&mut self, cluster: u64, new: (u64, u64)) -> Result<()> {
        let (table, index) = (cluster / self.header.l2_entries(), cluster % self.header.l2_entries());
        self.open_tables(table as usize)?;
        for i in 0..self.selected.len() {
            self.open_table(table as usize, self.selected[i])?;
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let mut split = Vec::new();
        let mut dropped = Vec::new();
        for table in &mut open.tables {
            let old = table.words.get(index);
            let (mine, others): (Vec<_>, Vec<_>) =
                table.states.iter().partition(|state| self.selected.contains(state));
            if mine.is_empty() || old == new {
                continue;
            }
            if let Some((host, len)) = decode(&self.header, old.0, old.1)?.counted(&self.header) {
                dropped.push((host, len, mine.len()));
            }
            if !others.is_empty() {
                let rest = OpenTable { states: others, words: table.words.clone(), ..*table };
                split.push(rest);
                table.states = mine;
            }
            table.words.set(index, new);
            table.changed = true;
        }
        open.tables.extend(split);
        if self.header.external_data() && new.0 & COPIED == 0 {
            let start = cluster << self.header.cluster_bits;
            self.external_freed(start..start.saturating_add(self.cluster_size()))?;
        }
        // What a snapshot gives up may be the active state's alone from then on.
        self.unshares |= !dropped.is_empty() && self.selected.iter().any(|s| *s != State::Active);
        for (host, len, times) in dropped {
            self.add_range(host, len, -(times as i64))?;
        }
        Ok(())
    }

    /// Writes the tables that changed, each once for all its states.
    pub(super) fn close_l2(&mut self) -> Result<()> {
        let Some(OpenTables { index, tables }) = self.open.take() else { return Ok(()) };
        self.l2_next = index + 1;
        let most = usize::try_from(max_refcount(&self.header)).unwrap_or(usize::MAX);
        let mut splits = false;
        for table in tables.into_iter().filter(|t| t.changed) {
            if let Some(offset) = table.old {
                self.add_range(offset, self.cluster_size(), -(table.states.len() as i64))?;
                splits = true;
            }
            let empty = table.words.is_empty();
            for states in table.states.chunks(most) {
                let mut entry = 0;
                if !empty {
                    let at = self.take(1, states.len() as i64)?;
                    self.put(at, &table.words.to_be_bytes())?;
                    entry = at << self.header.cluster_bits | if states.len() == 1 { COPIED } else { 0 };
                }
                for state in states {
                    if let Some(place) = self.l1_of(*state)?.get_mut(index) {
                        *place = entry;
                    }
                }
            }
        }
        if splits {
            self.mark_sole_table(index)?;
        }
        Ok(())
    }

    /// A table that the active state no longer shares with anybody gets its COPIED flag. What is in it
    /// is shared as before.
    fn mark_sole_table(&mut self, index: usize) -> Result<()> {
        let entry = self.l1.get(index).copied().unwrap_or(0);
        if let Some(offset) = l2_offset(&self.header, entry)?
            && self.refs.get(&mut self.alloc, offset >> self.header.cluster_bits)? == 1
        {
            self.l1[index] = offset | COPIED;
        }
        Ok(())
    }

    /// Writes the L1 tables of snapshots that changed, and has the snapshot table name them.
    pub(super) fn write_saved_l1s(&mut self) -> Result<()> {
        for (index, l1) in std::mem::take(&mut self.saved) {
            if **self.image.l1(State::Snapshot(index))? == *l1 {
                continue;
            }
            let at = self.write_table(&l1)?;
            let mut table = self.table.take().unwrap_or_else(|| self.image.table.clone());
            if let Some(entry) = table.get_mut(index) {
                self.drop_range(entry.l1_offset, u64::from(entry.l1_size) * 8)?;
                entry.moved(at, l1.len() as u32);
            }
            self.table = Some(table);
        }
        Ok(())
    }

    pub(super) fn saved_changed(&self) -> Result<bool> {
        for (index, l1) in &self.saved {
            if **self.image.l1(State::Snapshot(*index))? != **l1 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
