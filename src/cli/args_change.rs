//! The options of the commands that change images. Spellings are a contract.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::args::{Allow, Known};
use super::values::{ExportFormat, Verify, Watch, age, format, hazard, new_size, size};
use crate::image::Format;
use crate::plan::HazardKind;
use crate::units::NewSize;

#[derive(Debug, Args)]
pub(super) struct Create {
    pub(super) image: PathBuf,
    /// Bytes a guest sees: a number with k, M, G or T; the backing file's size by default
    #[arg(value_parser = size)]
    pub(super) size: Option<u64>,
    /// The format: qcow2, qed or raw
    #[arg(short = 'f', value_name = "FMT", value_parser = format)]
    pub(super) format: Format,
    /// The image it is based on, as it is to be recorded (relative to IMAGE's folder)
    #[arg(short = 'b', value_name = "BACKING")]
    pub(super) backing: Option<OsString>,
    /// The format of BACKING
    #[arg(short = 'F', value_name = "FMT", value_parser = format, requires = "backing")]
    pub(super) backing_format: Option<Format>,
    /// Options of the format. qcow2: cluster_size, refcount_bits, compat (0.10, 1.1), extended_l2,
    /// compression_type (zlib, zstd), lazy_refcounts, preallocation (off, metadata, falloc, full);
    /// qed: cluster_size, table_size; raw: preallocation
    #[arg(short = 'o', value_name = "KEY=VALUE", value_delimiter = ',')]
    pub(super) options: Vec<String>,
    /// One JSON document with qemu-img's keys, as of info
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) allow: Allow,
}

