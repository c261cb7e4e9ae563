//! `trash`: what operations moved away: listing it, bringing it back, deleting it for good.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::args::{Agreeing, Trash, TrashAction};
use super::out::Out;
use super::table::{self, Lean};
use super::{change, exit, opening};
use crate::chain::Gate;
use crate::error::{Error, Kind};
use crate::forest::{absolute, restorable, trashed};
use crate::job;
use crate::storage::{TRASH, Trashed};
use crate::text::{Shown, human_size};

pub(super) fn run(args: &Trash, out: &mut Out) -> anyhow::Result<u8> {
    match &args.action {
        TrashAction::List { path, json, allow } => {
            let (items, gate) = (trashed(place(path))?, opening::gate([home(place(path))], allow));
            list(&items, &gate, *json, out)
        }
        TrashAction::Restore { path, agreeing, allow } => {
            let gate = opening::gate([home(place(path))], allow);
            restore(place(path), &gate, agreeing, out)
        }
        TrashAction::Empty { path, agreeing } => empty(&trashed(place(path))?, agreeing, out),
    }
}

fn place(path: &Option<PathBuf>) -> &Path {
    path.as_deref().unwrap_or(Path::new("."))
}

/// What a gate is for: a path, or the folder beside the trash that it lies in.
fn home(path: &Path) -> PathBuf {
    let real = absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let trash = real.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == TRASH));
    trash.and_then(Path::parent).map_or_else(|| path.to_path_buf(), Path::to_path_buf)
}

fn list(items: &[Trashed], gate: &Gate, json: bool, out: &mut Out) -> anyhow::Result<u8> {
    if json {
        let all: Vec<_> = items.iter().map(|item| as_json(item, gate)).collect();
        out.json(&json!({ "trash": all }))?;
    } else if items.is_empty() && !out.quiet {
        out.line("the trash is empty")?;
    } else if !items.is_empty() {
        out.lines(describe(items, gate))?;
    }
    Ok(exit::DONE)
}

fn as_json(item: &Trashed, gate: &Gate) -> Value {
    let note = item.note.as_ref().ok();
    let reason = restorable(item, gate).err().map(|e| e.to_string());
    json!({
        "path": item.path.to_string_lossy(),
        "original": note.map_or_else(|| item.destination(), |note| note.original.clone()).to_string_lossy(),
        "disk_size": item.disk_size,
        "when": note.map(|note| note.when),
        "operation": note.map(|note| &note.operation),
        "why": note.map(|note| &note.why),
        "restorable": reason.is_none(),
        "reason": reason,
    })
}

fn describe(items: &[Trashed], gate: &Gate) -> Vec<String> {
    let head = ["NAME", "ORIGINAL", "SIZE", "AGE", "WHY", "RESTORE"].map(str::to_owned).to_vec();
    let rows = items.iter().map(|item| {
        let note = item.note.as_ref().ok();
        let original = note.map_or_else(|| item.destination(), |note| note.original.clone());
        let name = item.path.file_name().unwrap_or(item.path.as_os_str()).to_string_lossy();
        vec![
            Shown::new(&name).into_string(),
            Shown::path(&original).into_string(),
            human_size(item.disk_size),
            note.map_or_else(|| "?".to_owned(), |note| age(note.when)),
            note.map_or_else(|| "?".to_owned(), |note| Shown::new(&note.why).into_string()),
            match restorable(item, gate) {
                Ok(_) => "yes".to_owned(),
                Err(e) => format!("no: {}", Shown::new(e.sentence())),
            },
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let lean = [Lean::Left, Lean::Left, Lean::Right, Lean::Right, Lean::Left, Lean::Left];
    table::lines(&lean, &rows)
}

/// How long ago that was, in the largest unit that fits.
fn age(when: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let seconds = now.saturating_sub(when);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86400),
    }
}

fn restore(path: &Path, gate: &Gate, agreeing: &Agreeing, out: &mut Out) -> anyhow::Result<u8> {
    let items = trashed(path)?;
    let item = match items.as_slice() {
        [one] => one,
        [] => return Err(Error::new(Kind::NotFound, "nothing is in the trash").at(path).into()),
        _ => {
            return Err(Error::new(Kind::Usage, format!("{} files are in the trash", items.len()))
                .at(path)
                .remedy("name one of them by its path in .cowherd-trash, as `cowherd trash list` shows it")
                .into());
        }
    };
    // A refusal comes before the question.
    let data = restorable(item, gate)?;
    let lines: Vec<_> = data
        .iter()
        .chain([item])
        .map(|file| format!("restore {} as {}", Shown::path(&file.path), Shown::path(&file.destination())))
        .collect();
    if !agreed(&lines, &json!({ "restore": moves(&data, item) }), agreeing, out)? {
        return Ok(exit::DONE);
    }
    let done = job::restore(item, gate)?;
    if agreeing.json {
        let done: Vec<_> = done.iter().map(|(from, to)| moved(from, to)).collect();
        out.json(&json!({ "restored": done }))?;
    } else if !out.quiet {
        for (_, to) in &done {
            out.line(format!("restored: {}", Shown::path(to)))?;
        }
    }
    Ok(exit::DONE)
}

fn moves(data: &[Trashed], item: &Trashed) -> Vec<Value> {
    data.iter().chain([item]).map(|file| moved(&file.path, &file.destination())).collect()
}

/// Paths need not be UTF-8, JSON must be.
fn moved(from: &Path, to: &Path) -> Value {
    json!({ "from": from.to_string_lossy(), "to": to.to_string_lossy() })
}

fn empty(items: &[Trashed], agreeing: &Agreeing, out: &mut Out) -> anyhow::Result<u8> {
    let bytes: u64 = items.iter().map(|item| item.disk_size).sum();
    if items.is_empty() {
        match agreeing.json {
            true => out.json(&json!({ "deleted": [], "freed_bytes": 0 }))?,
            false if out.quiet => {}
            false => out.line("the trash is empty")?,
        }
        return Ok(exit::DONE);
    }
    let mut lines: Vec<_> =
        items.iter().map(|item| format!("delete {} for good", Shown::path(&item.path))).collect();
    lines.push(format!("frees at most {}; cannot be undone", human_size(bytes)));
    let paths: Vec<_> = items.iter().map(|item| item.path.to_string_lossy()).collect();
    if !agreed(&lines, &json!({ "delete": paths, "freed_bytes": bytes }), agreeing, out)? {
        return Ok(exit::DONE);
    }
    let freed = job::empty_trash(items)?;
    match agreeing.json {
        true => out.json(&json!({ "deleted": paths, "freed_bytes": freed }))?,
        false if out.quiet => {}
        false => out.line(format!("deleted {} files, freed {}", items.len(), human_size(freed)))?,
    }
    Ok(exit::DONE)
}

/// Shows what is about to be done and asks; `false` when it was only to be shown.
fn agreed(lines: &[String], plan: &Value, agreeing: &Agreeing, out: &mut Out) -> anyhow::Result<bool> {
    let only_report = agreeing.yes && (agreeing.json || out.quiet);
    if agreeing.dry_run || !only_report {
        match agreeing.json {
            true => out.json(plan)?,
            false => out.lines(lines.iter().cloned())?,
        }
        out.flush()?;
    }
    if !agreeing.dry_run && !agreeing.yes {
        change::confirm()?;
    }
    Ok(!agreeing.dry_run)
}
