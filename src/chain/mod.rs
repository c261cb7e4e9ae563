//! One stack: an image over its backing files, and the views a guest has through it.
//!
//! A [`Chain`] opens an image and everything below it, through a [`Gate`]: the policy that decides
//! which names found *inside* images may be opened at all. A [`View`] is one state of the top image
//! through that stack. [`View::extents`] says for each guest range which layer and which host
//! offset supplies it, so that two views can be compared by identity before anyone reads a byte.
//!
//! A view is what `snapshot_read` and `snapshot_allocated` were to be: bytes and allocation of an image, or of one
//! of its internal snapshots, from several threads if need be.
//!
//! ```no_run
//! use cowherd::chain::{Content, Opener, ViewSpec};
//! use cowherd::units::Guest;
//!
//! let spec = ViewSpec::parse("disk.qcow2@sn0".as_ref());
//! let opener = Opener::for_path(&spec.path);
//! let old = opener.open_view(&spec)?;
//! let mut sector = [0; 512];
//! old.read_at(Guest(0), &mut sector)?;
//! let (in_this_file, bytes) = old.allocated(Guest(0), old.size())?;
//! println!("{} bytes; the first {bytes} are the image's own: {in_this_file}", old.size());
//! for run in old.extents(0, old.size()) {
//!     let run = run?;
//!     println!("{} bytes from {} on: layer {}, {:?}", run.len, run.start.0, run.depth, run.kind);
//! }
//! // What has changed since: from the tables alone, in pieces of 64 KiB where content must decide.
//! let now = opener.open(&spec.path)?.view(cowherd::image::State::Active);
//! for range in now.differs(Some(&old), 64 << 10, Content::Compared) {
//!     let range = range?;
//!     println!("{} to {} differ", range.start, range.end);
//! }
//! # Ok::<(), cowherd::error::Error>(())
//! ```
//!
//! This floor never writes.

mod compare;
mod cursor;
mod differs;
mod fingerprint;
mod gate;
mod open;
mod runs;
mod spec;
mod strips;
mod view;

pub use compare::{Comparison, Difference, STRIP, Verification, Verifying, compare, verify};
pub use cursor::{Cursor, Extents};
pub use differs::{Content, Differs};
pub use fingerprint::{Basis, Fingerprint};
pub use gate::Gate;
pub use open::{Chain, Layer, MAX_DEPTH, Opener, reading_needs_locks};
pub use runs::{CopyRun, Touched, WholeUnits, whole_units};
pub use spec::{StateSpec, ViewSpec};
pub use strips::{Held, Strip, Strips, reads, strips};
pub use view::{View, ViewExtent, known_equal};
