//! Converting in place: metadata of another format is laid over the data that is there.
//!
//! It was proposed for QEMU in 2011, as a mapping API between two formats. A *source* gives its
//! [`ConversionOptions`] and its [`Mapping`]s: which guest range lies where in the file. A *target*
//! ([`ConversionTarget`]) is opened over the same file, takes mappings, and builds its own metadata in free
//! space, behind the end. Nothing is visible before sector 0 is written ([`Switch`]); until then the file
//! is the old image, from then on the new one.
//!
//! | file | concern |
//! |---|---|
//! | `source` | what any [`Image`] says about itself for this |
//! | `target` | what a format must be able to do to be laid over a file |
//! | `lay` | from one to the other |
//! | `proof` | that every guest byte lies where it did, before anything is switched |
//! | `switch` | sector 0, there and back |
//!
//! Adding a format means an [`Image`] and a [`ConversionTarget`], nothing else. To raw there is no metadata
//! to lay: there every byte must lie at its guest offset, and what does not has to move (`qcow2/unroll`).
//!
//! ```no_run
//! use std::sync::Arc;
//! use cowherd::image::convert::{self, Switch};
//! use cowherd::image::{self, NewImage, Format};
//! use cowherd::storage::{File, RealFile};
//!
//! let file: Arc<dyn File> = Arc::new(RealFile::open("disk.qed".as_ref(), true)?);
//! let source = image::open(file.clone(), Some(Format::Qed))?;
//! let options = convert::options(&*source)?;
//! for mapping in convert::mappings(&*source, 65536) {
//!     let mapping = mapping?;
//!     println!("{} bytes at {} lie at {}", mapping.len, mapping.guest, mapping.host);
//! }
//! let to = convert::suggest(&options, Format::Qcow2)?;
//! // New metadata behind the end; nobody sees it yet.
//! let laid = convert::lay(&file, Format::Qed, &to, &mut |_| Ok(()))?;
//! convert::prove(&file, Format::Qed, &to, &laid.switch, &mut |_| Ok(()))?;
//! laid.switch.make(&*file)?;
//! # Ok::<(), cowherd::error::Error>(())
//! ```
//!
//! [`Image`]: super::Image

mod lay;
mod proof;
mod source;
mod switch;
mod target;

pub use lay::{Laid, Seen, lay, suggest};
pub use proof::{Proof, prove, prove_amended};
pub use source::{ConversionOptions, Mapping, MappingKind, Obstacle, mappings, options};
pub use switch::{SECTOR, Start, Switch};
pub use target::{ConversionTarget, Head, target};

use super::{Files, Format, NewImage, Written, qcow2};
use crate::error::{Error, Kind, Result};

/// What a conversion that moves data has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrolled {
    /// Bytes written.
    pub written: Written,
    /// The switch that is left to be made.
    pub switch: Switch,
}

/// Moves all data of the qcow2 in `files` to where a raw image of it has it. At every moment the file is a
/// qcow2 that reads the same; it is one still on return, with nothing left to do but the [`Switch`] that makes
/// it raw. `seen` is told of bytes that were moved, and fails to stop.
pub fn unroll(files: &Files, seen: Seen<'_>) -> Result<Unrolled> {
    qcow2::unroll(files, seen)
}

/// Gives the qcow2 in `files` another version, or refcounts of another width, as `to` says: one switch.
/// With `dry` nothing is written, only counted.
///
/// Fails with [`Kind::Unsupported`] for what the new version cannot say.
pub fn amend(files: &Files, to: &NewImage, dry: bool) -> Result<Written> {
    match to {
        NewImage::Qcow2(options) => qcow2::amend(files, options, dry),
        _ => Err(Error::new(Kind::Internal, "another format is no amendment")),
    }
}

/// Whether a conversion from one to the other leaves all data where it is, but for what lies at the very start
/// of the file.
pub fn stays(from: Format, to: Format) -> bool {
    from == Format::Raw || to != Format::Raw
}
