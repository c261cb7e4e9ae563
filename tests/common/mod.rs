//! What several tests share: a generator of numbers, herds of random images, fingerprints of views.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cowherd::chain::{Gate, Opener};
use cowherd::forest::{Forest, ScanOptions, scan};
use cowherd::image::qcow2::{CreateOptions, Writer, create};
use cowherd::image::{self, BackingRef, Format, Snapshot, State, Target, qed};
use cowherd::storage::{File, RealFile};
use cowherd::units::Guest;

/// A small generator of numbers (xorshift), the same for the same seed everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// Every view of every image under `dir`: `path` or `path@#id` to a hash of its size and content.
pub(crate) fn fingerprints(dir: &Path) -> BTreeMap<String, u64> {
    fingerprints_where(dir, &BTreeMap::new(), |_| false)
}

/// The same without the images that `refused` says nobody may open; raw ones, of which those in `sizes` are
/// looked for by name, only as far as that says.
pub(crate) fn fingerprints_where(
    dir: &Path,
    sizes: &BTreeMap<PathBuf, u64>,
    refused: impl Fn(&Path) -> bool,
) -> BTreeMap<String, u64> {
    let named = sizes.keys().filter(|path| path.exists()).cloned();
    let paths: Vec<_> = std::iter::once(dir.to_path_buf()).chain(named).collect();
    let options = ScanOptions { gate: Gate::for_paths([dir]), ..ScanOptions::default() };
    let forest = scan(&paths, &options).unwrap();
    let mut out = BTreeMap::new();
    for (i, node) in forest.nodes.iter().enumerate() {
        let id = cowherd::forest::NodeId(i as u32);
        let below = forest.ancestors(id).into_iter().filter_map(|id| forest.get(id));
        if std::iter::once(node).chain(below).any(|node| refused(&node.path)) {
            continue;
        }
        assert!(node.problems.is_empty(), "{}: {:?}", node.path.display(), node.problems);
        let opener = Opener {
            gate: Gate::for_paths([dir]),
            format: recorded_format(&forest, &node.path),
            ..Opener::default()
        };
        let chain = opener.open(&node.path).unwrap();
        let name = node.path.to_string_lossy().into_owned();
        let most = sizes.get(&node.path).filter(|_| node.format == Some(Format::Raw));
        out.insert(name.clone(), hash_upto(&chain.view(State::Active), most.copied().unwrap_or(u64::MAX)));
        for (i, snapshot) in chain.top().image.snapshots().iter().enumerate() {
            out.insert(format!("{name}@#{}", snapshot.id), hash(&chain.view(State::Snapshot(i))));
        }
    }
    out
}

fn recorded_format(forest: &Forest, path: &Path) -> Option<Format> {
    let node = forest.get(forest.find(path)?)?;
    node.children.iter().find_map(|c| Format::from_name(forest.get(*c)?.backing.as_ref()?.format.as_deref()?))
}

pub(crate) fn hash(view: &cowherd::chain::View) -> u64 {
    hash_upto(view, u64::MAX)
}

fn hash_upto(view: &cowherd::chain::View, most: u64) -> u64 {
    let size = view.size().min(most);
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(size);
    let mut buf = vec![0; 1 << 16];
    let mut at = 0;
    while at < size {
        let n = view.read_at(Guest(at), &mut buf).unwrap().min((size - at) as usize);
        hasher.write(&buf[..n]);
        at += n as u64;
    }
    hasher.finish()
}

pub(crate) fn scanned(dir: &Path) -> Forest {
    scan(&[dir.to_path_buf()], &ScanOptions { gate: Gate::for_paths([dir]), ..ScanOptions::default() })
        .unwrap()
}

/// Writes `bytes` at a unit boundary through the image's own allocation.
pub(crate) fn write_bytes(target: &mut dyn Target, at: u64, bytes: &[u8]) {
    let mut done = 0;
    while done < bytes.len() {
        let (host, len) = target.allocate(Guest(at + done as u64), (bytes.len() - done) as u64).unwrap();
        let n = (len as usize).min(bytes.len() - done);
        target.file().write_at(host.0, &bytes[done..done + n]).unwrap();
        target.map(Guest(at + done as u64), host, len).unwrap();
        done += n;
    }
}

/// An image with the data file that lies beside it, if there is one.
pub(crate) fn files(path: &Path) -> image::Files {
    let open = |path: &Path| -> Arc<dyn File> { Arc::new(RealFile::open(path, true).unwrap()) };
    let data = path.with_extension("data");
    image::Files { image: open(path), data: data.exists().then(|| open(&data)) }
}

