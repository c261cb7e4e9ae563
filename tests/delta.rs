//! What a delta reads: tables, and the clusters that differ. Counted, read by read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/mod.rs"]
mod common;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use common::{snapshot, write_bytes};
use cowherd::chain::{Chain, Content, Layer, View};
use cowherd::error::{Error, Result};
use cowherd::image::qcow2::{CreateOptions, create};
use cowherd::image::{self, ExtentKind, Format, State};
use cowherd::storage::{File, FileId, RealFile};
use cowherd::stream::RbdDiff;

const CLUSTER: u64 = 64 << 10;
const CLUSTERS: u64 = 1024;
/// What was written between the two snapshots.
const CHANGED: [u64; 4] = [3, 4, 500, 1023];

/// A file that remembers what was read of it.
struct Counted {
    inner: RealFile,
    reads: Mutex<Vec<Range<u64>>>,
}

impl File for Counted {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn id(&self) -> FileId {
        self.inner.id()
    }

    fn len(&self) -> Result<u64> {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let n = self.inner.read_at(offset, buf)?;
        self.reads.lock().unwrap().push(offset..offset + n as u64);
        Ok(n)
    }

    fn write_at(&self, _: u64, _: &[u8]) -> Result<()> {
        panic!("a source is never written")
    }

    fn set_len(&self, _: u64) -> Result<()> {
        panic!("a source is never cut")
    }

    fn punch(&self, _: u64, _: u64) -> Result<()> {
        panic!("a source is never punched")
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn data_range(&self, offset: u64) -> Result<Option<Range<u64>>> {
        self.inner.data_range(offset)
    }

    fn disk_size(&self) -> Result<u64> {
        self.inner.disk_size()
    }
}

fn fill(path: &Path, clusters: impl IntoIterator<Item = u64>, byte: u8) {
    let mut target = image::write(common::files(path), Format::Qcow2, false).unwrap();
    for cluster in clusters {
        write_bytes(&mut *target, cluster * CLUSTER, &vec![byte; CLUSTER as usize]);
    }
    target.finish().unwrap();
}

/// 64 MiB of data, a snapshot, a few clusters written, another snapshot, and all of it written again.
fn make(dir: &Path) -> PathBuf {
    let path = dir.join("a.qcow2");
    let options = CreateOptions { virtual_size: CLUSTERS * CLUSTER, ..CreateOptions::default() };
    create(&RealFile::create_new(&path).unwrap(), &options).unwrap();
    fill(&path, 0..CLUSTERS, 1);
    snapshot(&path, "sn0");
    fill(&path, CHANGED, 2);
    snapshot(&path, "sn1");
    fill(&path, 0..CLUSTERS, 3);
    path
}

/// Host ranges of a view's data, by guest cluster.
fn places(view: &View, clusters: impl Iterator<Item = u64>) -> Vec<Range<u64>> {
    let place = |cluster: u64| match view
        .extent_at(cowherd::units::Guest(cluster * CLUSTER), CLUSTER)
        .unwrap()
        .kind
    {
        ExtentKind::Data { host } => host.0..host.0 + CLUSTER,
        other => panic!("{other:?}"),
    };
    clusters.map(place).collect()
}

#[test]
fn a_delta_between_two_snapshots_reads_tables_and_what_differs() {
    let dir = tempfile::tempdir().unwrap();
    let path = make(dir.path());
    let file = Arc::new(Counted { inner: RealFile::open(&path, false).unwrap(), reads: Mutex::default() });
    let image = image::open(file.clone(), Some(Format::Qcow2)).unwrap();
    let chain = Chain::from_layers(vec![Layer::new(path, image)]);
    let (old, new) = (chain.view(State::Snapshot(0)), chain.view(State::Snapshot(1)));

    let ranges: Vec<_> = new.differs(Some(&old), CLUSTER, Content::Unread).map(|r| r.unwrap()).collect();
    let told: Vec<_> = ranges.iter().flat_map(|r| r.start / CLUSTER..r.end / CLUSTER).collect();
    assert_eq!(told, CHANGED);

    let diff = RbdDiff { view: &new, since: Some(&old), from_snap: Some("sn0"), to_snap: Some("sn1") };
    diff.write::<Error>(&mut |_| Ok(())).unwrap();
    let reads = std::mem::take(&mut *file.reads.lock().unwrap());
    let bytes: u64 = reads.iter().map(|read| read.end - read.start).sum();
    let differing = CHANGED.len() as u64 * CLUSTER;
    // Header, snapshot table, and for each view an L1 table and an L2 table, looked at more than once.
    let tables = 8 * CLUSTER;
    assert!(bytes <= differing + tables, "{bytes} bytes read for {differing} that differ");

    let same = (0..CLUSTERS).filter(|cluster| !CHANGED.contains(cluster));
    for place in places(&old, same).into_iter().chain(places(&old, CHANGED.into_iter())) {
        let read = reads.iter().find(|read| read.start < place.end && place.start < read.end);
        assert!(read.is_none(), "{read:?} was read of {place:?}, which did not change or is old");
    }
    for place in places(&new, CHANGED.into_iter()) {
        assert!(reads.iter().any(|read| read.start < place.end && place.start < read.end), "{place:?}");
    }
}
