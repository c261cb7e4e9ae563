//! `delete`: one layer out of its chain.

use super::args::Delete;
use super::out::Out;
use super::{change, opening};
use crate::plan::{self, DeleteOptions};

pub(super) fn run(args: &Delete, out: &mut Out) -> anyhow::Result<u8> {
    let (image, gate, forest) = opening::herd(&args.image, args.how.known.format, &args.how.allow)?;
    let options = DeleteOptions { no_protect: args.no_protect, gate };
    change::run(plan::delete(&forest, &image, &options)?, &args.how.changing, out)
}
