//! From a copy step's rule to runs: metadata only, the same at planning and at doing.

use crate::chain::{Chain, Content, CopyRun, Differs, Opener, Touched, View, whole_units};
use crate::error::{Error, Kind, Result};
use crate::image::{State, Target, Written};
use crate::units::{Guest, Host, align_down, align_up};

use super::fill::{StateRuns, lacking};
use super::rules::{Touches, beyond_end, committed, dropped, from};
use super::{Copy, CopyMode, Ranges, States};

/// The views a copy step reads.
pub struct Source {
    /// Where data comes from, for each state of the target that gets some.
    views: Vec<(State, View)>,
    /// What lies beyond the end of the view (a longer base); zeros where that ends as well.
    pub rest: Option<View>,
    /// Guest offset from which on everything is zeros, whatever the views say.
    pub end: u64,
    /// The view whose ranges are copied, when it is not the source itself.
    cause: Option<View>,
    /// What the image reads from below now.
    below: Option<View>,
}

/// A run, and the states of the target that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRun {
    /// Where.
    pub run: CopyRun,
    /// Never empty; the first one's view says what to copy.
    pub states: Vec<State>,
}

impl Source {
    /// Just this view, and zeros from the guest offset `end` on.
    pub fn of(view: View, end: u64) -> Self {
        Self { views: vec![(State::Active, view)], rest: None, end, cause: None, below: None }
    }

    /// What `state` of the target gets.
    pub fn view(&self, state: State) -> Result<&View> {
        let found = self.views.iter().find(|(known, _)| *known == state);
        found.map(|(_, view)| view).ok_or_else(|| Error::new(Kind::Internal, "a state that is not copied to"))
    }

    /// Makes sure that what was read is what the views hold.
    pub fn still_there(&self) -> Result<()> {
        self.views.iter().map(|(_, view)| view).chain(&self.cause).try_for_each(View::still_there)
    }

    /// Where the longest state of the target ends.
    fn end_of_all(&self) -> u64 {
        self.views.iter().map(|(_, view)| view.size()).max().unwrap_or(0)
    }

    fn first(&self) -> Result<&View> {
        let none = || Error::new(Kind::Internal, "a copy without a source");
        self.views.first().map(|(_, view)| view).ok_or_else(none)
    }
}

impl Copy {
    /// Opens what the step reads. The caller holds the locks.
    pub fn open(&self, opener: &Opener) -> Result<Source> {
        if self.mode == CopyMode::New {
            return self.open_for_new(opener);
        }
        let chain = Opener { format: self.from.format, ..opener.clone() }.open(&self.from.path)?;
        let snapshots = (0..chain.top().image.snapshots().len()).map(State::Snapshot);
        let states: Vec<State> = match self.states {
            States::Active => vec![State::Active],
            States::Snapshots => snapshots.collect(),
            States::All => std::iter::once(State::Active).chain(snapshots).collect(),
        };
        let views = states.into_iter().map(|state| (state, chain.view(state))).collect();
        let (rest, cause) = match (self.mode, &self.ranges) {
            (CopyMode::Overwrite, _) => (below(&chain, &self.into), None),
            (CopyMode::Fill, Ranges::Committed { top, .. }) => {
                (None, Some(opener.open(top)?.view(State::Active)))
            }
            (CopyMode::Fill, Ranges::Differs { base: Some(base), format, .. }) => {
                let base = Opener { format: *format, ..opener.clone() }.open(base)?;
                (None, Some(base.view(State::Active)))
            }
            _ => (None, None),
        };
        let below = chain.below().map(|below| below.view(State::Active));
        Ok(Source { views, rest, end: u64::MAX, cause, below })
    }

    fn open_for_new(&self, opener: &Opener) -> Result<Source> {
        let view = opener.open_view(&self.from)?;
        let cause = match &self.ranges {
            Ranges::Delta { since, .. } => Some(opener.open_view(since)?),
            _ => None,
        };
        Ok(Source { cause, ..Source::of(view, u64::MAX) })
    }

    /// Makes `target` as long as it is to be, if that is longer; gives the size that it will have in the end.
    pub fn grow(&self, target: &mut dyn Target) -> Result<u64> {
        match self.resize_to {
            Some(size) if self.mode == CopyMode::New && size < target.size() => Ok(size),
            Some(size) => target.grow(size).map(|()| target.size()),
            None => Ok(target.size()),
        }
    }

    /// Makes an image that the plan makes as short as it is to be, once all is copied.
    pub fn shrink(&self, target: &mut dyn Target) -> Result<()> {
        match self.resize_to {
            Some(size) if self.mode == CopyMode::New && size < target.size() => target.shrink(size),
            _ => Ok(()),
        }
    }

