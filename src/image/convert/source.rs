//! The source side: what an image says about itself, whatever its format.

use super::super::{BackingRef, Details, Encryption, ExtentKind, Format, Image, State};
use crate::error::{Error, Result};
use crate::text::Shown;
use crate::units::{Guest, Host, align_down, align_up};

/// What a target must be able to take over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversionOptions {
    /// Bytes a guest sees.
    pub virtual_size: u64,
    /// Bytes that are mapped together, at least: guest and host offsets of mappings are multiples of it.
    /// Nothing where any will do, as each byte lies at its guest offset.
    pub unit: Option<u64>,
    /// The backing file, as recorded.
    pub backing: Option<BackingRef>,
    /// How data is encrypted.
    pub encryption: Option<Encryption>,
    /// What the image holds that mappings cannot express.
    pub obstacles: Vec<Obstacle>,
}

/// Something that would be lost, each named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// An internal snapshot, by name (or id, when it has none).
    Snapshot(String),
    /// A persistent dirty bitmap, by name.
    Bitmap(String),
    /// Data lies in another file.
    DataFile(String),
    /// Data is encrypted.
    Encrypted(Encryption),
    /// The image was not closed cleanly.
    Dirty,
    /// The image is marked corrupt.
    Corrupt,
}

/// A run of guest bytes and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    /// Where it starts on the virtual disk.
    pub guest: Guest,
    /// Where it starts in the file; of no meaning for zeros.
    pub host: Host,
    /// Its length in bytes.
    pub len: u64,
    /// What it is.
    pub kind: MappingKind,
}

/// What a mapping says. What no mapping is about is left to the backing file, or reads as zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MappingKind {
    /// Bytes in the file.
    Data,
    /// Zeros, whatever the backing file holds.
    Zero,
}

/// What `image` asks of a target.
pub fn options(image: &dyn Image) -> Result<ConversionOptions> {
    let details = image.details();
    let mut obstacles: Vec<_> = image
        .snapshots()
        .iter()
        .map(|s| Obstacle::Snapshot(if s.name.is_empty() { format!("#{}", s.id) } else { s.name.clone() }))
        .collect();
    obstacles.extend(details.bitmaps().iter().map(|bitmap| Obstacle::Bitmap(bitmap.name.clone())));
    let data_file = image.data_file();
    obstacles.extend(data_file.map(|data| Obstacle::DataFile(Shown::path(data.name.as_ref()).into_string())));
    obstacles.extend(details.encryption().map(Obstacle::Encrypted));
    obstacles.extend(details.dirty().then_some(Obstacle::Dirty));
    obstacles.extend(details.corrupt().then_some(Obstacle::Corrupt));
    let subclusters = matches!(details, Details::Qcow2 { extended_l2: true, .. });
    Ok(ConversionOptions {
        virtual_size: image.virtual_size(State::Active),
        unit: match image.format() {
            Format::Raw => None,
            _ if subclusters => Some(image.cluster_size() / 32),
            _ => Some(image.cluster_size()),
        },
        backing: image.backing().cloned(),
        encryption: details.encryption(),
        obstacles,
    })
}

/// The mappings of the active state of `image`, in guest order, neighbours as one. Of a raw image every
/// `unit` is one piece: there is data in all of it or in none.
///
/// Fails for what no mapping can express: compressed clusters.
pub fn mappings(image: &dyn Image, unit: u64) -> impl Iterator<Item = Result<Mapping>> + '_ {
    let size = image.virtual_size(State::Active);
    let widen = if image.format() == Format::Raw { unit } else { 1 };
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < size {
            let extent = match image.extent_at(State::Active, Guest(at), size - at) {
                Ok(extent) => extent,
                Err(e) => {
                    at = size;
                    return Some(Err(e));
                }
            };
            let start = align_down(at, widen);
            let kind = match extent.kind {
                ExtentKind::Data { .. } => MappingKind::Data,
                // Without anything below, zeros are what is there anyway.
                ExtentKind::Zero { .. } if image.backing().is_some() => MappingKind::Zero,
                ExtentKind::Compressed { .. } => {
                    at = size;
                    let what = "a compressed cluster cannot be mapped: it has no bytes of its own";
                    return Some(Err(Error::unsupported(what).offset(extent.start.0)));
                }
                _ => {
                    at = extent.end();
                    continue;
                }
            };
            at = if kind == MappingKind::Data {
                align_up(extent.end(), widen).min(size)
            } else {
                extent.end()
            };
            let host = match extent.kind {
                ExtentKind::Data { host } => Host(host.0 - (extent.start.0 - start)),
                _ => Host(0),
            };
            return Some(Ok(Mapping { guest: Guest(start), host, len: at - start, kind }));
        }
        None
    })
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Snapshot(name) => write!(f, "the internal snapshot {}", Shown::new(name)),
            Self::Bitmap(name) => write!(f, "the bitmap {}", Shown::new(name)),
            Self::DataFile(name) => write!(f, "data in another file ({name})"),
            Self::Encrypted(how) => write!(f, "encrypted data ({})", format!("{how:?}").to_uppercase()),
            Self::Dirty => f.write_str("what was not closed cleanly"),
            Self::Corrupt => f.write_str("what is marked corrupt"),
        }
    }
}
