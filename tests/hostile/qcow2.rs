//! A small, sound qcow2 image, byte by byte: versions 2 and 3, with a snapshot, extensions, a backing
//! file, subclusters, compression. What is wrong with it is added afterwards.
//!
//! Clusters: 0 header, 1 refcount table, 2 refcount block, 3 L1, 4 L2, 5 and 6 data, 7 a compressed
//! cluster; with a snapshot 8 its table, 9 its L1, 10 its L2, 11 its data. 1 MiB of guest disk:
//! cluster 0 and 1 data, 2 zero, 3 compressed.

use std::io::Write;

use crate::build::Bytes;

pub(crate) const BITS: u32 = 12;
pub(crate) const CLUSTER: u64 = 1 << BITS;
pub(crate) const SIZE: u64 = 1 << 20;
pub(crate) const COPIED: u64 = 1 << 63;
pub(crate) const COMPRESSED: u64 = 1 << 62;

/// Where cluster `n` begins.
pub(crate) const fn at(n: u64) -> u64 {
    n * CLUSTER
}

/// Where L1 entry `i` lies.
pub(crate) const fn l1(i: u64) -> u64 {
    at(3) + i * 8
}

/// Where L2 entry `i` lies.
pub(crate) const fn l2(i: u64) -> u64 {
    at(4) + i * 8
}

/// Where the refcount of cluster `n` lies.
pub(crate) const fn rc(n: u64) -> u64 {
    at(2) + n * 2
}

/// What the image has.
#[derive(Clone, Default)]
pub(crate) struct Qcow2 {
    pub(crate) v2: bool,
    pub(crate) snapshot: bool,
    pub(crate) zstd: bool,
    pub(crate) extended: bool,
    pub(crate) backing: Option<(Vec<u8>, Option<&'static str>)>,
    pub(crate) extensions: Vec<(u32, Vec<u8>)>,
}

impl Qcow2 {
    pub(crate) fn with(mut self, kind: u32, data: impl Into<Vec<u8>>) -> Self {
        self.extensions.push((kind, data.into()));
        self
    }

    pub(crate) fn over(name: impl AsRef<[u8]>, format: Option<&'static str>) -> Self {
        Self { backing: Some((name.as_ref().to_vec(), format)), ..Self::default() }
    }

    /// Where the extensions begin.
    pub(crate) fn first_extension(&self) -> u64 {
        if self.v2 { 72 } else { 112 }
    }

    fn cluster_0(&self) -> Vec<u8> {
        let mut list = self.extensions.clone();
        if let Some((_, Some(format))) = &self.backing {
            list.push((0xe279_2aca, format.as_bytes().to_vec()));
        }
        let mut area = Vec::new();
        for (kind, data) in list {
            area.extend(kind.to_be_bytes());
            area.extend((data.len() as u32).to_be_bytes());
            area.extend(data);
            area.resize(area.len().next_multiple_of(8), 0);
        }
        area.extend([0; 8]);
        let name = self.backing.as_ref().map_or(&[][..], |(name, _)| name);
        let name_at = if self.backing.is_some() { self.first_extension() + area.len() as u64 } else { 0 };
        let mut out = Bytes::new(b"QFI\xfb".to_vec())
            .be32(4, if self.v2 { 2 } else { 3 })
            .be64(8, name_at)
            .be32(16, name.len() as u32)
            .be32(20, if self.extended { 14 } else { BITS })
            .be64(24, SIZE)
            .be64(40, self.at(3))
            .be32(36, 1)
            .be64(48, self.at(1))
            .be32(56, 1);
        if self.snapshot {
            out = out.be32(60, 1).be64(64, self.at(8));
        }
        if !self.v2 {
            let incompatible = u64::from(self.zstd) << 3 | u64::from(self.extended) << 4;
            out = out.be64(72, incompatible).be32(96, 4).be32(100, 112).be8(104, self.zstd.into());
            out = out.put(105, &[0; 7]);
        }
        let mut near = out.near;
        near.resize(self.first_extension() as usize, 0);
        near.extend(area);
        near.extend(name);
        near
    }

