//! From a plan to its end: show it, have it agreed to, run it, report.

use std::io::{IsTerminal, Write};

use serde_json::json;

use super::args::Changing;
use super::out::Out;
use super::{exit, plan_json, plan_text, progress};
use crate::chain::Basis;
use crate::error::{Error, Kind, Result};
use crate::job::{self, Job, Report};
use crate::plan::Plan;
use crate::text::Shown;

/// Shows `plan` and, when it is agreed to, runs it and reports. Gives the exit code.
pub(super) fn run(plan: Plan, args: &Changing, out: &mut Out) -> anyhow::Result<u8> {
    // Nothing to do is nothing to ask.
    if plan.steps.is_empty() && plan.forbidden().is_none() && !args.dry_run {
        let summary = format!("{}: nothing to do", plan.title);
        finish(&Report { summary, ..Report::default() }, args, out)?;
        return Ok(exit::DONE);
    }
    if let Some(report) = carry_out(plan, args, out)? {
        finish(&report, args, out)?;
    }
    Ok(exit::DONE)
}

/// Shows `plan` and, when it is agreed to, runs it; the report is the caller's to give. `None` when
/// it was only to be shown.
pub(super) fn carry_out(plan: Plan, args: &Changing, out: &mut Out) -> anyhow::Result<Option<Report>> {
    let plan = if args.verify.is_some() { compared(plan)? } else { plan };
    out.notes_beside(args.progress);
    let folders: Vec<_> = plan.before.roots.iter().map(|root| Shown::path(root).into_string()).collect();
    out.note(format!("looked through {}: {} images", folders.join(", "), plan.before.nodes.len()));
    out.note(format!(
        "planned {} steps on {} files, {} hazards",
        plan.steps.len(),
        plan.files.len(),
        plan.hazards.len()
    ));
    if args.dry_run {
        show(&plan, args, out)?;
        return Ok(None);
    }
    let agreed = agree(&plan, args);
    let ask = agreed.is_ok() && !args.yes;
    if ask || agreed.is_err() || !(args.json || out.quiet) {
        // With --json and --yes standard output is for the report alone.
        if !(args.json && agreed.is_ok() && args.yes) {
            show(&plan, args, out)?;
            out.flush()?;
        }
    }
    agreed?;
    if ask {
        confirm()?;
    }
    let options = job::Options { accepted: args.accept.clone(), rate_limit: args.rate_limit };
    Ok(Some(progress::watch(|| Job::start(plan, options), args.progress, out)?))
}

/// The plan with a comparison of all that it makes or keeps.
fn compared(plan: Plan) -> Result<Plan> {
    if plan.kept.is_empty() && !plan.steps.is_empty() {
        return Err(Error::new(
            Kind::Usage,
            "there is no view that this makes or keeps and --verify could compare",
        ));
    }
    Ok(plan.compared(Basis::Content))
}

fn show(plan: &Plan, args: &Changing, out: &mut Out) -> anyhow::Result<()> {
    match args.json {
        true => out.json(&plan_json::of(plan))?,
        false => out.lines(plan_text::lines(plan, out.ascii, out.color, out.columns()))?,
    }
    Ok(())
}

/// Whether nothing but the ordinary question is left to ask.
fn agree(plan: &Plan, args: &Changing) -> Result<()> {
    if let Some((hazard, kind)) = plan.forbidden() {
        return Err(Error::new(kind, format!("cannot {}: {}", plan.title, hazard.message))
            .remedy(format!("nothing was changed; `cowherd help hazards` explains {}", hazard.kind)));
    }
    let missing = plan.unaccepted(&args.accept);
    let Some(first) = missing.first() else { return Ok(()) };
    let mut kinds: Vec<_> = missing.iter().map(|h| h.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let accepts: Vec<_> = kinds.iter().map(|kind| format!("--accept {kind}")).collect();
    Err(Error::new(first.kind.refusal(), format!("needs consent by name: {}", first.message))
        .remedy(format!("nothing was changed; to go on, repeat with {}", accepts.join(" "))))
}

/// The ordinary question. Without a terminal the answer is no.
pub(super) fn confirm() -> Result<()> {
    let (stdin, mut stderr) = (std::io::stdin(), std::io::stderr());
    if !stdin.is_terminal() || !stderr.is_terminal() {
        return Err(Error::new(Kind::Consent, "there is no terminal to ask on")
            .remedy("nothing was changed; to run this plan, repeat with --yes"));
    }
    let _ = write!(stderr, "Go on? [y/N] ");
    let _ = stderr.flush();
    let mut answer = String::new();
    let _ = stdin.read_line(&mut answer);
    if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        return Ok(());
    }
    Err(Error::new(Kind::Consent, "not agreed to; nothing was changed"))
}

pub(super) fn finish(report: &Report, args: &Changing, out: &mut Out) -> anyhow::Result<()> {
    if args.json {
        let trashed: Vec<_> =
            report.trashed.iter().map(|(from, to)| json!({ "from": from, "to": to })).collect();
        out.json(&json!({
            "summary": report.summary,
            "written_bytes": report.written_bytes,
            "freed_bytes": report.freed_bytes,
            "measured_freed_bytes": report.freed.measured_freed_bytes,
            "in_trash_bytes": report.freed.in_trash_bytes,
            "trashed": trashed,
            "compared": report.compared,
        }))?;
    } else if !out.quiet {
        out.line(format!("done: {}", Shown::new(&report.summary)))?;
        if let Some(compared) = &report.compared {
            out.line(format!("compared: {compared}"))?;
        }
        for (from, to) in &report.trashed {
            out.line(format!("in the trash: {} as {}", Shown::path(from), Shown::path(to)))?;
        }
    }
    Ok(())
}
