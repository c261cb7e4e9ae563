//! What a journal says: which steps are done, and what each file looked like since.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::task::Task;
use super::record::{At, Done, Now, Opening, Record};
use crate::image::convert::Start;
use crate::plan::Step;
use crate::storage::Stamp;

/// The state that the records of a journal add up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::job) struct Log {
    pub(in crate::job) opening: Opening,
    /// What each file must look like, if nobody but the step under way touched it; no stamp when it is
    /// gone.
    files: BTreeMap<PathBuf, Option<Stamp>>,
    begun: BTreeSet<usize>,
    done: BTreeSet<usize>,
    undone: BTreeSet<usize>,
    moved: BTreeMap<usize, PathBuf>,
    starts: BTreeMap<PathBuf, Start>,
    /// Whether the marks are set, before which no step begins.
    marked: bool,
    /// Whether it is being undone.
    pub(in crate::job) back: bool,
}

impl Log {
    pub(super) fn new(opening: Opening) -> Self {
        let files = opening.task.files.iter().map(|file| (file.path.clone(), Some(file.stamp))).collect();
        let (begun, done, undone) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (moved, starts) = (BTreeMap::new(), BTreeMap::new());
        let marked = opening.marks.is_empty();
        Self { opening, files, begun, done, undone, moved, starts, marked, back: false }
    }

    /// From all records; nothing when the first is not an opening.
    pub(super) fn of(records: Vec<Record>) -> Option<Self> {
        let mut records = records.into_iter();
        let Some(Record::Job(opening)) = records.next() else { return None };
        let mut log = Self::new(opening);
        records.for_each(|record| log.add(record));
        Some(log)
    }

    pub(super) fn add(&mut self, record: Record) {
        let saw = |files: &mut BTreeMap<_, _>, now: Vec<Now>| {
            files.extend(now.into_iter().map(|now| (now.path, now.stamp)));
        };
        match record {
            Record::Job(_) | Record::See(_) => {}
            Record::Marked(now) => {
                saw(&mut self.files, now);
                self.marked = true;
            }
            Record::Begun(step) => {
                self.begun.insert(step);
            }
            Record::Start(at) => {
                let At { path, start } = *at;
                self.starts.insert(path, start);
            }
            Record::Done(Done { step, now, moved }) => {
                self.done.insert(step);
                saw(&mut self.files, now);
                self.moved.extend(moved.map(|to| (step, to)));
            }
            Record::Back => self.back = true,
            Record::Undone(Done { step, now, .. }) => {
                self.undone.insert(step);
                saw(&mut self.files, now);
            }
        }
    }

    pub(in crate::job) fn task(&self) -> &Task {
        &self.opening.task
    }

    /// The first step that may not be done: nothing behind it was begun.
    pub(in crate::job) fn next(&self) -> usize {
        let steps = self.task().steps.iter().enumerate();
        let todo = steps.filter(|(_, step)| step.changes()).find(|(i, _)| !self.done.contains(i));
        todo.map_or(self.task().steps.len(), |(i, _)| i)
    }

    /// Whether all is done that changes anything.
    pub(in crate::job) fn is_done(&self) -> bool {
        self.next() == self.task().steps.len()
    }

    /// Changing steps done, and in all.
    pub(in crate::job) fn reached(&self) -> (usize, usize) {
        (self.done.len(), self.task().steps.iter().filter(|step| step.changes()).count())
    }

    /// Whether it only remains to take the marks off.
    pub(in crate::job) fn is_over(&self) -> bool {
        if self.back { self.to_undo().is_empty() } else { self.is_done() }
    }

    /// The steps that may have changed something and are not undone, last first.
    pub(in crate::job) fn to_undo(&self) -> Vec<usize> {
        let next = Some(self.next()).filter(|next| self.marked && *next < self.task().steps.len());
        let begun = self.done.iter().copied().chain(next);
        let mut begun: Vec<_> = begun.filter(|step| !self.undone.contains(step)).collect();
        begun.reverse();
        begun
    }

    /// Whether the step may have changed the view that the plan names.
    pub(in crate::job) fn was_begun(&self, step: usize) -> bool {
        self.begun.contains(&step)
    }

    pub(in crate::job) fn was_done(&self, step: usize) -> bool {
        self.done.contains(&step)
    }

    /// Whether the marks are set.
    pub(in crate::job) fn is_marked(&self) -> bool {
        self.marked
    }

    /// Whether the image at `path` bears a mark while the job is under way.
    pub(in crate::job) fn marks(&self, path: &Path) -> bool {
        self.opening.marks.iter().any(|mark| mark.path == path)
    }

    /// How the file at `path` began before the job, when it is converted.
    pub(in crate::job) fn began(&self, path: &Path) -> Option<&Start> {
        self.opening.starts.iter().find(|at| at.path == path).map(|at| &at.start)
    }

    /// How the file at `path` is to begin.
    pub(in crate::job) fn will_start(&self, path: &Path) -> Option<&Start> {
        self.starts.get(path)
    }

    /// Where the file of a step was moved.
    pub(in crate::job) fn moved(&self, step: usize) -> Option<&Path> {
        self.moved.get(&step).map(PathBuf::as_path)
    }

    /// Where the file went that had the name `path`.
    pub(in crate::job) fn where_is(&self, path: &Path) -> Option<&Path> {
        self.task().steps.iter().enumerate().find_map(|(i, step)| match step {
            Step::Trash { file } if file == path => self.moved(i),
            Step::Link { file, to } if file == path => Some(&**to),
            _ => None,
        })
    }

    /// What the file must look like; nothing when the journal says nothing about it or it is gone.
    pub(in crate::job) fn stamp(&self, path: &Path) -> Option<&Stamp> {
        self.files.get(path)?.as_ref()
    }

    /// Files that are there, as they must look.
    pub(in crate::job) fn files(&self) -> impl Iterator<Item = (&Path, &Stamp)> {
        self.files.iter().filter_map(|(path, stamp)| Some((&**path, stamp.as_ref()?)))
    }
}
