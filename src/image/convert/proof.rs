//! Proof that nothing changes, before anything is switched: every guest byte lies at the same place of the
//! file in both images. What had to leave its place is compared byte by byte.

use std::sync::Arc;

use super::super::{Extent, ExtentKind, Files, Format, Image, NewImage, State, open};
use super::{Seen, Start, Switch, amend};
use crate::error::{Error, Kind, Place, Result};
use crate::storage::{File, Rehearsed};
use crate::units::Guest;

/// Bytes compared at once.
const PIECE: u64 = 64 << 10;

/// What was found to read the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Proof {
    /// States: the active one, snapshots and their machine states.
    pub states: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Of those, bytes known equal without reading: the same place in the file, or zeros.
    pub shared_bytes: u64,
}

/// Fails with [`Kind::Internal`] unless the image that `switch` would make of `file` shows what the image of
/// format `from` that is there shows. Nothing is written. `seen` is told of bytes that were looked at, and fails
/// to stop.
pub fn prove(
    file: &Arc<dyn File>,
    from: Format,
    to: &NewImage,
    switch: &Switch,
    seen: Seen<'_>,
) -> Result<Proof> {
    let old = seen_as(file, &switch.old, from)?;
    let new = seen_as(file, &switch.new, to.format())?;
    same_views(&*old, &*new, seen).at(file.path())
}

/// The same for [`amend`], of every state: what it makes of the image in `files` is made in memory first.
pub fn prove_amended(files: &Files, to: &NewImage, seen: Seen<'_>) -> Result<Proof> {
    let amended = Files { image: Arc::new(Rehearsed::over(files.image.clone())?), data: files.data.clone() };
    amend(&amended, to, false)?;
    let open = |files: Files| open(files, Some(to.format()));
    same_views(&*open(files.clone())?, &*open(amended)?, seen).at(files.image.path())
}

/// The image that `file` would be with this start, its data where it is.
fn seen_as(file: &Arc<dyn File>, start: &Start, format: Format) -> Result<Arc<dyn Image>> {
    let layer = Rehearsed::over(file.clone())?;
    layer.write_at(0, &start.sector)?;
    layer.set_len(start.len)?;
    open(Arc::new(layer), Some(format))
}

fn same_views(old: &dyn Image, new: &dyn Image, seen: Seen<'_>) -> Result<Proof> {
    let differ =
        || Error::new(Kind::Internal, "the converted image would not read the same; nothing was changed");
    let count = old.snapshots().len();
    if new.snapshots().len() != count
        || new.backing().map(|b| &b.name) != old.backing().map(|b| &b.name)
        || new.data_file() != old.data_file()
    {
        return Err(differ());
    }
    let saved = (0..count).flat_map(|index| [State::Snapshot(index), State::VmState(index)]);
    let mut proof = Proof::default();
    for state in std::iter::once(State::Active).chain(saved) {
        let size = old.virtual_size(state);
        if new.virtual_size(state) != size {
            return Err(differ());
        }
        // Nothing lies below the saved state of a machine.
        let backed = old.backing().is_some() && !matches!(state, State::VmState(_));
        let pair = Pair { old, new, backed };
        let mut at = 0;
        while at < size {
            let was = old.extent_at(state, Guest(at), size - at)?;
            let is = new.extent_at(state, Guest(at), was.len)?;
            let len = is.len.min(was.len);
            let shared = pair.lie_the_same(&was, &is);
            if len == 0 || !(shared || pair.read_the_same(&was, &is, len)?) {
                return Err(differ().offset(at));
            }
            proof.shared_bytes += if shared { len } else { 0 };
            seen(len)?;
            at += len;
        }
        proof.states += u64::from(size > 0 || !matches!(state, State::VmState(_)));
        proof.bytes += size;
    }
    Ok(proof)
}

struct Pair<'a> {
    old: &'a dyn Image,
    new: &'a dyn Image,
    /// Whether something lies below.
    backed: bool,
}

impl Pair<'_> {
    /// Whether both say the same without a look at the bytes.
    fn lie_the_same(&self, was: &Extent, is: &Extent) -> bool {
        use ExtentKind::{Data, Unallocated, Zero};
        let raw = |image: &dyn Image| image.format() == Format::Raw;
        match (was.kind, is.kind) {
            // A hole of a raw image is one wherever it is mapped.
            (Zero { host: Some(a) }, Data { host: b }) => raw(self.old) && a == b,
            (Data { host: a }, Zero { host: Some(b) }) => raw(self.new) && a == b,
            (Zero { .. } | Unallocated, Zero { .. } | Unallocated) if !self.backed => true,
            (Zero { .. }, Zero { .. }) => true,
            (was, is) => was == is,
        }
    }

    /// Whether the same bytes are read. What is not allocated reads as zeros where there is nothing below; and a
    /// file system may call a range of zeros a hole at one moment and data at the next.
    fn read_the_same(&self, was: &Extent, is: &Extent, len: u64) -> Result<bool> {
        if self.backed && [was, is].iter().any(|extent| extent.kind == ExtentKind::Unallocated) {
            return Ok(false);
        }
        let (mut a, mut b) = (vec![0; PIECE.min(len) as usize], vec![0; PIECE.min(len) as usize]);
        let mut done = 0;
        while done < len {
            let n = PIECE.min(len - done) as usize;
            self.old.read(was, done, &mut a[..n])?;
            self.new.read(is, done, &mut b[..n])?;
            if a[..n] != b[..n] {
                return Ok(false);
            }
            done += n as u64;
        }
        Ok(true)
    }
}
