//! Sector 0, there and back.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::storage::{File, read_exact_or_zero};

/// What is written at once.
pub const SECTOR: usize = 512;

/// Both sides of a conversion: what a file begins with, and its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// Sector 0 of the old image, and the length of its file.
    pub old: Start,
    /// Those of the new one.
    pub new: Start,
}

/// How a file begins, and where it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Sector 0; zeros beyond the end of a shorter file.
    #[serde(with = "crate::wire::sector")]
    pub sector: [u8; SECTOR],
    /// Bytes.
    pub len: u64,
}

impl Start {
    /// Of `file` as it is.
    pub fn of(file: &dyn File) -> Result<Self> {
        let mut sector = [0; SECTOR];
        read_exact_or_zero(file, 0, &mut sector)?;
        Ok(Self { sector, len: file.len()? })
    }

    /// Has `file` begin and end like this. Durable on return.
    pub fn put(&self, file: &dyn File) -> Result<()> {
        file.write_at(0, &self.sector)?;
        file.sync()?;
        if file.len()? != self.len {
            file.set_len(self.len)?;
            file.sync()?;
        }
        Ok(())
    }
}

impl Switch {
    /// Makes `file` the new image. All that it refers to must be durable.
    pub fn make(&self, file: &dyn File) -> Result<()> {
        self.new.put(file)
    }

    /// Makes it the old image again, as long as nobody changed anything since.
    pub fn take_back(&self, file: &dyn File) -> Result<()> {
        self.old.put(file)
    }
}
