//! Where each layer of a chain, and each internal snapshot on top, holds what: from metadata alone, in a fixed
//! number of pieces, however large and fragmented the images are.

use std::path::PathBuf;

use super::{Chain, STRIP, View, known_equal};
use crate::error::{Error, Kind, Place, Result};
use crate::image::{ExtentKind, Image, State};
use crate::units::Guest;

/// Internal snapshots that get a strip.
const SNAPSHOTS: usize = 64;
/// Runs between two looks at whether anybody still waits.
const PATIENCE: u32 = 4096;

/// The layers of one view, and the internal snapshots of its top image, over the same range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strips {
    /// Bytes that every strip spans: as many as the largest has.
    pub span: u64,
    /// One strip for each layer, top first. What is `seen` is what the view reads from it.
    pub layers: Vec<Strip>,
    /// One strip for each internal snapshot of the top image, in table order. What is `seen` is what the view
    /// reads from the very same place.
    pub snapshots: Vec<Strip>,
    /// Internal snapshots beyond the first 64.
    pub more_snapshots: usize,
}

/// What one state of an image holds itself, apart from what is below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strip {
    /// The image.
    pub path: PathBuf,
    /// Its state.
    pub state: State,
    /// Bytes a guest sees of it.
    pub size: u64,
    /// [`STRIP`] equal pieces of the span.
    pub pieces: Vec<Held>,
    /// All of them together.
    pub total: Held,
}

/// Bytes of one piece.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Data, plain or compressed.
    pub data: u64,
    /// Zeros that are recorded as such.
    pub zero: u64,
    /// Of the data, what is seen.
    pub data_seen: u64,
    /// Of the zeros, what is seen.
    pub zero_seen: u64,
}

/// Goes through the tables of all layers. `going` is asked now and then; once it says no the answer is
/// [`Kind::Cancelled`].
pub fn strips(chain: &Chain, state: State, going: &dyn Fn() -> bool) -> Result<Strips> {
    let view = chain.view(state);
    let top = &chain.top().image;
    let others = (0..top.snapshots().len()).take(SNAPSHOTS).map(State::Snapshot);
    let others: Vec<State> = others.collect();
    let sizes = view.layers().iter().enumerate().map(|(i, l)| l.image.virtual_size(view.state_at(i)));
    let span = sizes.chain(others.iter().map(|s| top.virtual_size(*s))).max().unwrap_or(0);
    let mut walker = Walker { span, going, count: 0 };
    let mut layers = Vec::new();
    for (depth, layer) in view.layers().iter().enumerate() {
        layers.push(walker.own(&layer.path, &*layer.image, view.state_at(depth))?);
    }
    walker.seen(&view, &mut layers)?;
    let mut snapshots = Vec::new();
    for state in others {
        let mut strip = walker.own(&chain.top().path, &**top, state)?;
        walker.shared(&chain.view(state), &view, &mut strip)?;
        snapshots.push(strip);
    }
    let more_snapshots = top.snapshots().len() - snapshots.len();
    Ok(Strips { span, layers, snapshots, more_snapshots })
}

/// What a guest reads of a view, whichever layer holds it, as one strip over at least `span` bytes.
pub fn reads(view: &View, span: u64) -> Result<Strip> {
    let (path, size) = (view.layers()[0].path.clone(), view.size());
    let pieces = vec![Held::default(); STRIP];
    let mut strip = Strip { path, state: view.state(), size, pieces, total: Held::default() };
    let span = span.max(size);
    for run in view.extents(0, size) {
        let run = run?;
        if let Some(add) = seen(run.kind) {
            strip.add(span, run.start.0, run.len, add);
        }
    }
    Ok(strip)
}

struct Walker<'a> {
    span: u64,
    going: &'a dyn Fn() -> bool,
    count: u32,
}

impl Walker<'_> {
    fn go_on(&mut self) -> Result<()> {
        self.count = self.count.wrapping_add(1);
        if self.count.is_multiple_of(PATIENCE) && !(self.going)() {
            return Err(Error::new(Kind::Cancelled, "nobody waits for it any more"));
        }
        Ok(())
    }

    /// What a state holds itself.
    fn own(&mut self, path: &std::path::Path, image: &dyn Image, state: State) -> Result<Strip> {
        let size = image.virtual_size(state);
        let pieces = vec![Held::default(); STRIP];
        let mut strip = Strip { path: path.to_path_buf(), state, size, pieces, total: Held::default() };
        let mut at = 0;
        while at < size {
            self.go_on()?;
            let run = image.extent_at(state, Guest(at), size - at).at(path)?;
            if run.len == 0 {
                return Err(Error::new(Kind::Internal, "an image answered with an empty run").at(path));
            }
            let add: Option<fn(&mut Held, u64)> = match run.kind {
                ExtentKind::Data { .. } | ExtentKind::Compressed { .. } => Some(|held, n| held.data += n),
                ExtentKind::Zero { .. } => Some(|held, n| held.zero += n),
                ExtentKind::Unallocated => None,
            };
            add.into_iter().for_each(|add| strip.add(self.span, at, run.len, add));
            at = at.saturating_add(run.len);
        }
        Ok(strip)
    }

    /// What the view reads of each layer.
    fn seen(&mut self, view: &View, layers: &mut [Strip]) -> Result<()> {
        for run in view.extents(0, view.size()) {
            self.go_on()?;
            let run = run?;
            // Beyond the end of a short layer zeros are read, which it does not hold.
            let strip = layers.get_mut(run.depth).filter(|strip| run.start.0 < strip.size);
            if let Some((strip, add)) = strip.zip(seen(run.kind)) {
                strip.add(self.span, run.start.0, run.len, add);
            }
        }
        Ok(())
    }

    /// What of a snapshot's own the view reads from the same place.
    fn shared(&mut self, snapshot: &View, view: &View, strip: &mut Strip) -> Result<()> {
        let (mut mine, mut theirs) = (snapshot.cursor(), view.cursor());
        let (mut at, end) = (0, snapshot.size().min(view.size()));
        while at < end {
            self.go_on()?;
            let a = mine.extent_at(Guest(at), end - at)?;
            let b = theirs.extent_at(Guest(at), a.len)?;
            let own = (a.depth, b.depth) == (0, 0);
            if let Some(add) = seen(a.kind)
                && own
                && known_equal(Some((snapshot, &a)), Some((view, &b)))
            {
                strip.add(self.span, at, b.len, add);
            }
            at = at.saturating_add(b.len);
        }
        Ok(())
    }
}