/// How a change is agreed to and watched.
#[derive(Debug, Clone, Args)]
pub(super) struct Changing {
    /// Print the plan and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    pub(super) yes: bool,
    /// Consent to a kind of hazard by name; `cowherd help hazards` lists them
    #[arg(long, value_name = "KIND", value_parser = hazard)]
    pub(super) accept: Vec<HazardKind>,
    /// Move at most N bytes of guest data a second
    #[arg(long, value_name = "N", value_parser = size)]
    pub(super) rate_limit: Option<u64>,
    /// Afterwards, compare every view that is made or kept with what it must read; all of it is read twice. Nothing
    /// is emptied or goes to the trash before
    #[arg(long, value_name = "HOW")]
    pub(super) verify: Option<Verify>,
    /// How progress is shown on standard error
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(super) progress: Watch,
    /// One JSON document: the plan with --dry-run, the report otherwise
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Commit {
    /// The image to merge down
    pub(super) top: PathBuf,
    /// The layer below to merge into, with everything between; its parent by default
    #[arg(long, short = 'b', value_name = "BASE")]
    pub(super) base: Option<PathBuf>,
    /// Keep TOP's file even when nothing needs it any more
    #[arg(long, conflicts_with = "remove")]
    pub(super) keep: bool,
    /// Move TOP to the trash even when nothing is based on it
    #[arg(long)]
    pub(super) remove: bool,
    /// Let other views that read what changes change too; each is named and needs consent
    #[arg(long)]
    pub(super) no_protect: bool,
    #[command(flatten)]
    pub(super) how: How,
}

#[derive(Debug, Args)]
pub(super) struct Pull {
    /// The image to merge the layers below into
    pub(super) image: PathBuf,
    /// The layer it is based on afterwards; without one it stands alone
    #[arg(long, short = 'b', value_name = "BASE")]
    pub(super) base: Option<PathBuf>,
    #[command(flatten)]
    pub(super) how: How,
}

#[derive(Debug, Args)]
pub(super) struct Rebase {
    /// The image that gets another backing file
    pub(super) image: PathBuf,
    /// The image it is based on afterwards
    #[arg(long, short = 'b', value_name = "BASE", required_unless_present = "none")]
    pub(super) base: Option<PathBuf>,
    /// The format of BASE, when it must not be taken from its content
    #[arg(short = 'F', value_name = "FMT", value_parser = format, requires = "base")]
    pub(super) backing_format: Option<Format>,
    /// Let it stand alone
    #[arg(long, conflicts_with = "base")]
    pub(super) none: bool,
    /// Change the reference only: for a base that moved. What the image reads may change
    #[arg(long = "unsafe", short = 'u')]
    pub(super) is_unsafe: bool,
    #[command(flatten)]
    pub(super) how: How,
}

#[derive(Debug, Args)]
pub(super) struct Overlay {
    /// The image that the new one is based on
    pub(super) image: PathBuf,
    /// The new image
    pub(super) new: PathBuf,
    /// The format of IMAGE, when it must not be taken from its content
    #[arg(short = 'F', short_alias = 'f', value_name = "FMT", value_parser = format)]
    pub(super) backing_format: Option<Format>,
    #[command(flatten)]
    pub(super) changing: Changing,
    #[command(flatten)]
    pub(super) allow: Allow,
}

#[derive(Debug, Args)]
pub(super) struct Rename {
    /// The image
    pub(super) image: PathBuf,
    /// Its new name
    pub(super) new: PathBuf,
    #[command(flatten)]
    pub(super) how: How,
}

#[derive(Debug, Args)]
pub(super) struct Delete {
    /// The layer to take out of its chain
    pub(super) image: PathBuf,
    /// Let other views that read what changes change too; each is named and needs consent
    #[arg(long)]
    pub(super) no_protect: bool,
    #[command(flatten)]
    pub(super) how: How,
}

#[derive(Debug, Args)]
pub(super) struct Convert {
    /// The image
    pub(super) image: PathBuf,
    /// What it is to become: qcow2, qed or raw
    #[arg(long, value_name = "FMT", value_parser = format)]
    pub(super) to: Format,
    /// Rewrite the file itself (a copy is made by export)
    #[arg(long, required = true)]
    pub(super) in_place: bool,
    /// Options of the new format. qcow2: compat (0.10, 1.1), refcount_bits, cluster_size; qed: cluster_size,
    /// table_size. A qcow2 image keeps its cluster size
    #[arg(short = 'o', value_name = "KEY=VALUE", value_delimiter = ',')]
    pub(super) options: Vec<String>,
    /// The format of its backing file, when that is not recorded
    #[arg(short = 'F', value_name = "FMT", value_parser = format)]
    pub(super) backing_format: Option<Format>,
    /// Leave new metadata at the end of the file; as long as the job runs, all can be taken back then
    #[arg(long)]
    pub(super) no_compact: bool,
    #[command(flatten)]
    pub(super) how: How,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    /// The view; with --chain, the image on top
    pub(super) view: OsString,
    /// The new file; with --chain, the folder for all of them; with -O rbd-diff, - is standard output
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    /// The format of what is made
    #[arg(short = 'O', value_name = "FMT", default_value = "qcow2")]
    pub(super) to_format: ExportFormat,
    /// Only what differs from this view; needs -b, but for -O rbd-diff. With --chain, only the views after it
    #[arg(long, value_name = "VIEW")]
    pub(super) since: Option<OsString>,
    /// The image that holds the view of --since: the backing file of the new one
    #[arg(short = 'b', value_name = "OLDER", requires = "since")]
    pub(super) backing: Option<PathBuf>,
    /// The format of OLDER, when it must not be taken from its content
    #[arg(short = 'F', value_name = "FMT", value_parser = format, requires = "backing")]
    pub(super) backing_format: Option<Format>,
    /// Every view of the image and of all that it is based on, as a linear chain
    #[arg(long, conflicts_with = "vmstate")]
    pub(super) chain: bool,
    /// Where the machine state goes that was saved with the snapshot
    #[arg(long, value_name = "FILE")]
    pub(super) vmstate: Option<PathBuf>,
    /// rbd-diff: what the target calls the snapshot that the delta goes on
    #[arg(long, value_name = "NAME", requires = "since")]
    pub(super) from_snap: Option<String>,
    /// rbd-diff: the snapshot that the target takes at the end; the name of the view's by default
    #[arg(long, value_name = "NAME")]
    pub(super) to_snap: Option<String>,
    #[command(flatten)]
    pub(super) copying: Copying,
    #[command(flatten)]
    pub(super) how: How,
}

/// How what is copied is stored.
#[derive(Debug, Args)]
pub(super) struct Copying {
    /// Compress clusters (qcow2)
    #[arg(short = 'c', long)]
    pub(super) compress: bool,
    /// Leave out what was written again with the same bytes: reads what may differ in both views
    #[arg(long)]
    pub(super) by_content: bool,
    /// Options of the format, as of create
    #[arg(short = 'o', value_name = "KEY=VALUE", value_delimiter = ',')]
    pub(super) options: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// The image on top of the chain
    #[arg(value_name = "CHAIN-TOP")]
    pub(super) top: PathBuf,
    /// The new image, a qcow2
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    #[command(flatten)]
    pub(super) copying: Copying,
    #[command(flatten)]
    pub(super) how: How,
}

#[derive(Debug, Args)]
pub(super) struct Compact {
    pub(super) image: PathBuf,
    #[command(flatten)]
    pub(super) how: How,
}

#[derive(Debug, Args)]
pub(super) struct Revert {
    /// The overlay whose changes are thrown away
    #[arg(value_name = "OVERLAY")]
    pub(super) image: PathBuf,
    #[command(flatten)]
    pub(super) how: How,
}

#[derive(Debug, Args)]
pub(super) struct Resize {
    pub(super) image: PathBuf,
    /// Bytes a guest will see: a number with k, M, G or T; +N and -N mean so much more or less
    #[arg(value_parser = new_size, allow_hyphen_values = true)]
    pub(super) size: NewSize,
    /// Make it shorter although what lies beyond the new end is lost
    #[arg(long)]
    pub(super) shrink: bool,
    #[command(flatten)]
    pub(super) how: How,
}

#[derive(Debug, Args)]
pub(super) struct Recover {
    /// Images, or folders with everything below; the current folder by default
    pub(super) paths: Vec<PathBuf>,
    /// Undo it instead, as long as no view has begun to change
    #[arg(long)]
    pub(super) roll_back: bool,
    #[command(flatten)]
    pub(super) changing: Changing,
    #[command(flatten)]
    pub(super) allow: Allow,
}

#[derive(Debug, Args)]
pub(super) struct Cleanup {
    /// Images, or folders with everything below; the folders of what is named, or the current one, by default
    pub(super) paths: Vec<PathBuf>,
    /// What must go: a view, or an image with all its snapshots
    #[arg(long, value_name = "VIEW|IMAGE")]
    pub(super) delete: Vec<OsString>,
    /// Let only the newest N views stay of each line from a base to an image that nothing is based on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) keep_last: Option<u32>,
    /// Let only views stay that are younger than AGE: a number with m, h, d or w
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(super) older_than: Option<Duration>,
    /// A view that stays, whatever else is said
    #[arg(long, value_name = "VIEW")]
    pub(super) pin: Vec<OsString>,
    #[command(flatten)]
    pub(super) changing: Changing,
    #[command(flatten)]
    pub(super) allow: Allow,
}

#[derive(Debug, Args)]
pub(super) struct Trash {
    #[command(subcommand)]
    pub(super) action: TrashAction,
}

/// What can be done with files in the trash.
#[derive(Debug, Subcommand)]
pub(super) enum TrashAction {
    /// List what is in the trash, and whether it can be brought back
    List {
        /// A folder with everything below, or one file; the current folder by default
        path: Option<PathBuf>,
        /// One JSON document
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        allow: Allow,
    },
    /// Put a file back where it was, as long as what it reads through is unchanged
    Restore {
        /// The path it had, or the one it has in the trash
        path: Option<PathBuf>,
        #[command(flatten)]
        agreeing: Agreeing,
        #[command(flatten)]
        allow: Allow,
    },
    /// Delete what is in the trash, for good
    Empty {
        /// A folder with everything below, or one file; the current folder by default
        path: Option<PathBuf>,
        #[command(flatten)]
        agreeing: Agreeing,
    },
}

/// How what touches no image is agreed to.
#[derive(Debug, Clone, Args)]
pub(super) struct Agreeing {
    /// Say what would be done and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    pub(super) yes: bool,
    /// One JSON document
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Snapshot {
    #[command(subcommand)]
    pub(super) action: SnapshotAction,
}

/// What can be done with internal snapshots.
#[derive(Debug, Subcommand)]
pub(super) enum SnapshotAction {
    /// List the internal snapshots of an image
    List {
        image: PathBuf,
        /// A JSON array with qemu-img's keys
        #[arg(long)]
        json: bool,
        /// The format of the image, instead of looking at its first bytes
        #[arg(short = 'f', value_name = "FMT", value_parser = format)]
        format: Option<Format>,
    },
    /// Record the active state of an image as a new snapshot
    Create {
        image: PathBuf,
        /// Not empty, and not the name of another snapshot of this image
        name: String,
        #[command(flatten)]
        how: How,
    },
    /// Make the active state of an image what a snapshot holds
    Apply {
        image: PathBuf,
        /// Its name, or #ID
        #[arg(value_name = "SNAP")]
        which: String,
        #[command(flatten)]
        how: How,
    },
    /// Remove a snapshot
    Delete {
        image: PathBuf,
        /// Its name, or #ID
        #[arg(value_name = "SNAP")]
        which: String,
        #[command(flatten)]
        how: How,
    },
    /// Give a snapshot another name
    Rename {
        image: PathBuf,
        /// Its name, or #ID
        #[arg(value_name = "SNAP")]
        which: String,
        /// Not empty, and not the name of another snapshot of this image
        #[arg(value_name = "NEWNAME")]
        name: String,
        #[command(flatten)]
        how: How,
    },
}

/// What every change of a known image takes.
#[derive(Debug, Args)]
pub(super) struct How {
    #[command(flatten)]
    pub(super) known: Known,
    #[command(flatten)]
    pub(super) changing: Changing,
    #[command(flatten)]
    pub(super) allow: Allow,
}
