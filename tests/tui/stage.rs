//! Plays the UI on a screen in memory: keys in, screens out, with an engine that tests control.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cowherd::chain::{Gate, Strips, View, ViewSpec};
use cowherd::error::{Error, Kind, Result};
use cowherd::forest::{Forest, ScanOptions};
use cowherd::job::{Compared, Leftover, Phase, Report, Snapshot};
use cowherd::plan::{Hazard, HazardKind, Judged};
use cowherd::storage::{Trashed, Watch};
use cowherd::tui::{self, App, Begun, Engine, Host, Input, Operation, Options, Proposal, Running, Verified};
use crossbeam_channel::{Receiver, Sender, unbounded};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::herd;

/// What the test decides and what it wants to see afterwards.
#[derive(Default)]
pub struct Script {
    pub forest: Forest,
    /// Hazards added to every plan.
    pub hazards: Vec<Hazard>,
    /// The answer to a request for a plan, if not a plan.
    pub refusal: Option<String>,
    pub job: Option<Snapshot>,
    pub outcome: Option<std::result::Result<String, Kind>>,
    /// What the job compared.
    pub compared: Option<Compared>,
    pub leftovers: Vec<Leftover>,
    /// Names and sizes of what is in the trash.
    pub trash: Vec<(String, u64)>,
    pub cancelled: bool,
    pub paused: bool,
    pub started: Vec<(String, Vec<HazardKind>)>,
    pub scans: usize,
    pub copied: Vec<String>,
    /// The views of a verification cannot be opened yet.
    pub opening: bool,
    /// What a verification compares.
    pub views: Option<[View; 2]>,
    after: Option<Forest>,
}

#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<Script>>);

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for Shared {
    fn scan(&self, _: &[PathBuf], options: &ScanOptions) -> Result<Forest> {
        let mut script = self.lock();
        script.scans += 1;
        let mut forest = script.forest.clone();
        if !options.space {
            forest.nodes.iter_mut().for_each(|n| n.exclusive_bytes = None);
        }
        Ok(forest)
    }

    fn leftovers(&self, _: &[PathBuf]) -> Result<Vec<Leftover>> {
        Ok(self.lock().leftovers.clone())
    }

    fn trash(&self, _: &[PathBuf]) -> Result<Vec<Trashed>> {
        // Notes of the trash cannot be copied: made anew each time.
        let file = |(name, disk_size): &(String, u64)| Trashed {
            path: herd::path(&format!(".cowherd-trash/{name}.1")),
            name: name.into(),
            disk_size: *disk_size,
            note: Err(Error::new(Kind::NotFound, "there is no note about it")),
        };
        Ok(self.lock().trash.iter().map(file).collect())
    }

    fn plan(&self, forest: &Forest, operation: &Operation, _: &Gate) -> Result<Proposal> {
        let script = self.lock();
        if let Some(why) = &script.refusal {
            return Err(Error::unsupported(why.clone()).remedy("choose another image"));
        }
        let mut plan = match operation {
            Operation::Commit { keep, .. } => herd::commit_plan(forest, *keep),
            Operation::Delete { .. } => herd::delete_plan(forest),
            Operation::CleanUp { goes } => herd::cleanup_plan(forest, goes.len()),
            other => return Err(Error::unsupported(format!("no plan is scripted for {other:?}"))),
        };
        plan.hazards.extend(script.hazards.iter().cloned());
        Ok(plan.into())
    }

    fn judge(&self, forest: &Forest, _: &Gate) -> Vec<Judged> {
        herd::judged(forest)
    }

    fn watch(&self) -> Option<Watch> {
        None
    }

    fn strips(&self, view: &ViewSpec, _: &Gate, _: &dyn Fn() -> bool) -> Result<Strips> {
        herd::strips(&self.lock().forest, view)
            .ok_or_else(|| Error::new(Kind::NotFound, "the backing file is not there").at(&view.path))
    }

    fn verify(&self, _: &[ViewSpec; 2], _: &Gate, begin: &mut dyn FnMut(Begun)) -> Result<Verified> {
        while self.lock().opening {
            std::thread::sleep(Duration::from_millis(1));
        }
        let views = self.lock().views.clone();
        let [a, b] = views.ok_or_else(|| Error::new(Kind::InUse, "in use by qemu-system-x86, pid 812"))?;
        let verified = tui::verify_views(&a, &b, begin)?;
        // A picture is the same on every machine.
        Ok(Verified { took: Duration::from_secs(3), ..verified })
    }

    fn start(&self, proposal: Proposal, accepted: &[HazardKind], _: &Gate) -> Result<Box<dyn Running>> {
        let (mut script, plan) = (self.lock(), proposal.plan);
        script.started.push((plan.title, accepted.to_vec()));
        script.after = Some(plan.after);
        script.job.get_or_insert(herd::half_way(0, 0));
        Ok(Box::new(FakeJob(self.clone())))
    }

    fn free_space(&self, _: &Path) -> Option<u64> {
        Some(38 * herd::GIB)
    }
}

struct FakeJob(Shared);

impl Running for FakeJob {
    fn progress(&self) -> Snapshot {
        let script = self.0.lock();
        let phase = match (script.outcome.is_some(), script.paused) {
            (true, _) => Some(Phase::Done),
            (false, true) => Some(Phase::Paused),
            (false, false) => None,
        };
        let now = script.job.unwrap_or(herd::half_way(0, 0));
        Snapshot { phase: phase.unwrap_or(now.phase), ..now }
    }

    fn cancel(&self) {
        self.0.lock().cancelled = true;
    }

