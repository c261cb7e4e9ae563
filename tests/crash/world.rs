//! A folder as a value: what it holds, what a power cut makes of it, and setting that up again.
//!
//! What a file was told is durable once the file is synced, a name once its folder is. Of what is not, any
//! part may be lost: writes in any combination, the last one torn between sectors, lengths by themselves.
//! Names are lost from the last on, as journalling file systems do it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cowherd::storage::{Event, FileId};

use crate::common::Random;

const SECTOR: usize = 512;

/// What a folder holds.
#[derive(Debug, Clone, Default, Hash, PartialEq, Eq)]
pub(crate) struct World {
    names: BTreeMap<PathBuf, FileId>,
    folders: BTreeSet<PathBuf>,
    files: BTreeMap<FileId, Vec<u8>>,
}

impl World {
    /// What lies in `dir` and below. `once` says which file of an earlier time each file stands for.
    pub(crate) fn of(dir: &Path, once: &HashMap<FileId, FileId>) -> Self {
        let mut world = Self::default();
        let mut folders = vec![dir.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in folder.read_dir().unwrap() {
                let path = entry.unwrap().path();
                let meta = path.symlink_metadata().unwrap();
                if meta.is_dir() {
                    world.folders.insert(path.clone());
                    folders.push(path);
                    continue;
                }
                let id = FileId { dev: meta.dev(), ino: meta.ino() };
                let id = once.get(&id).copied().unwrap_or(id);
                world.files.insert(id, std::fs::read(&path).unwrap());
                world.names.insert(path, id);
            }
        }
        world
    }

    /// Makes `dir` hold it, and nothing else. Gives which file now stands for which.
    pub(crate) fn set_up(&self, dir: &Path) -> HashMap<FileId, FileId> {
        for entry in dir.read_dir().unwrap() {
            let path = entry.unwrap().path();
            match path.symlink_metadata().unwrap().is_dir() {
                true => std::fs::remove_dir_all(&path).unwrap(),
                false => std::fs::remove_file(&path).unwrap(),
            }
        }
        self.folders.iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
        let mut made: HashMap<FileId, (&Path, FileId)> = HashMap::new();
        for (path, id) in &self.names {
            if let Some((first, _)) = made.get(id) {
                std::fs::hard_link(first, path).unwrap();
                continue;
            }
            std::fs::write(path, &self.files[id]).unwrap();
            let meta = path.metadata().unwrap();
            made.insert(*id, (path, FileId { dev: meta.dev(), ino: meta.ino() }));
        }
        made.into_iter().map(|(once, (_, now))| (now, once)).collect()
    }

    /// A file that is another in `other`, or is not there.
    pub(crate) fn differs_from(&self, other: &Self) -> Option<&Path> {
        let mut paths = self.names.keys().map(PathBuf::as_path);
        paths.find(|path| self.bytes(path) != other.bytes(path))
    }

    fn bytes(&self, path: &Path) -> Option<&[u8]> {
        self.files.get(self.names.get(path)?).map(Vec::as_slice)
    }

