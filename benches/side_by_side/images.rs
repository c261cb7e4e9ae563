//! What the images hold, and how they are made: by our own writers.

use std::fs::File as StdFile;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use cowherd::image::qcow2::{self, CreateOptions};
use cowherd::image::{self, BackingRef, Format, Target, qed};
use cowherd::storage::{File, RealFile};
use cowherd::units::Guest;

pub(crate) const CLUSTER: u64 = 64 << 10;
/// A disk that is half full.
pub(crate) const DISK: u64 = 4 << 30;
pub(crate) const BASE_CLUSTERS: usize = 32 << 10;
/// 200 MiB.
pub(crate) const LAYER_CLUSTERS: usize = 3200;

/// In which order guest neighbours lie in the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Guest,
    Shuffled,
}

/// The same numbers every time.
pub(crate) struct Random(u64);

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

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for i in (1..all.len()).rev() {
            let other = self.next() as usize % (i + 1);
            all.swap(i, other);
        }
    }
}

/// `count` clusters of a disk, in guest order.
pub(crate) fn some_clusters(count: usize, seed: u64) -> Vec<u64> {
    let mut clusters: Vec<u64> = (0..DISK / CLUSTER).collect();
    Random::new(seed).shuffle(&mut clusters);
    clusters.truncate(count);
    clusters.sort_unstable();
    clusters
}

/// What a guest wrote into a cluster: noise into every other one, words that compress into the rest.
pub(crate) fn content(cluster: u64, seed: u64, bytes: &mut [u8]) {
    let mut random = Random::new(cluster ^ seed << 32);
    if cluster % 2 == 1 {
        bytes.chunks_exact_mut(8).for_each(|word| word.copy_from_slice(&random.next().to_le_bytes()));
        return;
    }
    const WORDS: [&[u8; 16]; 4] =
        [b"the quick brown ", b"fox jumps over a", b"lazy dog, while ", b"forty cows graze"];
    for word in bytes.chunks_exact_mut(16) {
        let next = random.next();
        word.copy_from_slice(WORDS[next as usize % 4]);
        word[(next >> 8) as usize % 16] = (next >> 16) as u8;
    }
}

pub(crate) fn create(path: &Path, size: u64, backing: Option<&str>) {
    create_with(path, CreateOptions { virtual_size: size, ..Default::default() }, backing);
}

pub(crate) fn create_with(path: &Path, options: CreateOptions, backing: Option<&str>) {
    let file = RealFile::create_new(path).unwrap();
    let backing = backing.map(|name| BackingRef { name: name.into(), format: Some("qcow2".into()) });
    qcow2::create(&file, &CreateOptions { backing, ..options }).unwrap();
}

pub(crate) fn create_qed(path: &Path, size: u64) {
    let options = qed::CreateOptions { virtual_size: size, ..Default::default() };
    qed::create(&RealFile::create_new(path).unwrap(), &options).unwrap();
}

pub(crate) fn writable(path: &Path) -> Arc<dyn File> {
    Arc::new(RealFile::open(path, true).unwrap())
}

/// Writes clusters, given in guest order, with the content that `seed` makes.
pub(crate) fn fill(path: &Path, clusters: &[u64], order: Order, seed: u64) {
    let mut bytes = vec![0; CLUSTER as usize];
    lay_out(path, Format::Qcow2, clusters, order, |target, cluster, host| {
        content(cluster, seed, &mut bytes);
        target.file().write_at(host, &bytes).unwrap();
    });
}

/// Maps clusters, given in guest order, to places that `write` fills or leaves as holes.
pub(crate) fn lay_out(
    path: &Path,
    format: Format,
    clusters: &[u64],
    order: Order,
    mut write: impl FnMut(&dyn Target, u64, u64),
) {
    let mut target = image::write(writable(path), format, false).unwrap();
    let mut hosts = Vec::with_capacity(clusters.len());
    while hosts.len() < clusters.len() {
        let left = (clusters.len() - hosts.len()) as u64 * CLUSTER;
        let (host, len) = target.allocate(Guest(clusters[hosts.len()] * CLUSTER), left).unwrap();
        hosts.extend((0..len / CLUSTER).map(|i| cowherd::units::Host(host.0 + i * CLUSTER)));
    }
    if order == Order::Shuffled {
        Random::new(0x5eed).shuffle(&mut hosts);
    }
    for (cluster, host) in clusters.iter().zip(hosts) {
        write(&*target, *cluster, host.0);
        target.map(Guest(cluster * CLUSTER), host, CLUSTER).unwrap();
    }
    target.finish().unwrap();
}

/// Copies a file byte by byte: copies that share blocks would make both sides pay for the sharing.
pub(crate) fn copy(from: &Path, to: &Path) {
    let (mut from, mut to) = (StdFile::open(from).unwrap(), StdFile::create(to).unwrap());
    let mut buffer = vec![0; 256 << 10];
    loop {
        match from.read(&mut buffer).unwrap() {
            0 => return,
            n => to.write_all(&buffer[..n]).unwrap(),
        }
    }
}

/// What a command left in memory only, on the disk.
pub(crate) fn sync(files: impl IntoIterator<Item = impl AsRef<Path>>) {
    files.into_iter().filter_map(|file| StdFile::open(file).ok()).for_each(|file| file.sync_data().unwrap());
}

/// Everything on the disk, so that nothing is written back while the clock runs.
pub(crate) fn settle(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        StdFile::open(entry.unwrap().path()).unwrap().sync_all().unwrap();
    }
    StdFile::open(folder).unwrap().sync_all().unwrap();
}
