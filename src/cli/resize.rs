//! `resize`: a longer or shorter disk.

use super::args::Resize;
use super::out::Out;
use super::{change, opening};
use crate::error::{Error, Kind};
use crate::image::State;
use crate::plan;

pub(super) fn run(args: &Resize, out: &mut Out) -> anyhow::Result<u8> {
    let (image, gate, forest) = opening::herd(&args.image, args.how.known.format, &args.how.allow)?;
    let now = opening::header(&image, args.how.known.format, out)?.virtual_size(State::Active);
    let size = args.size.from(now).ok_or_else(|| {
        Error::new(Kind::Usage, format!("the disk is {now} bytes long and cannot become what was asked for"))
            .at(&image)
            .remedy("give a size above 0; +N and -N count from the size it has")
    })?;
    let plan = plan::resize(&forest, &image, size, args.shrink, gate)?;
    change::run(plan, &args.how.changing, out)
}