fn seen(kind: ExtentKind) -> Option<fn(&mut Held, u64)> {
    match kind {
        ExtentKind::Data { .. } | ExtentKind::Compressed { .. } => Some(|held, n| held.data_seen += n),
        ExtentKind::Zero { .. } => Some(|held, n| held.zero_seen += n),
        ExtentKind::Unallocated => None,
    }
}

impl Strip {
    /// Spreads a run over the pieces that it lies in.
    fn add(&mut self, span: u64, at: u64, len: u64, add: fn(&mut Held, u64)) {
        add(&mut self.total, len);
        let bound = |piece: usize| (u128::from(span) * piece as u128 / STRIP as u128) as u64;
        let end = at.saturating_add(len).min(span);
        let first = u128::from(at) * STRIP as u128 / u128::from(span.max(1));
        for piece in first as usize..STRIP {
            let (from, to) = (bound(piece).max(at), bound(piece + 1).min(end));
            if from >= end {
                break;
            }
            add(&mut self.pieces[piece], to.saturating_sub(from));
        }
    }

    /// The same in `columns` pieces.
    pub fn resampled(&self, columns: usize) -> Vec<Held> {
        let columns = columns.max(1);
        let mut out = vec![Held::default(); columns];
        for (i, held) in out.iter_mut().enumerate() {
            let (from, to) = (i * STRIP / columns, ((i + 1) * STRIP).div_ceil(columns));
            for piece in self.pieces.iter().take(to).skip(from) {
                held.data += piece.data;
                held.zero += piece.zero;
                held.data_seen += piece.data_seen;
                held.zero_seen += piece.zero_seen;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::chain::Layer;
    use crate::image::qcow2::{CreateOptions, Writer, create};
    use crate::image::{BackingRef, Format, Target, open};
    use crate::storage::{File, MemFile};

    const MIB: u64 = 1 << 20;

    fn layer(name: &str, size: u64, data: &[(u64, u64)], zero: &[(u64, u64)]) -> Layer {
        let file: Arc<dyn File> = Arc::new(MemFile::new(name, Vec::new()));
        // Zeros are recorded only over something.
        let backing = (!zero.is_empty()).then(|| BackingRef { name: "base".into(), format: None });
        let options = CreateOptions { virtual_size: size, backing, ..CreateOptions::default() };
        create(&*file, &options).unwrap();
        let mut writer = Writer::open(file.clone(), false).unwrap();
        for (at, len) in data {
            let (host, got) = writer.allocate(Guest(*at), *len).unwrap();
            assert_eq!(got, *len);
            writer.map(Guest(*at), host, *len).unwrap();
        }
        for (at, len) in zero {
            writer.zero(Guest(*at), *len).unwrap();
        }
        Box::new(writer).finish().unwrap();
        Layer::new(PathBuf::from(name), open(file, Some(Format::Qcow2)).unwrap())
    }

    #[test]
    fn what_is_shadowed_is_not_seen() {
        let top = layer("top", 64 * MIB, &[(0, MIB)], &[(2 * MIB, MIB)]);
        let base = layer("base", 128 * MIB, &[(0, 4 * MIB)], &[]);
        let chain = Chain::from_layers(vec![top, base]);
        let told = strips(&chain, State::Active, &|| true).unwrap();
        assert_eq!(told.span, 128 * MIB);
        let [top, base] = told.layers.try_into().unwrap();
        assert_eq!(top.total, Held { data: MIB, zero: MIB, data_seen: MIB, zero_seen: MIB });
        assert_eq!(base.total, Held { data: 4 * MIB, data_seen: 2 * MIB, ..Held::default() });
        // A piece is 128 KiB.
        assert_eq!(base.pieces[0], Held { data: MIB / 8, ..Held::default() });
        assert_eq!(base.pieces[8], Held { data: MIB / 8, data_seen: MIB / 8, ..Held::default() });
        let four = base.resampled(4);
        assert_eq!((four[0].data, four[1].data), (4 * MIB, 0));
        assert_eq!(base.resampled(5000).len(), 5000);
    }

    #[test]
    fn nobody_waits_no_answer() {
        let base = layer("base", 1 << 40, &[], &[]);
        let chain = Chain::from_layers(vec![base]);
        let mut walker = Walker { span: 1, going: &|| false, count: PATIENCE - 1 };
        assert_eq!(walker.seen(&chain.view(State::Active), &mut []).unwrap_err().kind(), Kind::Cancelled);
    }
}
