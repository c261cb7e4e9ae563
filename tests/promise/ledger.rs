//! What an operation really cost: counted from the record of all that was done to the files.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use cowherd::storage::{Event, File, FileId, RealFile};

/// Room is taken and given back in these.
const BLOCK: u64 = 512;

/// Bytes that a run wrote to images, and the most room that it took beyond what was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) written: u64,
    pub(crate) peak_extra: u64,
}

/// The room that the files of a folder take, block by block.
pub(crate) struct Room(HashMap<FileId, HashSet<u64>>);

impl Room {
    /// As it is in `dir` and below now.
    pub(crate) fn of(dir: &Path) -> Self {
        let mut files = HashMap::new();
        let mut folders = vec![dir.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in folder.read_dir().unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let file = RealFile::open(&path, false).unwrap();
                let mut blocks = HashSet::new();
                let mut at = 0;
                while let Some(data) = file.data_range(at).unwrap() {
                    blocks.extend(data.start / BLOCK..data.end.div_ceil(BLOCK));
                    at = data.end;
                }
                files.insert(file.id(), blocks);
            }
        }
        Self(files)
    }

    fn taken(&self) -> u64 {
        self.0.values().map(|blocks| blocks.len() as u64 * BLOCK).sum()
    }

    /// Follows the record of a run. Journals and notes in the trash are no images.
    pub(crate) fn follow(mut self, events: &[Event]) -> Ledger {
        let images: HashSet<FileId> = events
            .iter()
            .filter_map(|event| match event {
                Event::Create { file, path } => {
                    let name = path.file_name()?.to_string_lossy().into_owned();
                    (!name.ends_with(".journal") && !name.ends_with(".json")).then_some(*file)
                }
                _ => None,
            })
            .chain(self.0.keys().copied())
            .collect();
        let before = self.taken();
        let (mut written, mut most) = (0, before);
        for event in events.iter().filter(|event| event.file().is_some_and(|file| images.contains(&file))) {
            match event {
                Event::Write { file, offset, bytes } => {
                    written += bytes.len() as u64;
                    let end = (offset + bytes.len() as u64).div_ceil(BLOCK);
                    self.0.entry(*file).or_default().extend(offset / BLOCK..end);
                }
                Event::SetLen { file, len } => {
                    self.0.entry(*file).or_default().retain(|block| block * BLOCK < *len);
                }
                Event::Punch { file, offset, len } => {
                    let gone = offset.div_ceil(BLOCK)..(offset + len) / BLOCK;
                    self.0.entry(*file).or_default().retain(|block| !gone.contains(block));
                }
                _ => {}
            }
            most = most.max(self.taken());
        }
        Ledger { written, peak_extra: most - before }
    }
}