    /// The runs to copy into an image with mapping units of `unit` bytes whose virtual size will
    /// be `size`, in guest order. At a rehearsal nothing is read to find them, which may give more.
    pub fn runs<'a>(
        &'a self,
        source: &'a Source,
        unit: u64,
        size: u64,
        rehearsal: bool,
    ) -> Result<StateRuns<'a>> {
        if source.views.is_empty() {
            return Ok(Box::new(std::iter::empty()));
        }
        let end = source.end_of_all();
        let changed = self.touches(source, unit, rehearsal)?;
        Ok(match self.mode {
            CopyMode::Overwrite | CopyMode::New => Box::new(
                whole_units(changed, unit, size)
                    .map(|run| Ok(StateRun { run: run?, states: vec![State::Active] })),
            ),
            CopyMode::Fill => lacking(&source.views, Box::new(whole_units(changed, unit, end)), unit),
        })
    }
    /// What changes below the image in places that a fill is about, whether a state has its own there or
    /// not, in guest order. Nothing is read to find it.
    pub(super) fn changed<'a>(&'a self, source: &'a Source, unit: u64) -> Result<Touches<'a>> {
        match source.views.is_empty() {
            true => Ok(Box::new(std::iter::empty())),
            false => self.touches(source, unit, true),
        }
    }

    fn touches<'a>(&'a self, source: &'a Source, unit: u64, rehearsal: bool) -> Result<Touches<'a>> {
        let view = source.first()?;
        let cause = source.cause.as_ref();
        let end = source.end_of_all();
        Ok(match &self.ranges {
            // Snapshots of the top lose the layers between, which they may see beyond its end too.
            Ranges::Committed { base, unit: wide, .. } if self.states == States::Snapshots => {
                let top = cause.unwrap_or(view);
                let behind = dropped(view, Some(base), end)?.filter_map(|run| from(run, top.size()));
                Box::new(committed(top, base, *wide, rehearsal)?.chain(behind))
            }
            Ranges::Committed { base, unit: wide, .. } => {
                committed(cause.unwrap_or(view), base, *wide, rehearsal)?
            }
            Ranges::BeyondEnd { top, base } => beyond_end(view, top, base, end)?,
            Ranges::Dropped { base, .. } => dropped(view, base.as_deref(), end)?,
            Ranges::All => Box::new(stored(view)),
            Ranges::Delta { by_content, .. } => {
                let compares = *by_content && !rehearsal;
                let content = if compares { Content::Compared } else { Content::Unread };
                let size = view.size();
                // A disk that ends within a unit, where a longer one was before, has its last unit written anew:
                // what it holds behind the end would show when the disk grows again.
                let shrinks = cause.is_some_and(|since| since.size() > size);
                let tail = if shrinks { align_down(size, unit) } else { size };
                let tail = Touched { start: tail, end: size, zero: false };
                let differs = Differs::new(Some(view), cause, tail.start, unit, content);
                Box::new(differs.chain((tail.start < tail.end).then_some(Ok(tail))))
            }
            Ranges::Differs { .. } => {
                let content = if rehearsal { Content::Unread } else { Content::Compared };
                let differs = Differs::new(source.below.as_ref(), cause, end, unit, content);
                // Zeros now say nothing about what the new base would show.
                Box::new(differs.map(|range| Ok(Touched { zero: false, ..range? })))
            }
        })
    }
}

/// All that a view shows and is not known to be zeros.
fn stored(view: &View) -> impl Iterator<Item = Result<Touched>> {
    let runs = view.extents(0, view.size());
    runs.filter(|run| run.as_ref().map_or(true, |run| !run.reads_zero()))
        .map(|run| run.map(|run| Touched { start: run.start.0, end: run.end(), zero: false }))
}

/// Runs in guest order.
pub(super) type Runs<'a> = Box<dyn Iterator<Item = Result<CopyRun>> + 'a>;

/// Where the mover puts what: the state whose view is read, the guest offset, the host offset, bytes.
pub type Move<'a> = dyn FnMut(State, Guest, Host, u64) -> Result<()> + 'a;

/// Takes every run to `target`: zeros as metadata where the format can, otherwise a place is
/// allocated, `mover` fills it, and it is mapped. At a rehearsal `mover` is called all the same and
/// must not write.
pub fn drive(runs: StateRuns<'_>, target: &mut dyn Target, mover: &mut Move<'_>) -> Result<()> {
    for run in runs {
        let StateRun { run, states } = run?;
        for states in states.chunks(target.most_states().max(1)) {
            target.select(states)?;
            let Some(state) = states.first() else { continue };
            if run.zero && target.zero(run.at, run.len)? {
                continue;
            }
            let (mut at, end) = (run.at.0, run.at.0 + run.len);
            while at < end {
                let (host, len) = target.allocate(Guest(at), end - at)?;
                mover(*state, Guest(at), host, len)?;
                target.map(Guest(at), host, len)?;
                at = at.saturating_add(len);
            }
        }
    }
    Ok(())
}

/// Makes the disk behind `target` `to` bytes long; `view` is the image as it is. A longer disk ends
/// in zeros even over a longer backing file; `mover` fills what must be rewritten for that.
pub fn resize(mut target: Box<dyn Target>, view: &View, to: u64, mover: &mut Move<'_>) -> Result<Written> {
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
        let runs = whole_units([Ok(tail)], target.unit(), size.max(until));
        let runs = runs.map(|run| Ok(StateRun { run: run?, states: vec![State::Active] }));
        drive(Box::new(runs), &mut *target, mover)?;
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
