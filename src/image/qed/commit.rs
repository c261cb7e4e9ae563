//! Making a change true: new tables, the flip, and then no hole is left.

use super::header::SECTOR;
use super::tidy::tidy;
use super::writer::QedWriter;
use crate::error::Result;
use crate::units::{Host, div_up};

impl QedWriter {
    /// New tables, the flip, and then the holes. A sector is all that changes when only the header
    /// does.
    pub(super) fn commit(&mut self) -> Result<()> {
        let old_end = div_up(self.old_len.unwrap_or(0), self.header.cluster_size);
        if self.l1 != self.old_l1 {
            self.drop_table(self.header.l1.0)?;
            let words = std::mem::take(&mut self.l1);
            self.header.l1 = Host(self.put_table(&words)?);
            self.l1 = words;
        }
        let end = self.alloc.used.end() * self.header.cluster_size;
        self.done.meta_bytes += SECTOR as u64;
        let file = self.image.file.clone();
        if !self.dry {
            // A cluster must lie in the file whole to count, even if its tail was never written.
            if file.len()? < end {
                file.set_len(end)?;
            }
            self.old_len = None;
            self.header.flip(&*file)?;
        }
        let mut used = std::mem::take(&mut self.alloc.used);
        for (first, count) in self.dropped.runs(0) {
            used.unmark_run(first, count);
        }
        let size = self.header.cluster_size;
        let tables = self.l1.iter().zip(0..).filter(|(e, _)| e.get() != 0);
        let layout = self.header.layout(used, tables.map(|(e, index)| (e.get() / size, index)));
        let left = layout.limit();
        let tidied = tidy(&file, &mut self.header, layout, self.dry)?;
        self.done.data_bytes += tidied.data_bytes;
        self.done.meta_bytes += tidied.meta_bytes;
        self.done.freed_bytes += (old_end * size + self.done.extra_bytes).saturating_sub(left * size);
        self.done.extra_bytes += tidied.extra_bytes;
        self.done.freed_bytes += tidied.freed_bytes;
        Ok(())
    }
}
