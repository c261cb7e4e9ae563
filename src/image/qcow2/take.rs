//! Internal snapshots ("Snapshots"): taking, applying, deleting and renaming. Each is one flip, so
//! it happens wholly or not at all; QEMU itself overwrites the active L1 table in place.

use super::snapshots::Entry;
use super::writer::Writer;
use crate::error::{Error, Kind, Result};
use crate::image::{Image, Snapshot, State};
use crate::units::div_up;

impl Writer {
    /// Records the active state as an internal snapshot, last in the table.
    ///
    /// The name must be new and not empty, the id new ([`Kind::Usage`]); QEMU's own can be neither.
    pub fn snapshot(&mut self, shown: Snapshot) -> Result<()> {
        self.close_l2()?;
        if self.header.external_data() {
            return Err(Error::unsupported(
                "an image with an external data file cannot have internal snapshots",
            ));
        }
        self.free_name(&shown.name)?;
        if self.image.snapshots().iter().any(|s| s.id == shown.id) {
            return Err(Error::new(Kind::Usage, "a snapshot with this id exists already"));
        }
        self.l1 = self.share_tree(&self.l1.clone(), true)?;
        self.l2_next = self.l1.len();
        let at = self.write_table(&self.l1.clone())?;
        let mut table = self.image.table.clone();
        table.push(Entry::new(&shown, at, self.l1.len() as u32));
        self.table = Some(table);
        Ok(())
    }

    /// The id that QEMU would give the next snapshot: one more than the largest number.
    pub fn next_snapshot_id(&self) -> String {
        let ids = self.image.snapshots().iter().filter_map(|s| s.id.parse::<u64>().ok());
        ids.max().unwrap_or(0).saturating_add(1).to_string()
    }

    /// Makes the active state what the snapshot at `index` holds, with its virtual size. What the
    /// active state alone held is gone afterwards.
    pub fn apply_snapshot(&mut self, index: usize) -> Result<()> {
        self.close_l2()?;
        let size = self.image.virtual_size(State::Snapshot(index));
        let saved = self.image.l1(State::Snapshot(index))?.to_vec();
        // Dropped first: what both states hold needs no higher count in between. Nothing that reaches
        // 0 is handed out before the flip.
        self.drop_tree(&self.l1.clone())?;
        let mut l1 = self.share_tree(&saved, false)?;
        l1.resize(l1.len().max(self.header.l1_entries_for(size) as usize), 0);
        self.l1 = l1;
        self.l2_next = self.l1.len();
        self.header.size = size;
        Ok(())
    }

    /// Removes the snapshots at these places; what they alone held becomes free.
    pub fn delete_snapshots(&mut self, indexes: &[usize]) -> Result<()> {
        self.close_l2()?;
        let table = self.image.table.clone();
        if indexes.iter().any(|index| *index >= table.len()) {
            return Err(Error::new(Kind::NotFound, "no such snapshot"));
        }
        let mut left = Vec::new();
        for (index, entry) in table.into_iter().enumerate() {
            if !indexes.contains(&index) {
                left.push(entry);
                continue;
            }
            let saved = self.image.l1(State::Snapshot(index))?.to_vec();
            self.drop_tree(&saved)?;
            self.drop_range(entry.l1_offset, u64::from(entry.l1_size) * 8)?;
        }
        self.table = Some(left);
        self.mark_copied()
    }

    /// Gives the snapshot at `index` another name, new and not empty.
    pub fn rename_snapshot(&mut self, index: usize, name: &str) -> Result<()> {
        self.free_name(name)?;
        let mut table = self.image.table.clone();
        let entry = table.get_mut(index).ok_or_else(|| Error::new(Kind::NotFound, "no such snapshot"))?;
        entry.rename(&*self.image.file, name)?;
        self.table = Some(table);
        Ok(())
    }

    fn free_name(&self, name: &str) -> Result<()> {
        if name.is_empty() || name.len() > 255 {
            return Err(Error::new(Kind::Usage, "a snapshot name has 1 to 255 bytes"));
        }
        if self.image.snapshots().iter().any(|s| s.name == name) {
            return Err(Error::new(Kind::Usage, "a snapshot with this name exists already"));
        }
        Ok(())
    }

    pub(super) fn write_snapshots(&mut self) -> Result<()> {
        let Some(table) = self.table.take() else { return Ok(()) };
        let old: usize = self.image.table.iter().map(|s| s.len()).sum();
        self.drop_range(self.header.snapshots_offset, old as u64)?;
        let mut bytes = Vec::new();
        for entry in &table {
            bytes.extend(entry.raw(&*self.image.file)?);
        }
        self.header.nb_snapshots = table.len() as u32;
        self.header.snapshots_offset = 0;
        if !bytes.is_empty() {
            let at = self.take(div_up(bytes.len() as u64, self.cluster_size()), 1)?;
            self.put(at, &bytes)?;
            self.header.snapshots_offset = at << self.header.cluster_bits;
        }
        Ok(())
    }
}
