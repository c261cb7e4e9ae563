//! `overlay` and `rename`: commands that need a name nothing has yet.

use super::args::{Overlay, Rename};
use super::out::Out;
use super::{change, opening};
use crate::error::{Error, Kind};
use crate::text::Shown;
use crate::{forest, plan};

pub(super) fn overlay(args: &Overlay, out: &mut Out) -> anyhow::Result<u8> {
    let (image, gate, forest) = opening::herd(&args.image, None, &args.allow)?;
    let new = forest::new_name(&args.new)?;
    let plan = plan::overlay(&forest, &image, args.backing_format, &new, gate)?;
    change::run(plan, &args.changing, out)
}

pub(super) fn rename(args: &Rename, out: &mut Out) -> anyhow::Result<u8> {
    let found = opening::herd(&args.image, args.how.known.format, &args.how.allow);
    let (image, gate, forest) = found.map_err(|e| match e.kind() {
        // Whoever repeats a rename to be sure needs to hear why it fails.
        Kind::NotFound if !args.image.exists() && args.new.is_file() => {
            let new = Shown::path(&args.new);
            let what = format!("is not there, and {new} is: it may have been renamed already");
            Error::new(Kind::NotFound, what).at(&args.image)
        }
        _ => e,
    })?;
    let plan = plan::rename(&forest, &image, &forest::new_name(&args.new)?, gate)?;
    change::run(plan, &args.how.changing, out)
}
