//! `revert`: an overlay without its changes.

use super::args::Revert;
use super::out::Out;
use super::{change, opening};
use crate::plan;

pub(super) fn run(args: &Revert, out: &mut Out) -> anyhow::Result<u8> {
    let (image, gate, forest) = opening::herd(&args.image, args.how.known.format, &args.how.allow)?;
    change::run(plan::revert(&forest, &image, gate)?, &args.how.changing, out)
}