/// Random data and zeros over an image, with nothing behind the end of its disk.
pub(crate) fn scribble(path: &Path, format: Format, random: &mut Random) {
    let mut target = image::write(files(path), format, false).unwrap();
    let size = target.size();
    // Raw has sectors for units; runs should still be of the same order as elsewhere.
    let unit = target.unit().max(4096);
    let clusters = size.div_ceil(unit);
    let mut at = random.below(6);
    while at < clusters {
        let n = (1 + random.below(6)).min(clusters - at);
        let len = (n * unit).min(size - at * unit);
        if random.one_in(4) {
            target.zero(Guest(at * unit), len).unwrap();
        } else {
            let mut bytes = vec![random.next() as u8 | 1; len as usize];
            bytes[0] = random.next() as u8;
            // Whole units reach the file, with zeros behind the end of the disk.
            bytes.resize(len.div_ceil(target.unit()) as usize * target.unit() as usize, 0);
            write_bytes(&mut *target, at * unit, &bytes);
        }
        at += n + random.below(10);
    }
    target.finish().unwrap();
}

pub(crate) fn snapshot(path: &Path, name: &str) {
    let mut writer = Writer::open(files(path), false).unwrap();
    let image = image::open(Arc::new(RealFile::open(path, false).unwrap()), None).unwrap();
    writer
        .snapshot(Snapshot {
            id: (image.snapshots().len() + 1).to_string(),
            name: name.to_owned(),
            virtual_size: image.virtual_size(State::Active),
            vm_state_size: 0,
            date_sec: 1_790_000_000,
            date_nsec: 0,
            vm_clock_nsec: 0,
            icount: None,
        })
        .unwrap();
    Box::new(writer).finish().unwrap();
}

/// An image that was made for a herd.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    pub(crate) parent: Option<usize>,
    pub(crate) snapshots: usize,
}

/// What a random herd may contain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Herd {
    pub(crate) images: u64,
    /// Snapshots only in images without a parent (1), anywhere (2), or nowhere (0).
    pub(crate) snapshots: u8,
}

/// Makes a random herd in `dir`.
pub(crate) fn herd(dir: &Path, herd: Herd, random: &mut Random) -> Vec<Made> {
    let mut made: Vec<Made> = Vec::new();
    for i in 0..herd.images {
        let parent = if i == 0 { None } else { Some(random.below(i) as usize) };
        let size = match random.below(3) {
            0 => 512 << 10,
            1 => (128 + random.below(512)) << 10,
            _ => 512 * (200 + random.below(1200)),
        };
        let format = match random.below(3) {
            0 if parent.is_none() => Format::Raw,
            1 => Format::Qed,
            _ => Format::Qcow2,
        };
        let path = dir.join(format!("i{i}.{format}"));
        let file = RealFile::create_new(&path).unwrap();
        let backing = parent.map(|p| BackingRef {
            name: OsString::from(made[p].path.file_name().unwrap()),
            format: Some(made[p].format.name().to_owned()),
        });
        match format {
            Format::Raw => file.set_len(size).unwrap(),
            Format::Qed => {
                let options = qed::CreateOptions {
                    cluster_size: *random.pick(&[4096, 4096, 16384, 65536]),
                    table_size: *random.pick(&[2, 4, 16]),
                    virtual_size: size,
                    backing,
                };
                qed::create(&file, &options).unwrap();
            }
            Format::Qcow2 => {
                let version = if random.one_in(4) { 2 } else { 3 };
                let options = CreateOptions {
                    version,
                    cluster_size: *random.pick(&[512, 1024, 4096, 4096, 16384, 65536]),
                    refcount_bits: if version == 2 { 16 } else { *random.pick(&[4, 8, 16, 64]) },
                    virtual_size: size,
                    backing,
                    ..CreateOptions::default()
                };
                create(&file, &options).unwrap();
            }
        }
        drop(file);
        let mut snapshots = 0;
        for _ in 0..1 + random.below(2) {
            scribble(&path, format, random);
            let may = herd.snapshots == 2 || (herd.snapshots == 1 && parent.is_none());
            if may && format == Format::Qcow2 && random.one_in(2) {
                snapshots += 1;
                snapshot(&path, &format!("sn{snapshots}"));
            }
        }
        made.push(Made { path, format, parent, snapshots });
    }
    made
}

/// Every image with tables must be clean.
pub(crate) fn assert_clean(dir: &Path, what: &str) {
    for node in &scanned(dir).nodes {
        if node.format == Some(Format::Raw) {
            continue;
        }
        let file: Arc<dyn File> = Arc::new(RealFile::open(&node.path, false).unwrap());
        let report = image::open(file, node.format).unwrap().check().unwrap();
        assert!(report.findings.is_empty(), "{what}: {}: {:#?}", node.path.display(), report.findings);
    }
}
