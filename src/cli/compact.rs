//! `compact`: free space back to the host.

use super::args::Compact;
use super::out::Out;
use super::{change, opening};
use crate::plan;

pub(super) fn run(args: &Compact, out: &mut Out) -> anyhow::Result<u8> {
    let (image, gate, forest) = opening::herd(&args.image, args.how.known.format, &args.how.allow)?;
    change::run(plan::compact(&forest, &image, gate)?, &args.how.changing, out)
}
