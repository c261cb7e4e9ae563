//! Bytes of an image file, and whatever is done to them.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A file in the making: bytes from the start, bytes far away, and a length beyond both.
#[derive(Clone, Default)]
pub(crate) struct Bytes {
    pub(crate) near: Vec<u8>,
    far: Vec<(u64, Vec<u8>)>,
    len: u64,
}

impl Bytes {
    pub(crate) fn new(near: Vec<u8>) -> Self {
        Self { near, far: Vec::new(), len: 0 }
    }

    /// Overwrites bytes; far away from the start they make the file sparse.
    pub(crate) fn put(mut self, at: u64, bytes: &[u8]) -> Self {
        let end = at + bytes.len() as u64;
        if end > 1 << 20 {
            self.far.push((at, bytes.to_vec()));
        } else {
            let (start, end) = (at as usize, end as usize);
            self.near.resize(self.near.len().max(end), 0);
            self.near[start..end].copy_from_slice(bytes);
        }
        self
    }

    /// A big-endian byte.
    pub(crate) fn be8(self, at: u64, value: u8) -> Self {
        self.put(at, &[value])
    }

    /// A big-endian field of two bytes.
    pub(crate) fn be16(self, at: u64, value: u16) -> Self {
        self.put(at, &value.to_be_bytes())
    }

    /// A big-endian field of four bytes.
    pub(crate) fn be32(self, at: u64, value: u32) -> Self {
        self.put(at, &value.to_be_bytes())
    }

    /// A big-endian field of eight bytes.
    pub(crate) fn be64(self, at: u64, value: u64) -> Self {
        self.put(at, &value.to_be_bytes())
    }

    /// A little-endian field of four bytes.
    pub(crate) fn le32(self, at: u64, value: u32) -> Self {
        self.put(at, &value.to_le_bytes())
    }

    /// A little-endian field of eight bytes.
    pub(crate) fn le64(self, at: u64, value: u64) -> Self {
        self.put(at, &value.to_le_bytes())
    }

    /// The same big-endian word `count` times.
    pub(crate) fn fill64(self, at: u64, value: u64, count: usize) -> Self {
        self.put(at, &value.to_be_bytes().repeat(count))
    }

    /// Big-endian words, one after another.
    pub(crate) fn words(self, at: u64, words: impl IntoIterator<Item = u64>) -> Self {
        let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_be_bytes).collect();
        self.put(at, &bytes)
    }

    /// Cuts the file off.
    pub(crate) fn cut(mut self, len: usize) -> Self {
        self.near.truncate(len);
        self
    }

    /// A hole up to this length.
    pub(crate) fn sparse(mut self, len: u64) -> Self {
        self.len = len;
        self
    }

    pub(crate) fn write(&self, path: &Path) {
        let file = File::create(path).unwrap();
        file.write_all_at(&self.near, 0).unwrap();
        for (at, bytes) in &self.far {
            file.write_all_at(bytes, *at).unwrap();
        }
        if self.len > file.metadata().unwrap().len() {
            file.set_len(self.len).unwrap();
        }
    }
}
