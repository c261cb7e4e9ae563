//! Comparing after a change: it passes where all is well, and a disk that writes something else than it was told is
//! caught before anything is given up.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::{Random, fingerprints, scanned, scribble, snapshot};
use cowherd::chain::{Basis, Gate, ViewSpec};
use cowherd::error::{Error, Kind, Result};
use cowherd::image::qcow2::{self, CreateOptions};
use cowherd::image::{BackingRef, Format, NewImage, qed};
use cowherd::job::{Job, Options, Recovery, Report, leftovers_below};
use cowherd::plan::{
    self, ChainOptions, CommitOptions, DeleteOptions, ExportOptions, HazardKind, Plan, RebaseOptions, Step,
};
use cowherd::storage::{Disk, File, FileId, HostDisk, RealFile, Stamp};

const SIZE: u64 = 256 << 10;
const CLUSTER: u64 = 4096;

/// base <- mid <- top, and side on base, all of `format`, with snapshots where it has some.
fn herd(dir: &Path, format: Format) {
    let mut random = Random::new(7);
    for (name, below) in [("base", None), ("mid", Some("base")), ("top", Some("mid")), ("side", Some("base"))]
    {
        let path = dir.join(name);
        let file = RealFile::create_new(&path).unwrap();
        let backing =
            below.map(|below| BackingRef { name: below.into(), format: Some(format.name().to_owned()) });
        if format == Format::Qed {
            let options = qed::CreateOptions {
                virtual_size: SIZE,
                cluster_size: CLUSTER,
                // QED records nothing but raw.
                backing: backing.map(|backing| BackingRef { format: None, ..backing }),
                ..Default::default()
            };
            qed::create(&file, &options).unwrap();
        } else {
            let options =
                CreateOptions { virtual_size: SIZE, cluster_size: CLUSTER, backing, ..Default::default() };
            qcow2::create(&file, &options).unwrap();
        }
        scribble(&path, format, &mut random);
        if format == Format::Qcow2 {
            snapshot(&path, "sn1");
            scribble(&path, format, &mut random);
        }
    }
}

fn gate(dir: &Path) -> Gate {
    Gate::for_paths([dir])
}

type Make = fn(&Path) -> Result<Plan>;

/// Operations that move content.
const OPERATIONS: [(&str, Make); 7] = [
    ("commit", |dir| commit(dir, "top", "mid")),
    ("commit over layers", |dir| commit(dir, "top", "base")),
    ("pull", |dir| rebase(dir, Some("base"))),
    ("stand alone", |dir| rebase(dir, None)),
    ("delete", |dir| {
        let options = DeleteOptions { gate: gate(dir), ..DeleteOptions::default() };
        plan::delete(&scanned(dir), &dir.join("mid"), &options)
    }),
    ("export", |dir| {
        let new = NewImage::of(Format::Qcow2, 0, None)?;
        let options = ExportOptions { new, delta: None, vm_state: None, compress: false, by_content: false };
        plan::export(
            &scanned(dir),
            &ViewSpec::active(&dir.join("top")),
            &dir.join("new"),
            &options,
            gate(dir),
        )
    }),
    ("export of a chain", |dir| {
        let (new, how) = (NewImage::of(Format::Qcow2, 0, None)?, ChainOptions::default());
        plan::export_chain(&scanned(dir), &dir.join("top"), &dir.join("out"), &new, how, gate(dir))
    }),
];

fn commit(dir: &Path, top: &str, base: &str) -> Result<Plan> {
    let options = CommitOptions { base: Some(dir.join(base)), gate: gate(dir), ..CommitOptions::default() };
    plan::commit(&scanned(dir), &dir.join(top), &options)
}

fn rebase(dir: &Path, base: Option<&str>) -> Result<Plan> {
    let options =
        RebaseOptions { base: base.map(|base| dir.join(base)), gate: gate(dir), ..Default::default() };
    plan::pull(&scanned(dir), &dir.join("top"), &options)
}

