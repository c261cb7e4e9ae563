//! Comparing two views: by identity first, by content only where identity does not decide.

use std::sync::{Mutex, PoisonError};

use crossbeam_channel::Sender;

use super::{Cursor, View};
use crate::error::{Error, Kind, Result};
use crate::image::ExtentKind;
use crate::storage::FileId;
use crate::units::Guest;

/// Bytes read from each view at a time.
const CHUNK: u64 = 256 << 10;

/// The outcome of comparing two views.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Comparison {
    /// Where they first differ; `None` when they are the same.
    pub difference: Option<Difference>,
    /// Bytes looked at until then.
    pub compared_bytes: u64,
    /// Of those, bytes known equal without reading (the same place in the same file, or zeros).
    pub shared_bytes: u64,
    /// Sizes of the two views. A longer one is equal when the rest of it is zeros.
    pub sizes: (u64, u64),
}

/// Where two views differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// First guest byte that differs.
    pub offset: u64,
}

/// One run of a view, or the zeros beyond its end.
struct Run {
    len: u64,
    zero: bool,
    place: Option<(FileId, ExtentKind)>,
}

fn run_at(view: &View, cursor: &mut Cursor<'_>, at: u64, max: u64) -> Result<Run> {
    if at >= view.size() {
        return Ok(Run { len: max, zero: true, place: None });
    }
    let extent = cursor.extent_at(Guest(at), max)?;
    let image = &view.layers()[extent.depth].image;
    // Without its data file there is no place to tell; reading then says why.
    let place = image.data().ok().map(|file| (file.id(), extent.kind));
    Ok(Run { len: extent.len, zero: extent.reads_zero(), place })
}

/// Compares content as a guest sees it, until the first difference. `progress` is called with the
/// bytes done and may stop the comparison by returning `false` ([`Kind::Cancelled`]).
///
/// One thread goes through the metadata in guest order; what only content can decide is read and
/// compared by all cores, a little at a time.
pub fn compare(a: &View, b: &View, mut progress: impl FnMut(u64) -> bool) -> Result<Comparison> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let readers = Readers { a, b, found: Mutex::new(None) };
    let (chunks, work) = crossbeam_channel::bounded(4 * threads);
    let walked = std::thread::scope(|scope| {
        for _ in 0..threads {
            let (work, readers) = (work.clone(), &readers);
            scope.spawn(move || {
                let mut buffers = (vec![0; CHUNK as usize], vec![0; CHUNK as usize]);
                work.iter().for_each(|part| readers.compare(part, &mut buffers));
            });
        }
        // The last sender goes with the walk, which ends the readers.
        let walked = walk(a, b, &readers, &chunks, &mut progress);
        drop(chunks);
        walked
    });
    let sizes = (a.size(), b.size());
    let found = readers.found.into_inner().unwrap_or_else(PoisonError::into_inner);
    match found {
        Some(Found { at, what: Ok(()), shared_bytes }) => Ok(Comparison {
            difference: Some(Difference { offset: at }),
            compared_bytes: at,
            shared_bytes,
            sizes,
        }),
        Some(Found { what: Err(e), .. }) => Err(e),
        None => {
            let compared_bytes = sizes.0.max(sizes.1);
            Ok(Comparison { difference: None, compared_bytes, shared_bytes: walked?, sizes })
        }
    }
}

/// A part that only content can decide, and how much before it was equal without reading.
#[derive(Clone, Copy)]
struct Part {
    at: u64,
    len: u64,
    shared_bytes: u64,
}

/// The first place where something was found: a difference, or a failure to read.
struct Found {
    at: u64,
    what: Result<()>,
    shared_bytes: u64,
}

struct Readers<'a> {
    a: &'a View,
    b: &'a View,
    found: Mutex<Option<Found>>,
}

