//! What an option's value can be.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::ValueEnum;

use crate::image::{Format, Repair};
use crate::plan::HazardKind;
use crate::units::{NewSize, parse_size};

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

/// What is compared after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Verify {
    /// The content of every view that is made or kept
    Full,
}

/// What a view can be exported as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ExportFormat {
    Qcow2,
    Qed,
    Raw,
    /// The stream that `rbd import-diff` reads
    RbdDiff,
}

/// A format by QEMU's name.
pub(super) fn format(name: &str) -> Result<Format, String> {
    Format::from_name(name).ok_or_else(|| "not one of raw, qcow2, qed".to_owned())
}

/// A size as operators write it.
pub(super) fn size(text: &str) -> Result<u64, String> {
    parse_size(text).ok_or_else(|| "not a size: a number, then k, M, G, T or nothing".to_owned())
}

/// A port of this host, or an address with a port. Names are not looked up: they can lead anywhere.
pub(super) fn listen_at(text: &str) -> Result<SocketAddr, String> {
    match text.parse() {
        Ok(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Err(_) => text.parse().map_err(|_| "not PORT, ADDR:PORT or [ADDR]:PORT, in numbers".to_owned()),
    }
}

/// What is to be repaired.
pub(super) fn repair(name: &str) -> Result<Repair, String> {
    match name {
        "leaks" => Ok(Repair::Leaks),
        "all" => Ok(Repair::All),
        _ => Err("not one of leaks, all".to_owned()),
    }
}

/// How long ago: `90m`, `12h`, `30d`, `2w`.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    let wrong = || "not an age: a number, then m, h, d or w".to_owned();
    let split = text.len().checked_sub(1).filter(|at| text.is_char_boundary(*at)).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

/// A size, or how much more (`+N`) or less (`-N`), as for qemu-img.
pub(super) fn new_size(text: &str) -> Result<NewSize, String> {
    NewSize::parse(text).ok_or_else(|| "not a size: a number, then k, M, G, T or nothing".to_owned())
}

/// A kind of hazard by name.
pub(super) fn hazard(name: &str) -> Result<HazardKind, String> {
    HazardKind::ALL
        .into_iter()
        .find(|kind| kind.name() == name)
        .ok_or_else(|| "no such hazard; `cowherd help hazards` lists them".to_owned())
}
