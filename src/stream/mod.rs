//! Views as streams that other systems read.
//!
//! So far one: [`RbdDiff`], what `rbd import-diff` of Ceph takes, so that internal snapshots become RBD
//! snapshots. This floor reads views and writes to whatever takes bytes; it opens nothing.

mod rbd_diff;

pub use rbd_diff::{RbdDiff, Record};
