//! From an operation to what is shown of it. Reads metadata only, and writes nothing.

use std::path::{Path, PathBuf};

use super::{Operation, Proposal, Work};
use crate::chain::Gate;
use crate::error::{Error, Kind, Result};
use crate::forest::{self, Forest, restorable, trashed};
use crate::image::{Format, NewImage};
use crate::job::{self, Recovery};
use crate::plan::{
    self, ChainOptions, CommitOptions, ConvertOptions, DeleteOptions, ExportOptions, HazardKind,
    RebaseOptions, Since, Wanted,
};
use crate::storage::Trashed;
use crate::text::Shown;

/// Plans `operation`. Fails as planning fails.
pub(in crate::tui) fn propose(forest: &Forest, operation: &Operation, gate: &Gate) -> Result<Proposal> {
    // What a job that was cut off left is dealt with first, as on the command line.
    job::none_in_the_way(operation.subject())?;
    let gate = gate.clone();
    let plan = match operation.clone() {
        Operation::Commit { top, base, keep, remove, no_protect } => {
            let options = CommitOptions { base, remove, keep, no_protect, gate };
            plan::commit(forest, &top, &options)?
        }
        Operation::Pull { image, base } => {
            plan::pull(forest, &image, &RebaseOptions { base, gate, ..RebaseOptions::default() })?
        }
        Operation::Rebase { image, base, is_unsafe } => {
            let options = RebaseOptions { base, format: None, is_unsafe, gate };
            plan::rebase(forest, &image, &options)?
        }
        Operation::Overlay { image, new } => {
            plan::overlay(forest, &image, None, &beside(&image, &new)?, gate)?
        }
        Operation::Snapshot { image, request } => plan::snapshot(forest, &image, &request, gate)?,
        Operation::Delete { image, no_protect } => {
            plan::delete(forest, &image, &DeleteOptions { no_protect, gate })?
        }
        Operation::Rename { image, new } => plan::rename(forest, &image, &beside(&image, &new)?, gate)?,
        Operation::Resize { image, size, shrink } => plan::resize(forest, &image, size, shrink, gate)?,
        Operation::Revert { image } => plan::revert(forest, &image, gate)?,
        Operation::Compact { image } => plan::compact(forest, &image, gate)?,
        Operation::Convert { image, to, no_compact } => {
            let (wishes, backing_format) = (Wanted::default(), None);
            plan::convert(forest, &image, &ConvertOptions { to, wishes, backing_format, no_compact, gate })?
        }
        Operation::Repair { image, what } => plan::repair(forest, &image, what, gate)?,
        Operation::Export { view, out, format, since, compress, by_content } => {
            let out = beside(&view.path, &out)?;
            let delta = since.map(|(older_view, older)| {
                Ok::<_, Error>(Since {
                    older: forest::absolute(&older_of(&out, &older))?,
                    view: older_view,
                    format: None,
                })
            });
            let delta = delta.transpose()?;
            let mut gate = gate;
            delta.iter().filter_map(|d| d.older.parent()).for_each(|folder| gate.allow(folder));
            let new = NewImage::of(format, 0, None)?;
            let options = ExportOptions { new, delta, vm_state: None, compress, by_content };
            plan::export(forest, &view, &out, &options, gate)?
        }
        Operation::ExportChain { image, out, format, compress, by_content } => {
            let how = ChainOptions { since: None, compress, by_content };
            plan::export_chain(
                forest,
                &image,
                &beside(&image, &out)?,
                &NewImage::of(format, 0, None)?,
                how,
                gate,
            )?
        }
        Operation::Import { top, out, compress } => {
            let how = ChainOptions { since: None, compress, by_content: false };
            let new = NewImage::of(Format::Qcow2, 0, None)?;
            plan::import(forest, &top, &beside(&top, &out)?, &new, how, gate)?
        }
        Operation::CleanUp { goes } => plan::cleanup(forest, &goes, gate)?,
        Operation::Recover { journal, roll_back } => return recover(forest, &journal, roll_back),
        Operation::Restore { file } => return restore(forest, &file, &gate),
        Operation::Empty { folders } => return empty(forest, &folders),
    };
    Ok(plan.into())
}