    pub(crate) fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        Hash::hash(self, &mut hasher);
        hasher.finish()
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Write { file, offset, bytes } => self.write(*file, *offset as usize, bytes),
            Event::SetLen { file, len } => self.file(*file).resize(*len as usize, 0),
            Event::Punch { file, offset, len } => {
                let bytes = self.file(*file);
                let end = ((offset + len) as usize).min(bytes.len());
                if let Some(range) = bytes.get_mut(*offset as usize..end) {
                    range.fill(0);
                }
            }
            Event::Create { file, path } => {
                self.files.insert(*file, Vec::new());
                self.names.insert(path.clone(), *file);
            }
            Event::CreateDir { path } => {
                self.folders.insert(path.clone());
            }
            Event::Link { from, to } => {
                let id = self.names[from];
                self.names.insert(to.clone(), id);
            }
            Event::Rename { from, to } => {
                let id = self.names.remove(from).unwrap();
                self.names.insert(to.clone(), id);
            }
            Event::Unlink { path } => {
                self.names.remove(path);
            }
            Event::Sync { .. } | Event::SyncDir { .. } => {}
        }
    }

    fn file(&mut self, id: FileId) -> &mut Vec<u8> {
        self.files.entry(id).or_default()
    }

    fn write(&mut self, id: FileId, offset: usize, bytes: &[u8]) {
        let file = self.file(id);
        if file.len() < offset + bytes.len() {
            file.resize(offset + bytes.len(), 0);
        }
        file[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Without bytes that no name leads to.
    fn reachable(mut self) -> Self {
        let named: BTreeSet<FileId> = self.names.values().copied().collect();
        self.files.retain(|id, _| named.contains(id));
        self
    }
}

/// Every change of a run, and what was there before.
pub(crate) struct Story {
    pub(crate) before: World,
    pub(crate) events: Vec<Event>,
}

impl Story {
    /// What is left of it when the power is cut after `cut` events: some of all that may be. The first is
    /// what a kill leaves.
    pub(crate) fn states(&self, cut: usize, random: &mut Random) -> Vec<World> {
        let past = &self.events[..cut];
        let pending: Vec<usize> = (0..cut).filter(|i| !is_durable(past, *i)).collect();
        let (names, data): (Vec<usize>, Vec<usize>) =
            pending.iter().partition(|i| past[**i].file().is_none());
        let all = |list: &[usize]| -> BTreeSet<usize> { list.iter().copied().collect() };
        let none = BTreeSet::new();
        let mut chosen: Vec<BTreeSet<usize>> = Vec::new();
        for (data, names) in [
            (all(&data), all(&names)),
            (none.clone(), none.clone()),
            (none.clone(), all(&names)),
            (all(&data), none.clone()),
        ] {
            chosen.push(data.union(&names).copied().collect());
        }
        let some_names = |random: &mut Random| all(&names[..random.below(names.len() as u64 + 1) as usize]);
        if data.len() <= 5 {
            for mask in 0..1u32 << data.len() {
                let kept = data.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).map(|(_, d)| *d);
                chosen.push(kept.chain(some_names(random)).collect());
            }
        } else {
            for one in &data {
                chosen.push(data.iter().copied().filter(|d| d != one).chain(some_names(random)).collect());
                chosen.push(std::iter::once(*one).chain(some_names(random)).collect());
            }
            for _ in 0..8 {
                let kept: Vec<_> = data.iter().copied().filter(|_| random.one_in(2)).collect();
                chosen.push(kept.into_iter().chain(some_names(random)).collect());
            }
        }
        let mut worlds: Vec<World> = chosen.iter().map(|kept| self.replay(past, &pending, kept)).collect();
        worlds.extend(self.torn(past, &pending, &data, random));
        worlds.extend(self.shortened(past, &pending, &data));
        worlds.into_iter().map(World::reachable).collect()
    }

    /// All durable events, and of the pending ones those that were kept.
    fn replay(&self, past: &[Event], pending: &[usize], kept: &BTreeSet<usize>) -> World {
        let mut world = self.before.clone();
        for (i, event) in past.iter().enumerate() {
            if kept.contains(&i) || pending.binary_search(&i).is_err() {
                world.apply(event);
            }
        }
        world
    }

    /// The last write in part: whole sectors, not necessarily the first ones.
    fn torn(&self, past: &[Event], pending: &[usize], data: &[usize], random: &mut Random) -> Vec<World> {
        let last = data.iter().rev().find(|i| matches!(past[**i], Event::Write { .. }));
        let Some(&last) = last else { return Vec::new() };
        let Event::Write { file, offset, bytes } = &past[last] else { return Vec::new() };
        if bytes.len() <= SECTOR {
            return Vec::new();
        }
        let kept = pending.iter().copied().filter(|i| *i != last).collect();
        let whole = self.replay(past, pending, &kept);
        let mut worlds = Vec::new();
        for round in 0..3 {
            let mut world = whole.clone();
            let cut = 1 + random.below(bytes.len() as u64 / SECTOR as u64);
            for (n, sector) in bytes.chunks(SECTOR).enumerate() {
                if if round == 0 { (n as u64) < cut } else { random.one_in(2) } {
                    world.write(*file, *offset as usize + n * SECTOR, sector);
                }
            }
            worlds.push(world);
        }
        worlds
    }

    /// Everything written, but the files as long as they last were for certain.
    fn shortened(&self, past: &[Event], pending: &[usize], data: &[usize]) -> Vec<World> {
        let durable = self.replay(past, pending, &BTreeSet::new());
        let whole = self.replay(past, pending, &pending.iter().copied().collect());
        let grown: BTreeSet<FileId> = data.iter().filter_map(|i| past[*i].file()).collect();
        let mut worlds = Vec::new();
        for id in grown {
            let old = durable.files.get(&id).map_or(0, Vec::len);
            if whole.files.get(&id).is_some_and(|bytes| bytes.len() > old) {
                let mut world = whole.clone();
                world.file(id).truncate(old);
                worlds.push(world);
            }
        }
        worlds
    }
}

/// Whether the event at `i` survives a power cut at the end of `past`.
fn is_durable(past: &[Event], i: usize) -> bool {
    let later = &past[i + 1..];
    let synced = |path: &Path| {
        later.iter().any(|e| matches!(e, Event::SyncDir { path: folder } if path.parent() == Some(folder)))
    };
    match &past[i] {
        Event::Sync { .. } | Event::SyncDir { .. } => true,
        Event::Create { path, .. } | Event::CreateDir { path } | Event::Unlink { path } => synced(path),
        Event::Link { to, .. } => synced(to),
        // A rename is one transaction; whichever folder is synced brings all of it.
        Event::Rename { from, to } => synced(from) || synced(to),
        Event::Write { file, .. } | Event::SetLen { file, .. } | Event::Punch { file, .. } => {
            later.iter().any(|e| matches!(e, Event::Sync { file: synced } if synced == file))
        }
    }
}
