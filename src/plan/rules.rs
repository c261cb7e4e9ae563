//! Where something changes below an image: the rules of a copy, each as guest ranges from metadata.

use std::path::Path;

use crate::chain::{Chain, Touched, View, whole_units};
use crate::error::{Error, Kind, Result};
use crate::image::State;

/// Ranges in guest order.
pub(super) type Touches<'a> = Box<dyn Iterator<Item = Result<Touched>> + 'a>;

fn depth_of(view: &View, path: &Path) -> Result<usize> {
    view.layers()
        .iter()
        .position(|l| l.path == path)
        .ok_or_else(|| Error::new(Kind::Changed, "is no longer part of the chain").at(path))
}

/// What the layers of `top` above `base` hold, in whole units of `wide` bytes, and everything beyond the
/// end of the base.
pub(super) fn committed<'a>(top: &'a View, base: &Path, wide: u64, rehearsal: bool) -> Result<Touches<'a>> {
    let held = held_above(top, base)?;
    if wide <= 1 {
        return Ok(held);
    }
    let units = whole_units(held, wide, top.size());
    Ok(Box::new(units.map(move |run| {
        let run = run?;
        // The copy that a layer between will have of zeros may be data by then.
        let zero = run.zero && !rehearsal;
        Ok(Touched { start: run.at.0, end: run.at.0 + run.len, zero })
    })))
}

fn held_above<'a>(top: &'a View, base: &Path) -> Result<Touches<'a>> {
    let depth = depth_of(top, base)?;
    let base_size = top.layers()[depth].image.virtual_size(State::Active);
    let upper = Chain::from_layers(top.layers()[..depth].to_vec()).view(State::Active);
    let size = upper.size();
    Ok(Box::new(upper.into_extents(0, size).filter_map(move |extent| match extent {
        Ok(extent) => {
            let held = extent.kind.is_allocated();
            let start = if held { extent.start.0 } else { extent.start.0.max(base_size) };
            let (end, zero) = (extent.end(), extent.reads_zero());
            (start < end).then_some(Ok(Touched { start, end, zero }))
        }
        Err(e) => Some(Err(e)),
    })))
}

/// What the chain from `base` down shows beyond the end of `top` and is not known to be zero. (A
/// run is `zero` when it is so *after* the change, hence never here.)
pub(super) fn beyond_end<'a>(child: &'a View, top: &Path, base: &Path, end: u64) -> Result<Touches<'a>> {
    let from = child.layers()[depth_of(child, top)?].image.virtual_size(State::Active);
    let depth = depth_of(child, base)?;
    let lower = Chain::from_layers(child.layers()[depth..].to_vec()).view(State::Active);
    let end = lower.size().min(end);
    Ok(Box::new(lower.into_extents(from, end).filter_map(|extent| match extent {
        Ok(extent) if extent.reads_zero() => None,
        extent => Some(extent.map(|e| Touched { start: e.start.0, end: e.end(), zero: false })),
    })))
}

/// The part of a range at or behind `start`.
pub(super) fn from(range: Result<Touched>, start: u64) -> Option<Result<Touched>> {
    match range {
        Ok(range) if range.end <= start => None,
        Ok(range) => Some(Ok(Touched { start: range.start.max(start), ..range })),
        failed => Some(failed),
    }
}

// A range is `zero` when it is known to read so after the change: below that is only known of what is
// committed.

/// What the layers between the image of `view` and `base` hold, up to `end`, and everything that only
/// a longer `base` would show. Without a base nothing has to say that it is zero.
pub(super) fn dropped<'a>(view: &'a View, base: Option<&Path>, end: u64) -> Result<Touches<'a>> {
    let layers = view.layers();
    let depth = match base {
        Some(base) => depth_of(view, base)?,
        None => layers.len(),
    };
    if depth < 2 {
        return Ok(Box::new(std::iter::empty()));
    }
    let longest = base.map_or(0, |_| layers[depth].image.virtual_size(State::Active)).min(end);
    let between = Chain::from_layers(layers[1..depth].to_vec()).view(State::Active);
    let (reach, keeps_zeros) = (between.size().min(end), base.is_some());
    let held = between.into_extents(0, reach).filter_map(move |extent| match extent {
        Ok(extent) if !extent.kind.is_allocated() || extent.reads_zero() && !keeps_zeros => None,
        extent => Some(extent.map(|e| Touched { start: e.start.0, end: e.end(), zero: false })),
    });
    let behind = (reach < longest).then_some(Ok(Touched { start: reach, end: longest, zero: false }));
    Ok(Box::new(held.chain(behind)))
}
