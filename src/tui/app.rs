//! The event loop: waits for keys, workers and jobs; changes the state; draws what changed.
//!
//! Blocked while nothing happens. At most thirty frames a second, and ten looks at a job.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use crossbeam_channel::{Receiver, after, never, select};
use ratatui::Terminal;
use ratatui::backend::Backend;

use super::action::Effect;
use super::engine::{Engine, Running};
use super::event::Input;
use super::jobs::{JobEntry, Outcome};
use super::model::{Model, Overlay, Tab};
use super::operation::Proposal;
use super::terminal::Host;
use super::worker::{Answer, Ground, Workers};
use super::{Options, mouse, update, update_cleaning, view};
use crate::forest::{ScanOptions, domain_folders};
use crate::job::Phase;
use crate::plan::HazardKind;

const FRAME: Duration = Duration::from_millis(33);
const JOB_TICK: Duration = Duration::from_millis(100);

/// The UI on some backend, driven by some source of events.
pub struct App<B: Backend, H: Host> {
    terminal: Terminal<B>,
    host: H,
    engine: Arc<dyn Engine>,
    workers: Workers,
    model: Model,
    /// The job that runs.
    running: Option<Box<dyn Running>>,
    scan_number: u64,
    scan_again: bool,
    /// What lies beside the images is still looked for.
    looking_beside: bool,
    changed: bool,
    drawn: Option<Instant>,
    looked: Option<Instant>,
    signal: Option<i32>,
}

