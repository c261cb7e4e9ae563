//! The options of every command. Spellings are a contract: add freely, do not rename.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::error::{Error, Kind};
use crate::image::{Format, Repair};
use crate::plan::HazardKind;

use super::exit::Verb;
use super::values::{NewSize, Watch, When, format, hazard, new_size, repair, size};

/// Tends herds of copy-on-write disk images: qcow2, QED and raw chains as one forest.
#[derive(Debug, Parser)]
#[command(name = "cowherd", version, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = "A view is IMAGE (what a guest reads now), IMAGE@NAME or IMAGE@#ID (an internal \
    snapshot).\nWithout a command, cowherd opens its terminal interface on PATH.")]
pub(super) struct Cli {
    /// Images, or folders with everything below; the current folder by default
    pub(super) paths: Vec<PathBuf>,
    /// Look only: the terminal interface offers nothing that changes an image
    #[arg(long)]
    pub(super) read_only: bool,
    #[command(flatten)]
    pub(super) opening: Allow,
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the forest as text
    Tree(Tree),
    /// Draw the forest as boxes and arrows
    Figure(Figure),
    /// Say what an image is
    Info(Info),
    /// List which part of a view comes from where
    Map(Map),
    /// Count every reference of an image, and repair what is wrong if asked to
    Check(Check),
    /// Compare two views as a guest sees them
    Compare(Compare),
    /// Write a view's bytes to standard output
    Cat(Cat),
    /// Say how large a view would become as a file of its own
    Measure(Measure),
    /// Make a new image
    Create(Create),
    /// Make the disk of an image longer or shorter
    Resize(Resize),
    /// Merge an image down into the one it is based on
    Commit(Commit),
    /// Internal snapshots
    Snapshot(Snapshot),
    /// Build a sample herd and open the terminal interface on it
    Demo(Demo),
    /// Explain a command or a topic: hazards, exit-codes
    Help(Help),
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub(super) struct Global {
    /// Colours: when standard output is a terminal, always, or never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: When,
    /// Draw with plain ASCII characters
    #[arg(long, global = true)]
    pub(super) ascii: bool,
    /// Say nothing that was not asked for
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
}

/// How far names found inside images may lead.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Allow {
    /// Also follow backing files that lie at or below PATH
    #[arg(long, value_name = "PATH")]
    pub(super) allow: Vec<PathBuf>,
}

/// How an image is opened for reading its content.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Reading {
    /// The format of the image, instead of looking at its first bytes
    #[arg(short = 'f', value_name = "FMT", value_parser = format)]
    pub(super) format: Option<Format>,
    /// Read although a process may be writing; the result may be stale
    #[arg(long)]
    pub(super) force_share: bool,
}

#[derive(Debug, Args)]
pub(super) struct Tree {
    /// Images, or folders with everything below; the current folder by default
    pub(super) paths: Vec<PathBuf>,
    /// Also count the bytes that only one image or snapshot holds
    #[arg(long)]
    pub(super) space: bool,
    /// One JSON document with the whole model
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) allow: Allow,
}

#[derive(Debug, Args)]
pub(super) struct Figure {
    /// Images, or folders with everything below; the current folder by default
    pub(super) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) allow: Allow,
}

#[derive(Debug, Args)]
pub(super) struct Info {
    pub(super) image: PathBuf,
    /// Everything below it too, the image itself first
    #[arg(long)]
    pub(super) chain: bool,
    /// One JSON document with qemu-img's keys
    #[arg(long)]
    pub(super) json: bool,
    /// The format of the image, instead of looking at its first bytes
    #[arg(short = 'f', value_name = "FMT", value_parser = format)]
    pub(super) format: Option<Format>,
    #[command(flatten)]
    pub(super) allow: Allow,
}

#[derive(Debug, Args)]
pub(super) struct Map {
    pub(super) view: OsString,
    /// This image alone, without its backing files
    #[arg(long)]
    pub(super) layer: bool,
    /// A JSON array with qemu-img's keys
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) reading: Reading,
    #[command(flatten)]
    pub(super) allow: Allow,
}

