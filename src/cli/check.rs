//! `check`: counts every reference of an image. Reads only, unless a repair is asked for: then it
//! is planned, agreed to, run, and the image checked again.

use serde_json::{Value, json};

use super::args::Check;
use super::out::Out;
use super::{change, exit, opening};
use crate::error::Result;
use crate::image::{CheckReport, Format, Severity};
use crate::plan;
use crate::text::Shown;

pub(super) fn run(args: &Check, out: &mut Out) -> anyhow::Result<u8> {
    out.notes_beside(args.changing.progress);
    let found = look(args, out)?;
    let Some(what) = args.repair.filter(|_| found.needs_repair() || args.changing.dry_run) else {
        return tell(&found, None, args, out);
    };
    let (image, gate, forest) = opening::herd(&args.image, args.reading.format, &args.allow)?;
    let plan = plan::repair(&forest, &image, what, gate)?;
    match change::carry_out(plan, &args.changing, out)? {
        Some(_) => tell(&look(args, out)?, Some(&found), args, out),
        None => Ok(exit::DONE),
    }
}

/// What a check found, and in what.
struct Found {
    report: CheckReport,
    format: Format,
    /// Marked as not closed cleanly, or as corrupt; a repair takes the mark away.
    marked: bool,
}

impl Found {
    fn needs_repair(&self) -> bool {
        self.marked || self.report.corruptions + self.report.leaks > 0
    }
}

/// Checks under a lock that is gone afterwards: a repair needs its own.
fn look(args: &Check, out: &Out) -> Result<Found> {
    let (image, _lock) = opening::locked(&args.image, &args.reading, out)?;
    let details = image.details();
    Ok(Found { report: image.check()?, format: image.format(), marked: details.dirty() || details.corrupt() })
}

/// Reports what is there, and what was there `before` a repair. Gives the exit code.
fn tell(now: &Found, before: Option<&Found>, args: &Check, out: &mut Out) -> anyhow::Result<u8> {
    let (corruptions, leaks) = (now.report.corruptions, now.report.leaks);
    let fixed = before
        .map(|b| (b.report.corruptions.saturating_sub(corruptions), b.report.leaks.saturating_sub(leaks)));
    if args.changing.json {
        out.json(&as_json(now, &args.image.to_string_lossy(), fixed))?;
    } else {
        if let (Some((corruptions, leaks)), false) = (fixed, out.quiet) {
            out.line(format!("repaired: {corruptions} corruptions, {leaks} leaked clusters"))?;
        }
        out.lines(describe(&now.report, out.quiet))?;
    }
    Ok(match (corruptions, leaks) {
        (0, 0) => exit::DONE,
        (0, _) => exit::LEAKS,
        _ => exit::USAGE,
    })
}

/// qemu-img's keys; what does not exist in a format is left out.
fn as_json(found: &Found, filename: &str, fixed: Option<(u64, u64)>) -> Value {
    let report = &found.report;
    let mut value = json!({
        "filename": filename,
        "format": found.format.name(),
        "check-errors": 0,
        "corruptions": report.corruptions,
        "leaks": report.leaks,
        "total-clusters": report.total_clusters,
        "allocated-clusters": report.allocated_clusters,
        "fragmented-clusters": report.fragmented_clusters,
        "compressed-clusters": report.compressed_clusters,
        "findings": report.findings,
    });
    if let Some(map) = value.as_object_mut() {
        if report.image_end_offset > 0 {
            map.insert("image-end-offset".to_owned(), report.image_end_offset.into());
        }
        if let Some((corruptions, leaks)) = fixed {
            map.insert("corruptions-fixed".to_owned(), corruptions.into());
            map.insert("leaks-fixed".to_owned(), leaks.into());
        }
    }
    value
}

fn describe(report: &CheckReport, quiet: bool) -> Vec<String> {
    let mut lines: Vec<String> = report
        .findings
        .iter()
        .map(|f| {
            let word = match f.severity {
                Severity::Leak => "leak",
                Severity::Corruption => "CORRUPT",
            };
            format!("{word:8}{:#014x}  {}", f.offset, Shown::new(&f.message))
        })
        .collect();
    let found = report.corruptions.saturating_add(report.leaks);
    if found > report.findings.len() as u64 {
        lines.push(format!("... and {} more", found - report.findings.len() as u64));
    }
    match (report.corruptions, report.leaks) {
        (0, 0) if quiet => return lines,
        (0, 0) => lines.push("clean: no errors".to_owned()),
        (0, leaks) => lines.push(format!("{leaks} clusters leaked: space is wasted, data is not at risk")),
        (bad, leaks) => lines.push(format!("{bad} corruptions, {leaks} leaked clusters: data may be wrong")),
    }
    lines.push(format!(
        "{} of {} clusters allocated, {} fragmented, {} compressed; ends at {:#x}",
        report.allocated_clusters,
        report.total_clusters,
        report.fragmented_clusters,
        report.compressed_clusters,
        report.image_end_offset,
    ));
    lines
}
