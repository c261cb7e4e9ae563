//! `rebase` and `pull`: another backing file, or none.

use super::args::{Pull, Rebase};
use super::out::Out;
use super::{change, opening};
use crate::forest;
use crate::plan::{self, RebaseOptions};

pub(super) fn run(args: &Rebase, out: &mut Out) -> anyhow::Result<u8> {
    let (known, base) = (args.how.known.format, args.base.as_deref());
    let (image, gate, forest) = opening::herd_with(&args.image, base, known, &args.how.allow)?;
    let base = base.map(forest::absolute).transpose()?;
    let options = RebaseOptions { base, format: args.backing_format, is_unsafe: args.is_unsafe, gate };
    change::run(plan::rebase(&forest, &image, &options)?, &args.how.changing, out)
}

pub(super) fn pull(args: &Pull, out: &mut Out) -> anyhow::Result<u8> {
    let (image, gate, forest) = opening::herd(&args.image, args.how.known.format, &args.how.allow)?;
    let base = args.base.as_deref().map(forest::absolute).transpose()?;
    let options = RebaseOptions { base, gate, ..RebaseOptions::default() };
    change::run(plan::pull(&forest, &image, &options)?, &args.how.changing, out)
}
