//! `figure`: the forest as boxes and arrows.

use super::args::Figure;
use super::out::Out;
use super::{exit, opening};
use crate::forest;

pub(super) fn run(args: &Figure, out: &mut Out) -> anyhow::Result<u8> {
    let forest = opening::forest(&args.paths, &args.allow, false, out)?;
    let figure = forest::layout(&forest, out.ascii);
    // A terminal would wrap long lines into nonsense; a pipe gets all of it.
    out.lines(match out.columns() {
        Some(columns) if figure.width() > columns => {
            forest::layout_around(&forest, &[], out.ascii).cut(columns, out.ascii)
        }
        _ => figure.lines,
    })?;
    Ok(exit::DONE)
}
