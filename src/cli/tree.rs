//! `tree`: the forest as text, or the whole model as JSON.

use super::args::Tree;
use super::out::Out;
use super::{exit, opening};
use crate::forest;

pub(super) fn run(args: &Tree, out: &mut Out) -> anyhow::Result<u8> {
    let forest = opening::forest(&args.paths, &args.allow, args.space, out)?;
    match args.json {
        true => out.json(&forest::to_json(&forest))?,
        false => out.lines(forest::text(&forest, out.ascii))?,
    }
    Ok(exit::DONE)
}