/// A new file: beside `image` unless its name says otherwise, in a folder that exists.
fn beside(image: &Path, name: &Path) -> Result<PathBuf> {
    let folder = image.parent().unwrap_or(Path::new("/"));
    let path = folder.join(name);
    // An existing folder is named by itself.
    if path.is_dir() { forest::absolute(&path) } else { forest::new_name(&path) }
}

/// The older image of a delta, seen from where the delta will lie.
fn older_of(out: &Path, older: &Path) -> PathBuf {
    out.parent().unwrap_or(Path::new("/")).join(older)
}

fn recover(forest: &Forest, journal: &Path, roll_back: bool) -> Result<Proposal> {
    let gone =
        || Error::new(Kind::NotFound, "the interrupted job is gone: finished or undone already").at(journal);
    let folder = journal.parent().unwrap_or(Path::new("/")).to_path_buf();
    let found = job::leftovers(&[folder])?;
    let leftover = found.into_iter().find(|known| known.journal == journal).ok_or_else(gone)?;
    if leftover.running {
        return Err(Error::new(Kind::InUse, "its job still runs, in another process").at(journal));
    }
    let what = Shown::new(&leftover.title).into_string();
    let back = roll_back || leftover.rolling_back;
    if back && !leftover.can_roll_back {
        let what = format!("{what}: cannot be undone any more, only finished");
        return Err(Error::unsupported(what).remedy("a view has begun to change; finish it instead"));
    }
    let steps = match back {
        true => vec!["put back what was changed so far; every view reads as before the job".to_owned()],
        false => leftover.remaining.iter().map(|step| Shown::new(step).into_string()).collect(),
    };
    let how = if back { Recovery::RollBack } else { Recovery::Finish };
    let title = format!("{} what was interrupted: {what}", if back { "undo" } else { "finish" });
    let undo = if back { "the operation can be planned anew" } else { "as of the operation itself" };
    let work = Work::Recover { journal: journal.to_path_buf(), how };
    let mut proposal = Proposal::of(work, title, steps, undo, forest);
    if !back {
        let views = leftover.files.iter().map(|file| file.to_string_lossy().into_owned());
        proposal.plan.views_changed = views.collect();
    }
    Ok(proposal)
}

fn restore(forest: &Forest, file: &Path, gate: &Gate) -> Result<Proposal> {
    let found = trashed(file)?;
    let item = found.iter().find(|item| item.path == file);
    let item = item.ok_or_else(|| Error::new(Kind::NotFound, "is not in the trash any more").at(file))?;
    let data = restorable(item, gate)?;
    let line = |item: &Trashed| {
        format!("restore {} as {}", Shown::path(&item.path), Shown::path(&item.destination()))
    };
    let steps = data.iter().chain([item]).map(line).collect();
    let title = format!("restore {}", Shown::new(&item.name.to_string_lossy()));
    let work = Work::Restore { file: file.to_path_buf() };
    let undo = "delete it again: it goes back to the trash";
    Ok(Proposal::of(work, title, steps, undo, forest))
}

fn empty(forest: &Forest, folders: &[PathBuf]) -> Result<Proposal> {
    let mut items = Vec::new();
    for folder in folders {
        items.extend(trashed(folder)?);
    }
    items.sort_by(|a, b| a.path.cmp(&b.path));
    items.dedup_by(|a, b| a.path == b.path);
    if items.is_empty() {
        return Err(Error::new(Kind::NotFound, "the trash is empty"));
    }
    let steps = items.iter().map(|item| format!("delete {} for good", Shown::path(&item.path))).collect();
    let files = items.iter().map(|item| item.path.clone()).collect();
    let title = format!("empty the trash: {} files", items.len());
    let mut proposal = Proposal::of(Work::Empty { files }, title, steps, "cannot be undone", forest);
    proposal.plan.cost.freed_bytes = items.iter().map(|item| item.disk_size).sum();
    proposal.hazard(HazardKind::NoUndo, "what is in the trash is gone for good");
    Ok(proposal)
}
