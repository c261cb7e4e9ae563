//! `snapshot`: listing internal snapshots, and changing them by a plan.

use std::path::Path;

use super::args::{How, Snapshot, SnapshotAction};
use super::out::Out;
use super::{change, exit, opening, snapshots};
use crate::chain::StateSpec;
use crate::image::Format;
use crate::plan::{self, SnapshotRequest};

pub(super) fn run(args: &Snapshot, out: &mut Out) -> anyhow::Result<u8> {
    match &args.action {
        SnapshotAction::List { image, json, format } => list(image, *format, *json, out),
        SnapshotAction::Create { image, name, how } => {
            alter(image, &SnapshotRequest::Create { name: name.clone() }, how, out)
        }
        SnapshotAction::Apply { image, which, how } => {
            alter(image, &SnapshotRequest::Apply(spec(which)), how, out)
        }
        SnapshotAction::Delete { image, which, how } => {
            alter(image, &SnapshotRequest::Delete(spec(which)), how, out)
        }
        SnapshotAction::Rename { image, which, name, how } => {
            alter(image, &SnapshotRequest::Rename(spec(which), name.clone()), how, out)
        }
    }
}

fn list(image: &Path, format: Option<Format>, json: bool, out: &mut Out) -> anyhow::Result<u8> {
    let image = opening::header(image, format, out)?;
    match json {
        true => out.json(&snapshots::as_json(image.snapshots()))?,
        false if image.snapshots().is_empty() && !out.quiet => out.line("no internal snapshots")?,
        false => out.lines(snapshots::describe(image.snapshots()))?,
    }
    Ok(exit::DONE)
}

fn alter(image: &Path, request: &SnapshotRequest, how: &How, out: &mut Out) -> anyhow::Result<u8> {
    let (image, gate, forest) = opening::herd(image, how.known.format, &how.allow)?;
    let plan = plan::snapshot(&forest, &image, request, gate)?;
    change::run(plan, &how.changing, out)
}

/// `#ID` is an id, everything else a name; the two are never mixed up.
fn spec(text: &str) -> StateSpec {
    match text.strip_prefix('#') {
        Some(id) => StateSpec::Id(id.to_owned()),
        None => StateSpec::Name(text.to_owned()),
    }
}
