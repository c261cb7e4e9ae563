//! Whether views read as they must: what cannot be read again later is remembered before the first step, and
//! compared when all that makes or keeps the view is done.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Phase;
use super::journal::Remembered;
use super::run::Run;
use crate::chain::{Chain, Fingerprint, Layer, View, ViewSpec, compare};
use crate::error::{Error, Kind, Result};
use crate::image::{self, Format};
use crate::plan::Step;
use crate::text::human_size;

impl Run<'_> {
    /// Remembers what the steps compare with and change.
    pub(super) fn remember(&mut self) -> Result<()> {
        for step in &self.task.steps {
            let Step::Compare { was, basis, .. } = step else { continue };
            if self.remembered.iter().any(|known| known.view == *was) {
                continue;
            }
            let view = self.opener().open_view(was)?;
            if self.changes_some_of(&view) {
                self.progress.enter(Phase::Verifying);
                self.progress.note(format!("remembering what {} reads", was.name()));
                let fingerprint = Fingerprint::of(&view, *basis, &|bytes| self.looked_at(bytes))?;
                self.remembered.push(Remembered { view: was.clone(), fingerprint });
            }
        }
        Ok(())
    }

    /// Whether the job writes to one of the files that `view` is read from, or takes its name away.
    fn changes_some_of(&self, view: &View) -> bool {
        let written: HashSet<_> = self.task.steps.iter().flat_map(|step| step.writes()).collect();
        view.layers().iter().any(|layer| {
            written.contains(&*layer.path) || layer.data.as_deref().is_some_and(|data| written.contains(data))
        })
    }

    /// Counts bytes that were looked at; whether to go on.
    fn looked_at(&self, bytes: u64) -> bool {
        self.progress.advance(bytes);
        self.progress.checkpoint().is_ok()
    }

    /// Fails with [`Kind::Differs`] when `view` does not read as `was` did.
    pub(super) fn compare(&mut self, view: &ViewSpec, was: &ViewSpec, bytes: u64) -> Result<()> {
        self.progress.enter(Phase::Verifying);
        let now = self.view(view)?;
        let known = match &self.journal {
            Some(journal) => &journal.log().opening.remembered,
            None => &self.remembered,
        };
        let known = known.iter().find(|known| known.view == *was).map(|known| known.fingerprint.clone());
        let (size, shared_bytes, difference) = match known {
            Some(then) => {
                let found = then.differs(&now, &|bytes| self.looked_at(bytes))?;
                (then.size(), 0, found.map(|range| format!("between {} and {}", range.start, range.end)))
            }
            None => {
                let then = self.opener().open_view(was)?;
                let done = AtomicU64::new(0);
                let found = compare(&now, &then, |at| {
                    let before = done.swap(at, Ordering::Relaxed);
                    self.looked_at(at.saturating_sub(before).saturating_mul(2))
                })?;
                self.looked_at(bytes.saturating_sub(done.into_inner()).saturating_mul(2));
                then.still_there()?;
                let told = |range: &std::ops::Range<u64>| format!("{} to {}", range.start, range.end);
                let ranges = found.ranges.iter().map(told).collect::<Vec<_>>().join(", ");
                let told = found.difference.map(|at| format!("from offset {} on ({ranges})", at.offset));
                (then.size(), found.shared_bytes, told)
            }
        };
        let differs = |how: String| {
            let was = if view == was { "it did before".to_owned() } else { format!("{} did", was.name()) };
            Err(Error::new(Kind::Differs, format!("{} does not read as {was}: {how}", view.name()))
                .at(&view.path))
        };
        if let Some(place) = difference {
            return differs(format!("they differ {place}"));
        }
        // A base may be longer than what was committed into it.
        if now.size() < size || now.size() != size && view.path == was.path {
            return differs(format!("it is {} long and not {}", now.size(), size));
        }
        let report = self.report.compared.get_or_insert_default();
        report.views += 1;
        report.compared_bytes += size;
        report.shared_bytes += shared_bytes;
        self.progress.note(format!("{} reads as it must: {}", view.name(), human_size(size)));
        Ok(())
    }

    /// Opens a view, of what the job makes too, which has no name yet.
    fn view(&self, spec: &ViewSpec) -> Result<View> {
        let made = |path: &PathBuf| self.made.iter().any(|partial| partial.to() == path);
        let mut layers = Vec::new();
        let mut next = Some((spec.path.clone(), spec.format));
        while let Some((path, format)) = next.take_if(|(path, _)| made(path)) {
            let image = image::open(self.files.get(&path)?, format)?;
            if let Some(backing) = image.backing() {
                let beside = path.with_file_name(&backing.name);
                let to = if made(&beside) { beside } else { self.gate.resolve(&path, &backing.name)? };
                next = Some((to, backing.format.as_deref().and_then(Format::from_name)));
            }
            layers.push(Layer::new(path, image));
        }
        if let Some((path, format)) = next {
            let opener = crate::chain::Opener { format, ..self.opener() };
            layers.extend_from_slice(opener.open_for(&path, &spec.state)?.layers());
        }
        let chain = Chain::from_layers(layers);
        Ok(chain.view(chain.find_state(&spec.state)?))
    }
}
