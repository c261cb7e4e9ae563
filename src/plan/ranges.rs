//! From a copy step's rule to runs: metadata only, the same at planning and at doing.

use crate::chain::{Chain, CopyRun, Opener, Touched, View, whole_units};
use crate::error::{Error, Kind, Result};
use crate::image::{State, Target, Written};
use crate::units::{Guest, Host, align_up};

use super::{Copy, CopyMode, Ranges};

/// The views a copy step reads.
pub struct Source {
    /// Where data comes from.
    pub view: View,
    /// What lies beyond the end of `view` (a longer base); zeros where that ends as well.
    pub rest: Option<View>,
    /// Guest offset from which on everything is zeros, whatever the views say.
    pub end: u64,
    /// The view whose ranges are copied, when it is not `view` itself.
    cause: Option<View>,
}

impl Source {
    /// Just this view, and zeros from the guest offset `end` on.
    pub fn of(view: View, end: u64) -> Self {
        Self { view, rest: None, end, cause: None }
    }
}

impl Copy {
    /// Opens what the step reads. The caller holds the locks.
    pub fn open(&self, opener: &Opener) -> Result<Source> {
        let chain = opener.open(&self.from)?;
        let (rest, cause) = match (self.mode, &self.ranges) {
            (CopyMode::Overwrite, _) => (below(&chain, &self.into), None),
            (CopyMode::Fill, Ranges::Committed { top, .. }) => {
                (None, Some(opener.open(top)?.view(State::Active)))
            }
            (CopyMode::Fill, Ranges::BeyondEnd { .. }) => (None, None),
        };
        Ok(Source { view: chain.view(State::Active), rest, end: u64::MAX, cause })
    }

    /// The runs to copy into an image with mapping units of `unit` bytes whose virtual size will
    /// be `size`, in guest order.
    pub fn runs<'a>(&'a self, source: &'a Source, unit: u64, size: u64) -> Result<Runs<'a>> {
        let (Ranges::Committed { base, .. } | Ranges::BeyondEnd { base, .. }) = &self.ranges;
        let cause = source.cause.as_ref().unwrap_or(&source.view);
        let changed: Touches<'a> = match &self.ranges {
            Ranges::Committed { .. } => committed(cause, base)?,
            Ranges::BeyondEnd { top, .. } => beyond_end(&source.view, top, base)?,
        };
        Ok(match self.mode {
            CopyMode::Overwrite => Box::new(whole_units(changed, unit, size)),
            CopyMode::Fill => Box::new(whole_units(
                whole_units(changed, unit, size).flat_map(move |run| missing(&source.view, run)),
                unit,
                size,
            )),
        })
    }
}

/// Runs in guest order.
pub type Runs<'a> = Box<dyn Iterator<Item = Result<CopyRun>> + 'a>;
type Touches<'a> = Box<dyn Iterator<Item = Result<Touched>> + 'a>;

/// Takes every run to `target`: zeros as metadata where the format can, otherwise a place is
/// allocated, `mover` fills it (guest offset, host offset, bytes), and it is mapped. At a rehearsal
/// `mover` is called all the same and must not write.
pub fn drive(
    runs: Runs<'_>,
    target: &mut dyn Target,
    mover: &mut dyn FnMut(Guest, Host, u64) -> Result<()>,
) -> Result<()> {
    for run in runs {
        let run = run?;
        if run.zero && target.zero(run.at, run.len)? {
            continue;
        }
        let (mut at, end) = (run.at.0, run.at.0 + run.len);
        while at < end {
            let (host, len) = target.allocate(Guest(at), end - at)?;
            mover(Guest(at), host, len)?;
            target.map(Guest(at), host, len)?;
            at = at.saturating_add(len);
        }
    }
    Ok(())
}