    fn pause(&self, on: bool) {
        self.0.lock().paused = on;
    }

    fn is_finished(&self) -> bool {
        self.0.lock().outcome.is_some()
    }

    fn wait(self: Box<Self>) -> Result<Report> {
        let mut script = self.0.lock();
        match script.outcome.take() {
            Some(Ok(summary)) => {
                script.forest = script.after.take().unwrap_or_default();
                Ok(Report { summary, compared: script.compared, ..Report::default() })
            }
            Some(Err(kind)) => Err(Error::new(kind, "stopped; every view is as before")),
            None => Err(Error::new(Kind::Internal, "waited too early")),
        }
    }
}

pub struct FakeHost(Shared);

impl Host for FakeHost {
    fn copy(&mut self, text: &str) {
        self.0.lock().copied.push(text.to_owned());
    }

    fn mouse(&mut self, _: bool) {}

    fn suspend(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A UI on a screen in memory.
pub struct Stage {
    pub app: App<TestBackend, FakeHost>,
    pub script: Shared,
    send: Sender<Input>,
    inputs: Receiver<Input>,
    pub over: bool,
}

impl Stage {
    /// The UI with the herd on it, its scan finished.
    pub fn new(width: u16, height: u16) -> Self {
        Self::with(width, height, herd::herd(), &Options { color: true, ..Options::default() })
    }

    pub fn with(width: u16, height: u16, forest: Forest, options: &Options) -> Self {
        let script = Shared::default();
        script.lock().forest = forest;
        Self::on_engine(width, height, Arc::new(script.clone()), script, vec![herd::FOLDER.into()], options)
    }

    pub fn on_engine(
        width: u16,
        height: u16,
        engine: Arc<dyn Engine>,
        script: Shared,
        paths: Vec<PathBuf>,
        options: &Options,
    ) -> Self {
        let terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let app = App::new(terminal, FakeHost(script.clone()), engine, paths, options);
        let (send, inputs) = unbounded();
        let mut stage = Self { app, script, send, inputs, over: false };
        stage.idle();
        stage
    }

    /// Plays `keys`: characters are keys; `<enter>`, `<ctrl-d>` are named keys; `<wait:TEXT>` waits
    /// until the screen shows TEXT, `<gone:TEXT>` until it does not, `<idle>` until no worker is busy.
    pub fn play(&mut self, keys: &str) -> &mut Self {
        let mut rest = keys;
        while let Some(c) = rest.chars().next() {
            let (token, after) = match rest.strip_prefix('<').and_then(|r| r.split_once('>')) {
                Some((token, after)) => (token, after),
                None => rest.split_at(c.len_utf8()),
            };
            rest = after;
            self.token(token);
        }
        self.draw();
        self
    }

    fn token(&mut self, token: &str) {
        if let Some(text) = token.strip_prefix("wait:") {
            self.until(&format!("{text:?} to appear"), |stage| stage.screen().contains(text));
        } else if let Some(text) = token.strip_prefix("gone:") {
            self.until(&format!("{text:?} to go"), |stage| !stage.screen().contains(text));
        } else if token == "idle" {
            self.idle();
        } else {
            let key = tui::key(token).unwrap_or_else(|| panic!("{token} is no key"));
            self.send.send(Input::Key(key)).unwrap();
            self.turn();
        }
    }

    pub fn send(&mut self, input: Input) {
        self.send.send(input).unwrap();
        self.turn();
        self.draw();
    }

    fn turn(&mut self) {
        self.over |= !self.app.turn(&self.inputs, Some(Duration::from_millis(10))).unwrap();
    }

    pub fn idle(&mut self) {
        self.until("workers to finish", |stage| !stage.app.busy());
    }

    pub fn until(&mut self, what: &str, happened: impl Fn(&mut Self) -> bool) {
        let start = Instant::now();
        loop {
            self.turn();
            self.draw();
            if happened(self) {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "waited for {what}:\n{}", self.screen());
        }
    }

    pub fn draw(&mut self) {
        self.app.draw().unwrap();
    }

    pub fn resize(&mut self, width: u16, height: u16) {
        self.app.backend_mut().resize(width, height);
        self.draw();
    }

    /// What is on screen, line by line.
    pub fn screen(&self) -> String {
        let buffer = self.app.backend().buffer();
        let width = buffer.area.width as usize;
        let line = |cells: &[ratatui::buffer::Cell]| {
            let mut out = String::new();
            let mut skip = 0_usize;
            for cell in cells {
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                out.push_str(cell.symbol());
                skip = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
            }
            out.trim_end().to_owned()
        };
        buffer.content.chunks(width.max(1)).map(line).collect::<Vec<_>>().join("\n")
    }

    /// The row of the screen that is reversed: the selection.
    pub fn selected_line(&self) -> String {
        let buffer = self.app.backend().buffer();
        let reversed = |y: &u16| {
            let cells = (0..buffer.area.width)
                .filter(|x| buffer[(*x, *y)].modifier.contains(ratatui::style::Modifier::REVERSED));
            cells.count() > 8
        };
        let y = (0..buffer.area.height).find(reversed).expect("nothing is selected");
        self.screen().lines().nth(y as usize).unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub fn sees(&mut self, text: &str) -> &mut Self {
        assert!(self.screen().contains(text), "no {text:?} on:\n{}", self.screen());
        self
    }

    #[track_caller]
    pub fn lacks(&mut self, text: &str) -> &mut Self {
        assert!(!self.screen().contains(text), "{text:?} is on:\n{}", self.screen());
        self
    }
}
