//! Why a plan needs more consent, or cannot run.

use std::fmt;

use serde::Serialize;

use super::Plan;
use crate::error::Kind;

/// How serious a hazard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HazardSeverity {
    /// Worth knowing.
    Info,
    /// Worth reading before saying yes.
    Warning,
    /// Needs consent by name, or cannot be done.
    Danger,
}

/// Why a plan needs more consent, or cannot run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hazard {
    /// Which sort.
    pub kind: HazardKind,
    /// How serious.
    pub severity: HazardSeverity,
    /// One sentence, safe to print.
    pub message: String,
}

/// The sorts of hazard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum HazardKind {
    /// Other images read through a file that changes; they are protected first.
    OtherChildren,
    /// Internal snapshots read through a file that changes. They get their own copy, or it is a danger.
    SnapshotsReadThrough,
    /// A raw file, or an external data file, is overwritten in place.
    InPlace,
    /// Another process holds a file.
    InUse,
    /// Not enough room on the file system.
    NoSpace,
    /// Images outside the scanned folders may depend on this too.
    OtherFolders,
    /// A file has several names, of which the plan changes one.
    HardLinks,
    /// Virtual sizes differ.
    SizeDiffers,
    /// The backing format was not recorded.
    BackingFormat,
    /// An image is dirty, corrupt, encrypted or uses a feature that cannot be written.
    Unsupported,
    /// Persistent dirty bitmaps that the operation cannot keep.
    BitmapsLost,
    /// There is no way back.
    NoUndo,
    /// An image in the chain is damaged or missing.
    Broken,
    /// Views read something else afterwards, without anything being copied.
    ViewChanges,
    /// The same could be had in another way.
    OtherWay,
    /// A job was cut off, and its files were used since.
    UsedMeanwhile,
    /// A libvirt domain names a file that changes, moves or goes away.
    NamedBy,
    /// Views that would have been protected change, because that was not wanted.
    Unprotected,
    /// A file system has no locks, so that nobody can be kept away.
    NoLocks,
    /// The image that a delta goes on may not show what the delta was made against.
    OlderView,
}

/// What it takes to run a plan in spite of a hazard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Nothing.
    None,
    /// `--accept KIND`, or typing the name in the TUI.
    ByName,
    /// It cannot run; the kind is the failure it would end in.
    Never(Kind),
}

impl HazardKind {
    /// Every kind, for the list in the help and the man page.
    pub const ALL: [Self; 20] = [
        Self::OtherChildren,
        Self::SnapshotsReadThrough,
        Self::InPlace,
        Self::InUse,
        Self::NoSpace,
        Self::OtherFolders,
        Self::HardLinks,
        Self::SizeDiffers,
        Self::BackingFormat,
        Self::Unsupported,
        Self::BitmapsLost,
        Self::NoUndo,
        Self::Broken,
        Self::ViewChanges,
        Self::OtherWay,
        Self::UsedMeanwhile,
        Self::NamedBy,
        Self::Unprotected,
        Self::NoLocks,
        Self::OlderView,
    ];

