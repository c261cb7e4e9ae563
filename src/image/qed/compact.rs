//! Compacting: what nothing refers to is filled from the end, and the file is cut.
//!
//! QED counts no references, so every cluster that none leads to is free, leaks of a crash included. A
//! crash of this leaves leaks at worst (see `tidy`).

use std::sync::Arc;

use super::QedWriter;
use crate::error::{Error, Place, Result};
use crate::image::{Compacted, Written};
use crate::storage::File;

/// Compacts the image in `file`; with `dry` nothing is written.
pub fn compact(file: Arc<dyn File>, dry: bool) -> Result<Compacted> {
    let path = file.path().to_path_buf();
    let mut done = Compacted { exact: true, ..Compacted::default() };
    // Without a hole the header would be all that is written.
    let would = run(file.clone(), true).at(&path)?;
    if would.freed_bytes == 0 && would.data_bytes == 0 {
        return Ok(done);
    }
    done.add(if dry { would } else { run(file, false).at(&path)? });
    Ok(done)
}

fn run(file: Arc<dyn File>, dry: bool) -> Result<Written> {
    let mut writer = QedWriter::open(file, dry)?;
    if writer.image.header.need_check {
        return Err(Error::unsupported("not closed cleanly").remedy("repair it first: cowherd check -r all"));
    }
    writer.commit()?;
    Ok(writer.done)
}
