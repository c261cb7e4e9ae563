//! The plan screen's state: plans that are being made or shown, their options, and the consent.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tui_input::Input;

use super::figure::Drawing;
use super::operation::{Operation, Proposal, Tier, Way, safest, ways};
use super::request::{Asked, Request, Value};
use super::text_fit;
use crate::error::Error;
use crate::forest::{self, Forest, NodeId, SnapshotNode};
use crate::plan::{Hazard, HazardKind, Plan, SnapshotRequest};
use crate::text::Shown;

/// Images beyond which only what the plan touches is drawn.
const DRAWN_MAX: usize = 300;

/// What has the focus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Cancel,
    /// A field of the request, by number.
    Option(usize),
    Name,
    Run,
}

/// A proposal with everything that is drawn of it.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) proposal: Box<Proposal>,
    /// What it is about, before and after, and the data that flows between.
    pub(super) drawing: Drawing,
    /// Room on the file system that is written to.
    pub(super) free: Option<u64>,
}

/// Why there is no plan.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) what: String,
    pub(super) remedy: Option<String>,
}

/// What came of planning one way.
pub(super) type Planned = Result<Ready, Refusal>;

/// The screen.
#[derive(Debug)]
pub(super) struct PlanScreen {
    pub(super) request: Request,
    /// At least one; the first is what was asked for.
    pub(super) ways: Vec<Way>,
    /// What came of each of them.
    pub(super) planned: Vec<Planned>,
    /// The way that is shown.
    pub(super) at: usize,
    /// The user chose the way; otherwise the cheapest safe one may be shown.
    pub(super) chosen: bool,
    /// The cheapest safe way.
    pub(super) safest: Option<usize>,
    /// Number of the plan that is awaited; answers with another one are stale.
    pub(super) awaited: Option<u64>,
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
    pub(super) fn new(request: Request) -> Self {
        Self {
            request,
            ways: Vec::new(),
            planned: Vec::new(),
            at: 0,
            chosen: false,
            safest: None,
            awaited: None,
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

    /// Works out what is to be planned; the answers come with `number`.
    pub(super) fn ask(&mut self, forest: &Forest, number: u64) -> Vec<Operation> {
        self.notice = None;
        match self.request.operation(forest) {
            Ok(operation) => {
                self.awaited = Some(number);
                self.ways = ways(forest, operation);
                self.at = self.at.min(self.ways.len().saturating_sub(1));
                self.ways.iter().map(|way| way.operation.clone()).collect()
            }
            Err(wrong) => {
                self.awaited = None;
                self.planned = vec![Err(Refusal { what: wrong.why, remedy: None })];
                Vec::new()
            }
        }
    }

    /// Whether the images of a plan are no more what they were.
    pub(super) fn is_outdated(&self, forest: &Forest) -> bool {
        let plans = self.planned.iter().filter_map(|planned| planned.as_ref().ok());
        self.awaited.is_none() && plans.clone().any(|ready| outdated(&ready.proposal.plan, forest))
    }

    /// Goes back to where no key consents to anything.
    pub(super) fn calm_down(&mut self) {
        self.field = Field::Cancel;
        self.name = Input::default();
    }

    /// Takes over an answer, unless it is stale. Says whether it was taken.
    pub(super) fn answer(&mut self, number: u64, planned: Vec<Planned>) -> bool {
        if self.awaited != Some(number) {
            return false;
        }
        self.awaited = None;
        let first = self.planned.is_empty();
        self.planned = planned;
        let proposals = self.planned.iter().enumerate();
        self.safest = safest(proposals.filter_map(|(i, p)| Some((i, &*p.as_ref().ok()?.proposal))));
        if let (false, true, Some(best)) = (self.chosen, self.picks_safest(), self.safest) {
            self.at = best;
        }
        self.at = self.at.min(self.planned.len().saturating_sub(1));
        // What makes nothing but new files is run by Enter.
        if first && self.tier() == Some(Tier::Enter) && self.may_run() {
            self.field = Field::Run;
        }
        if !self.fields().contains(&self.field) {
            self.field = Field::Cancel;
        }
        true
    }

    /// Whether only the end was asked for, so that the way is ours to choose.
    fn picks_safest(&self) -> bool {
        matches!(self.ways.first().map(|way| &way.operation), Some(Operation::Delete { .. }))
    }

    /// Shows the next way. The typed name, and where the focus was, were about the other one.
    pub(super) fn turn_way(&mut self) {
        if self.planned.len() > 1 {
            self.at = (self.at + 1) % self.planned.len();
            self.chosen = true;
            self.calm_down();
            self.notice = None;
            (self.scroll, self.reveal) = (0, true);
        }
    }

    /// What is planned, safe to print: the title of the plan, or what was asked for.
    pub(super) fn title(&self) -> String {
        match self.ready() {
            Some(ready) => Shown::new(&ready.proposal.plan.title).into_string(),
            None => {
                let title = self.request.title();
                let mut rest = title.chars();
                rest.next().map(|c| c.to_lowercase().chain(rest).collect()).unwrap_or_default()
            }
        }
    }

    /// The name to be typed, safe to print.
    pub(super) fn name_wanted(&self) -> String {
        Shown::new(&self.raw_name()).into_string()
    }

    fn raw_name(&self) -> String {
        let operation = self.ways.get(self.at).map(|way| &way.operation);
        let snapshot = self.request.subject.as_ref().and_then(|subject| subject.snapshot.as_ref());
        match (operation, snapshot) {
            // Planned by its id, which nobody has in mind.
            (Some(Operation::Snapshot { request: SnapshotRequest::Delete(_), .. }), Some((_, name)))
                if !name.is_empty() =>
            {
                name.clone()
            }
            (operation, _) => operation.map(Operation::name).unwrap_or_default(),
        }
    }

    /// The options that change the plan in place, by number of the field.
    pub(super) fn options(&self) -> Vec<usize> {
        let fields = self.request.fields.iter().enumerate();
        let shown = |field: &super::request::Field| match &field.value {
            Value::Text(_) => false,
            // What has nobody to protect does not ask whether to.
            Value::Toggle(false) if field.key == "no-protect" => self.protects(),
            Value::Toggle(_) if field.key == "verify" => self.keeps_views(),
            Value::Choice(choice) => choice.items.len() > 1 && field.asked != Asked::Before,
            Value::Toggle(_) => field.asked != Asked::Before,
        };
        fields.filter(|(_, field)| shown(field)).map(|(i, _)| i).collect()
    }

    /// Whether there is a view that the plan makes or keeps, and that could be compared.
    fn keeps_views(&self) -> bool {
        self.ready().is_some_and(|ready| !ready.proposal.plan.kept.is_empty())
    }

    /// Whether the plan that is shown compares what it makes and keeps.
    pub(super) fn verifies(&self) -> bool {
        self.request.verifies() && self.keeps_views()
    }

    /// Whether the plan spends anything on keeping other views as they are.
    fn protects(&self) -> bool {
        let others =
            |h: &Hazard| matches!(h.kind, HazardKind::OtherChildren | HazardKind::SnapshotsReadThrough);
        let deletes =
            matches!(self.ways.get(self.at).map(|way| &way.operation), Some(Operation::Delete { .. }));
        self.ready().is_some_and(|r| {
            r.proposal.plan.hazards.iter().any(others) || deletes && !r.proposal.plan.flows.is_empty()
        })
    }

    pub(super) fn refusal(&self) -> Option<&Refusal> {
        self.planned.get(self.at)?.as_ref().err()
    }

    pub(super) fn ready(&self) -> Option<&Ready> {
        self.planned.get(self.at)?.as_ref().ok()
    }

    /// How much consent the plan takes.
    pub(super) fn tier(&self) -> Option<Tier> {
        Some(self.ready()?.proposal.tier())
    }

    /// Hazards that the typed name consents to.
    pub(super) fn by_name(&self) -> Vec<HazardKind> {
        let hazards = self.ready().map(|r| r.proposal.plan.unaccepted(&[])).unwrap_or_default();
        let mut kinds: Vec<_> = hazards.into_iter().map(|h| h.kind).collect();
        kinds.dedup();
        kinds
    }

    /// Whether nothing forbids it.
    pub(super) fn may_run(&self) -> bool {
        self.ready().is_some_and(|r| r.proposal.plan.forbidden().is_none() && !r.proposal.steps.is_empty())
    }

    /// Whether consent by name is needed (and could be given).
    pub(super) fn asks_name(&self) -> bool {
        self.may_run() && self.tier() == Some(Tier::Name)
    }

    /// Whether the name that was typed is the right one.
    pub(super) fn name_given(&self) -> bool {
        self.name.value() == self.raw_name() || self.name.value() == self.name_wanted()
    }

    /// Why the plan cannot run now.
    pub(super) fn why_not(&self) -> Option<String> {
        if self.awaited.is_some() {
            return Some("the plan is being made".to_owned());
        }
        match self.planned.get(self.at) {
            None => Some("there is no plan yet".to_owned()),
            Some(Err(refusal)) => Some(refusal.what.clone()),
            Some(Ok(ready)) => match ready.proposal.plan.forbidden() {
                Some((hazard, _)) => Some(hazard.message.clone()),
                None if ready.proposal.steps.is_empty() => Some("there is nothing to do".to_owned()),
                None if self.asks_name() && !self.name_given() => {
                    Some(format!("type {} to consent", self.name_wanted()))
                }
                None => None,
            },
        }
    }

    /// Fields that can have the focus, in order.
    pub(super) fn fields(&self) -> Vec<Field> {
        let mut fields = vec![Field::Cancel];
        fields.extend(self.options().into_iter().map(Field::Option));
        if self.asks_name() {
            fields.push(Field::Name);
        }
        if self.may_run() {
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

    /// Pans the figures, once, to the images that data leaves and enters.
    pub(super) fn fit(&mut self, columns: usize) {
        self.pan_max = self.figure_width().saturating_sub(columns);
        if let Some(Ok(ready)) = self.planned.get(self.at)
            && std::mem::take(&mut self.reveal)
        {
            let boxes = ready.drawing.figure.boxes.iter().filter(|b| b.touched);
            let right = boxes.clone().map(|b| b.col + b.width).max().unwrap_or(0);
            let left = boxes.map(|b| b.col).min().unwrap_or(0);
            self.pan = if right > columns { left.saturating_sub(2) } else { 0 };
        }
        self.pan = self.pan.min(self.pan_max);
    }

    fn figure_width(&self) -> usize {
        self.ready().map_or(0, |r| r.drawing.width)
    }
}

impl Ready {
    /// Draws the figures of a proposal. Slow for large trees: made in a worker.
    pub(super) fn new(proposal: Proposal, operation: &Operation, free: Option<u64>, ascii: bool) -> Self {
        let plan = &proposal.plan;
        // Protection is a means; what the figure is to show first is where the data goes.
        let about = plan
            .flows
            .iter()
            .filter(|flow| Some(&*flow.from) == operation.subject() || flow.label != "protect");
        let ends = about.flat_map(|flow| [&*flow.from, &*flow.into]);
        let touched: Vec<_> = operation.subject().into_iter().chain(ends).collect();
        // What stands alone, or is gone, afterwards does not take the rest of its tree out of the picture.
        let known = plan.concerned(&plan.before);
        let part = |forest: &Forest| {
            let made = plan.concerned(forest);
            let here = |path: &Path| known.find(path).is_some() || made.find(path).is_some();
            let part = forest.families(|node| here(&node.path));
            if part.nodes.len() > DRAWN_MAX { near(&part, &touched) } else { part }
        };
        let figure = forest::change(&part(&plan.before), &part(&plan.after), &plan.data_flows(), ascii);
        Self { drawing: Drawing::of(figure), free, proposal: Box::new(proposal) }
    }
}

/// Bytes a second of an ordinary disk, as long as no job has shown better.
const ORDINARY_RATE: u64 = 300 << 20;

impl Ready {
    /// Whether there are figures to show.
    pub(super) fn is_drawn(&self) -> bool {
        !self.drawing.figure.boxes.is_empty()
    }

    /// About how long it takes, in words; nothing for what moves no data.
    pub(super) fn time(&self) -> Option<String> {
        let cost = self.proposal.plan.cost;
        let seconds = cost.read_bytes.max(cost.write_bytes) / ORDINARY_RATE;
        let bound = if cost.exact { "about" } else { "at most about" };
        let text = match seconds {
            _ if cost.write_bytes == 0 => return None,
            0 => "a second, or less".to_owned(),
            _ => format!("{bound} {} at 300 MiB/s", text_fit::clock(Duration::from_secs(seconds))),
        };
        Some(text)
    }
}

/// What is touched, what that is based on, and what is based on it directly.
fn near(forest: &Forest, touched: &[&Path]) -> Forest {
    let mut ids: Vec<NodeId> = Vec::new();
    for id in touched.iter().filter_map(|path| forest.find(path)) {
        ids.push(id);
        ids.extend(forest.ancestors(id).into_iter().take(DRAWN_MAX));
        ids.extend(forest.get(id).into_iter().flat_map(|node| node.children.iter().take(50)));
    }
    ids.sort();
    ids.dedup();
    forest.part(&ids)
}

/// Whether the images that a plan is about are no more what they were when it was made.
fn outdated(plan: &Plan, forest: &Forest) -> bool {
    // What is counted, and room on the disk, can differ without anything having changed.
    let bare = |forest: &Forest| {
        let mut part = plan.concerned(forest);
        for node in &mut part.nodes {
            (node.exclusive_bytes, node.disk_size) = (None, 0);
            let bare = |s: &SnapshotNode| SnapshotNode { exclusive_bytes: None, ..s.clone() };
            node.snapshots = Arc::new(node.snapshots.iter().map(bare).collect());
        }
        part.nodes
    };
    bare(&plan.before) != bare(forest)
}

impl Refusal {
    pub(super) fn of(e: &Error) -> Self {
        Self { what: e.to_string(), remedy: e.what_to_do().map(str::to_owned) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::{Beside, Verb};
    use super::*;

    fn refusal(what: &str) -> Vec<Planned> {
        vec![Err(Refusal { what: what.to_owned(), remedy: None })]
    }

    #[test]
    fn stale_answers_are_dropped() {
        let request = Request::new(Verb::EmptyTrash, None, &Forest::default(), &Beside::default());
        let mut screen = PlanScreen::new(request);
        screen.awaited = Some(2);
        assert!(!screen.answer(1, refusal("old")));
        assert_eq!(screen.why_not().as_deref(), Some("the plan is being made"));
        assert!(screen.answer(2, refusal("new")));
        assert_eq!(screen.why_not().as_deref(), Some("new"));
    }
}
