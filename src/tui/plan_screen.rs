//! The plan screen's state: a plan that is being made or shown, its options, and the consent.

use std::path::{Path, PathBuf};

use tui_input::Input;

use super::figure::Drawing;
use crate::chain::Gate;
use crate::error::Error;
use crate::forest::{Forest, NodeId};
use crate::plan::{CommitOptions, HazardKind, Plan};
use crate::text::Shown;

/// What has the focus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Cancel,
    Option,
    Name,
    Run,
}

/// A plan with everything that is drawn of it.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) plan: Box<Plan>,
    pub(super) before: Drawing,
    pub(super) after: Drawing,
    /// The images that data leaves and enters, in each drawing.
    pub(super) marked: [Vec<NodeId>; 2],
    /// Room on the file system that is written to.
    pub(super) free: Option<u64>,
}

/// Why there is no plan.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) what: String,
    pub(super) remedy: Option<String>,
}

/// The screen.
#[derive(Debug)]
pub(super) struct PlanScreen {
    pub(super) top: PathBuf,
    /// Whether nothing is based on the top.
    pub(super) leaf: bool,
    /// The one choice a commit has: what becomes of the top's file.
    pub(super) chosen: bool,
    /// Number of the plan that is awaited; answers with another one are stale.
    pub(super) awaited: Option<u64>,
    pub(super) outcome: Option<Result<Ready, Refusal>>,
    pub(super) field: Field,
    pub(super) name: Input,
    pub(super) scroll: usize,
    pub(super) scroll_max: usize,
    pub(super) pan: usize,
    pub(super) pan_max: usize,
    /// The figures were not yet panned to what the plan is about.
    pub(super) reveal: bool,
    /// What went wrong, or is missing, at the last attempt to run.
    pub(super) notice: Option<String>,
}

impl PlanScreen {
    pub(super) fn new(top: PathBuf, leaf: bool) -> Self {
        Self {
            top,
            leaf,
            chosen: false,
            awaited: None,
            outcome: None,
            field: Field::Cancel,
            name: Input::default(),
            scroll: 0,
            scroll_max: 0,
            pan: 0,
            pan_max: 0,
            reveal: true,
            notice: None,
        }
    }

    /// The top's file name, safe to print.
    pub(super) fn top_name(&self) -> String {
        let name = self.top.file_name().unwrap_or(self.top.as_os_str());
        Shown::new(&name.to_string_lossy()).into_string()
    }

    /// What the option says.
    pub(super) fn option_label(&self) -> String {
        match self.leaf {
            true => format!("move {} to the trash (otherwise it stays, emptied)", self.top_name()),
            false => format!("keep the file of {} (otherwise it goes to the trash)", self.top_name()),
        }
    }

    pub(super) fn options(&self, gate: &Gate) -> CommitOptions {
        CommitOptions {
            base: None,
            remove: self.leaf && self.chosen,
            keep: !self.leaf && self.chosen,
            no_protect: false,
            gate: gate.clone(),
        }
    }

    pub(super) fn ready(&self) -> Option<&Ready> {
        self.outcome.as_ref()?.as_ref().ok()
    }

    /// Hazards that the typed name consents to.
    pub(super) fn by_name(&self) -> Vec<HazardKind> {
        let hazards = self.ready().map(|r| r.plan.unaccepted(&[])).unwrap_or_default();
        let mut kinds: Vec<_> = hazards.into_iter().map(|h| h.kind).collect();
        kinds.dedup();
        kinds
    }

    /// Whether consent by name is needed (and could be given).
    pub(super) fn asks_name(&self) -> bool {
        self.ready().is_some_and(|r| r.plan.forbidden().is_none()) && !self.by_name().is_empty()
    }

    /// Whether the name that was typed is the right one.
    pub(super) fn name_given(&self) -> bool {
        let raw = self.top.file_name().map(|n| n.to_string_lossy().into_owned());
        Some(self.name.value()) == raw.as_deref() || self.name.value() == self.top_name()
    }

