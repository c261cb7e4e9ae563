//! Comparing two views: by identity first, by content only where identity does not decide.

use super::{Cursor, View};
use crate::error::{Error, Kind, Result};
use crate::image::ExtentKind;
use crate::storage::FileId;
use crate::units::Guest;

/// Bytes read from each view at a time.
const CHUNK: usize = 256 << 10;

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

/// Why a run of two views is equal without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// The same bytes of the same file supply both.
    SamePlace,
    /// Both read as zeros.
    BothZero,
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
    let file = view.layers()[extent.depth].image.file().id();
    Ok(Run { len: extent.len, zero: extent.reads_zero(), place: Some((file, extent.kind)) })
}

/// Compares content as a guest sees it, in guest order, until the first difference. `progress` is
/// called with the bytes done and may stop the comparison by returning `false`
/// ([`Kind::Cancelled`]).
pub fn compare(a: &View, b: &View, mut progress: impl FnMut(u64) -> bool) -> Result<Comparison> {
    let end = a.size().max(b.size());
    let mut out =
        Comparison { difference: None, compared_bytes: 0, shared_bytes: 0, sizes: (a.size(), b.size()) };
    let (mut left, mut right) = (vec![0; CHUNK], vec![0; CHUNK]);
    let (mut cursor_a, mut cursor_b) = (a.cursor(), b.cursor());
    let mut at = 0;
    while at < end {
        if !progress(at) {
            return Err(Error::new(Kind::Cancelled, "comparison stopped"));
        }
        let run_a = run_at(a, &mut cursor_a, at, end - at)?;
        let run_b = run_at(b, &mut cursor_b, at, end - at)?;
        let mut len = run_a.len.min(run_b.len);
        if shared(&run_a, &run_b).is_some() {
            out.shared_bytes += len;
        } else {
            len = len.min(CHUNK as u64);
            let n = len as usize;
            read_or_zero(a, at, &mut left[..n])?;
            read_or_zero(b, at, &mut right[..n])?;
            if left[..n] != right[..n] {
                let same = left[..n].iter().zip(&right[..n]).take_while(|(x, y)| x == y).count() as u64;
                out.compared_bytes += same;
                out.difference = Some(Difference { offset: at + same });
                return Ok(out);
            }
        }
        out.compared_bytes += len;
        at += len;
    }
    Ok(out)
}

fn shared(a: &Run, b: &Run) -> Option<Shared> {
    if a.zero && b.zero {
        return Some(Shared::BothZero);
    }
    (!a.zero && a.place == b.place).then_some(Shared::SamePlace)
}

fn read_or_zero(view: &View, at: u64, buf: &mut [u8]) -> Result<()> {
    let n = view.read_at(Guest(at), buf)?;
    buf[n..].fill(0);
    Ok(())
}
