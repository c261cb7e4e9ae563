//! Emptying an image: everything in it reads through to its backing file.

use std::sync::Arc;

use super::QedWriter;
use crate::error::Result;
use crate::image::{Target, Written};
use crate::storage::File;

/// Empties the image in `file`, so that all of it reads through to its backing file.
pub fn empty(file: Arc<dyn File>, dry: bool) -> Result<Written> {
    let mut writer = QedWriter::open(file, dry)?;
    writer.clear()?;
    Box::new(writer).finish()
}
