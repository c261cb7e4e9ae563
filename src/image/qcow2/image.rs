//! The [`Image`] that everybody else sees.

use std::ffi::OsString;
use std::ops::Range;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;

use super::entry::{Entry, OFFSET_MASK, l2_offset};
use super::extensions::{self, DATA_FILE, Extensions};
use super::header::{AUTOCLEAR_RAW_DATA, COMPAT_LAZY_REFCOUNTS, Header, INCOMPAT_CORRUPT, INCOMPAT_DIRTY};
use super::runs::data_run;
use super::tables::{L1, L1Cache, L1Place, L2, L2Cache};
use super::{bitmaps, check, compression, external, snapshots, space};
use crate::error::{Error, Result};
use crate::image::{
    BackingRef, Bitmap, CheckReport, DataFile, Details, Encryption, Extent, ExtentKind, Files, Format, Image,
    Snapshot, Space, State,
};
use crate::storage::{File, Watched, read_exact_or_zero};
use crate::units::{Guest, Host, div_up};

/// A qcow2 image, open for reading.
pub struct Qcow2 {
    pub(super) file: Arc<dyn File>,
    /// The same file.
    pub(super) watched: Arc<Watched>,
    /// The external data file, when there is one and it was given.
    pub(super) data: Option<Arc<dyn File>>,
    data_file: Option<DataFile>,
    pub(super) header: Header,
    pub(super) extensions: Extensions,
    pub(super) table: Vec<snapshots::Entry>,
    shown: Vec<Snapshot>,
    backing: Option<BackingRef>,
    l1: L1Cache,
    cache: L2Cache,
}

impl Qcow2 {
    /// Reads header, extensions and snapshot table; nothing else is touched until asked for.
    pub fn open(files: impl Into<Files>) -> Result<Self> {
        let Files { image: file, data } = files.into();
        let watched = Arc::new(Watched::new(file));
        let file: Arc<dyn File> = watched.clone();
        let header = Header::read(&*file)?;
        let extensions = Extensions::read(&*file, &header)?;
        let backing = extensions::backing(&*file, &header, &extensions)?;
        let (table, shown) = snapshots::read(&*file, &header)?;
        let data_file = header.external_data().then(|| DataFile {
            name: OsString::from_vec(extensions.get(DATA_FILE).unwrap_or_default().to_vec()),
            raw: header.autoclear & AUTOCLEAR_RAW_DATA != 0,
        });
        Ok(Self {
            watched,
            data: data.filter(|_| data_file.is_some()),
            data_file,
            l1: L1Cache::default(),
            shown,
            cache: L2Cache::default(),
            file,
            header,
            extensions,
            table,
            backing,
        })
    }

    /// Where the L1 table of a state lies.
    pub(super) fn l1_place(&self, state: State) -> L1Place {
        match state {
            State::Active => L1Place { offset: self.header.l1_offset, entries: self.header.l1_size },
            State::Snapshot(i) | State::VmState(i) => {
                self.table.get(i).map_or(L1Place { offset: 0, entries: 0 }, |s| L1Place {
                    offset: s.l1_offset,
                    entries: s.l1_size,
                })
            }
        }
    }

    /// Where in the range that its tables map a state begins. Machine state lies behind the disk as it was
    /// then, from the first L1 entry on that maps none of it.
    fn start_of(&self, state: State) -> u64 {
        match state {
            State::VmState(index) => {
                let disk = self.virtual_size(State::Snapshot(index));
                div_up(disk, self.header.l2_coverage()).saturating_mul(self.header.l2_coverage())
            }
            _ => 0,
        }
    }

    /// The L1 table of a state.
    pub(super) fn l1(&self, state: State) -> Result<Arc<L1>> {
        if matches!(state, State::Snapshot(index) | State::VmState(index) if index >= self.table.len()) {
            return Err(Error::corrupt("no such snapshot"));
        }
        self.l1.load(&*self.file, &self.header, self.l1_place(state))
    }

    /// The L2 table behind an L1 entry, `None` when there is none or it maps nothing. A table that
    /// is something else as well is refused.
    fn l2(&self, l1: &L1, index: usize) -> Result<Option<L2>> {
        let place = |e: Error| e.offset(l1.entry_at(index));
        let entry = l1.get(index).copied().unwrap_or(0);
        let Some(offset) = l2_offset(&self.header, entry).map_err(place)? else { return Ok(None) };
        if l1.is_repeated(offset) {
            let what = format!("several L1 entries point at the L2 table at {offset:#x}");
            return Err(place(Error::corrupt(what)));
        }
        if l1.range().contains(&offset) || self.fixed().iter().any(|r| r.contains(&offset)) {
            let what = format!("L1 entry points at {offset:#x}, which holds other metadata");
            return Err(place(Error::corrupt(what)));
        }
        self.cache.load(&*self.file, &self.header, entry)
    }

