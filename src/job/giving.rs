//! Giving room back to the file system while the job goes on: thousands of holes take as long as all that
//! follows.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use super::died;
use crate::error::Result;
use crate::storage::Unused;

/// Fewer pieces are given back at once.
const MANY: usize = 64;

/// What is being given back, by image.
#[derive(Default)]
pub(super) struct Giving(Vec<(PathBuf, JoinHandle<Result<()>>)>);

impl Giving {
    /// Begins to give back what `image` does not use. Its times change meanwhile, so it must bear a mark
    /// or have no journal.
    pub(super) fn begin(&mut self, image: &Path, unused: Unused) -> Result<()> {
        if unused.pieces() < MANY {
            return unused.give_back();
        }
        let thread = std::thread::Builder::new().name("giving back".to_owned());
        // Without a thread the room stays with the image, which may use it.
        if let Ok(thread) = thread.spawn(move || unused.give_back()) {
            self.0.push((image.to_path_buf(), thread));
        }
        Ok(())
    }

    /// Waits until nothing is under way for these images: who changes one may use the room again.
    pub(super) fn wait(&mut self, images: &[&Path]) -> Result<()> {
        let (now, later) =
            std::mem::take(&mut self.0).into_iter().partition(|(image, _)| images.contains(&&**image));
        self.0 = later;
        end(now)
    }

    /// Waits for all of it.
    pub(super) fn end(&mut self) -> Result<()> {
        end(std::mem::take(&mut self.0))
    }
}

impl Drop for Giving {
    /// The files must not change once the job is over and its locks are gone.
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn end(all: Vec<(PathBuf, JoinHandle<Result<()>>)>) -> Result<()> {
    let ends: Vec<_> = all.into_iter().map(|(_, thread)| thread.join()).collect();
    ends.into_iter().try_for_each(|end| end.unwrap_or_else(|_| Err(died())))
}
