//! The plain facts an image gives about itself.

use std::ffi::OsString;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::units::{Guest, Host};

/// The formats cowherd speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// No metadata: guest offset is host offset.
    Raw,
    /// QEMU's copy-on-write format, versions 2 and 3.
    Qcow2,
    /// QEMU enhanced disk.
    Qed,
}

impl Format {
    /// QEMU's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Qed => "qed",
        }
    }

    /// The format QEMU calls `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Raw, Self::Qcow2, Self::Qed].into_iter().find(|f| f.name() == name)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Which content of an image: what a guest reads now, or what one internal snapshot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum State {
    /// The active state.
    Active,
    /// An internal snapshot, by its place in the snapshot table.
    Snapshot(usize),
    /// The saved machine state of that internal snapshot: bytes that no guest sees.
    VmState(usize),
}

/// A run of guest bytes that one file answers in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where the run starts on the virtual disk.
    pub start: Guest,
    /// Its length in bytes, never 0.
    pub len: u64,
    /// What is there.
    pub kind: ExtentKind,
}

impl Extent {
    /// First guest byte after the run.
    pub fn end(&self) -> u64 {
        self.start.0 + self.len
    }
}

/// What a run of guest bytes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExtentKind {
    /// This file says nothing: the backing file, or zeros without one.
    Unallocated,
    /// Zeros, whatever the backing file holds.
    Zero {
        /// Space kept for it in the file (a preallocated zero cluster).
        host: Option<Host>,
    },
    /// Bytes stored as they are, one after another from `host`.
    Data {
        /// Where in the file.
        host: Host,
    },
    /// One compressed cluster (or a part of it).
    Compressed {
        /// Where its first compressed byte lies.
        host: Host,
        /// Bytes to read from there at most; the stream may end earlier.
        bytes: u64,
        /// How far into the decompressed cluster the run starts.
        skip: u64,
    },
}

impl ExtentKind {
    /// Whether this file decides what is read.
    pub fn is_allocated(self) -> bool {
        self != Self::Unallocated
    }

    /// The kind of the same run, `by` bytes further on.
    #[must_use]
    pub fn advance(self, by: u64) -> Self {
        match self {
            Self::Unallocated => Self::Unallocated,
            Self::Zero { host } => Self::Zero { host: host.map(|h| Host(h.0 + by)) },
            Self::Data { host } => Self::Data { host: Host(host.0 + by) },
            Self::Compressed { host, bytes, skip } => Self::Compressed { host, bytes, skip: skip + by },
        }
    }
}

/// A backing file as an image names it. Nobody has looked whether it exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackingRef {
    /// The recorded name, byte for byte.
    #[serde(with = "crate::wire::path")]
    pub name: OsString,
    /// The recorded format name, when one is recorded.
    pub format: Option<String>,
}

/// One internal snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Unique id (QEMU gives 1, 2, 3...).
    pub id: String,
    /// The name somebody gave it; not always unique, can be empty.
    pub name: String,
    /// Bytes of the virtual disk when it was taken.
    pub virtual_size: u64,
    /// Bytes of saved machine state, 0 for a disk-only snapshot.
    pub vm_state_size: u64,
    /// Seconds since 1970 when it was taken.
    pub date_sec: u32,
    /// Nanoseconds of that second.
    pub date_nsec: u32,
    /// Nanoseconds the guest had run.
    pub vm_clock_nsec: u64,
    /// Instruction count, when the guest ran under record/replay.
    pub icount: Option<u64>,
}

/// How data is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// The old AES-CBC scheme.
    Aes,
    /// LUKS inside the image.
    Luks,
}

/// A persistent dirty bitmap, or words for those that cannot be listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bitmap {
    /// Its name.
    pub name: String,
    /// Guest bytes for each of its bits; `None` where it could not be read.
    pub granularity: Option<u64>,
    /// It was not closed cleanly, so what it says is not to be trusted.
    pub in_use: bool,
    /// It follows every write.
    pub auto: bool,
}

