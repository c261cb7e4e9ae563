//! `demo`: builds a sample herd, without QEMU, and opens the interface on it.

mod herd;

use std::path::{Path, PathBuf};

use super::args::{Allow, Demo};
use super::out::Out;
use super::{exit, open};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::text::Shown;
use crate::tui;

pub(super) fn run(args: &Demo, config: &Config, out: &mut Out) -> anyhow::Result<u8> {
    let folder = folder(args.folder.as_deref())?;
    herd::build(&folder)?;
    let place = format!("a sample herd is in {}", Shown::path(&folder));
    if args.no_tui || !tui::usable() {
        out.line(place)?;
        if !out.quiet {
            let folder = Shown::path(&folder);
            out.line(format!("look at it with:  cowherd tree {folder}"))?;
            out.line(format!("plan a change:    cowherd commit {folder}/Snap-2.qcow2 --dry-run"))?;
        }
        return Ok(exit::DONE);
    }
    let allow = Allow::default();
    let banner = Some(place.clone());
    let code = open::interface(std::slice::from_ref(&folder), false, &allow, banner, config, out)?;
    out.line(place)?;
    Ok(code)
}

/// A new folder of our own, or the user's, which must be empty.
fn folder(wanted: Option<&Path>) -> Result<PathBuf> {
    let Some(path) = wanted else {
        let temporary = tempfile::Builder::new().prefix("cowherd-demo-").tempdir();
        return temporary.map(tempfile::TempDir::keep).map_err(|e| Error::io("cannot make a folder", e));
    };
    std::fs::create_dir_all(path).map_err(|e| Error::io("cannot make the folder", e).at(path))?;
    let mut inside = std::fs::read_dir(path).map_err(|e| Error::io("cannot look into it", e).at(path))?;
    if inside.next().is_some() {
        return Err(Error::new(Kind::Usage, "the folder for the demo is not empty")
            .at(path)
            .remedy("name a new folder, or none for a temporary one"));
    }
    std::fs::canonicalize(path).map_err(|e| Error::io("cannot find", e).at(path))
}
