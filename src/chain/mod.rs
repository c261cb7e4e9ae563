//! One stack: an image over its backing files, and the views a guest has through it.
//!
//! A [`Chain`] opens an image and everything below it, through a [`Gate`]: the policy that decides
//! which names found *inside* images may be opened at all. A [`View`] is one state of the top image
//! through that stack. [`View::extents`] says for each guest range which layer and which host
//! offset supplies it, so that two views can be compared by identity before anyone reads a byte.
//!
//! This floor never writes.

mod compare;
mod cursor;
mod differs;
mod gate;
mod open;
mod runs;
mod spec;
mod view;

pub use compare::{Comparison, Difference, compare};
pub use cursor::{Cursor, Extents};
pub use differs::{Content, Differs};
pub use gate::Gate;
pub use open::{Chain, Layer, MAX_DEPTH, Opener, reading_needs_locks};
pub use runs::{CopyRun, Touched, WholeUnits, whole_units};
pub use spec::{StateSpec, ViewSpec};
pub use view::{View, ViewExtent, known_equal};