    fn at(&self, n: u64) -> u64 {
        if self.extended { n << 14 } else { at(n) }
    }

    /// The bytes.
    pub(crate) fn build(&self) -> Bytes {
        let used: u64 = if self.snapshot { 12 } else { 8 };
        let mut near = self.cluster_0();
        near.resize(self.at(used) as usize, 0);
        let mut out = Bytes::new(near).be64(self.at(1), self.at(2)).be64(self.at(3), self.at(4) | COPIED);
        for n in 0..used {
            out = out.be16(self.at(2) + n * 2, 1);
        }
        out =
            out.put(self.at(5), &vec![0x11; CLUSTER as usize]).put(self.at(6), &vec![0x22; CLUSTER as usize]);
        if self.extended {
            // 32 parts each: the first wholly data, the second half data and half zero.
            out = out
                .words(
                    self.at(4),
                    [self.at(5) | COPIED, 0xffff_ffff, self.at(6) | COPIED, 0xffff_0000_0000_ffff],
                )
                .be16(self.at(2) + 14, 0);
            return out;
        }
        let packed =
            if self.zstd { zstd(&[0x33; CLUSTER as usize]) } else { deflate(&[0x33; CLUSTER as usize]) };
        out = out
            .be64(l2(0), at(5) | COPIED)
            .be64(l2(1), at(6) | COPIED)
            .be64(l2(2), if self.v2 { 0 } else { 1 })
            .be64(l2(3), compressed(at(7), packed.len() as u64))
            .put(at(7), &packed);
        if self.snapshot {
            out = out
                .put(at(8), &entry(at(9), 1, b"1", b"sn0", 16, SIZE))
                .be64(at(9), at(10))
                .be64(at(10), at(11))
                .put(at(11), &vec![0x44; CLUSTER as usize])
                .be64(at(9), at(10))
                .be64(at(10), at(11));
        }
        out
    }
}

/// A sound version 3 image.
pub(crate) fn v3() -> Bytes {
    Qcow2::default().build()
}

/// A sound version 2 image.
pub(crate) fn v2() -> Bytes {
    Qcow2 { v2: true, ..Qcow2::default() }.build()
}

/// A sound image with a snapshot.
pub(crate) fn with_snapshot() -> Bytes {
    Qcow2 { snapshot: true, ..Qcow2::default() }.build()
}

/// An entry of the snapshot table, padded.
pub(crate) fn entry(l1_at: u64, l1_size: u32, id: &[u8], name: &[u8], extra: usize, size: u64) -> Vec<u8> {
    let mut more = [0, size, u64::MAX].map(u64::to_be_bytes).concat();
    more.resize(extra, 0);
    let out = Bytes::default()
        .be64(0, l1_at)
        .be32(8, l1_size)
        .be16(12, id.len() as u16)
        .be16(14, name.len() as u16)
        .be32(16, 1_700_000_000)
        .be32(36, extra as u32)
        .put(40, &more)
        .put(40 + extra as u64, id)
        .put(40 + (extra + id.len()) as u64, name);
    let mut near = out.near;
    near.resize(near.len().next_multiple_of(8), 0);
    near
}

/// The L2 entry of a stream of `len` bytes at `host`, with 4 KiB clusters.
pub(crate) fn compressed(host: u64, len: u64) -> u64 {
    let sectors = (host % 512 + len).div_ceil(512) - 1;
    COMPRESSED | sectors << (62 - (BITS - 8)) | host
}

/// A raw deflate stream.
pub(crate) fn deflate(data: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(data).unwrap();
    out.finish().unwrap()
}

/// A zstd frame.
pub(crate) fn zstd(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0; zstd_safe::compress_bound(data.len())];
    let n = zstd_safe::compress(&mut out[..], data, 3).unwrap();
    out.truncate(n);
    out
}
