//! Which image a case of the matrix is about.

use std::fmt;

use crate::lab::{Lab, Random};
use crate::matrix::{DATA, IMAGE};

/// What is chosen once per image.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) cluster: u64,
    pub(crate) bits: u64,
    pub(crate) version: u64,
    pub(crate) extended: bool,
    pub(crate) zstd: bool,
    pub(crate) compresses: bool,
    /// How many snapshots there may be at once.
    pub(crate) snapshots: usize,
    /// Refcounts are written late, so that a crash leaves the image dirty.
    pub(crate) lazy: bool,
    /// Whether the data lies in a file of its own, and whether that is a raw image by itself.
    pub(crate) data: Option<bool>,
    size: u64,
    backing: Option<Backing>,
    made_by_us: bool,
}

#[derive(Debug)]
struct Backing {
    format: &'static str,
    size: u64,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Shape {
    pub(crate) fn any(random: &mut Random) -> Self {
        let version = if random.below(4) == 0 { 2 } else { 3 };
        let extended = version == 3 && random.below(4) == 0;
        let sizes: &[u64] = match extended {
            true => &[16 << 10, 64 << 10, 256 << 10, 2 << 20],
            false => &[512, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 64 << 10, 256 << 10, 2 << 20],
        };
        let data = (version == 3 && random.below(5) == 0).then(|| random.below(2) == 0);
        let compresses = data.is_none() && random.below(2) == 0;
        let bits = if version == 2 { 16 } else { 1 << random.below(7) };
        // Few bits cannot count many references; several packed clusters share one count.
        let snapshots = match (bits, compresses) {
            _ if data.is_some() => 0,
            (1, _) | (..16, true) => 0,
            (2, false) => 2,
            _ => random.below(5) as usize,
        };
        let size = (200 + random.below(7000)) * 512;
        let backing = (data != Some(true) && random.below(3) > 0).then(|| Backing {
            format: if random.below(2) == 0 { "raw" } else { "qcow2" },
            size: match random.below(3) {
                0 => size,
                1 => (size / 2) & !511,
                _ => size + (1 + random.below(1500)) * 512,
            },
        });
        Self {
            cluster: sizes[random.below(sizes.len() as u64) as usize],
            bits,
            version,
            extended,
            zstd: version == 3 && random.below(2) == 0,
            compresses,
            snapshots,
            lazy: version == 3 && random.below(3) == 0,
            data,
            size,
            backing,
            made_by_us: random.below(2) == 0,
        }
    }

    /// Whether what is not allocated shows something else.
    pub(crate) fn is_backed(&self) -> bool {
        self.backing.is_some()
    }

    /// Makes the image, by either program, and gives what a guest reads in it.
    pub(crate) fn make(&self, lab: &Lab, random: &mut Random) -> Vec<u8> {
        let mut below = Vec::new();
        let mut based = String::new();
        if let Some(Backing { format, size }) = &self.backing {
            lab.img(&format!("create -q -f {format} base {size}"));
            lab.scribble("base", format, *size, random.next(), 12);
            lab.img(&format!("convert -f {format} -O raw base ../below"));
            below = std::fs::read(lab.outside().join("below")).unwrap();
            based = format!("-b base -F {format}");
        }
        let options = if self.version == 2 {
            format!("compat=0.10,cluster_size={}", self.cluster)
        } else {
            let (extended, codec) = (on(self.extended), if self.zstd { "zstd" } else { "zlib" });
            let Self { cluster, bits, .. } = self;
            let data = self.data.map(|raw| format!(",data_file={DATA},data_file_raw={}", on(raw)));
            format!(
                "cluster_size={cluster},refcount_bits={bits},extended_l2={extended},compression_type={codec},\
                 lazy_refcounts={}{}",
                on(self.lazy),
                data.unwrap_or_default()
            )
        };
        let size = self.size;
        match self.made_by_us {
            true => drop(lab.run(&format!("create {IMAGE} {size} -f qcow2 -o {options} {based}")).expect(0)),
            false => drop(lab.img(&format!("create -q -f qcow2 -o {options} {based} {IMAGE} {size}"))),
        }
        below.resize(size as usize, 0);
        below
    }
}

fn on(yes: bool) -> &'static str {
    if yes { "on" } else { "off" }
}
