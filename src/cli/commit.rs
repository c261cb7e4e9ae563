//! `commit`: merges an image down into the one it is based on.

use std::path::Path;

use super::args::Commit;
use super::out::Out;
use super::{change, opening};
use crate::error::{Error, Kind, Result};
use crate::forest::{self, Forest};
use crate::plan::{self, CommitOptions};
use crate::text::Shown;

pub(super) fn run(args: &Commit, out: &mut Out) -> anyhow::Result<u8> {
    let (top, gate, forest) = opening::herd(&args.top, &args.allow)?;
    if let Some(base) = &args.base {
        only_the_parent(&forest, &top, base)?;
    }
    let options = CommitOptions { remove: args.remove, keep: args.keep, gate };
    let plan = plan::commit(&forest, &top, &options)?;
    change::run(plan, &args.changing, out)
}

/// Merging over several layers at once is not available yet.
fn only_the_parent(forest: &Forest, top: &Path, base: &Path) -> Result<()> {
    let base = forest::absolute(base)?;
    let parent =
        forest.find(top).and_then(|id| forest.get(id)).and_then(|n| n.backing.as_ref()?.resolved.clone());
    if parent.as_deref() == Some(base.as_path()) {
        return Ok(());
    }
    let error =
        Error::new(Kind::Unsupported, "is not what TOP is based on, and only that can be committed into yet");
    let remedy = match parent {
        Some(parent) => format!("commit one layer at a time; first into {}", Shown::path(&parent)),
        None => format!("{} is based on nothing that was found", Shown::path(top)),
    };
    Err(error.at(&base).remedy(remedy))
}
