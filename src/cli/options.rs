//! `-o key=value` of `create` and `measure`, with qemu-img's names and values.

use std::ffi::OsString;

use crate::error::{Error, Kind, Result};
use crate::image::{DataFile, Format, NewImage, Preallocation, qcow2, qed};
use crate::plan::Wanted;
use crate::text::Shown;
use crate::units::parse_size;

/// What can be said about a new image, and how much of it is allocated ahead.
pub(super) fn applied(new: NewImage, texts: &[String]) -> Result<(NewImage, Preallocation)> {
    Ok(match new {
        NewImage::Raw { .. } => (new, raw(texts)?),
        NewImage::Qcow2(options) => {
            let (options, ahead) = qcow2(options, texts)?;
            (NewImage::Qcow2(options), ahead)
        }
        NewImage::Qed(options) => (NewImage::Qed(qed(options, texts)?), Preallocation::Off),
    })
}

/// What can be said about a qcow2 image, on top of `options`.
pub(super) fn qcow2(
    mut options: qcow2::CreateOptions,
    texts: &[String],
) -> Result<(qcow2::CreateOptions, Preallocation)> {
    let mut ahead = Preallocation::Off;
    let (mut data_file, mut raw) = (None, false);
    for text in texts {
        let bad = || impossible(text);
        match text.split_once('=') {
            Some(("cluster_size", v)) => options.cluster_size = parse_size(v).ok_or_else(bad)?,
            Some(("refcount_bits", v)) => options.refcount_bits = v.parse().map_err(|_| bad())?,
            Some(("compat", "0.10" | "v2")) => options.version = 2,
            Some(("compat", "1.1" | "v3")) => options.version = 3,
            Some(("compat", _)) => return Err(bad()),
            Some(("compression_type", "zlib")) => options.zstd = false,
            Some(("compression_type", "zstd")) => options.zstd = true,
            Some(("compression_type", _)) => return Err(bad()),
            Some(("extended_l2", v)) => options.extended_l2 = switch(v).ok_or_else(bad)?,
            Some(("lazy_refcounts", v)) => options.lazy_refcounts = switch(v).ok_or_else(bad)?,
            Some(("preallocation", v)) => ahead = preallocation(v).ok_or_else(bad)?,
            Some(("data_file", name)) if !name.is_empty() => data_file = Some(OsString::from(name)),
            Some(("data_file_raw", v)) => raw = switch(v).ok_or_else(bad)?,
            _ => {
                let known = "cluster_size, compat, compression_type, data_file, data_file_raw, extended_l2, \
                             lazy_refcounts, preallocation and refcount_bits";
                return Err(unknown(text, Format::Qcow2, known));
            }
        }
    }
    if raw && data_file.is_none() {
        return Err(usage("data_file_raw needs a data_file"));
    }
    options.data_file = data_file.map(|name| DataFile { name, raw });
    if options.backing.is_some() && ahead != Preallocation::Off {
        return Err(usage("an image with a backing file cannot be preallocated: nothing would show through"));
    }
    Ok((options, ahead))
}

/// What can be said about a QED image.
pub(super) fn qed(mut options: qed::CreateOptions, texts: &[String]) -> Result<qed::CreateOptions> {
    for text in texts {
        let bad = || impossible(text);
        match text.split_once('=') {
            Some(("cluster_size", v)) => options.cluster_size = parse_size(v).ok_or_else(bad)?,
            Some(("table_size", v)) => options.table_size = v.parse().map_err(|_| bad())?,
            _ => return Err(unknown(text, Format::Qed, "cluster_size and table_size")),
        }
    }
    Ok(options)
}

/// What can be said about a raw image, which has no metadata to allocate.
pub(super) fn raw(texts: &[String]) -> Result<Preallocation> {
    let mut ahead = Preallocation::Off;
    for text in texts {
        match text.split_once('=') {
            Some(("preallocation", v)) => {
                let wanted = preallocation(v).filter(|p| *p != Preallocation::Metadata);
                ahead = wanted.ok_or_else(|| impossible(text))?;
            }
            _ => return Err(unknown(text, Format::Raw, "preallocation")),
        }
    }
    Ok(ahead)
}

/// What can be said about an image that another one becomes in place.
pub(super) fn wishes(texts: &[String]) -> Result<Wanted> {
    let mut wishes = Wanted::default();
    for text in texts {
        let bad = || impossible(text);
        match text.split_once('=') {
            Some(("cluster_size", v)) => wishes.cluster_size = Some(parse_size(v).ok_or_else(bad)?),
            Some(("table_size", v)) => wishes.table_size = Some(v.parse().map_err(|_| bad())?),
            Some(("refcount_bits", v)) => wishes.refcount_bits = Some(v.parse().map_err(|_| bad())?),
            Some(("compat", "0.10" | "v2")) => wishes.version = Some(2),
            Some(("compat", "1.1" | "v3")) => wishes.version = Some(3),
            Some(("compat", _)) => return Err(bad()),
            _ => {
                let known = "cluster_size, compat, refcount_bits and table_size";
                return Err(usage(format!(
                    "option \"{}\" is not one of a conversion in place (known: {known})",
                    Shown::new(text)
                )));
            }
        }
    }
    Ok(wishes)
}

fn preallocation(name: &str) -> Option<Preallocation> {
    Some(match name {
        "off" => Preallocation::Off,
        "metadata" => Preallocation::Metadata,
        "falloc" => Preallocation::Falloc,
        "full" => Preallocation::Full,
        _ => return None,
    })
}

fn switch(word: &str) -> Option<bool> {
    match word {
        "on" | "yes" | "true" => Some(true),
        "off" | "no" | "false" => Some(false),
        _ => None,
    }
}

fn impossible(text: &str) -> Error {
    usage(format!("option \"{}\" has an impossible value", Shown::new(text)))
}

fn unknown(option: &str, format: Format, known: &str) -> Error {
    usage(format!("{format} option \"{}\" is not supported (known: {known})", Shown::new(option)))
}

fn usage(what: impl Into<String>) -> Error {
    Error::new(Kind::Usage, what)
}
