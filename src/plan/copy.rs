//! The copy of guest data, the heart of most plans, as plain data.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::chain::ViewSpec;
use crate::image::Format;
use crate::wire;

/// A copy of guest data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// How the target treats what it already has.
    pub mode: CopyMode,
    /// The view that is read. A fill reads that of every state it is for.
    pub from: ViewSpec,
    /// The image that is written.
    #[serde(with = "wire::path")]
    pub into: PathBuf,
    /// Its format.
    pub format: Format,
    /// For which of its states.
    pub states: States,
    /// Which guest ranges.
    pub ranges: Ranges,
    /// Virtual size the target gets before the copy; nothing is lost but in an image that the plan makes.
    pub resize_to: Option<u64>,
    /// Store units compressed where that makes them smaller.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compress: bool,
    /// Leave out what turns out to be zeros: for an image that the plan makes and that has nothing below it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sparse: bool,
    /// Guest bytes moved, in whole clusters of the target.
    pub data_bytes: u64,
    /// Guest bytes that become zeros without data being written.
    pub zero_bytes: u64,
}

impl Copy {
    /// A copy that changes no view: `states` of the image at `path` get what they leave to the layers
    /// below within `ranges`.
    pub(super) fn fill(path: &Path, format: Format, states: States, ranges: Ranges) -> Self {
        Self {
            mode: CopyMode::Fill,
            from: ViewSpec::active(path),
            into: path.to_path_buf(),
            format,
            states,
            ranges,
            resize_to: None,
            compress: false,
            sparse: false,
            data_bytes: 0,
            zero_bytes: 0,
        }
    }

    /// Whether metadata alone says what is copied. Only content can tell what differs, and planning reads none;
    /// how a layer between will hold what it gets is not known either, nor how small anything becomes.
    pub(super) fn is_exact(&self) -> bool {
        let at_most = match self.ranges {
            Ranges::Differs { .. } => true,
            Ranges::Committed { unit, .. } => unit > 1,
            Ranges::Delta { by_content, .. } => by_content,
            _ => false,
        };
        !at_most && !self.compress && !self.sparse
    }

    /// A copy of a view into an image that the plan makes.
    pub(super) fn into_new(from: ViewSpec, into: &Path, format: Format, ranges: Ranges) -> Self {
        Self { mode: CopyMode::New, from, ..Self::fill(into, format, States::Active, ranges) }
    }
}

/// Which guest ranges a copy is about. A rule, not a list: it is worked out from metadata when
/// planning and again, with the same result, when doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
pub enum Ranges {
    /// What committing `top` changes in `base`: all that the layers above the base hold, and what
    /// lies beyond the end of the base.
    Committed {
        /// The image that is committed.
        #[serde(with = "wire::path")]
        top: PathBuf,
        /// The image it is committed into.
        #[serde(with = "wire::path")]
        base: PathBuf,
        /// Widened to whole units of so many bytes: those of a layer between that stays, and that holds
        /// its own copy of such units by the time the base changes.
        unit: u64,
    },
    /// What `base` shows beyond the end of `top`, which has shown zeros there so far.
    BeyondEnd {
        /// The shorter image.
        #[serde(with = "wire::path")]
        top: PathBuf,
        /// The image that takes its place.
        #[serde(with = "wire::path")]
        base: PathBuf,
    },
    /// What the layers between `image` and `base` hold: those that `image` will not read any more.
    Dropped {
        /// The image that will be based on `base`.
        #[serde(with = "wire::path")]
        image: PathBuf,
        /// A layer below it; nothing for an image that will stand alone.
        #[serde(with = "wire::path_option")]
        base: Option<PathBuf>,
    },
    /// Where what `image` reads from below now differs from what `base` shows.
    Differs {
        /// The image that will be based on `base`.
        #[serde(with = "wire::path")]
        image: PathBuf,
        /// Any other image, or nothing.
        #[serde(with = "wire::path_option")]
        base: Option<PathBuf>,
        /// The format of that image.
        format: Option<Format>,
    },
    /// All that the view shows and is not known to be zeros.
    All,
    /// Where the view is not what `since` is.
    Delta {
        /// The view that is below.
        since: ViewSpec,
        /// Whether content is compared where the same bytes may lie in two places; otherwise what lies apart
        /// is different.
        by_content: bool,
    },
}

impl Ranges {
    pub(super) fn paths(&self) -> Vec<&Path> {
        match self {
            Self::Committed { top, base, .. } | Self::BeyondEnd { top, base } => vec![top, base],
            Self::Dropped { image, base } | Self::Differs { image, base, .. } => {
                std::iter::once(&**image).chain(base.as_deref()).collect()
            }
            Self::All => Vec::new(),
            Self::Delta { since, .. } => vec![&since.path],
        }
    }
}

/// Which states of an image a copy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum States {
    /// The active one.
    Active,
    /// Its internal snapshots.
    Snapshots,
    /// All of them.
    All,
}

/// How a copy treats what the target already has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyMode {
    /// Only what the target leaves unallocated; changes no view.
    Fill,
    /// Replaces what is there; the target's view is named by the plan.
    Overwrite,
    /// Into an image that the plan makes.
    New,
}
