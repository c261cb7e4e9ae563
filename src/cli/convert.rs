//! `convert`: another format, in place.

use super::args::Convert;
use super::out::Out;
use super::{change, opening, options};
use crate::plan::{self, ConvertOptions};

pub(super) fn run(args: &Convert, out: &mut Out) -> anyhow::Result<u8> {
    let (image, gate, forest) = opening::herd(&args.image, args.how.known.format, &args.how.allow)?;
    let options = ConvertOptions {
        to: args.to,
        wishes: options::wishes(&args.options)?,
        backing_format: args.backing_format,
        no_compact: args.no_compact,
        gate,
    };
    change::run(plan::convert(&forest, &image, &options)?, &args.how.changing, out)
}
