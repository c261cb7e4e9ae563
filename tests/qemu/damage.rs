//! Deliberate damage to qcow2 images, byte by byte.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A qcow2 file opened for vandalism. Understands 16-bit refcounts only.
pub(crate) struct Victim {
    file: std::fs::File,
    pub(crate) cluster: u64,
    l1: u64,
    reftable: u64,
}

impl Victim {
    pub(crate) fn open(path: &Path) -> Self {
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let mut victim = Self { file, cluster: 0, l1: 0, reftable: 0 };
        victim.cluster = 1 << victim.be32(20);
        victim.l1 = victim.be64(40);
        victim.reftable = victim.be64(48);
        victim
    }

    fn be32(&self, at: u64) -> u32 {
        let mut bytes = [0; 4];
        self.file.read_exact_at(&mut bytes, at).unwrap();
        u32::from_be_bytes(bytes)
    }

    pub(crate) fn be64(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, at).unwrap();
        u64::from_be_bytes(bytes)
    }

    pub(crate) fn write64(&self, at: u64, value: u64) {
        self.file.write_all_at(&value.to_be_bytes(), at).unwrap();
    }

    /// Where the refcount of a cluster is stored.
    fn refcount_at(&self, cluster: u64) -> u64 {
        let per_block = self.cluster / 2;
        let block = self.be64(self.reftable + cluster / per_block * 8);
        assert_ne!(block, 0);
        block + cluster % per_block * 2
    }

    pub(crate) fn refcount(&self, cluster: u64) -> u16 {
        let mut bytes = [0; 2];
        self.file.read_exact_at(&mut bytes, self.refcount_at(cluster)).unwrap();
        u16::from_be_bytes(bytes)
    }

    pub(crate) fn set_refcount(&self, cluster: u64, count: u16) {
        self.file.write_all_at(&count.to_be_bytes(), self.refcount_at(cluster)).unwrap();
    }

    /// Where the first L2 entry that maps data is stored, and the entry.
    pub(crate) fn data_entry(&self) -> (u64, u64) {
        const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
        let l2 = (0..).map(|i| self.be64(self.l1 + i * 8) & OFFSET).find(|l2| *l2 != 0).unwrap();
        let at = (0..self.cluster / 8).map(|i| l2 + i * 8);
        at.map(|at| (at, self.be64(at))).find(|(_, entry)| entry & OFFSET != 0).unwrap()
    }

    /// Cluster index that an entry points at.
    pub(crate) fn target(&self, entry: u64) -> u64 {
        (entry & 0x00ff_ffff_ffff_fe00) / self.cluster
    }

    /// A cluster inside the file that nothing uses, or the first one behind it.
    pub(crate) fn free_cluster(&self) -> u64 {
        (0..).find(|c| self.refcount(*c) == 0).unwrap()
    }

    /// The header's incompatible features.
    pub(crate) fn or_incompatible(&self, bits: u64) {
        self.write64(72, self.be64(72) | bits);
    }
}
