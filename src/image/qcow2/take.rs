//! Taking an internal snapshot ("Snapshots"): every cluster of the active state gets one more
//! reference, and both states share the tables.

use super::entry::{COPIED, decode, l2_offset};
use super::snapshots;
use super::tables::{read_l2, to_be_bytes};
use super::writer::Writer;
use crate::error::{Error, Kind, Result};
use crate::image::Snapshot;
use crate::units::div_up;

impl Writer {
    /// Records the active state as an internal snapshot: every cluster gets one more reference,
    /// COPIED is cleared in new copies of the tables, which both states then share.
    pub fn snapshot(&mut self, shown: Snapshot) -> Result<()> {
        self.close_l2()?;
        if shown.name.is_empty()
            || self.image.table.iter().any(|s| s.shown.name == shown.name || s.shown.id == shown.id)
        {
            return Err(Error::new(Kind::Usage, "a snapshot needs a name and an id that are not taken"));
        }
        for index in 0..self.l1.len() {
            self.share_l2(index)?;
        }
        self.l2_next = self.l1.len();
        let bytes = to_be_bytes(&self.l1);
        let count = div_up(bytes.len() as u64, self.cluster_size()).max(1);
        let at = self.take(count, 1)?;
        self.put(at, &bytes)?;
        let mut table = self.image.table.clone();
        table.push(snapshots::Entry::new(shown, at << self.header.cluster_bits, self.l1.len() as u32));
        self.table = Some(table);
        Ok(())
    }

    fn share_l2(&mut self, index: usize) -> Result<()> {
        let Some(offset) = l2_offset(&self.header, self.l1[index])? else { return Ok(()) };
        let mut words = read_l2(&*self.image.file, &self.header, offset)?.words().to_vec();
        let mut changed = false;
        for word in &mut words {
            let entry = decode(&self.header, *word, 0)?;
            if let Some((host, len)) = entry.host_range(&self.header) {
                let (first, last) =
                    (host >> self.header.cluster_bits, (host + len - 1) >> self.header.cluster_bits);
                self.refs.add(&mut self.alloc, first, last - first + 1, 1)?;
            }
            changed |= *word & COPIED != 0;
            *word &= !COPIED;
        }
        if changed {
            let at = self.take(1, 2)?;
            self.put(at, &to_be_bytes(&words))?;
            self.drop_range(offset, self.cluster_size())?;
            self.l1[index] = at << self.header.cluster_bits;
        } else {
            self.refs.add(&mut self.alloc, offset >> self.header.cluster_bits, 1, 1)?;
            self.l1[index] = offset;
        }
        Ok(())
    }

    pub(super) fn write_snapshots(&mut self) -> Result<()> {
        let Some(table) = self.table.take() else { return Ok(()) };
        let old: usize = self.image.table.iter().map(|s| s.raw.len()).sum();
        self.drop_range(self.header.snapshots_offset, old as u64)?;
        let bytes: Vec<u8> = table.iter().flat_map(|s| s.raw.iter().copied()).collect();
        let at = self.take(div_up(bytes.len() as u64, self.cluster_size()), 1)?;
        self.put(at, &bytes)?;
        self.header.snapshots_offset = at << self.header.cluster_bits;
        self.header.nb_snapshots = table.len() as u32;
        Ok(())
    }
}
