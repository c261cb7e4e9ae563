//! `delete`: one layer out of its chain.

use super::args::Delete;
use super::out::Out;
use super::{change, opening};
use crate::plan;

pub(super) fn run(args: &Delete, out: &mut Out) -> anyhow::Result<u8> {
    let (image, gate, forest) = opening::herd(&args.image, args.how.known.format, &args.how.allow)?;
    change::run(plan::delete(&forest, &image, gate)?, &args.how.changing, out)
}
