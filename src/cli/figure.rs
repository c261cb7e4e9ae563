//! `figure`: the forest as boxes and arrows.

use super::args::Figure;
use super::out::Out;
use super::{exit, opening};
use crate::forest;

pub(super) fn run(args: &Figure, out: &mut Out) -> anyhow::Result<u8> {
    let forest = opening::forest(&args.paths, &args.allow, false, out)?;
    out.lines(forest::figure(&forest, out.ascii))?;
    Ok(exit::DONE)
}
