//! Emptying an image: everything in it reads through to its backing file.

use super::Writer;
use crate::error::Result;
use crate::image::{Files, Target, Written};

/// Empties the active state of the image in `files`; with `reverts` its bitmaps go too. With `dry` only
/// counts, at most what it takes: the second pass, which moves the tables down, cannot be rehearsed before
/// the first is made.
pub fn empty(files: Files, reverts: bool, dry: bool) -> Result<Written> {
    let mut writer = Writer::open(files.clone(), dry)?;
    if reverts {
        writer.content_changes();
    }
    writer.clear()?;
    writer.leave_room();
    let mut written = Box::new(writer).finish()?;
    if written == Written::default() {
        return Ok(written); // it was empty already
    }
    if dry {
        // It writes every refcount block, which the first need not; that of the first pass's own
        // clusters is new.
        let mut second = Writer::open(files, true)?;
        second.clear()?;
        second.tidy()?;
        let one_more = second.cluster_size();
        let second = Box::new(second).finish()?;
        written.meta_bytes += written.meta_bytes.max(second.meta_bytes) + one_more;
        written.extra_bytes += written.extra_bytes.max(second.extra_bytes) + one_more;
        return Ok(written);
    }
    // The first pass had to put its tables behind everything old; now there is room in front.
    let mut writer = Writer::open(files, false)?;
    writer.tidy()?;
    let tidied = Box::new(writer).finish()?;
    written.meta_bytes += tidied.meta_bytes;
    written.extra_bytes += tidied.extra_bytes;
    Ok(written)
}
