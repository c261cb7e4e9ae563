//! Telling formats apart and opening the right one.

use std::sync::Arc;

use super::{Files, Format, Image, qcow2, qed, raw};
use crate::error::{Place, Result};
use crate::storage::File;

/// The format a file's first bytes say it has. A raw file can contain anything, so this is a
/// guess unless the user or an overlay recorded the format; never write on the strength of it.
pub fn probe(file: &dyn File) -> Result<Format> {
    let mut magic = [0; 4];
    let n = file.read_at(0, &mut magic)?;
    Ok(match &magic[..n] {
        b"QFI\xfb" => Format::Qcow2,
        b"QED\0" => Format::Qed,
        _ => Format::Raw,
    })
}

/// Opens an image for reading, as `format` or as probed. Opens no other file.
pub fn open(files: impl Into<Files>, format: Option<Format>) -> Result<Arc<dyn Image>> {
    let files = files.into();
    let path = files.image.path().to_path_buf();
    let format = match format {
        Some(format) => format,
        None => probe(&*files.image)?,
    };
    Ok(match format {
        Format::Raw => Arc::new(raw::Raw::open(files.image).at(&path)?) as Arc<dyn Image>,
        Format::Qcow2 => Arc::new(qcow2::Qcow2::open(files).at(&path)?),
        Format::Qed => Arc::new(qed::Qed::open(files.image).at(&path)?),
    })
}
