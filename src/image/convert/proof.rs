//! Proof that nothing changes, before anything is switched: every guest byte lies at the same place of the
//! file in both images. What had to leave the start of the file is compared byte by byte.

use std::sync::Arc;

use super::super::{Extent, ExtentKind, Format, Image, NewImage, State, open};
use super::Switch;
use crate::error::{Error, Kind, Result};
use crate::storage::{File, Rehearsed};
use crate::units::Guest;

/// Bytes compared at once.
const PIECE: u64 = 64 << 10;

/// Fails with [`Kind::Internal`] unless the image that `switch` would make of `file` shows what the image of
/// format `from` that is there shows. Nothing is written.
pub fn prove(file: &Arc<dyn File>, from: Format, to: &NewImage, switch: &Switch) -> Result<()> {
    let old = seen_as(file, &switch.old, from)?;
    let new = seen_as(file, &switch.new, to.format())?;
    let size = old.virtual_size(State::Active);
    let differ = |at: u64| {
        Error::new(Kind::Internal, "the converted image would not read the same; nothing was changed")
            .at(file.path())
            .offset(at)
    };
    if new.virtual_size(State::Active) != size
        || new.backing().map(|b| &b.name) != old.backing().map(|b| &b.name)
    {
        return Err(differ(0));
    }
    let backed = old.backing().is_some();
    let mut at = 0;
    while at < size {
        let was = old.extent_at(State::Active, Guest(at), size - at)?;
        let is = new.extent_at(State::Active, Guest(at), was.len)?;
        let len = is.len.min(was.len);
        if len == 0
            || !(same(&was, &is, from, backed) || same_bytes((&*old, &was), (&*new, &is), backed, len)?)
        {
            return Err(differ(at));
        }
        at += len;
    }
    Ok(())
}

/// The image that `file` would be with this start, its data where it is.
fn seen_as(file: &Arc<dyn File>, start: &super::Start, format: Format) -> Result<Arc<dyn Image>> {
    let layer = Rehearsed::over(file.clone())?;
    layer.write_at(0, &start.sector)?;
    layer.set_len(start.len)?;
    open(Arc::new(layer), Some(format))
}

/// Whether both say the same without a look at the bytes.
fn same(was: &Extent, is: &Extent, from: Format, backed: bool) -> bool {
    use ExtentKind::{Data, Unallocated, Zero};
    match (was.kind, is.kind) {
        (Data { host: a }, Data { host: b }) => a == b,
        // A hole of a raw image is one wherever it is mapped.
        (Zero { host: Some(a) }, Data { host: b }) => from == Format::Raw && a == b,
        (Zero { .. } | Unallocated, Zero { .. } | Unallocated) if !backed => true,
        (Zero { .. }, Zero { .. }) | (Unallocated, Unallocated) => true,
        _ => false,
    }
}

/// Whether the same bytes are read. What is not allocated reads as zeros where there is nothing below; and a file
/// system may call a range of zeros a hole at one moment and data at the next.
fn same_bytes(
    (old, was): (&dyn Image, &Extent),
    (new, is): (&dyn Image, &Extent),
    backed: bool,
    len: u64,
) -> Result<bool> {
    if backed && [was, is].iter().any(|extent| extent.kind == ExtentKind::Unallocated) {
        return Ok(false);
    }
    let (mut a, mut b) = (vec![0; PIECE.min(len) as usize], vec![0; PIECE.min(len) as usize]);
    let mut done = 0;
    while done < len {
        let n = PIECE.min(len - done) as usize;
        old.read(was, done, &mut a[..n])?;
        new.read(is, done, &mut b[..n])?;
        if a[..n] != b[..n] {
            return Ok(false);
        }
        done += n as u64;
    }
    Ok(true)
}
