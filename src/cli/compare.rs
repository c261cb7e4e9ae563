//! `compare`: whether two views read the same, and where they first differ.

use serde_json::json;

use super::args::Compare;
use super::out::Out;
use super::{exit, opening};
use crate::chain::{Comparison, compare};
use crate::text::human_size;

pub(super) fn run(args: &Compare, out: &mut Out) -> anyhow::Result<u8> {
    let first = opening::view(&args.first, &args.reading, &args.allow, out)?;
    let second = opening::view(&args.second, &args.reading, &args.allow, out)?;
    let found = compare(&first, &second, |_| true)?;
    first.still_there()?;
    second.still_there()?;
    if args.json {
        out.json(&json!({
            "identical": found.difference.is_none(),
            "first_difference": found.difference.map(|d| d.offset),
            "ranges": found.ranges.iter().map(|r| json!({"start": r.start, "length": r.end - r.start})).collect::<Vec<_>>(),
            "compared_bytes": found.compared_bytes,
            "shared_bytes": found.shared_bytes,
            "sizes": [found.sizes.0, found.sizes.1],
        }))?;
    } else if !out.quiet {
        out.lines(describe(&found))?;
    }
    Ok(if found.difference.is_none() { exit::DONE } else { exit::FAILED })
}

fn describe(found: &Comparison) -> Vec<String> {
    let mut lines = Vec::new();
    match found.difference {
        Some(at) => {
            lines.push(format!("different from offset {} ({:#x}) on", at.offset, at.offset));
            let shown = found.ranges.iter().map(|r| format!("{} to {}", r.start, r.end));
            lines.push(format!("first sectors that differ: {}", shown.collect::<Vec<_>>().join(", ")));
        }
        None => lines.push(format!(
            "identical: {} compared, {} of them equal without reading",
            human_size(found.compared_bytes),
            human_size(found.shared_bytes)
        )),
    }
    let (a, b) = found.sizes;
    if a != b {
        let rest = if found.difference.is_none() { "; the rest of the longer one is zeros" } else { "" };
        lines.push(format!("sizes differ: {a} and {b} bytes{rest}"));
    }
    lines
}