impl Readers<'_> {
    fn is_over(&self) -> bool {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn compare(&self, part: Part, buffers: &mut (Vec<u8>, Vec<u8>)) {
        let n = part.len as usize;
        let (at, what) = match self.difference(part, &mut buffers.0[..n], &mut buffers.1[..n]) {
            Ok(None) => return,
            Ok(Some(at)) => (at, Ok(())),
            Err(e) => (part.at, Err(e)),
        };
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        // Parts come back in any order; the first place counts.
        if found.as_ref().is_none_or(|f| at < f.at) {
            *found = Some(Found { at, what, shared_bytes: part.shared_bytes });
        }
    }

    fn difference(&self, part: Part, left: &mut [u8], right: &mut [u8]) -> Result<Option<u64>> {
        read_or_zero(self.a, part.at, left)?;
        read_or_zero(self.b, part.at, right)?;
        if left == right {
            return Ok(None);
        }
        let same = left.iter().zip(&*right).take_while(|(x, y)| x == y).count();
        Ok(Some(part.at + same as u64))
    }
}

/// Goes through both views in guest order and hands out what must be read; gives the bytes that are
/// equal without it.
fn walk(
    a: &View,
    b: &View,
    readers: &Readers<'_>,
    chunks: &Sender<Part>,
    progress: &mut dyn FnMut(u64) -> bool,
) -> Result<u64> {
    let end = a.size().max(b.size());
    let (mut cursor_a, mut cursor_b) = (a.cursor(), b.cursor());
    let (mut at, mut shared_bytes) = (0, 0);
    while at < end && !readers.is_over() {
        if !progress(at) {
            return Err(Error::new(Kind::Cancelled, "comparison stopped"));
        }
        let run_a = run_at(a, &mut cursor_a, at, end - at)?;
        let run_b = run_at(b, &mut cursor_b, at, end - at)?;
        let mut len = run_a.len.min(run_b.len);
        if shared(&run_a, &run_b) {
            shared_bytes += len;
        } else {
            len = len.min(CHUNK);
            // Without readers there is nobody to send to, which cannot be: they end after us.
            let _ = chunks.send(Part { at, len, shared_bytes });
        }
        at += len;
    }
    Ok(shared_bytes)
}

/// Whether two runs are equal without reading: zeros both, or the same place in the same file.
fn shared(a: &Run, b: &Run) -> bool {
    a.zero && b.zero || !a.zero && a.place.is_some() && a.place == b.place
}

fn read_or_zero(view: &View, at: u64, buf: &mut [u8]) -> Result<()> {
    let n = view.read_at(Guest(at), buf)?;
    buf[n..].fill(0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::chain::{Chain, Layer};
    use crate::image::{Format, State, open};
    use crate::storage::MemFile;

    fn raw(bytes: Vec<u8>) -> View {
        let image = open(Arc::new(MemFile::new("m", bytes)), Some(Format::Raw)).unwrap();
        Chain::from_layers(vec![Layer::new(PathBuf::from("m"), image)]).view(State::Active)
    }

    #[test]
    fn the_first_of_many_differences_is_told_whoever_finds_it() {
        let old = vec![7; 8 << 20];
        for at in [0, 1, 262_143, 262_144, 3_000_001, (8 << 20) - 1] {
            let mut new = old.clone();
            new[at..].iter_mut().step_by(100_003).for_each(|b| *b = 8);
            let told = compare(&raw(old.clone()), &raw(new), |_| true).unwrap();
            assert_eq!(told.difference, Some(Difference { offset: at as u64 }));
            assert_eq!(told.compared_bytes, at as u64);
        }
    }

    #[test]
    fn a_longer_view_is_equal_when_the_rest_is_zeros() {
        let (short, mut long) = (vec![5; 4096], vec![5; 4096]);
        long.resize(1 << 20, 0);
        let told = compare(&raw(short.clone()), &raw(long.clone()), |_| true).unwrap();
        assert_eq!((told.difference, told.compared_bytes, told.sizes), (None, 1 << 20, (4096, 1 << 20)));
        long[700_000] = 1;
        let told = compare(&raw(short), &raw(long), |_| true).unwrap();
        assert_eq!(told.difference, Some(Difference { offset: 700_000 }));
    }

    #[test]
    fn one_view_is_its_own_twin_unread_and_can_be_stopped() {
        let view = raw(vec![9; 1 << 20]);
        let told = compare(&view, &view, |_| true).unwrap();
        assert_eq!((told.difference, told.shared_bytes), (None, 1 << 20));
        assert_eq!(compare(&view, &view, |_| false).unwrap_err().kind(), Kind::Cancelled);
    }
}
