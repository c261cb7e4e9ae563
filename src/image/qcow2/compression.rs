//! Compressed clusters ("Compressed clusters"): raw deflate or zstd, never longer than a cluster.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::header::Header;
use crate::error::{Error, Result};
use crate::storage::{File, read_exact_or_zero};

/// Memory a zstd stream may ask for: far more than the largest cluster.
const MAX_WINDOW_BITS: u32 = 23;
/// QEMU inflates with a window of 4 KiB, so nothing may refer further back.
const WINDOW_BITS: u8 = 12;
const ZSTD_LEVEL: i32 = 3;

/// Level of the look that tells whether deflating is worth its time: the lowest that still sees uneven bytes.
const PROBE_LEVEL: i32 = 1;
/// Smaller clusters are deflated at once.
const PROBE_FROM: usize = 16 << 10;
/// What that look must save, as a part of the cluster.
const PROBE_SAVES: usize = 64;

/// A codec keeps its memory from one cluster to the next.
struct Codecs {
    zstd: zstd_safe::CCtx<'static>,
    deflate: Compress,
}

thread_local! {
    static CODECS: RefCell<Codecs> = RefCell::new(Codecs {
        zstd: zstd_safe::CCtx::create(),
        deflate: deflater(),
    });
}

fn deflater() -> Compress {
    Compress::new_with_window_bits(Compression::new(6), false, WINDOW_BITS)
}

/// The cluster compressed, when that makes it smaller. Deflate is slowest on what it cannot make smaller, so that
/// a quicker codec has a look first.
pub(super) fn compress(header: &Header, cluster: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0; cluster.len().checked_sub(1)?];
    let len = CODECS.with_borrow_mut(|codecs| match header.zstd {
        true => codecs.zstd.compress(&mut out[..], cluster, ZSTD_LEVEL).ok(),
        false => {
            let worth = cluster.len() - cluster.len() / PROBE_SAVES;
            if cluster.len() >= PROBE_FROM {
                codecs.zstd.compress(&mut out[..worth], cluster, PROBE_LEVEL).ok()?;
            }
            codecs.deflate.reset();
            match codecs.deflate.compress(cluster, &mut out, FlushCompress::Finish) {
                Ok(Status::StreamEnd) => usize::try_from(codecs.deflate.total_out()).ok(),
                _ => {
                    // A reset does not give back what zlib-rs 0.6.8 still holds of an unfinished stream.
                    codecs.deflate = deflater();
                    None
                }
            }
        }
    })?;
    out.truncate(len);
    Some(out)
}

/// Reads and decompresses the cluster whose stream starts at `host`, into `out` (one cluster).
///
/// The stream may end before `bytes`; what follows belongs to somebody else. Output beyond one
/// cluster is never produced, so a bomb costs no memory.
pub(super) fn read(file: &dyn File, header: &Header, host: u64, bytes: u64, out: &mut [u8]) -> Result<()> {
    // QEMU never stores a cluster compressed to more than itself plus slack of one sector.
    let cap = header.cluster_size() + 512;
    let mut input = vec![0; bytes.min(cap) as usize];
    read_exact_or_zero(file, host, &mut input)?;
    let fine = if header.zstd { zstd(&input, out) } else { deflate(&input, out) };
    if fine { Ok(()) } else { Err(Error::corrupt("compressed cluster cannot be decompressed").offset(host)) }
}

fn deflate(input: &[u8], out: &mut [u8]) -> bool {
    let mut stream = Decompress::new(false);
    let done = stream.decompress(input, out, FlushDecompress::Finish);
    matches!(done, Ok(Status::StreamEnd | Status::BufError | Status::Ok))
        && stream.total_out() == out.len() as u64
}

fn zstd(input: &[u8], out: &mut [u8]) -> bool {
    let mut context = zstd_safe::DCtx::create();
    if context.set_parameter(zstd_safe::DParameter::WindowLogMax(MAX_WINDOW_BITS)).is_err() {
        return false;
    }
    let mut source = zstd_safe::InBuffer::around(input);
    let len = out.len();
    let mut sink = zstd_safe::OutBuffer::around(out);
    while sink.pos() < len {
        let before = (source.pos(), sink.pos());
        match context.decompress_stream(&mut sink, &mut source) {
            Ok(0) => break,
            Ok(_) if (source.pos(), sink.pos()) == before => break,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    sink.pos() == len
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::image::NewImage;
    use crate::image::qcow2::CreateOptions;
    use crate::storage::MemFile;

    /// What the codec holds of a cluster that did not get smaller must not stand in the way of the next.
    #[test]
    fn clusters_that_do_not_get_smaller_leave_nothing_behind() {
        let file = MemFile::new("x", Vec::new());
        NewImage::Qcow2(CreateOptions { virtual_size: 1 << 20, ..CreateOptions::default() })
            .create(&file)
            .unwrap();
        let header = Header::read(&file).unwrap();
        let mut seed = 1u64;
        let mut noise = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 56) as u8
        };
        for _ in 0..64 {
            let random: Vec<u8> = (0..8192).map(|_| noise()).collect();
            assert_eq!(compress(&header, &random), None);
        }
        let text = b"the same again, ".repeat(512);
        let mut out = vec![0; text.len()];
        assert!(deflate(&compress(&header, &text).unwrap(), &mut out));
        assert_eq!(out, text);
    }
}
