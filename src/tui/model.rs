//! Everything the UI knows. Plain state: drawing reads it, `update` changes it.

use std::path::PathBuf;
use std::sync::Arc;

use tui_input::Input;

use super::Options;
use super::cleaning::Cleaning;
use super::figure::Figure;
use super::form::Form;
use super::jobs::JobEntry;
use super::keymap::Context;
use super::layers::Layers;
use super::pane::Pane;
use super::plan_screen::{Field, PlanScreen};
use super::remap::Keymap;
use super::request::{Beside, Subject};
use super::rows::RowId;
use super::theme::{Colours, Glyphs};
use super::verify::VerifyScreen;
use crate::chain::{Gate, ViewSpec};
use crate::forest::{Forest, Node};

/// Which pane the keys go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Focus {
    Forest,
    Detail,
    Jobs,
}

/// What the detail pane shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Figure,
    Layers,
    Info,
    Health,
}

impl Tab {
    pub(super) const ALL: [Self; 4] = [Self::Figure, Self::Layers, Self::Info, Self::Health];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Figure => "Figure",
            Self::Layers => "Layers",
            Self::Info => "Info",
            Self::Health => "Health",
        }
    }

    pub(super) fn turn(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|t| *t == self).unwrap_or(0);
        Self::ALL[(at + by) % Self::ALL.len()]
    }
}

/// Something on top of the main screen.
#[derive(Debug)]
pub(super) enum Overlay {
    Help(HelpState),
    Palette(HelpState),
    Form(Box<Form>),
    Cleaning(Box<Cleaning>),
    Plan(Box<PlanScreen>),
    Filter(Input),
    Quit,
    Stop,
    Verify(Box<VerifyScreen>),
}

/// Search and selection of the help, or of the palette.
#[derive(Debug, Default)]
pub(super) struct HelpState {
    pub(super) search: Input,
    pub(super) selected: usize,
    pub(super) scroll: usize,
    pub(super) height: usize,
}

/// One line for the user, in place of the hints until the next key.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) text: String,
    pub(super) bad: bool,
}

/// The state of the UI.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) paths: Vec<PathBuf>,
    pub(super) gate: Gate,
    pub(super) read_only: bool,
    pub(super) color: bool,
    pub(super) colours: Colours,
    pub(super) banner: Option<String>,
    pub(super) glyphs: Glyphs,
    pub(super) keymap: Arc<Keymap>,
    pub(super) forest: Option<Arc<Forest>>,
    /// Jobs that were cut off, and what is in the trash.
    pub(super) beside: Beside,
    pub(super) scanning: bool,
    pub(super) scan_error: Option<String>,
    pub(super) pane: Pane,
    pub(super) focus: Focus,
    pub(super) tab: Tab,
    pub(super) figure: Figure,
    pub(super) layers: Layers,
    /// First line of Layers, Info or Health on screen, and the last one that makes sense.
    pub(super) detail_scroll: usize,
    pub(super) detail_scroll_max: usize,
    pub(super) overlays: Vec<Overlay>,
    pub(super) jobs: Vec<JobEntry>,
    pub(super) message: Option<Message>,
    pub(super) mouse: bool,
    pub(super) plan_number: u64,
    /// Quit as soon as no job runs.
    pub(super) leaving: bool,
    pub(super) done: bool,
}

impl Model {
    pub(super) fn new(paths: Vec<PathBuf>, options: &Options) -> Self {
        Self {
            paths,
            gate: options.gate.clone(),
            read_only: options.read_only,
            color: options.color,
            colours: options.colours.clone(),
            banner: options.banner.clone(),
            glyphs: Glyphs::new(options.ascii),
            keymap: options.keymap.clone(),
            forest: None,
            beside: Beside::default(),
            scanning: false,
            scan_error: None,
            pane: Pane::default(),
            focus: Focus::Forest,
            tab: Tab::Figure,
            figure: Figure::default(),
            layers: Layers::default(),
            detail_scroll: 0,
            detail_scroll_max: 0,
            overlays: Vec::new(),
            jobs: Vec::new(),
            message: None,
            mouse: false,
            plan_number: 0,
            leaving: false,
            done: false,
        }
    }

    /// Where keys are looked up, first one first.
    pub(super) fn contexts(&self) -> Vec<Context> {
        match self.overlays.last() {
            Some(Overlay::Help(_)) => vec![Context::Help],
            Some(Overlay::Palette(_)) => vec![Context::Palette],
            Some(Overlay::Form(_)) => vec![Context::Form],
            Some(Overlay::Cleaning(_)) => vec![Context::Cleaning],
            Some(Overlay::Plan(screen)) if screen.field == Field::Name => vec![Context::Consent],
            Some(Overlay::Plan(_)) => vec![Context::Plan],
            Some(Overlay::Filter(_)) => vec![Context::Filter],
            Some(Overlay::Quit) => vec![Context::Quit],
            Some(Overlay::Stop) => vec![Context::Stop],
            Some(Overlay::Verify(_)) => vec![Context::Verify],
            None => self.main_contexts(),
        }
    }

