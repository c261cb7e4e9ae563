//! The strips of the selected view: asked of a worker when they are looked at, kept until they change.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::chain::{Strips, ViewSpec};

/// What the Layers tab knows.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// The view that is shown, or asked for.
    view: Option<ViewSpec>,
    /// Whether it must be asked for again.
    stale: bool,
    /// Number of the answer that is awaited; a worker with another one stops.
    latest: Arc<AtomicU64>,
    pub(super) awaited: bool,
    pub(super) outcome: Option<Result<Strips, String>>,
}

impl Layers {
    /// Makes the next look ask again; what is there stays until the answer comes.
    pub(super) fn forget(&mut self) {
        self.stale = true;
    }

    /// Whether `view` must be asked for; whatever was asked before is stale then. Gives the number of the
    /// answer, and where a worker sees that it is still the latest.
    pub(super) fn want(&mut self, view: &ViewSpec) -> Option<(u64, Arc<AtomicU64>)> {
        let same = self.view.as_ref() == Some(view);
        if same && !self.stale {
            return None;
        }
        if !same {
            self.outcome = None;
        }
        self.view = Some(view.clone());
        self.stale = false;
        self.awaited = true;
        let number = self.latest.fetch_add(1, Ordering::Relaxed) + 1;
        Some((number, self.latest.clone()))
    }

    /// Takes over an answer, unless it is stale.
    pub(super) fn answer(&mut self, number: u64, outcome: Result<Strips, String>) {
        if number == self.latest.load(Ordering::Relaxed) {
            self.awaited = false;
            self.outcome = Some(outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_view_is_asked_for_once_and_stale_answers_are_dropped() {
        let view = |name: &str| ViewSpec::active(Path::new(name));
        let mut layers = Layers::default();
        let (first, latest) = layers.want(&view("a")).unwrap_or_default();
        assert!(layers.want(&view("a")).is_none());
        let (second, _) = layers.want(&view("b")).unwrap_or_default();
        assert_eq!(latest.load(Ordering::Relaxed), second, "the first one sees that nobody waits");
        layers.answer(first, Err("old".to_owned()));
        assert!(layers.outcome.is_none() && layers.awaited);
        layers.answer(second, Err("new".to_owned()));
        assert!(layers.outcome.is_some() && !layers.awaited);
        layers.forget();
        assert!(layers.want(&view("b")).is_some());
        assert!(layers.outcome.is_some(), "shown until the answer comes");
    }
}