    /// Why the plan cannot run now.
    pub(super) fn why_not(&self) -> Option<String> {
        match &self.outcome {
            _ if self.awaited.is_some() => Some("the plan is being made".to_owned()),
            None => Some("there is no plan yet".to_owned()),
            Some(Err(refusal)) => Some(refusal.what.clone()),
            Some(Ok(ready)) => match ready.plan.forbidden() {
                Some((hazard, _)) => Some(hazard.message.clone()),
                None if self.asks_name() && !self.name_given() => {
                    Some(format!("type {} to consent", self.top_name()))
                }
                None => None,
            },
        }
    }

    /// Fields that can have the focus, in order.
    pub(super) fn fields(&self) -> Vec<Field> {
        let mut fields = vec![Field::Cancel];
        if self.ready().is_some() {
            fields.push(Field::Option);
        }
        if self.asks_name() {
            fields.push(Field::Name);
        }
        if self.ready().is_some_and(|r| r.plan.forbidden().is_none()) {
            fields.push(Field::Run);
        }
        fields
    }

    pub(super) fn turn(&mut self, forward: bool) {
        let fields = self.fields();
        let at = fields.iter().position(|f| *f == self.field).unwrap_or(0);
        let by = if forward { 1 } else { fields.len() - 1 };
        self.field = fields[(at + by) % fields.len()];
    }

    /// Takes over an answer, unless it is stale. Says whether it was taken.
    pub(super) fn answer(&mut self, number: u64, outcome: Result<Ready, Refusal>) -> bool {
        if self.awaited != Some(number) {
            return false;
        }
        self.awaited = None;
        self.outcome = Some(outcome);
        if !self.fields().contains(&self.field) {
            self.field = Field::Cancel;
        }
        true
    }

    /// Pans the figures, once, to the images that data leaves and enters.
    pub(super) fn fit(&mut self, columns: usize) {
        self.pan_max = self.figure_width().saturating_sub(columns);
        if let Some(ready) = self.outcome.as_ref().and_then(|o| o.as_ref().ok())
            && std::mem::take(&mut self.reveal)
        {
            let [marked, _] = &ready.marked;
            let boxes = ready.before.figure.boxes.iter().filter(|b| marked.contains(&b.node));
            let right = boxes.clone().map(|b| b.col + b.width).max().unwrap_or(0);
            let left = boxes.map(|b| b.col).min().unwrap_or(0);
            self.pan = if right > columns { left.saturating_sub(2) } else { 0 };
        }
        self.pan = self.pan.min(self.pan_max);
    }

    fn figure_width(&self) -> usize {
        self.ready().map_or(0, |r| r.before.width.max(r.after.width))
    }
}

impl Ready {
    /// Draws the figures of a plan. Slow for large trees: made in a worker.
    pub(super) fn new(plan: Plan, top: &Path, free: Option<u64>, ascii: bool) -> Self {
        let into = plan.flows.iter().find(|f| f.from == top).map(|f| f.into.as_path());
        let touched: Vec<_> = [Some(top), into].into_iter().flatten().collect();
        let draw = |forest: &Forest| {
            let known = touched.iter().find_map(|path| forest.find(path));
            let part = known.map(|id| forest.part(&forest.tree_of(id)));
            let part = part.as_ref().unwrap_or(forest);
            let marked = touched.iter().filter_map(|path| part.find(path)).collect();
            (Drawing::new(part, ascii), marked)
        };
        let (before, marked_before) = draw(&plan.before);
        let (after, marked_after) = draw(&plan.after);
        Self { before, after, marked: [marked_before, marked_after], free, plan: Box::new(plan) }
    }
}

impl From<Error> for Refusal {
    fn from(e: Error) -> Self {
        Self { what: e.to_string(), remedy: e.what_to_do().map(str::to_owned) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(what: &str) -> Result<Ready, Refusal> {
        Err(Refusal { what: what.to_owned(), remedy: None })
    }

    #[test]
    fn stale_answers_are_dropped() {
        let mut screen = PlanScreen::new("/x/top.qcow2".into(), true);
        screen.awaited = Some(2);
        assert!(!screen.answer(1, refusal("old")));
        assert_eq!(screen.why_not().as_deref(), Some("the plan is being made"));
        assert!(screen.answer(2, refusal("new")));
        assert_eq!(screen.why_not().as_deref(), Some("new"));
    }
}