/// What a header says beyond the common facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Details {
    /// Nothing more.
    Raw,
    /// A qcow2 header.
    Qcow2 {
        /// 2 or 3.
        version: u32,
        /// Bits per refcount.
        refcount_bits: u32,
        /// The dirty bit: refcounts may be too low.
        dirty: bool,
        /// The corrupt bit: QEMU refuses to write.
        corrupt: bool,
        /// Refcounts may be updated late.
        lazy_refcounts: bool,
        /// Subclusters in use.
        extended_l2: bool,
        /// `zlib` or `zstd`.
        compression: &'static str,
        /// How data is encrypted.
        encryption: Option<Encryption>,
        /// Persistent dirty bitmaps.
        bitmaps: Vec<Bitmap>,
    },
    /// A QED header.
    Qed {
        /// The image must be checked before writing.
        need_check: bool,
        /// Clusters per table.
        table_size: u32,
    },
}

impl Details {
    /// Whether the image was not closed cleanly.
    pub fn dirty(&self) -> bool {
        matches!(self, Self::Qcow2 { dirty: true, .. } | Self::Qed { need_check: true, .. })
    }

    /// Whether the image is marked corrupt.
    pub fn corrupt(&self) -> bool {
        matches!(self, Self::Qcow2 { corrupt: true, .. })
    }

    /// Persistent dirty bitmaps.
    pub fn bitmaps(&self) -> &[Bitmap] {
        match self {
            Self::Qcow2 { bitmaps, .. } => bitmaps,
            _ => &[],
        }
    }

    /// How data is encrypted.
    pub fn encryption(&self) -> Option<Encryption> {
        match self {
            Self::Qcow2 { encryption, .. } => *encryption,
            _ => None,
        }
    }
}

/// How bad a finding of a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Space that nothing uses but that counts as used. No harm to data.
    Leak,
    /// Metadata that contradicts itself; data is or may become wrong.
    Corruption,
}

/// One thing a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// One sentence.
    pub message: String,
    /// Host offset it is about.
    pub offset: u64,
}

/// What a check found. The lists are cut at a bound; the counts are whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Clusters that count as used and are not.
    pub leaks: u64,
    /// Contradictions.
    pub corruptions: u64,
    /// First byte after the last used cluster.
    pub image_end_offset: u64,
    /// Clusters of the virtual disk.
    pub total_clusters: u64,
    /// Allocated ones.
    pub allocated_clusters: u64,
    /// Allocated ones whose predecessor lies elsewhere.
    pub fragmented_clusters: u64,
    /// Compressed ones.
    pub compressed_clusters: u64,
    /// The first findings, at most [`CheckReport::MAX_FINDINGS`].
    pub findings: Vec<Finding>,
}

impl CheckReport {
    /// Findings kept in full.
    pub const MAX_FINDINGS: usize = 1000;

    /// Counts and records one finding.
    pub fn add(&mut self, severity: Severity, offset: u64, message: impl Into<String>) {
        self.add_with(severity, offset, || message.into());
    }

    /// The same; the sentence is only made when there is room for it.
    pub fn add_with(&mut self, severity: Severity, offset: u64, message: impl FnOnce() -> String) {
        match severity {
            Severity::Leak => self.leaks += 1,
            Severity::Corruption => self.corruptions += 1,
        }
        if self.findings.len() < Self::MAX_FINDINGS {
            self.findings.push(Finding { severity, message: message(), offset });
        }
    }
}

/// What a repair mends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Repair {
    /// Gives back space that counts as used and is not.
    Leaks,
    /// Leaks, and everything else that references decide.
    All,
}

impl Repair {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leaks => "leaks",
            Self::All => "all",
        }
    }
}

/// Bytes of data that only one state of an image holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Space {
    /// Held by the active state alone.
    pub active: u64,
    /// Held by one snapshot alone, in table order.
    pub snapshots: Vec<u64>,
}

/// Bytes a change of one image wrote and gave back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Guest data, in whole units.
    pub data_bytes: u64,
    /// Tables, refcounts and header.
    pub meta_bytes: u64,
    /// Host bytes that are no longer used.
    pub freed_bytes: u64,
    /// Bytes the file needed beyond what it had, at most, before anything was given back.
    pub extra_bytes: u64,
}
