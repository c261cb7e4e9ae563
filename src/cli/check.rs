//! `check`: counts every reference of an image. Reads only.

use serde_json::{Value, json};

use super::args::Check;
use super::out::Out;
use super::{exit, opening};
use crate::error::Error;
use crate::image::{CheckReport, Format, Severity};
use crate::text::Shown;

pub(super) fn run(args: &Check, out: &mut Out) -> anyhow::Result<u8> {
    if let Some(what) = &args.repair {
        let tool = format!("qemu-img check -r {what} {}", Shown::path(&args.image));
        return Err(Error::unsupported("repairing is not available yet; check only reads")
            .at(&args.image)
            .remedy(format!("run it without -r, or repair with: {tool}"))
            .into());
    }
    let (image, _lock) = opening::locked(&args.image, &args.reading)?;
    let report = image.check()?;
    match args.json {
        true => out.json(&as_json(&report, &args.image.to_string_lossy(), image.format()))?,
        false => out.lines(describe(&report, out.quiet))?,
    }
    Ok(match (report.corruptions, report.leaks) {
        (0, 0) => exit::DONE,
        (0, _) => exit::LEAKS,
        _ => exit::USAGE,
    })
}

/// qemu-img's keys; what does not exist in a format is left out.
fn as_json(report: &CheckReport, filename: &str, format: Format) -> Value {
    let mut value = json!({
        "filename": filename,
        "format": format.name(),
        "check-errors": 0,
        "corruptions": report.corruptions,
        "leaks": report.leaks,
        "total-clusters": report.total_clusters,
        "allocated-clusters": report.allocated_clusters,
        "fragmented-clusters": report.fragmented_clusters,
        "compressed-clusters": report.compressed_clusters,
        "findings": report.findings,
    });
    if let (Some(map), true) = (value.as_object_mut(), report.image_end_offset > 0) {
        map.insert("image-end-offset".to_owned(), report.image_end_offset.into());
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
