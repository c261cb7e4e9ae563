//! Writing compressed clusters ("Compressed clusters"): packed one behind the other, at any byte.

use super::compression::compress;
use super::entry::compressed;
use super::refcounts::max_refcount;
use super::writer::Writer;
use crate::error::{Error, Kind, Result};
use crate::units::Guest;

/// Room left behind the last compressed cluster: from here to the end of its host cluster.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Room {
    at: u64,
    end: u64,
}

impl Writer {
    /// Stores one guest cluster compressed. `false` when it does not become smaller, or lies too far
    /// out for a compressed entry; then it must be stored as it is.
    ///
    /// `bytes` must be one whole cluster. Version 3 images say at creation which codec they use.
    pub fn put_compressed(&mut self, at: Guest, bytes: &[u8]) -> Result<bool> {
        if bytes.len() as u64 != self.cluster_size() {
            return Err(Error::new(Kind::Internal, "compression works on whole clusters"));
        }
        let Some(packed) = compress(&self.header, bytes) else { return Ok(false) };
        self.store_packed(at, &packed)
    }

    /// Stores one guest cluster that was compressed to `packed`; see above.
    pub(super) fn store_packed(&mut self, at: Guest, packed: &[u8]) -> Result<bool> {
        if !at.is_aligned(self.cluster_size()) {
            return Err(Error::new(Kind::Internal, "compression works on whole clusters"));
        }
        if self.header.encryption.is_some() {
            return Err(Error::unsupported("encrypted; cowherd cannot write data into it"));
        }
        if self.header.external_data() {
            return Err(Error::unsupported("compressed clusters cannot lie in an external data file"));
        }
        let len = packed.len() as u64;
        let host = self.room_for(len)?;
        let Some(entry) = compressed(&self.header, host, len) else { return Ok(false) };
        self.add_range(host, len, 1)?;
        self.wrote_data(len);
        if !self.is_rehearsal() {
            self.image.file.write_at(host, packed)?;
        }
        self.room.at = host + len;
        self.set_entry(at.0 >> self.header.cluster_bits, (entry, 0))?;
        Ok(true)
    }

    /// A place for `len` bytes: in the room that is left, going on into the next cluster when that
    /// one is free, otherwise at the start of a fresh one.
    fn room_for(&mut self, len: u64) -> Result<u64> {
        let bits = self.header.cluster_bits;
        let full = |w: &mut Self, cluster| {
            Ok::<_, Error>(w.refs.get(&mut w.alloc, cluster)? >= max_refcount(&w.header))
        };
        let left = self.room.end - self.room.at;
        if left > 0 && !full(self, self.room.at >> bits)? {
            if len <= left {
                return Ok(self.room.at);
            }
            let next = self.alloc.exact(1)?;
            let at = if next << bits == self.room.end { self.room.at } else { next << bits };
            self.room.end = (next + 1) << bits;
            return Ok(at);
        }
        let fresh = self.alloc.exact(1)?;
        self.room = Room { at: fresh << bits, end: (fresh + 1) << bits };
        Ok(self.room.at)
    }
}