    /// Contexts of the main screen, or of the plan when it lies under the help.
    pub(super) fn contexts_below_help(&self) -> Vec<Context> {
        let screen = |overlay: &Overlay| match overlay {
            Overlay::Plan(_) => Some(Context::Plan),
            Overlay::Verify(_) => Some(Context::Verify),
            Overlay::Cleaning(_) => Some(Context::Cleaning),
            _ => None,
        };
        let screen = self.overlays.iter().rev().find_map(screen);
        screen.map_or_else(|| self.main_contexts(), |context| vec![context])
    }

    pub(super) fn main_contexts(&self) -> Vec<Context> {
        let own = match self.focus {
            Focus::Forest => Context::Forest,
            Focus::Detail => Context::Detail,
            Focus::Jobs => Context::Jobs,
        };
        vec![own, Context::Main]
    }

    /// The image of the selected row.
    pub(super) fn selected_node(&self) -> Option<&Node> {
        self.forest.as_ref()?.get(self.pane.selected()?.image())
    }

    /// The view of the selected row.
    pub(super) fn selected_view(&self) -> Option<ViewSpec> {
        self.pane.view(self.forest.as_ref()?, self.pane.selected()?)
    }

    /// The two views that are to be compared: those that are marked, or the marked and the selected one; without
    /// marks what the last job made and what it made it of.
    pub(super) fn to_verify(&self) -> Option<[ViewSpec; 2]> {
        if self.pane.marks.is_empty()
            && let Some(twins) = self.jobs.iter().rev().find_map(JobEntry::comparable)
        {
            return Some(twins.clone());
        }
        let mut views = self.pane.marked_views(self.forest.as_ref()?);
        if views.len() < 2 {
            views.extend(self.selected_view().filter(|view| !views.contains(view)));
        }
        views.try_into().ok()
    }

    /// The verification on screen.
    pub(super) fn verify_screen(&mut self) -> Option<&mut VerifyScreen> {
        self.overlays.iter_mut().rev().find_map(|o| match o {
            Overlay::Verify(screen) => Some(&mut **screen),
            _ => None,
        })
    }

    /// What an operation on the selected row is about.
    pub(super) fn subject(&self) -> Option<Subject> {
        let node = self.selected_node()?;
        let snapshot = match self.pane.selected()? {
            RowId::Image(_) => None,
            RowId::Snapshot(_, i) => node.snapshots.get(i as usize).map(|s| (s.id.clone(), s.name.clone())),
        };
        Some(Subject { image: node.path.clone(), snapshot })
    }

    /// The job that runs now.
    pub(super) fn running(&self) -> Option<&JobEntry> {
        self.jobs.iter().find(|job| job.outcome.is_none())
    }

    pub(super) fn running_mut(&mut self) -> Option<&mut JobEntry> {
        self.jobs.iter_mut().find(|job| job.outcome.is_none())
    }

    pub(super) fn plan_overlay(&self) -> Option<&Overlay> {
        self.overlays.iter().rev().find(|o| matches!(o, Overlay::Plan(_)))
    }

    pub(super) fn cleaning(&self) -> Option<&Cleaning> {
        self.overlays.iter().rev().find_map(|o| match o {
            Overlay::Cleaning(cleaning) => Some(&**cleaning),
            _ => None,
        })
    }

    pub(super) fn cleaning_mut(&mut self) -> Option<&mut Cleaning> {
        self.overlays.iter_mut().rev().find_map(|o| match o {
            Overlay::Cleaning(cleaning) => Some(&mut **cleaning),
            _ => None,
        })
    }

    pub(super) fn plan_screen(&mut self) -> Option<&mut PlanScreen> {
        self.overlays.iter_mut().rev().find_map(|o| match o {
            Overlay::Plan(screen) => Some(&mut **screen),
            _ => None,
        })
    }

    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.message = Some(Message { text: text.into(), bad: false });
    }

    pub(super) fn warn(&mut self, text: impl Into<String>) {
        self.message = Some(Message { text: text.into(), bad: true });
    }

    /// Takes over what a scan found.
    pub(super) fn set_forest(&mut self, mut forest: Forest) {
        if let Some(old) = &self.forest {
            keep_counts(old, &mut forest);
        }
        let forest = Arc::new(forest);
        self.pane.rebuild(&forest, self.glyphs);
        self.forest = Some(forest);
        self.scan_error = None;
        self.figure.forget();
        self.layers.forget();
        self.follow_selection();
    }

    /// A scan failed: what was found before stays.
    pub(super) fn scan_failed(&mut self, why: String) {
        if self.forest.is_some() {
            self.warn(format!("cannot look again: {why}"));
        }
        self.scan_error = Some(why);
    }

    /// Brings the figure to the selected image.
    pub(super) fn follow_selection(&mut self) {
        if let (Some(forest), Some(row)) = (&self.forest, self.pane.selected()) {
            self.figure.show(forest, row.image(), self.glyphs.ascii);
        }
    }
}

/// Until what each image holds alone is counted anew, the old count stands.
fn keep_counts(old: &Forest, new: &mut Forest) {
    for node in new.nodes.iter_mut().filter(|node| node.exclusive_bytes.is_none()) {
        let Some(before) = old.find(&node.path).and_then(|id| old.get(id)) else { continue };
        node.exclusive_bytes = before.exclusive_bytes;
        let ids =
            |node: &Node| node.snapshots.iter().map(|s| (s.id.clone(), s.name.clone())).collect::<Vec<_>>();
        if ids(node) == ids(before) {
            node.snapshots = before.snapshots.clone();
        }
    }
}
