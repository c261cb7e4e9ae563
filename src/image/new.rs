//! A new image, as plain data that a plan can carry.

use serde::{Deserialize, Serialize};

use super::{BackingRef, Format, qcow2, qed};
use crate::error::{Error, Kind, Result};
use crate::storage::File;
use crate::units::align_up;

/// What a new image is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format", rename_all = "lowercase")]
pub enum NewImage {
    /// No metadata.
    Raw {
        /// Bytes a guest sees.
        virtual_size: u64,
    },
    /// A qcow2 image.
    Qcow2(qcow2::CreateOptions),
    /// A QED image.
    Qed(qed::CreateOptions),
}

impl NewImage {
    /// An image with the usual options. Fails with [`Kind::Usage`] for raw over a backing file.
    pub fn of(format: Format, virtual_size: u64, backing: Option<BackingRef>) -> Result<Self> {
        Ok(match format {
            Format::Raw if backing.is_some() => {
                return Err(Error::new(Kind::Usage, "a raw image cannot have a backing file"));
            }
            Format::Raw => Self::Raw { virtual_size },
            Format::Qcow2 => {
                Self::Qcow2(qcow2::CreateOptions { virtual_size, backing, ..Default::default() })
            }
            Format::Qed => Self::Qed(qed::CreateOptions { virtual_size, backing, ..Default::default() }),
        })
    }

    /// The same for a disk of so many bytes, based on `backing`. Fails with [`Kind::Usage`] for raw over one.
    pub fn with(mut self, size: u64, below: Option<BackingRef>) -> Result<Self> {
        match &mut self {
            Self::Raw { .. } => return Self::of(Format::Raw, size, below),
            Self::Qcow2(options) => (options.virtual_size, options.backing) = (size, below),
            Self::Qed(options) => (options.virtual_size, options.backing) = (size, below),
        }
        Ok(self)
    }

    /// Its format.
    pub fn format(&self) -> Format {
        match self {
            Self::Raw { .. } => Format::Raw,
            Self::Qcow2(_) => Format::Qcow2,
            Self::Qed(_) => Format::Qed,
        }
    }

    /// Bytes a guest sees.
    pub fn virtual_size(&self) -> u64 {
        match self {
            Self::Raw { virtual_size } => *virtual_size,
            Self::Qcow2(options) => options.virtual_size,
            Self::Qed(options) => options.virtual_size,
        }
    }

    /// Bytes per mapping unit, a power of two.
    pub fn cluster_size(&self) -> u64 {
        match self {
            Self::Raw { .. } => 512,
            Self::Qcow2(options) => options.cluster_size,
            Self::Qed(options) => options.cluster_size,
        }
    }

    /// What it is based on, as it will be recorded.
    pub fn backing(&self) -> Option<&BackingRef> {
        match self {
            Self::Raw { .. } => None,
            Self::Qcow2(options) => options.backing.as_ref(),
            Self::Qed(options) => options.backing.as_ref(),
        }
    }

    /// Makes it, empty, in `file`, which must be so too, and syncs it. Gives how many bytes were written.
    ///
    /// Fails with [`Kind::Usage`] when the options are impossible.
    pub fn create(&self, file: &dyn File) -> Result<u64> {
        match self {
            Self::Raw { virtual_size } => {
                file.set_len(align_up(*virtual_size, 512))?;
                file.sync()?;
                Ok(0)
            }
            Self::Qcow2(options) => qcow2::create(file, options),
            Self::Qed(options) => qed::create(file, options),
        }
    }
}
