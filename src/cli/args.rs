//! The options of every command; those of commands that change images lie in `args_change`.
//! Spellings are a contract: add freely, do not rename.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::error::{Error, Kind};
use crate::image::{Format, Repair};

pub(super) use super::args_change::{
    Agreeing, Changing, Cleanup, Commit, Compact, Convert, Create, Delete, Export, How, Import, Overlay,
    Pull, Rebase, Recover, Rename, Resize, Revert, Snapshot, SnapshotAction, Trash, TrashAction,
};
pub(super) use super::args_serve::Serve;
use super::exit::Verb;
pub(super) use super::values::ExportFormat;
use super::values::{When, format, repair, size};

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
    /// List where a view is not what an older one is
    ///
    /// What lies at one place of one file is equal without being read, and so is what both leave out; only where
    /// that does not decide is content compared.
    Diff(Diff),
    /// Write a view's bytes to standard output
    Cat(Cat),
    /// Let others read a view as a disk: a read-only NBD server
    ///
    /// It runs until SIGINT or SIGTERM, and several programs can read at once. Who can connect can read all of
    /// the view, and nothing is encrypted. A socket is for its owner alone; a port is for everybody on
    /// this host, or, with an address, for whoever reaches that.
    Serve(Serve),
    /// Say how large a view would become as a file of its own: exactly if nothing is compressed, at
    /// most otherwise
    Measure(Measure),
    /// Make a new image
    Create(Create),
    /// Make the disk of an image longer or shorter
    Resize(Resize),
    /// Finish, or undo, what was interrupted
    Recover(Recover),
    /// Merge an image, and the layers between, down into a layer below it
    Commit(Commit),
    /// Merge the layers below up into an image
    Pull(Pull),
    /// Base an image on another one, or on nothing; no view changes
    Rebase(Rebase),
    /// External snapshot: a new, empty image on top of another one
    Overlay(Overlay),
    /// Give an image another name, also in the images based on it
    Rename(Rename),
    /// Take one layer out of its chain; what is based on it reads as before
    Delete(Delete),
    /// Throw the changes of an overlay away: back to the external snapshot
    Revert(Revert),
    /// Give what is free in an image back to the host, in place; no view changes
    ///
    /// What lies at the end of the file moves into free space further down, the file is cut, and holes are
    /// punched. Compressed clusters, and data under LUKS, stay where they are; what is free between them
    /// goes back all the same. The data file of an image that has one is left alone.
    Compact(Compact),
    /// Make an image one of another format in place, without a copy of the disk; no view changes
    ///
    /// QED, qcow2 and raw become one another; a qcow2 image another version, or one with refcounts of another
    /// width. New metadata is laid over the data that is there, and one sector switches to it. To raw, data
    /// moves to its guest offset. What the new format cannot hold is named, with the command that moves it out.
    Convert(Convert),
    /// Write a view, or what differs between two views, into an image of its own
    ///
    /// An internal snapshot can be exported while a guest runs on its image. With --chain every view of an
    /// image and of all that it is based on becomes a file based on the one before it, oldest first.
    Export(Export),
    /// Make one image of a chain of files: what each layer shows becomes an internal snapshot
    Import(Import),
    /// Internal snapshots
    Snapshot(Snapshot),
    /// Take what is not needed out of a herd, by the cheapest safe way; no other view changes
    ///
    /// Without a wish it says of every image whether it is in use, needed or free to go, and why, and what could be
    /// done about what was lost or left over. With wishes it makes one plan of them: what is read of the layers
    /// that go is pulled up or merged down, whichever writes less.
    Cleanup(Cleanup),
    /// What operations moved to the trash: list it, bring it back, delete it for good
    Trash(Trash),
    /// Build a sample herd and open the terminal interface on it
    Demo(Demo),
    /// Explain a command or a topic: hazards, exit-codes, keys
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
    /// Say on standard error what is done, a line for each step
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(super) verbose: bool,
}

/// How far names found inside images may lead.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Allow {
    /// Also follow backing files that lie at or below PATH
    #[arg(long, value_name = "PATH")]
    pub(super) allow: Vec<PathBuf>,
}

/// What is known of the image that a command changes.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Known {
    /// The format of the image; refused when its first bytes say something else
    #[arg(short = 'f', value_name = "FMT", value_parser = format)]
    pub(super) format: Option<Format>,
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
    #[command(flatten)]
    pub(super) allow: Allow,
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
pub(super) struct Diff {
    /// What it is now
    pub(super) new: OsString,
    /// What it was
    pub(super) old: OsString,
    /// Read no data: what lies in two places counts as different
    #[arg(long)]
    pub(super) unread: bool,
    /// A JSON array of ranges
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
    /// The format it would have: raw, qcow2 or qed
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
    /// A command, or one of: hazards, exit-codes, keys
    pub(super) topic: Vec<String>,
}

impl Cli {
    /// Which command it is, as far as exit codes care.
    pub(super) fn verb(&self) -> Verb {
        match self.command {
            Some(Command::Check(_)) => Verb::Check,
            Some(Command::Compare(_) | Command::Diff(_)) => Verb::Compare,
            _ => Verb::Other,
        }
    }

    /// Where `--allow` of the command is kept, when it has one.
    pub(super) fn allow(&mut self) -> Option<&mut Allow> {
        let Some(command) = &mut self.command else { return Some(&mut self.opening) };
        Some(match command {
            Command::Tree(args) => &mut args.allow,
            Command::Figure(args) => &mut args.allow,
            Command::Info(args) => &mut args.allow,
            Command::Map(args) => &mut args.allow,
            Command::Check(args) => &mut args.allow,
            Command::Compare(args) => &mut args.allow,
            Command::Diff(args) => &mut args.allow,
            Command::Cat(args) => &mut args.allow,
            Command::Serve(args) => &mut args.allow,
            Command::Measure(args) => &mut args.allow,
            Command::Create(args) => &mut args.allow,
            Command::Resize(args) => &mut args.how.allow,
            Command::Recover(args) => &mut args.allow,
            Command::Commit(args) => &mut args.how.allow,
            Command::Pull(args) => &mut args.how.allow,
            Command::Rebase(args) => &mut args.how.allow,
            Command::Overlay(args) => &mut args.allow,
            Command::Rename(args) => &mut args.how.allow,
            Command::Delete(args) => &mut args.how.allow,
            Command::Revert(args) => &mut args.how.allow,
            Command::Compact(args) => &mut args.how.allow,
            Command::Convert(args) => &mut args.how.allow,
            Command::Export(args) => &mut args.how.allow,
            Command::Import(args) => &mut args.how.allow,
            Command::Cleanup(args) => &mut args.allow,
            Command::Snapshot(args) => match &mut args.action {
                SnapshotAction::Create { how, .. }
                | SnapshotAction::Apply { how, .. }
                | SnapshotAction::Delete { how, .. }
                | SnapshotAction::Rename { how, .. } => &mut how.allow,
                SnapshotAction::List { .. } => return None,
            },
            Command::Trash(args) => match &mut args.action {
                TrashAction::List { allow, .. } | TrashAction::Restore { allow, .. } => allow,
                TrashAction::Empty { .. } => return None,
            },
            Command::Demo(_) | Command::Help(_) => return None,
        })
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