impl<B, H> App<B, H>
where
    B: Backend,
    B::Error: Send + Sync + 'static,
    H: Host,
{
    /// The UI on `terminal`, with a first scan under way.
    pub fn new(
        terminal: Terminal<B>,
        host: H,
        engine: Arc<dyn Engine>,
        paths: Vec<PathBuf>,
        options: &Options,
    ) -> Self {
        let mut app = Self {
            terminal,
            host,
            workers: Workers::new(engine.clone()),
            engine,
            model: Model::new(paths, options),
            running: None,
            scan_number: 0,
            scan_again: false,
            looking_beside: false,
            changed: true,
            drawn: None,
            looked: None,
            signal: None,
        };
        app.workers.watch(app.model.paths.clone());
        app.scan();
        app
    }

    /// Runs until the user quits, or a signal ends it; returns that signal.
    pub fn run(&mut self, inputs: &Receiver<Input>) -> Result<Option<i32>> {
        loop {
            match self.turn(inputs, None) {
                Ok(true) => {}
                Ok(false) => return Ok(self.signal),
                Err(e) => {
                    // The terminal is gone; the job still deserves its safe point.
                    if let Some(job) = self.running.take() {
                        job.cancel();
                        let _ = job.wait();
                    }
                    return Err(e);
                }
            }
        }
    }

    /// Waits for one thing to happen (at most so long), handles it and what came with it, and draws
    /// if it is time. Says whether to go on.
    pub fn turn(&mut self, inputs: &Receiver<Input>, at_most: Option<Duration>) -> Result<bool> {
        let waits = [self.until_frame(), self.until_look(), self.until_progress(), at_most];
        let timer = waits.into_iter().flatten().min().map_or_else(never, after);
        let answers = self.workers.answers.clone();
        select! {
            recv(inputs) -> input => match input {
                Ok(input) => self.input(input)?,
                // Nobody can press a key any more.
                Err(_) => self.model.done = true,
            },
            recv(answers) -> answer => if let Ok(answer) = answer { self.answer(answer)?; },
            recv(timer) -> _ => {}
        }
        while let Ok(answer) = answers.try_recv() {
            self.answer(answer)?;
        }
        while let Ok(input) = inputs.try_recv() {
            self.input(input)?;
        }
        self.look_at_jobs();
        self.look_at_layers();
        if self.model.leaving && self.running.is_none() {
            self.model.done = true;
        }
        if self.changed && self.until_frame().is_some_and(|wait| wait.is_zero()) {
            self.draw()?;
        }
        Ok(!self.model.done)
    }

    /// How the last job ended, one line; empty when there was none.
    pub fn last_outcome(&self) -> String {
        let outcome = self.model.jobs.last().and_then(|job| job.outcome.as_ref());
        outcome.map(|outcome| outcome.line.clone()).unwrap_or_default()
    }

    /// The backend, for looking at what was drawn.
    pub fn backend(&self) -> &B {
        self.terminal.backend()
    }

    /// The backend, for changing its size.
    pub fn backend_mut(&mut self) -> &mut B {
        self.terminal.backend_mut()
    }

    /// Whether a scan, a plan or a job is under way.
    pub fn busy(&self) -> bool {
        let planning =
            self.model.overlays.iter().any(|o| matches!(o, Overlay::Plan(s) if s.awaited.is_some()));
        let cleaning = self.model.cleaning().is_some_and(|c| c.judging || c.summing.is_some());
        let verifying = self.model.overlays.iter().any(|o| matches!(o, Overlay::Verify(s) if s.running()));
        let looking = self.model.scanning || self.looking_beside || self.model.layers.awaited;
        looking || planning || cleaning || verifying || self.running.is_some()
    }

    fn until_frame(&self) -> Option<Duration> {
        let since = self.drawn.map_or(FRAME, |drawn| drawn.elapsed());
        self.changed.then(|| FRAME.saturating_sub(since))
    }

    fn until_look(&self) -> Option<Duration> {
        let since = self.looked.map_or(JOB_TICK, |looked| looked.elapsed());
        (self.running.is_some()).then(|| JOB_TICK.saturating_sub(since))
    }

    /// Until the progress of a verification is worth a look.
    fn until_progress(&mut self) -> Option<Duration> {
        let screen = self.model.verify_screen().filter(|screen| screen.running())?;
        let wait = screen.looked.map_or(Duration::ZERO, |at| JOB_TICK.saturating_sub(at.elapsed()));
        if wait.is_zero() {
            screen.looked = Some(Instant::now());
            self.changed |= screen.moved();
            return Some(JOB_TICK);
        }
        Some(wait)
    }

    /// Draws the state as it is.
    pub fn draw(&mut self) -> Result<()> {
        self.changed = false;
        self.drawn = Some(Instant::now());
        self.host.begin_frame();
        let model = &mut self.model;
        self.terminal.draw(|frame| {
            view::draw(frame, model);
            model.colours.paint(frame.buffer_mut(), model.color);
        })?;
        self.host.end_frame();
        Ok(())
    }

    /// Handles one event.
    pub fn input(&mut self, input: Input) -> Result<()> {
        self.changed = true;
        let mut effects = Vec::new();
        match input {
            Input::Key(key) => effects = update::key(&mut self.model, &key),
            Input::Paste(text) => update::paste(&mut self.model, &text),
            Input::Mouse(event) => mouse::handle(&mut self.model, event),
            Input::Resize => {}
            Input::Signal(signal) => self.stopped_by(signal),
        }
        effects.into_iter().try_for_each(|effect| self.perform(effect))
    }

    /// Stops the job at a safe point and then quits; at once when asked a second time.
    fn stopped_by(&mut self, signal: i32) {
        self.model.done |= self.signal.is_some();
        self.signal = Some(signal);
        self.model.leaving = true;
        self.running.iter().for_each(|job| job.cancel());
    }

    fn perform(&mut self, effect: Effect) -> Result<()> {
        match effect {
            Effect::Scan => self.scan(),
            Effect::Plan { number, operations, verify } => {
                self.workers.plan(number, operations, verify, self.ground());
            }
            Effect::Judge { forest } => self.workers.judge(forest, self.model.gate.clone()),
            Effect::Sum { goes } => self.workers.sum(goes, self.ground()),
            Effect::Verify { number, views } => self.workers.verify(number, views, self.model.gate.clone()),
            Effect::Start { proposal, accepted } => self.start(*proposal, &accepted),
            Effect::PauseJob => {
                self.running.iter().for_each(|job| job.pause(job.progress().phase != Phase::Paused));
            }
            Effect::StopJob => self.running.iter().for_each(|job| job.cancel()),
            Effect::Copy(text) => self.host.copy(&text),
            Effect::Mouse(on) => self.host.mouse(on),
            Effect::Suspend => {
                self.host.suspend()?;
                // Not `clear`: that asks the terminal where its cursor is, and the answer would go
                // to the thread that reads keys.
                let size = self.terminal.size()?;
                self.terminal.resize(size.into())?;
                if self.model.mouse {
                    self.host.mouse(true);
                }
            }
        }
        Ok(())
    }

    fn ground(&self) -> Ground {
        let (paths, ascii) = (self.model.paths.clone(), self.model.glyphs.ascii);
        Ground { paths, options: self.scan_options(), ascii }
    }

    fn scan(&mut self) {
        if std::mem::replace(&mut self.model.scanning, true) {
            self.scan_again = true;
            return;
        }
        self.scan_number += 1;
        self.looking_beside = true;
        self.workers.scan(self.scan_number, self.model.paths.clone(), self.scan_options());
    }

    fn scan_options(&self) -> ScanOptions {
        ScanOptions { gate: self.model.gate.clone(), space: false, domain_folders: domain_folders() }
    }

    fn answer(&mut self, answer: Answer) -> Result<()> {
        self.changed = true;
        let mut effects = Vec::new();
        match answer {
            Answer::Forest { number, .. } if number != self.scan_number => {}
            Answer::Forest { counted, result, .. } => {
                match result {
                    // A count that was overtaken by a change is stale already.
                    Ok(_) if counted && self.scan_again => {}
                    Ok(forest) => {
                        self.model.set_forest(forest);
                        effects = update::look_again(&mut self.model);
                    }
                    Err(e) => self.model.scan_failed(e.to_string()),
                }
                self.model.scanning = !counted;
                if counted && std::mem::take(&mut self.scan_again) {
                    self.scan();
                }
            }
            Answer::Beside { number, found } if number == self.scan_number => {
                self.looking_beside = false;
                self.model.beside = found;
            }
            Answer::Beside { .. } => {}
            Answer::Judged(judged) => {
                if let Some(cleaning) = self.model.cleaning_mut() {
                    cleaning.judging = false;
                    cleaning.judged = judged.into_iter().map(|one| (one.path.clone(), one)).collect();
                }
            }
            Answer::Sum(sum) => {
                self.model.cleaning_mut().into_iter().for_each(|cleaning| cleaning.summed(sum.clone()));
                // The marks may have changed meanwhile.
                if let Some(Effect::Sum { goes }) = update_cleaning::sum(&mut self.model).pop() {
                    self.workers.sum(goes, self.ground());
                }
            }
            Answer::Plan { number, planned } => {
                self.model.plan_screen().map(|screen| screen.answer(number, planned));
            }
            // What a job of ours does is looked at when it is over.
            Answer::Changed if self.running.is_some() => {}
            Answer::Changed => self.scan(),
            Answer::Strips { number, result } => {
                self.model.layers.answer(number, result.map_err(|e| e.to_string()));
            }
            Answer::Verifying { number, begun } => {
                match self.model.verify_screen().filter(|screen| screen.number == number) {
                    Some(screen) => screen.begun = Some(begun),
                    // Closed already.
                    None => begun.watch.stop(),
                }
            }
            Answer::Verified { number, result } => {
                if let Some(screen) = self.model.verify_screen().filter(|screen| screen.number == number) {
                    screen.outcome = Some(result);
                }
            }
        }
        effects.into_iter().try_for_each(|effect| self.perform(effect))
    }

    fn start(&mut self, proposal: Proposal, accepted: &[HazardKind]) {
        let (title, twins) = (proposal.plan.title.clone(), proposal.plan.twins());
        match self.engine.start(proposal, accepted, &self.model.gate) {
            Ok(job) => {
                self.model
                    .overlays
                    .retain(|o| !matches!(o, Overlay::Plan(_) | Overlay::Form(_) | Overlay::Cleaning(_)));
                let mut entry = JobEntry::new(title, job.progress());
                entry.twins = twins;
                self.model.jobs.push(entry);
                self.running = Some(job);
            }
            Err(e) => {
                if let Some(screen) = self.model.plan_screen() {
                    screen.notice = Some(e.to_string());
                }
            }
        }
    }

    /// Asks what the layers of the selected view hold, if that is looked at.
    fn look_at_layers(&mut self) {
        let model = &mut self.model;
        if model.tab == Tab::Layers
            && let Some(view) = model.selected_view()
            && let Some((number, latest)) = model.layers.want(&view)
        {
            self.workers.strips(number, latest, view, model.gate.clone());
        }
    }

    fn look_at_jobs(&mut self) {
        if self.until_look().is_none_or(|wait| !wait.is_zero()) {
            return;
        }
        self.looked = Some(Instant::now());
        let Some(job) = self.running.take() else { return };
        // Asked first: what is reported after the end is the end.
        let finished = job.is_finished();
        if let Some(entry) = self.model.running_mut() {
            self.changed |= entry.advance(job.progress());
        }
        if !finished {
            self.running = Some(job);
            return;
        }
        let outcome = Outcome::of(job.wait());
        if let Some(entry) = self.model.running_mut() {
            entry.outcome = Some(outcome);
        }
        self.model.overlays.retain(|o| !matches!(o, Overlay::Quit | Overlay::Stop));
        self.changed = true;
        self.scan();
    }
}