fn run(plan: Plan, disk: Arc<dyn Disk>) -> Result<Report> {
    Job::start_on(disk, plan.compared(Basis::Content), options())?.wait()
}

fn options() -> Options {
    let accepted = vec![HazardKind::NoUndo, HazardKind::BackingFormat, HazardKind::OtherChildren];
    Options { accepted, ..Options::default() }
}

fn in_herd(format: Format, mut test: impl FnMut(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    let dir: PathBuf = dir.path().canonicalize().unwrap();
    herd(&dir, format);
    test(&dir);
}

#[test]
fn what_is_right_passes_and_is_counted() {
    for format in [Format::Qcow2, Format::Qed] {
        for (name, make) in OPERATIONS {
            in_herd(format, |dir| {
                let plan = make(dir).unwrap_or_else(|e| panic!("{name}: {e}"));
                let kept = plan.kept.len() as u64;
                assert!(kept > 0, "{name} of {format}");
                let bytes: u64 = plan.kept.iter().map(|kept| kept.bytes).sum();
                let report =
                    run(plan, Arc::new(HostDisk)).unwrap_or_else(|e| panic!("{name} of {format}: {e}"));
                let compared = report.compared.unwrap();
                assert_eq!((compared.views, compared.compared_bytes), (kept, bytes), "{name} of {format}");
            });
        }
    }
}

#[test]
fn a_commit_compares_all_that_it_touches() {
    in_herd(Format::Qcow2, |dir| {
        let plan = commit(dir, "mid", "base").unwrap();
        let names: Vec<_> = plan.kept.iter().map(|kept| (kept.view.name(), kept.was.name())).collect();
        for view in ["top", "top@#1", "side", "side@#1", "base@#1"] {
            assert!(names.contains(&(view.into(), view.into())), "{view}: {names:?}");
        }
        assert!(names.contains(&("base".into(), "mid".into())), "{names:?}");
        assert!(names.iter().all(|(view, _)| !view.starts_with("mid")), "{names:?}");
        // Nothing goes before that is done.
        let steps = plan.compared(Basis::Content).steps;
        let trash = steps.iter().position(|step| matches!(step, Step::Trash { .. })).unwrap();
        assert!(steps[trash..].iter().all(|step| !matches!(step, Step::Compare { .. })), "{steps:?}");
    });
}

/// Every write of content, in turn, has one byte changed on its way: each must be found, or have been about what
/// nobody reads.
#[test]
fn what_was_written_wrong_is_found() {
    for format in [Format::Qcow2, Format::Qed] {
        for (name, make) in OPERATIONS {
            let (mut found, mut number) = (0, 0);
            loop {
                let mut over = false;
                in_herd(format, |dir| {
                    let before = fingerprints(dir);
                    let plan = make(dir).unwrap_or_else(|e| panic!("{name}: {e}"));
                    let (disk, count) = liar(number);
                    let outcome = run(plan, disk);
                    over = count.load(Ordering::Relaxed) <= number;
                    let what = format!("{name} of {format}, write {number}");
                    let Err(e) = outcome else { return };
                    assert!(!over, "{what}: {e}");
                    assert_eq!(e.kind(), Kind::Differs, "{what}: {e}");
                    assert!(e.what_to_do().is_some(), "{what} does not say what is left");
                    // It is over: nothing is left to be recovered.
                    assert!(leftovers_below(&[dir.to_path_buf()]).unwrap().is_empty(), "{what}");
                    let after = fingerprints(dir);
                    // Nothing is there that was not, and nothing is gone.
                    assert!(before.keys().eq(after.keys()), "{what}");
                    found += 1;
                });
                if over {
                    break;
                }
                number += 1;
            }
            assert!(found > 0 && number > 0, "{name} of {format}: {found} of {number}");
        }
    }
}

/// What the job remembers outlives it.
#[test]
fn an_interrupted_job_compares_when_it_is_recovered() {
    in_herd(Format::Qed, |dir| {
        let plan = commit(dir, "top", "mid").unwrap();
        let kept = plan.kept.len() as u64;
        // Nothing but its mark can be written to the top: everything else is done by then.
        assert!(run(plan, worn_out(dir.join("top"), 1)).is_err());
        let left = leftovers_below(&[dir.to_path_buf()]).unwrap();
        assert_eq!(left.len(), 1);
        let done =
            Job::recover(&left[0].journal, Recovery::Finish, gate(dir), options()).unwrap().wait().unwrap();
        assert_eq!(done.compared.map(|c| c.views), Some(kept));
    });
}

/// What becomes of a write to a file: other bytes, or a failure.
type OnWrite = Arc<dyn Fn(&Path, &[u8]) -> Result<Option<Vec<u8>>> + Send + Sync>;

/// The host, but for what is written.
struct Odd(OnWrite);

struct OddFile {
    inner: Arc<dyn File>,
    on_write: OnWrite,
}

/// A disk that changes a byte of one write of content, and the count of such writes.
fn liar(number: u64) -> (Arc<dyn Disk>, Arc<AtomicU64>) {
    let count = Arc::new(AtomicU64::new(0));
    let counts = count.clone();
    let on_write = move |_: &Path, bytes: &[u8]| {
        // Tables are mostly zeros.
        let zeros = bytes.iter().filter(|byte| **byte == 0).count();
        let is_content = bytes.len() as u64 >= CLUSTER && zeros < bytes.len() / 3 * 2;
        if !is_content || counts.fetch_add(1, Ordering::Relaxed) != number {
            return Ok(None);
        }
        let mut other = bytes.to_vec();
        other[bytes.len() / 2] ^= 1;
        Ok(Some(other))
    };
    (Arc::new(Odd(Arc::new(on_write))), count)
}

/// A disk that cannot write to `path` more than so many times.
fn worn_out(path: PathBuf, times: u64) -> Arc<dyn Disk> {
    let left = AtomicU64::new(times);
    let spend =
        move |left: &AtomicU64| left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
    Arc::new(Odd(Arc::new(move |at: &Path, _: &[u8]| match at == path && spend(&left).is_err() {
        true => Err(Error::io("cannot write", std::io::Error::from_raw_os_error(5))),
        false => Ok(None),
    })))
}

impl Odd {
    fn wrap(&self, inner: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(OddFile { inner, on_write: self.0.clone() })
    }
}

impl Disk for Odd {
    fn open(&self, path: &Path, write: bool) -> Result<Arc<dyn File>> {
        Ok(self.wrap(HostDisk.open(path, write)?))
    }

    fn create(&self, path: &Path, private: bool) -> Result<Arc<dyn File>> {
        Ok(self.wrap(HostDisk.create(path, private)?))
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        HostDisk.create_dir(path)
    }

    fn link(&self, file: &Path, to: &Path) -> Result<()> {
        HostDisk.link(file, to)
    }

    fn rename(&self, file: &Path, to: &Path) -> Result<()> {
        HostDisk.rename(file, to)
    }

    fn unlink(&self, file: &Path) -> Result<()> {
        HostDisk.unlink(file)
    }

    fn sync_dir(&self, folder: &Path) -> Result<()> {
        HostDisk.sync_dir(folder)
    }

    fn stamp(&self, path: &Path) -> Result<Stamp> {
        HostDisk.stamp(path)
    }
}

impl File for OddFile {
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
        self.inner.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()> {
        let other = (self.on_write)(self.path(), buf)?;
        self.inner.write_at(offset, other.as_deref().unwrap_or(buf))
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.inner.set_len(len)
    }

    fn punch(&self, offset: u64, len: u64) -> Result<()> {
        self.inner.punch(offset, len)
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }

    fn data_range(&self, offset: u64) -> Result<Option<Range<u64>>> {
        self.inner.data_range(offset)
    }

    fn disk_size(&self) -> Result<u64> {
        self.inner.disk_size()
    }
}
