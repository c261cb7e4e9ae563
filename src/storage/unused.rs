//! What an image does not use any more, on its way back to the file system.

use std::sync::Arc;

use super::File;
use crate::error::Result;

/// Ranges of a file that nothing refers to, durably, and that still take room.
#[must_use = "room is given back only when asked to"]
pub struct Unused {
    file: Arc<dyn File>,
    /// Offset and length.
    ranges: Vec<(u64, u64)>,
}

impl Unused {
    /// These ranges of `file`.
    pub fn new(file: Arc<dyn File>, ranges: Vec<(u64, u64)>) -> Self {
        Self { file, ranges }
    }

    /// How many pieces there are: each costs the file system about the same.
    pub fn pieces(&self) -> usize {
        self.ranges.len()
    }

    /// Gives them back. Until this returns nobody may put anything there.
    pub fn give_back(self) -> Result<()> {
        self.ranges.into_iter().try_for_each(|(start, len)| self.file.punch(start, len))
    }
}