    /// Host ranges that can hold no L2 table.
    fn fixed(&self) -> [Range<u64>; 4] {
        let header = &self.header;
        let range = |at: u64, len: u64| at..at.saturating_add(len);
        [
            range(0, header.cluster_size()),
            range(header.l1_offset, u64::from(header.l1_size) * 8),
            range(header.reftable_offset, u64::from(header.reftable_clusters) << header.cluster_bits),
            range(header.snapshots_offset, u64::from(header.nb_snapshots.min(1)) * header.cluster_size()),
        ]
    }

    /// All states: the active one, then the snapshots in table order.
    pub(super) fn states(&self) -> impl Iterator<Item = State> + use<> {
        std::iter::once(State::Active).chain((0..self.table.len()).map(State::Snapshot))
    }

    /// The persistent bitmaps; a directory that cannot be read is named as such.
    fn bitmaps(&self) -> Vec<Bitmap> {
        let words = |name: String| Bitmap { name, ..Bitmap::default() };
        match bitmaps::read(self) {
            Ok(found) => {
                let more = found.list.len().saturating_sub(found.shown.len());
                found
                    .shown
                    .into_iter()
                    .chain((more > 0).then(|| words(format!("(and {more} more)"))))
                    .collect()
            }
            Err(_) => vec![words("(unreadable)".to_owned())],
        }
    }

    /// Length of the run of missing L2 tables that starts at L1 index `from`, in guest bytes.
    fn empty_tables(&self, l1: &[u64], from: usize, max: u64) -> u64 {
        let enough = div_up(max, self.header.l2_coverage()) as usize + 1;
        let empty = l1.iter().skip(from).take(enough).take_while(|e| **e == 0).count();
        // Behind the table nothing is allocated either.
        let open_end = from + empty >= l1.len();
        if open_end { u64::MAX } else { (empty as u64).saturating_mul(self.header.l2_coverage()) }
    }

    /// What the tables of `state` say `at` bytes into the range they map, for at most `max` bytes.
    fn run_at(&self, state: State, at: u64, max: u64) -> Result<Extent> {
        let header = &self.header;
        let l1 = self.l1(state)?;
        let l1_index = usize::try_from(at / header.l2_coverage()).unwrap_or(usize::MAX);
        let in_table = at % header.l2_coverage();
        let Some(l2) = self.l2(&l1, l1_index)? else {
            let run = self.empty_tables(&l1, l1_index, max).saturating_sub(in_table);
            // An entry may have flags but no table; it still covers its own range.
            let run = run.max(header.l2_coverage() - in_table);
            return Ok(Extent { start: Guest(at), len: run.min(max), kind: ExtentKind::Unallocated });
        };
        // However long neighbours go on, nobody looks further than was asked.
        let most = (max >> header.cluster_bits).saturating_add(2);
        let entry_at = |offset: u64| -> Result<(ExtentKind, u64)> {
            let index = offset >> header.cluster_bits;
            let table = l1.get(l1_index).map_or(0, |e| e & OFFSET_MASK);
            let entry = l2
                .entry(header, index)
                .and_then(|entry| {
                    external::belongs(header, &entry, at - in_table + (index << header.cluster_bits))
                })
                .map_err(|e| e.offset(table.saturating_add(index * header.l2_entry_size())))?;
            let (kind, len) = self.kind_at(entry, offset & (header.cluster_size() - 1));
            let more = match kind {
                ExtentKind::Data { .. } => data_run(&l2, header, index, most).clusters.saturating_sub(1),
                _ => 0,
            };
            Ok((kind, len + (more << header.cluster_bits)))
        };
        let (kind, mut len) = entry_at(in_table)?;
        while len < max && in_table + len < header.l2_coverage() {
            // What cannot be decoded fails when it is asked for, not the run before it.
            match entry_at(in_table + len) {
                Ok((next, more)) if goes_on(kind, len, next) => len += more,
                _ => break,
            }
        }
        Ok(Extent { start: Guest(at), len: len.min(max), kind })
    }

    fn kind_at(&self, entry: Entry, in_cluster: u64) -> (ExtentKind, u64) {
        let rest = self.header.cluster_size() - in_cluster;
        let host = |h: u64| Host(h + in_cluster);
        match entry {
            Entry::Unallocated => (ExtentKind::Unallocated, rest),
            Entry::Zero { host: at } => (ExtentKind::Zero { host: at.map(host) }, rest),
            Entry::Data { host: at } => (ExtentKind::Data { host: host(at) }, rest),
            Entry::Compressed { host, bytes } => {
                (ExtentKind::Compressed { host: Host(host), bytes, skip: in_cluster }, rest)
            }
            Entry::Sub { host: at, allocated, zero } => {
                let unit = self.header.cluster_size() / 32;
                let part = in_cluster / unit;
                let class = |i: u64| (allocated >> i & 1, zero >> i & 1);
                let end = (part..32).find(|i| class(*i) != class(part)).unwrap_or(32);
                let kind = match class(part) {
                    (1, _) => ExtentKind::Data { host: host(at.unwrap_or(0)) },
                    (_, 1) => ExtentKind::Zero { host: at.map(host) },
                    _ => ExtentKind::Unallocated,
                };
                (kind, end * unit - in_cluster)
            }
        }
    }
}

