//! No command: the terminal interface, or the tree where there is no terminal.

use std::path::PathBuf;
use std::sync::Arc;

use super::args::Allow;
use super::out::Out;
use super::{exit, opening};
use crate::config::Config;
use crate::{forest, tui};

pub(super) fn run(
    paths: &[PathBuf],
    read_only: bool,
    allow: &Allow,
    config: &Config,
    out: &mut Out,
) -> anyhow::Result<u8> {
    if !tui::usable() {
        let forest = opening::forest(paths, allow, false, out)?;
        out.lines(forest::text(&forest, out.ascii))?;
        return Ok(exit::DONE);
    }
    interface(paths, read_only, allow, None, config, out)
}

/// Opens the terminal interface on `paths`.
pub(super) fn interface(
    paths: &[PathBuf],
    read_only: bool,
    allow: &Allow,
    banner: Option<String>,
    config: &Config,
    out: &Out,
) -> anyhow::Result<u8> {
    let here = [PathBuf::from(".")];
    let paths = if paths.is_empty() { &here[..] } else { paths };
    let gate = opening::gate(paths, allow);
    let keymap = Arc::new(tui::Keymap::new(&config.keys)?);
    let colours = tui::Colours::new(&config.theme)?;
    let options =
        tui::Options { read_only, ascii: out.ascii, color: out.color, colours, gate, banner, keymap };
    tui::run(paths.to_vec(), options)?;
    Ok(exit::DONE)
}
