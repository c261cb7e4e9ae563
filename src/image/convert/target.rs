//! The target side: what a format must be able to do to be laid over a file that holds the data already.

use std::sync::Arc;

use super::super::{NewImage, Written, qcow2, qed};
use super::{ConversionOptions, Mapping, SECTOR};
use crate::error::{Error, Kind, Result};
use crate::storage::File;
use crate::units::Host;

/// Metadata of a format in the making, over a file that is an image of another one.
///
/// All of it goes behind the end of the file. Dropped before it is finished, the file has its old length
/// again once the caller cuts it.
pub trait ConversionTarget: Send {
    /// Bytes at the start of the file that the format needs for itself.
    fn head(&self) -> u64;

    /// Bytes per mapping, a power of two.
    fn unit(&self) -> u64;

    /// Whether a piece of the file that nothing is mapped to is a leak in this format.
    fn leaks_what_is_not_mapped(&self) -> bool {
        false
    }

    /// Room behind the end for `len` bytes that cannot stay where they are.
    fn place(&mut self, len: u64) -> Result<Host>;

    /// From the switch on, a guest range is what lies at that place of the file, or zeros. In guest order,
    /// and aligned to [`unit`](Self::unit); what was `setmap` in the proposal.
    ///
    /// Fails with [`Kind::Corrupt`] when something else is mapped to the same place already.
    fn map(&mut self, mapping: Mapping) -> Result<()>;

    /// Writes what is left. Not synced.
    fn finish(self: Box<Self>) -> Result<Head>;
}

/// What makes a file an image of the new format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Sector 0 to be.
    pub sector: [u8; SECTOR],
    /// What was written so far.
    pub written: Written,
    /// Bytes that the file must have.
    pub len: u64,
}

/// Opens a target over `file`, an image of another format that asks for `options`.
///
/// Fails with [`Kind::Usage`] when `to` is impossible, and with [`Kind::Unsupported`] when it cannot take over
/// what the source holds.
pub fn target(
    file: &Arc<dyn File>,
    options: &ConversionOptions,
    to: &NewImage,
    taken: u64,
) -> Result<Box<dyn ConversionTarget>> {
    if !file.can_grow() {
        return Err(Error::unsupported("a block device cannot become longer, and has no room for tables"));
    }
    if to.virtual_size() != options.virtual_size {
        return Err(Error::new(Kind::Internal, "a conversion to a disk of another size"));
    }
    if let Some(unit) = options.unit.filter(|unit| !unit.is_multiple_of(to.cluster_size())) {
        let what = format!(
            "data lies in pieces of {unit} bytes, which clusters of {} are too large for",
            to.cluster_size()
        );
        return Err(Error::unsupported(what));
    }
    Ok(match to {
        NewImage::Qcow2(options) => Box::new(qcow2::Adopter::over(file.clone(), options, taken)?),
        NewImage::Qed(options) => Box::new(qed::Adopter::over(file.clone(), options, taken)?),
        NewImage::Raw { .. } => {
            return Err(Error::new(Kind::Internal, "raw has no metadata that could be laid over a file"));
        }
    })
}
