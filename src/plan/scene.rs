//! Where a plan begins: the forest and its files as they are, or as an earlier operation leaves them.

use std::sync::Arc;

use crate::forest::Forest;
use crate::storage::Rehearsal;

/// What an operation is planned for.
#[derive(Clone)]
pub struct Scene<'a> {
    pub(super) forest: &'a Forest,
    /// The files; what is written to them is only rehearsed.
    pub(super) disk: Arc<Rehearsal>,
}

impl<'a> From<&'a Forest> for Scene<'a> {
    fn from(forest: &'a Forest) -> Self {
        Self { forest, disk: Arc::default() }
    }
}