/// Whether a run of `kind` that is `len` long goes on as `next`.
fn goes_on(kind: ExtentKind, len: u64, next: ExtentKind) -> bool {
    !matches!(kind, ExtentKind::Compressed { .. }) && kind.advance(len) == next
}

impl Image for Qcow2 {
    fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    fn format(&self) -> Format {
        Format::Qcow2
    }

    fn cluster_size(&self) -> u64 {
        self.header.cluster_size()
    }

    fn header_end(&self) -> u64 {
        let header = &self.header;
        let extensions = u64::from(header.header_length) + self.extensions.to_bytes().len() as u64;
        // It has no offset without a name.
        extensions.max(header.backing_offset + u64::from(header.backing_size))
    }

    fn backing(&self) -> Option<&BackingRef> {
        self.backing.as_ref()
    }

    fn data_file(&self) -> Option<&DataFile> {
        self.data_file.as_ref()
    }

    fn data(&self) -> Result<&Arc<dyn File>> {
        match (&self.data_file, &self.data) {
            (None, _) => Ok(&self.file),
            (Some(_), Some(data)) => Ok(data),
            (Some(data_file), None) => Err(external::missing(data_file)),
        }
    }

    fn snapshots(&self) -> &[Snapshot] {
        &self.shown
    }

    fn virtual_size(&self, state: State) -> u64 {
        match state {
            State::Active => self.header.size,
            State::Snapshot(index) => self.shown.get(index).map_or(0, |s| s.virtual_size),
            State::VmState(index) => self.shown.get(index).map_or(0, |s| s.vm_state_size),
        }
    }

    fn extent_at(&self, state: State, at: Guest, max: u64) -> Result<Extent> {
        let max = max.min(self.virtual_size(state).saturating_sub(at.0));
        let from = self.start_of(state).checked_add(at.0).filter(|from| from.checked_add(max).is_some());
        let from = from.ok_or_else(|| Error::corrupt("the saved machine state is impossibly long"))?;
        let run = self.run_at(state, from, max)?;
        Ok(Extent { start: at, ..run })
    }

    fn read(&self, extent: &Extent, skip: u64, buf: &mut [u8]) -> Result<()> {
        match extent.kind {
            ExtentKind::Data { host } => read_exact_or_zero(&**self.data()?, host.0 + skip, buf),
            ExtentKind::Compressed { host, bytes, skip: inner } => {
                if inner + skip == 0 && buf.len() as u64 == self.header.cluster_size() {
                    return compression::read(&*self.file, &self.header, host.0, bytes, buf);
                }
                let mut cluster = vec![0; self.header.cluster_size() as usize];
                compression::read(&*self.file, &self.header, host.0, bytes, &mut cluster)?;
                let from = (inner + skip) as usize;
                let part = from.checked_add(buf.len()).and_then(|end| cluster.get(from..end));
                buf.copy_from_slice(part.ok_or_else(|| Error::corrupt("read beyond a cluster"))?);
                Ok(())
            }
            ExtentKind::Zero { .. } | ExtentKind::Unallocated => {
                buf.fill(0);
                Ok(())
            }
        }
    }

    fn details(&self) -> Details {
        let header = &self.header;
        let bit = |bit: u64| header.incompatible & bit != 0;
        Details::Qcow2 {
            version: header.version,
            refcount_bits: 1 << header.refcount_order,
            dirty: bit(INCOMPAT_DIRTY),
            corrupt: bit(INCOMPAT_CORRUPT),
            lazy_refcounts: header.compatible & COMPAT_LAZY_REFCOUNTS != 0,
            extended_l2: header.extended_l2(),
            compression: if header.zstd { "zstd" } else { "zlib" },
            encryption: header.encryption,
            bitmaps: self.bitmaps(),
        }
    }

    // Asked for every run that is read, and the details say more than the header.
    fn encryption(&self) -> Option<Encryption> {
        self.header.encryption
    }

    fn still_has(&self, state: State) -> Result<bool> {
        let (State::Snapshot(index) | State::VmState(index)) = state else { return Ok(true) };
        let Some(was) = self.shown.get(index) else { return Ok(false) };
        let place = self.l1_place(state);
        let header = Header::read(&*self.file)?;
        let (table, shown) = snapshots::read(&*self.file, &header)?;
        let same = |now: &Snapshot| {
            // Its name is nobody's data.
            (&now.id, now.virtual_size, now.date_sec, now.date_nsec)
                == (&was.id, was.virtual_size, was.date_sec, was.date_nsec)
        };
        let found = table.iter().zip(&shown).find(|(_, shown)| same(shown));
        Ok(found.is_some_and(|(now, _)| (now.l1_offset, now.l1_size) == (place.offset, place.entries)))
    }

    fn check(&self) -> Result<CheckReport> {
        let report = check::check(self)?;
        self.watched.was_readable()?;
        Ok(report)
    }

    fn space(&self) -> Result<Space> {
        space::space(self)
    }
}
