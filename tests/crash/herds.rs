//! The herds that are operated on: small, of one format each, the same shape for all.
//!
//! base <- l1 <- l2 <- l3, and side on l1; other by itself. Snapshots wherever the format has some.

use std::ffi::OsString;
use std::path::Path;

use cowherd::image::qcow2::{self, CreateOptions, Writer};
use cowherd::image::{self, BackingRef, DataFile, Format, Target, qed};
use cowherd::storage::{File, RealFile};

use crate::common::{Random, files, scribble, snapshot};

/// What the images of a herd are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Version3,
    Version2,
    Subclusters,
    Qed,
    /// qcow2 on a raw base.
    Raw,
    /// qcow2 in which l1 keeps its data in another file.
    DataFile,
}

pub(crate) const ALL: &[Kind] =
    &[Kind::Version3, Kind::Version2, Kind::Subclusters, Kind::Qed, Kind::Raw, Kind::DataFile];

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Version3 => "qcow2_v3",
            Self::Version2 => "qcow2_v2",
            Self::Subclusters => "subclusters",
            Self::Qed => "qed",
            Self::Raw => "raw_base",
            Self::DataFile => "data_file",
        }
    }

    fn format(self, name: &str) -> Format {
        match self {
            Self::Qed => Format::Qed,
            Self::Raw if ["base", "other"].contains(&name) => Format::Raw,
            _ => Format::Qcow2,
        }
    }
}

/// Makes a herd in `dir`.
pub(crate) fn make(dir: &Path, kind: Kind, random: &mut Random) {
    for (name, below) in [
        ("base", None),
        ("l1", Some("base")),
        ("l2", Some("l1")),
        ("l3", Some("l2")),
        ("side", Some("l1")),
        ("other", None),
    ] {
        let format = kind.format(name);
        let path = dir.join(name);
        create(&path, kind, format, name, below.map(|below| (below, kind.format(below))), random);
        scribble(&path, format, random);
        let may = format == Format::Qcow2 && !path.with_extension("data").exists();
        if may && !random.one_in(3) {
            snapshot(&path, "sn1");
            scribble(&path, format, random);
        }
    }
    leave_holes(&dir.join("side"), kind.format("side"), random);
}

/// Gives `path` space that nothing uses: what only a snapshot held that is gone, or a write that was cut off.
fn leave_holes(path: &Path, format: Format, random: &mut Random) {
    if format == Format::Qed {
        let file = RealFile::open(path, true).unwrap();
        file.set_len(file.len().unwrap() + (4096 << random.below(3))).unwrap();
        return;
    }
    snapshot(path, "gone");
    scribble(path, format, random);
    let mut writer = Writer::open(files(path), false).unwrap();
    let image = image::open(files(path), Some(format)).unwrap();
    writer.delete_snapshots(&[image.snapshots().len() - 1]).unwrap();
    Box::new(writer).finish().unwrap();
}

fn create(
    path: &Path,
    kind: Kind,
    format: Format,
    name: &str,
    below: Option<(&str, Format)>,
    random: &mut Random,
) {
    let unit: u64 = if kind == Kind::Subclusters { 16 << 10 } else { 4 << 10 };
    let virtual_size = unit * (4 + random.below(12)) + 512 * random.below(8);
    let backing = below
        .map(|(name, format)| BackingRef { name: OsString::from(name), format: Some(format.name().into()) });
    let file = RealFile::create_new(path).unwrap();
    match format {
        Format::Raw => file.set_len(virtual_size).unwrap(),
        Format::Qed => {
            let options = qed::CreateOptions {
                cluster_size: 4096,
                table_size: *random.pick(&[2, 4]),
                virtual_size,
                backing,
            };
            qed::create(&file, &options).unwrap();
        }
        Format::Qcow2 => {
            let has_data = kind == Kind::DataFile && name == "l1";
            if has_data {
                let data = RealFile::create_new(&path.with_file_name("l1.data")).unwrap();
                data.set_len(virtual_size).unwrap();
            }
            let version = if kind == Kind::Version2 { 2 } else { 3 };
            let options = CreateOptions {
                version,
                cluster_size: if kind == Kind::Subclusters { unit } else { *random.pick(&[512, 1024, 4096]) },
                refcount_bits: if version == 2 { 16 } else { *random.pick(&[4, 16, 64]) },
                extended_l2: kind == Kind::Subclusters,
                virtual_size,
                backing,
                data_file: has_data.then(|| DataFile { name: "l1.data".into(), raw: false }),
                ..CreateOptions::default()
            };
            qcow2::create(&file, &options).unwrap();
        }
    }
}
