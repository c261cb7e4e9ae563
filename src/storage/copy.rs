//! Moving bytes between files as cheaply as the kernel allows.

use std::ops::Range;

use rustix::io::Errno;

use super::File;
use crate::error::{Error, Result};

/// Buffered writes beyond this were slower wherever it was measured.
const CHUNK: usize = 256 << 10;

/// Most bytes of one call that shares blocks.
const SHARED_CHUNK: usize = 1 << 30;
/// From here on a copy goes past the page cache.
const BULK: u64 = 512 << 10;
/// Bytes of one direct write.
const DIRECT_CHUNK: usize = 1 << 20;
/// What direct writes need of their buffer.
const ALIGNMENT: usize = 4096;

/// A reusable buffer, aligned for direct writes. Takes no memory until first needed.
#[derive(Debug)]
pub struct CopyBuffer {
    memory: Vec<u8>,
    len: usize,
}

impl Default for CopyBuffer {
    fn default() -> Self {
        Self::of(DIRECT_CHUNK)
    }
}

impl CopyBuffer {
    /// One of `len` bytes.
    pub fn of(len: usize) -> Self {
        Self { memory: Vec::new(), len }
    }

    /// Its bytes, whatever they are.
    pub fn bytes(&mut self) -> &mut [u8] {
        self.memory.resize(self.len + ALIGNMENT, 0);
        let skip = self.memory.as_ptr().addr().wrapping_neg() % ALIGNMENT;
        &mut self.memory[skip..skip + self.len]
    }
}

/// Writes many bytes that nobody is about to read: past the page cache as far as they are aligned for it.
pub fn write_bulk(file: &dyn File, offset: u64, bytes: &[u8]) -> Result<()> {
    let (bulk, rest) = bytes.split_at(bytes.len() / ALIGNMENT * ALIGNMENT);
    let done = if !bulk.is_empty() && file.write_direct(offset, bulk)? { bulk.len() } else { 0 };
    let rest = if done > 0 { rest } else { bytes };
    for (i, chunk) in rest.chunks(CHUNK).enumerate() {
        file.write_at(offset + (done + i * CHUNK) as u64, chunk)?;
    }
    if done == 0 {
        file.start_writeback(offset, bytes.len() as u64);
    }
    Ok(())
}

/// Copies the start of a large range past the page cache: new pages for data that nobody is about
/// to read cost more than the disk does. Returns the bytes copied.
fn copy_direct(
    src: &dyn File,
    from: u64,
    dst: &dyn File,
    to: u64,
    len: u64,
    buffer: &mut CopyBuffer,
) -> Result<u64> {
    let buf = buffer.bytes();
    let mut done = 0;
    while len - done >= ALIGNMENT as u64 {
        let n = (len - done).min(buf.len() as u64) as usize / ALIGNMENT * ALIGNMENT;
        read_exact_or_zero(src, from + done, &mut buf[..n])?;
        if !dst.write_direct(to + done, &buf[..n])? {
            break;
        }
        done += n as u64;
    }
    Ok(done)
}

fn can_share(src: &dyn File, from: u64, dst: &dyn File, to: u64) -> bool {
    from % 4096 == to % 4096 && src.id().dev == dst.id().dev && dst.shares_blocks()
}

/// Reads exactly `buf.len()` bytes; what lies beyond the end of the file reads as zeros, as QEMU
/// does for an image whose last cluster was never fully written.
pub fn read_exact_or_zero(file: &dyn File, offset: u64, buf: &mut [u8]) -> Result<()> {
    let n = file.read_at(offset, buf)?;
    buf[n..].fill(0);
    Ok(())
}

/// Whether the file holds no data from `offset` to `offset + len`: a hole, or beyond the end. Asks
/// the file system only, so that a sparse file costs no more time than the data it really has.
pub fn is_hole(file: &dyn File, offset: u64, len: u64) -> Result<bool> {
    Ok(file.data_range(offset)?.is_none_or(|data| data.start >= offset.saturating_add(len)))
}

