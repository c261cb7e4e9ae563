//! `recover`: finishes, or undoes, what was interrupted.

use std::path::PathBuf;

use serde_json::json;

use super::args::Recover;
use super::out::Out;
use super::{change, exit, opening, progress};
use crate::error::{Error, Kind, Result};
use crate::forest;
use crate::job::{self, Job, Leftover, Recovery};
use crate::text::Shown;

pub(super) fn run(args: &Recover, out: &mut Out) -> anyhow::Result<u8> {
    if args.changing.verify.is_some() {
        let what = "what is compared was decided when the job began; --verify is for a new one";
        return Err(Error::new(Kind::Usage, what).into());
    }
    let here = [PathBuf::from(".")];
    let paths = if args.paths.is_empty() { &here[..] } else { &args.paths };
    let paths = paths.iter().map(|path| forest::absolute(path)).collect::<Result<Vec<_>>>()?;
    out.notes_beside(args.changing.progress);
    for path in &paths {
        let folder = if path.is_dir() { Some(&**path) } else { path.parent() };
        let gone = folder.map_or(Ok(0), job::discard_unbegun)?;
        out.note(format!("{}: {gone} leftovers of what had not begun", Shown::path(path)));
    }
    let found = job::leftovers_below(&paths)?;
    let how = if args.roll_back { Recovery::RollBack } else { Recovery::Finish };
    let only_report = args.changing.json && args.changing.yes && !args.changing.dry_run;
    if found.is_empty() || !only_report && !out.quiet || args.changing.dry_run {
        show(&found, how, args, out)?;
    }
    if found.is_empty() || args.changing.dry_run {
        return Ok(exit::DONE);
    }
    if !args.changing.yes {
        out.flush()?;
        change::confirm()?;
    }
    for leftover in &found {
        if leftover.running {
            return Err(Error::new(Kind::InUse, "its job still runs").at(&leftover.journal).into());
        }
        let gate = opening::gate(&paths, &args.allow);
        let options =
            job::Options { accepted: args.changing.accept.clone(), rate_limit: args.changing.rate_limit };
        let start = || Job::recover(&leftover.journal, how, gate, options);
        let report = progress::watch(start, args.changing.progress, out)?;
        change::finish(&report, &args.changing, out)?;
    }
    Ok(exit::DONE)
}

fn show(found: &[Leftover], how: Recovery, args: &Recover, out: &mut Out) -> anyhow::Result<()> {
    if args.changing.json {
        out.json(&json!({ "interrupted": found }))?;
        return Ok(());
    }
    if found.is_empty() && !out.quiet {
        out.line("nothing was interrupted here")?;
    }
    for leftover in found {
        let state = match (leftover.running, leftover.rolling_back) {
            (true, _) => "still running",
            (_, true) => "was being rolled back",
            _ => "interrupted",
        };
        let (title, done, steps) = (Shown::new(&leftover.title), leftover.done, leftover.steps);
        out.line(format!("{state}: {title} ({done} of {steps} steps done)"))?;
        match how {
            Recovery::RollBack if leftover.can_roll_back => out.line("  will be undone; no view changes")?,
            Recovery::RollBack => out.line("  cannot be rolled back any more, only finished")?,
            Recovery::Finish if leftover.rolling_back => out.line("  will be undone; no view changes")?,
            Recovery::Finish => {
                out.lines(leftover.remaining.iter().map(|step| format!("  to do: {step}")))?;
            }
        }
    }
    Ok(())
}