#[derive(Debug, Args)]
pub(super) struct Check {
    pub(super) image: PathBuf,
    /// Repair: space that counts as used and is not (leaks), or everything that can be (all)
    #[arg(short = 'r', value_name = "WHAT", value_parser = repair)]
    pub(super) repair: Option<Repair>,
    #[command(flatten)]
    pub(super) reading: Reading,
    #[command(flatten)]
    pub(super) changing: Changing,
}

#[derive(Debug, Args)]
pub(super) struct Compare {
    #[arg(value_name = "VIEW")]
    pub(super) first: OsString,
    #[arg(value_name = "OTHER")]
    pub(super) second: OsString,
    /// One JSON document
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) reading: Reading,
    #[command(flatten)]
    pub(super) allow: Allow,
}

#[derive(Debug, Args)]
pub(super) struct Cat {
    pub(super) view: OsString,
    /// Where to begin
    #[arg(long, value_name = "N", default_value = "0", value_parser = size)]
    pub(super) offset: u64,
    /// How many bytes; to the end by default
    #[arg(long, value_name = "N", value_parser = size)]
    pub(super) length: Option<u64>,
    #[command(flatten)]
    pub(super) reading: Reading,
    #[command(flatten)]
    pub(super) allow: Allow,
}

#[derive(Debug, Args)]
pub(super) struct Measure {
    #[arg(required_unless_present = "size")]
    pub(super) view: Option<OsString>,
    /// An empty disk of N bytes instead of a view
    #[arg(long, value_name = "N", value_parser = size, conflicts_with = "view")]
    pub(super) size: Option<u64>,
    /// The format it would have: raw or qcow2
    #[arg(short = 'O', value_name = "FMT", value_parser = format, default_value = "raw")]
    pub(super) output: Format,
    /// Options of that format, as for create
    #[arg(short = 'o', value_name = "KEY=VALUE", value_delimiter = ',')]
    pub(super) options: Vec<String>,
    /// One JSON document with qemu-img's keys
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) reading: Reading,
    #[command(flatten)]
    pub(super) allow: Allow,
}

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
    /// The image to merge into; its parent, which is also the default
    #[arg(long, short = 'b', value_name = "BASE")]
    pub(super) base: Option<PathBuf>,
    /// Keep TOP's file even when nothing needs it any more
    #[arg(long, conflicts_with = "remove")]
    pub(super) keep: bool,
    /// Move TOP to the trash even when nothing is based on it
    #[arg(long)]
    pub(super) remove: bool,
    #[command(flatten)]
    pub(super) changing: Changing,
    #[command(flatten)]
    pub(super) allow: Allow,
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
    pub(super) changing: Changing,
    #[command(flatten)]
    pub(super) allow: Allow,
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

/// How a snapshot is changed.
#[derive(Debug, Args)]
pub(super) struct How {
    #[command(flatten)]
    pub(super) changing: Changing,
    #[command(flatten)]
    pub(super) allow: Allow,
}

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// An empty or new folder; a temporary one by default
    #[arg(value_name = "DIR")]
    pub(super) folder: Option<PathBuf>,
    /// Only build it
    #[arg(long)]
    pub(super) no_tui: bool,
}

#[derive(Debug, Args)]
pub(super) struct Help {
    /// A command, or one of: hazards, exit-codes
    pub(super) topic: Vec<String>,
}

impl Cli {
    /// Which command it is, as far as exit codes care.
    pub(super) fn verb(&self) -> Verb {
        match self.command {
            Some(Command::Check(_)) => Verb::Check,
            Some(Command::Compare(_)) => Verb::Compare,
            _ => Verb::Other,
        }
    }

    /// A path before a command means that one of the two was not meant.
    pub(super) fn no_stray_paths(&self) -> crate::error::Result<()> {
        match (&self.command, self.paths.first().or(self.opening.allow.first())) {
            (Some(_), Some(path)) => Err(Error::new(Kind::Usage, "a path was given before the command")
                .at(path)
                .remedy("put the command first; a path that is called like a command is written ./NAME")),
            _ => Ok(()),
        }
    }
}
