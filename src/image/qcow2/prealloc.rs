//! Mapping every cluster of a new image, so that a guest never has to allocate.

use super::writer::Writer;
use crate::error::Result;
use crate::image::{Files, Preallocation, Target};
use crate::units::{Guest, align_up};

/// Allocates and maps the whole disk of the empty image in `files`, which must read as zeros behind
/// its end, as a file just made does.
pub fn preallocate(files: Files, ahead: Preallocation) -> Result<()> {
    if ahead == Preallocation::Off {
        return Ok(());
    }
    let mut writer = Writer::open(files, false)?;
    let (mut at, end) = (0, align_up(writer.size(), writer.unit()));
    while at < end {
        let (host, len) = writer.allocate(Guest(at), end - at)?;
        ahead.fill(&**writer.file(), host.0, len)?;
        writer.map(Guest(at), host, len)?;
        at += len;
    }
    Box::new(writer).finish().map(|_| ())
}