/// Makes the disk behind `target` `to` bytes long; `view` is the image as it is. A longer disk ends
/// in zeros even over a longer backing file; `mover` fills what must be rewritten for that.
pub fn resize(
    mut target: Box<dyn Target>,
    view: &View,
    to: u64,
    mover: &mut dyn FnMut(Guest, Host, u64) -> Result<()>,
) -> Result<Written> {
    target.content_changes();
    let shrinks = to < view.size();
    if !shrinks {
        target.grow(to)?;
    }
    // The last unit may hold bytes behind the old or the new end, and a longer backing file shows
    // through there: both must read as zeros once the disk is longer.
    let end = view.size().min(to);
    let below = view.layers().get(1).map_or(0, |l| l.image.virtual_size(State::Active));
    let until = align_up(end, target.unit()).max(if shrinks { 0 } else { below.min(to) });
    if end < until {
        let tail = Touched { start: end, end: until, zero: true };
        let size = if shrinks { view.size() } else { to };
        drive(Box::new(whole_units([Ok(tail)], target.unit(), size.max(until))), &mut *target, mover)?;
    }
    if shrinks {
        target.shrink(to)?;
    }
    target.finish()
}

/// The chain below and including the layer at `path`, as a view.
fn below(chain: &Chain, path: &std::path::Path) -> Option<View> {
    let at = chain.layers().iter().position(|l| l.path == path)?;
    let layers = chain.layers().get(at..)?.to_vec();
    Some(Chain::from_layers(layers).view(State::Active))
}

fn depth_of(view: &View, path: &std::path::Path) -> Result<usize> {
    view.layers()
        .iter()
        .position(|l| l.path == path)
        .ok_or_else(|| Error::new(Kind::Changed, "is no longer part of the chain").at(path))
}

/// What the layers of `top` above `base` hold, and everything beyond the end of the base.
fn committed<'a>(top: &'a View, base: &std::path::Path) -> Result<Touches<'a>> {
    let depth = depth_of(top, base)?;
    let base_size = top.layers()[depth].image.virtual_size(State::Active);
    let upper = Chain::from_layers(top.layers()[..depth].to_vec()).view(State::Active);
    let mut at = 0;
    Ok(Box::new(std::iter::from_fn(move || {
        loop {
            if at >= upper.size() {
                return None;
            }
            let extent = match upper.extents(at, upper.size()).next()? {
                Ok(extent) => extent,
                Err(e) => {
                    at = upper.size();
                    return Some(Err(e));
                }
            };
            at = extent.end();
            let held = extent.kind.is_allocated();
            let start = if held { extent.start.0 } else { extent.start.0.max(base_size) };
            if start < extent.end() {
                return Some(Ok(Touched { start, end: extent.end(), zero: extent.reads_zero() }));
            }
        }
    })))
}

/// What the chain from `base` down shows beyond the end of `top` and is not known to be zero. (A
/// run is `zero` when it is so *after* the change, hence never here.)
fn beyond_end<'a>(child: &'a View, top: &std::path::Path, base: &std::path::Path) -> Result<Touches<'a>> {
    let from = child.layers()[depth_of(child, top)?].image.virtual_size(State::Active);
    let depth = depth_of(child, base)?;
    let lower = Chain::from_layers(child.layers()[depth..].to_vec()).view(State::Active);
    let mut at = from;
    Ok(Box::new(std::iter::from_fn(move || {
        loop {
            if at >= lower.size() {
                return None;
            }
            match lower.extents(at, lower.size()).next()? {
                Ok(extent) => {
                    at = extent.end();
                    if !extent.reads_zero() {
                        return Some(Ok(Touched { start: extent.start.0, end: at, zero: false }));
                    }
                }
                Err(e) => {
                    at = lower.size();
                    return Some(Err(e));
                }
            }
        }
    })))
}

/// The parts of `run` that the top image of `view` leaves to its backing file, as they read now.
fn missing(view: &View, run: Result<CopyRun>) -> Vec<Result<Touched>> {
    let run = match run {
        Ok(run) => run,
        Err(e) => return vec![Err(e)],
    };
    let mut out = Vec::new();
    for extent in view.extents(run.at.0, run.at.0 + run.len) {
        match extent {
            Ok(e) if e.depth == 0 && e.kind.is_allocated() => {}
            // Zeros now and zeros afterwards: nothing changes there.
            Ok(e) if run.zero && e.reads_zero() => {}
            Ok(e) => out.push(Ok(Touched { start: e.start.0, end: e.end(), zero: e.reads_zero() })),
            Err(e) => {
                out.push(Err(e));
                break;
            }
        }
    }
    out
}
