//! `cleanup`: how every image stands, and taking out what is not needed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Value, json};

use super::args::Cleanup;
use super::out::Out;
use super::table::{self, Lean};
use super::{change, exit, opening};
use crate::chain::{Gate, ViewSpec};
use crate::error::Result;
use crate::forest::{self, Forest, trashed};
use crate::job::{self, Leftover};
use crate::plan::{self, Judged, Standing, Wishes};
use crate::storage::Trashed;
use crate::text::{Shown, human_size};

pub(super) fn run(args: &Cleanup, out: &mut Out) -> anyhow::Result<u8> {
    let wishes = wishes(args)?;
    let paths = paths(args, &wishes);
    let forest = opening::forest(&paths, &args.allow, false, out)?;
    let gate = opening::gate(&forest.roots, &args.allow);
    if wishes.is_empty() {
        return report(&forest, &gate, args, out);
    }
    let going = wishes.going(&forest, SystemTime::now())?;
    let plan = plan::cleanup(&forest, &going, gate)?;
    change::run(plan, &args.changing, out)
}

fn wishes(args: &Cleanup) -> Result<Wishes> {
    let specs = |texts: &[OsString]| texts.iter().map(spec).collect::<Result<Vec<_>>>();
    Ok(Wishes {
        delete: specs(&args.delete)?,
        keep_last: args.keep_last.map(|n| n as usize),
        older_than: args.older_than,
        pinned: specs(&args.pin)?,
    })
}

fn spec(text: &OsString) -> Result<ViewSpec> {
    let spec = ViewSpec::parse(text);
    Ok(ViewSpec { path: forest::absolute(&spec.path)?, ..spec })
}

/// Where to look: what was said, otherwise the folders of what was named.
fn paths(args: &Cleanup, wishes: &Wishes) -> Vec<PathBuf> {
    if !args.paths.is_empty() {
        return args.paths.clone();
    }
    let named = wishes.delete.iter().chain(&wishes.pinned);
    let mut folders: Vec<_> = named.filter_map(|spec| Some(spec.path.parent()?.to_path_buf())).collect();
    folders.sort();
    folders.dedup();
    folders
}

/// What is there, and what could be done about it.
fn report(forest: &Forest, gate: &Gate, args: &Cleanup, out: &mut Out) -> anyhow::Result<u8> {
    let judged = plan::judge(forest, gate, || true);
    let interrupted = job::leftovers_below(&forest.roots)?;
    let in_trash: Vec<Trashed> = forest
        .roots
        .iter()
        .filter(|root| root.is_dir())
        .filter_map(|root| trashed(root).ok())
        .flatten()
        .collect();
    if args.changing.json {
        out.json(&as_json(&judged, &interrupted, &in_trash))?;
        return Ok(exit::DONE);
    }
    let head = ["IMAGE", "STANDING", "SIZE", "WHY"].map(str::to_owned).to_vec();
    let rows = judged.iter().map(|one| {
        vec![
            relative(&one.path, forest),
            one.standing.name().to_owned(),
            human_size(one.disk_size),
            Shown::new(&one.why).into_string(),
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    out.lines(table::lines(&[Lean::Left, Lean::Left, Lean::Right, Lean::Left], &rows))?;
    out.lines(lost(&judged))?;
    out.lines(left_over(&interrupted, &in_trash))?;
    out.lines(proposal(&judged))?;
    Ok(exit::DONE)
}

fn relative(path: &Path, forest: &Forest) -> String {
    let inside = forest.roots.iter().find_map(|root| path.strip_prefix(root).ok());
    let short = inside.filter(|rest| !rest.as_os_str().is_empty());
    Shown::path(short.or(path.file_name().map(Path::new)).unwrap_or(path)).into_string()
}

/// What may be the backing files that are missing.
fn lost(judged: &[Judged]) -> Vec<String> {
    let mut lines = Vec::new();
    for one in judged.iter().filter(|one| one.standing == Standing::Orphaned) {
        for candidate in &one.candidates {
            let (image, base) = (Shown::path(&one.path), Shown::path(&candidate.path));
            lines.push(String::new());
            lines.push(format!("{image} may be based on {base}:"));
            lines.extend(candidate.evidence.iter().map(|what| format!("  for it: {what}")));
            lines.extend(candidate.doubts.iter().map(|what| format!("  doubtful: {what}")));
            lines.push(format!("  if so: {}", candidate.remedy(&one.path)));
        }
    }
    lines
}

fn left_over(interrupted: &[Leftover], in_trash: &[Trashed]) -> Vec<String> {
    let mut lines = Vec::new();
    for leftover in interrupted {
        let folder = Shown::path(leftover.journal.parent().unwrap_or(Path::new("/"))).into_string();
        let (state, what) = match leftover.running {
            true => ("running", String::new()),
            false => ("interrupted", format!(": cowherd recover {folder}")),
        };
        lines.push(format!("{state}: {}{what}", Shown::new(&leftover.title)));
    }
    let bytes: u64 = in_trash.iter().map(|item| item.disk_size).sum();
    if !in_trash.is_empty() {
        let (n, bytes) = (in_trash.len(), human_size(bytes));
        lines.push(format!("in the trash: {n} files, {bytes}: cowherd trash list"));
    }
    if !lines.is_empty() {
        lines.insert(0, String::new());
    }
    lines
}

fn free(judged: &[Judged]) -> impl Iterator<Item = &Judged> {
    judged.iter().filter(|one| one.standing == Standing::Free)
}

fn proposal(judged: &[Judged]) -> Vec<String> {
    let bytes: u64 = free(judged).map(|one| one.disk_size).sum();
    let named: Vec<_> = free(judged).map(|one| format!(" --delete {}", Shown::path(&one.path))).collect();
    match named.is_empty() {
        true => vec![
            String::new(),
            "nothing is free to go; say what is not needed with --delete or --keep-last".to_owned(),
        ],
        false => {
            let command = named.concat();
            vec![String::new(), format!("{} are free to go: cowherd cleanup{command}", human_size(bytes))]
        }
    }
}

fn as_json(judged: &[Judged], interrupted: &[Leftover], in_trash: &[Trashed]) -> Value {
    let files: Vec<_> = judged
        .iter()
        .map(|one| {
            let candidates: Vec<_> = one
                .candidates
                .iter()
                .map(|candidate| {
                    json!({
                        "path": candidate.path.to_string_lossy(),
                        "evidence": candidate.evidence,
                        "doubts": candidate.doubts,
                        "remedy": candidate.remedy(&one.path),
                    })
                })
                .collect();
            json!({
                "path": one.path.to_string_lossy(),
                "standing": one.standing,
                "why": one.why,
                "disk_size": one.disk_size,
                "candidates": candidates,
            })
        })
        .collect();
    let trash: Vec<_> = in_trash
        .iter()
        .map(|item| json!({ "path": item.path.to_string_lossy(), "disk_size": item.disk_size }))
        .collect();
    let free: Vec<_> = free(judged).map(|one| one.path.to_string_lossy()).collect();
    json!({ "files": files, "interrupted": interrupted, "trash": trash, "proposal": { "delete": free } })
}
