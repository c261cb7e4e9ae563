//! `commit`: merges an image down into the one it is based on.

use super::args::Commit;
use super::out::Out;
use super::{change, opening};
use crate::forest;
use crate::plan::{self, CommitOptions};

pub(super) fn run(args: &Commit, out: &mut Out) -> anyhow::Result<u8> {
    let (top, gate, forest) = opening::herd(&args.top, args.how.known.format, &args.how.allow)?;
    let base = args.base.as_deref().map(forest::absolute).transpose()?;
    let options =
        CommitOptions { base, remove: args.remove, keep: args.keep, no_protect: args.no_protect, gate };
    let plan = plan::commit(&forest, &top, &options)?;
    change::run(plan, &args.how.changing, out)
}