    /// Its name for `--accept` and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::OtherChildren => "other-children",
            Self::SnapshotsReadThrough => "snapshots-read-through",
            Self::InPlace => "in-place",
            Self::InUse => "in-use",
            Self::NoSpace => "no-space",
            Self::OtherFolders => "other-folders",
            Self::HardLinks => "hard-links",
            Self::SizeDiffers => "size-differs",
            Self::BackingFormat => "backing-format",
            Self::Unsupported => "unsupported",
            Self::BitmapsLost => "bitmaps-lost",
            Self::NoUndo => "no-undo",
            Self::Broken => "broken",
            Self::ViewChanges => "view-changes",
            Self::OtherWay => "other-way",
            Self::UsedMeanwhile => "used-meanwhile",
            Self::NamedBy => "named-by",
            Self::Unprotected => "unprotected",
            Self::NoLocks => "no-locks",
            Self::OlderView => "older-view",
        }
    }

    /// The severity that a hazard of this kind has, or has at worst.
    pub fn severity(self) -> HazardSeverity {
        match self {
            Self::OtherFolders | Self::SizeDiffers | Self::OtherChildren | Self::OtherWay => {
                HazardSeverity::Info
            }
            Self::InPlace => HazardSeverity::Warning,
            _ => HazardSeverity::Danger,
        }
    }

    /// The severity that a hazard of this kind has at least.
    pub fn mildest(self) -> HazardSeverity {
        match self {
            Self::NamedBy | Self::SnapshotsReadThrough | Self::OlderView | Self::BackingFormat => {
                HazardSeverity::Info
            }
            Self::Broken | Self::NoUndo => HazardSeverity::Warning,
            _ => self.severity(),
        }
    }

    /// One line of help.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::OtherChildren => {
                "other images read through a file that changes; they get their own copy first, but for --no-protect"
            }
            Self::SnapshotsReadThrough => {
                "internal snapshots (or, when the active state is replaced, images) read through a file that changes; danger when they cannot get their own copy"
            }
            Self::InPlace => {
                "a raw file or an external data file is overwritten in place; if interrupted, its own view is a mixture until the job is run again"
            }
            Self::InUse => "another process holds a file",
            Self::NoSpace => "a file system has not enough room; the message says how much is missing where",
            Self::OtherFolders => {
                "images outside the scanned folders, which are named, may depend on a changed file too"
            }
            Self::HardLinks => "a file has several names; only one of them is followed",
            Self::SizeDiffers => "virtual sizes differ; the base grows, nothing is cut",
            Self::BackingFormat => {
                "a backing format was not recorded and had to be guessed from the content of the file; info when whoever opens the image will find it out"
            }
            Self::Unsupported => {
                "an image is marked corrupt, is encrypted, or is in another state or of a kind that cannot be written"
            }
            Self::BitmapsLost => "persistent dirty bitmaps cannot be kept",
            Self::NoUndo => {
                "there is no way back; a warning when all that is gone is what the operation is there to replace"
            }
            Self::Broken => {
                "an image in the chain is damaged or missing; a warning when it was only not closed cleanly"
            }
            Self::ViewChanges => "views read something else afterwards; nothing is copied to prevent it",
            Self::OtherWay => "the same could be had in another way, at another cost",
            Self::UsedMeanwhile => {
                "recover: a file was used since its job was cut off; what was written then may be lost"
            }
            Self::NamedBy => {
                "a libvirt domain names a file that changes; danger when the file goes away or gets another name or format"
            }
            Self::Unprotected => "other views change because of --no-protect; each of them is named",
            Self::OlderView => {
                "the image that a delta goes on is taken on trust; danger when it cannot show what the delta was made against"
            }
            Self::NoLocks => {
                "a file system has no locks: nothing keeps another process away while the job runs"
            }
        }
    }

    /// What it takes to go on in spite of a hazard of this kind, at its worst.
    pub fn consent(self) -> Consent {
        match self {
            Self::SnapshotsReadThrough | Self::Unsupported | Self::Broken => {
                Consent::Never(Kind::Unsupported)
            }
            Self::InUse => Consent::Never(Kind::InUse),
            Self::NoSpace => Consent::Never(Kind::NoSpace),
            Self::BitmapsLost
            | Self::NoUndo
            | Self::HardLinks
            | Self::BackingFormat
            | Self::ViewChanges
            | Self::UsedMeanwhile
            | Self::NamedBy
            | Self::Unprotected
            | Self::NoLocks
            | Self::OlderView => Consent::ByName,
            _ => Consent::None,
        }
    }

    /// What sort of failure it is when consent is missing.
    pub fn refusal(self) -> Kind {
        match self {
            Self::NoLocks => Kind::NoLocks,
            _ => Kind::Consent,
        }
    }
}

impl fmt::Display for HazardKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Hazard {
    /// A hazard of `kind` about something; `message` must be safe to print.
    pub fn new(kind: HazardKind, message: impl Into<String>) -> Self {
        Self::of(kind, kind.severity(), message)
    }

    /// A hazard of a kind that is not always as serious.
    pub fn of(kind: HazardKind, severity: HazardSeverity, message: impl Into<String>) -> Self {
        Self { kind, severity, message: message.into() }
    }

    /// What it takes to go on in spite of it: nothing but for a danger.
    pub fn consent(&self) -> Consent {
        match self.severity {
            HazardSeverity::Danger => self.kind.consent(),
            _ => Consent::None,
        }
    }
}

impl Plan {
    /// The first hazard that forbids running at all, with the failure it would end in. Missing
    /// space wins over everything else.
    pub fn forbidden(&self) -> Option<(&Hazard, Kind)> {
        let never = |h: &Hazard| match h.consent() {
            Consent::Never(kind) => Some(kind),
            _ => None,
        };
        let mut all: Vec<_> = self.hazards.iter().filter_map(|h| Some((h, never(h)?))).collect();
        all.sort_by_key(|(_, kind)| *kind != Kind::NoSpace);
        all.into_iter().next()
    }

    /// Hazards that need consent by name and are not in `accepted`; first those that are refused in
    /// another way than by asking.
    pub fn unaccepted(&self, accepted: &[HazardKind]) -> Vec<&Hazard> {
        let needs = |h: &&Hazard| h.consent() == Consent::ByName && !accepted.contains(&h.kind);
        let mut all: Vec<_> = self.hazards.iter().filter(needs).collect();
        all.sort_by_key(|hazard| hazard.kind.refusal() == Kind::Consent);
        all
    }
}