/// Bytes of a range that take no room yet: holes, and what lies beyond the end.
pub fn holes(file: &dyn File, from: u64, len: u64) -> Result<u64> {
    let (mut at, end) = (from, from.saturating_add(len));
    let mut holes = 0;
    while at < end {
        let data = file.data_range(at)?.unwrap_or(end..end);
        let start = data.start.clamp(at, end);
        holes += start - at;
        at = data.end.clamp(start, end);
    }
    Ok(holes)
}

/// Reads like [`read_exact_or_zero`] into a buffer that is all zeros already, leaving holes alone.
/// Says which parts of the buffer were read.
pub fn read_data_into_zeros(file: &dyn File, offset: u64, buf: &mut [u8]) -> Result<Vec<Range<usize>>> {
    let mut read = Vec::new();
    let end = offset.saturating_add(buf.len() as u64);
    let mut at = offset;
    while at < end
        && let Some(data) = file.data_range(at)?
    {
        let (start, stop) = (data.start.max(at), data.end.min(end));
        if start >= stop {
            break;
        }
        let part = (start - offset) as usize..(stop - offset) as usize;
        read_exact_or_zero(file, start, &mut buf[part.clone()])?;
        read.push(part);
        at = stop;
    }
    Ok(read)
}

/// Copies guest data: like [`copy_range`], but that at a rehearsal nothing is read and nothing kept.
pub fn copy_data(
    src: &dyn File,
    from: u64,
    dst: &dyn File,
    to: u64,
    len: u64,
    buffer: &mut CopyBuffer,
) -> Result<()> {
    match dst.rehearses(to, len) {
        true => Ok(()),
        false => copy_range(src, from, dst, to, len, buffer),
    }
}

/// Copies `len` bytes from `src` to `dst`.
///
/// A large range goes past the page cache. Otherwise the kernel copies (and shares the blocks, where the file system can) when both are real files;
/// otherwise the bytes pass through memory. `src` beyond its end reads as zeros.
pub fn copy_range(
    src: &dyn File,
    mut from: u64,
    dst: &dyn File,
    mut to: u64,
    mut len: u64,
    buffer: &mut CopyBuffer,
) -> Result<()> {
    // Where bytes are kept in place, what does not change is there already.
    if from == to && src.id() == dst.id() {
        return Ok(());
    }
    let shares = can_share(src, from, dst, to);
    if len >= BULK && !shares {
        let done = copy_direct(src, from, dst, to, len, buffer)?;
        (from, to, len) = (from + done, to + done, len - done);
    }
    if let (Some(src_fd), Some(dst_fd)) = (src.fd(), dst.fd()) {
        // Shared blocks cost one call, however many they are.
        let most = if shares { SHARED_CHUNK } else { CHUNK };
        while len > 0 {
            let (mut off_in, mut off_out) = (from, to);
            let n = usize::try_from(len).unwrap_or(usize::MAX).min(most);
            let copied = rustix::io::retry_on_intr(|| {
                rustix::fs::copy_file_range(src_fd, Some(&mut off_in), dst_fd, Some(&mut off_out), n)
            });
            match copied {
                Ok(0) => break,
                Ok(n) => {
                    (from, to) = (from + n as u64, to + n as u64);
                    len -= n as u64;
                }
                Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::BADF) => break,
                Err(e) => return Err(Error::io("cannot copy", e.into()).at(dst.path()).offset(to)),
            }
        }
    }
    let mut buf = vec![0; CHUNK.min(usize::try_from(len).unwrap_or(CHUNK))];
    while len > 0 {
        let n = (buf.len() as u64).min(len);
        let part = &mut buf[..n as usize];
        read_exact_or_zero(src, from, part)?;
        dst.write_at(to, part)?;
        (from, to, len) = (from + n, to + n, len - n);
    }
    Ok(())
}
