//! Room on the file system, measured: what the files of a plan take before it runs and after.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::plan::Plan;
use crate::storage::{File, FileId, RealFile};
use crate::text::human_size;

/// What the files of a plan take before it runs.
#[derive(Debug, Clone)]
pub struct Footprint {
    files: Vec<PathBuf>,
    bytes: u64,
}

/// What has become free, as the file system counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Freed {
    /// Bytes that are free now; negative when the files take more than before.
    pub measured_freed_bytes: i64,
    /// Bytes that become free when the trash is emptied.
    pub in_trash_bytes: u64,
}

impl Footprint {
    /// Measures the files that `plan` changes.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let files: Vec<_> = plan.files.iter().filter(|f| f.changes).map(|f| f.path.clone()).collect();
        let bytes = occupied(files.iter().map(|path| &**path));
        Self { files, bytes }
    }

    /// What has become free since, when these files went to the trash: from, to.
    #[must_use]
    pub fn freed(&self, trashed: &[(PathBuf, PathBuf)]) -> Freed {
        let in_trash_bytes = occupied(trashed.iter().map(|(_, to)| &**to));
        let there = occupied(self.files.iter().map(|path| &**path)) + in_trash_bytes;
        let difference = i128::from(self.bytes) - i128::from(there);
        let measured_freed_bytes = i64::try_from(difference).unwrap_or(i64::MAX);
        Freed { measured_freed_bytes, in_trash_bytes }
    }
}

impl Freed {
    /// One line for people.
    #[must_use]
    pub fn in_words(&self) -> String {
        let bytes = human_size(self.measured_freed_bytes.unsigned_abs());
        let now = match self.measured_freed_bytes {
            0.. => format!("freed {bytes} on the file system"),
            _ => format!("takes {bytes} more on the file system for now"),
        };
        match self.in_trash_bytes {
            0 => now,
            more => format!("{now}, {} more once the trash is emptied", human_size(more)),
        }
    }
}

/// Bytes that files take, each counted once whatever its names; what is not there takes none.
fn occupied<'a>(paths: impl Iterator<Item = &'a Path>) -> u64 {
    let files = paths.filter_map(|path| {
        let file = RealFile::open(path, false).ok()?;
        Some((file.id(), file.disk_size().ok()?))
    });
    files.collect::<BTreeMap<FileId, u64>>().values().sum()
}
