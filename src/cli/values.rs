//! What an option's value can be.

use clap::ValueEnum;

use crate::image::Format;
use crate::plan::HazardKind;
use crate::units::parse_size;

/// When something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    Auto,
    Always,
    Never,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Watch {
    Auto,
    Bar,
    Json,
    None,
}

/// A format by QEMU's name.
pub(super) fn format(name: &str) -> Result<Format, String> {
    Format::from_name(name).ok_or_else(|| "not one of raw, qcow2, qed".to_owned())
}

/// A size as operators write it.
pub(super) fn size(text: &str) -> Result<u64, String> {
    parse_size(text).ok_or_else(|| "not a size: a number, then k, M, G, T or nothing".to_owned())
}

/// A kind of hazard by name.
pub(super) fn hazard(name: &str) -> Result<HazardKind, String> {
    HazardKind::ALL
        .into_iter()
        .find(|kind| kind.name() == name)
        .ok_or_else(|| "no such hazard; `cowherd help hazards` lists them".to_owned())
}
