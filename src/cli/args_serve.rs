//! The options of `serve`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::args::{Allow, Reading};
use super::values::listen_at;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("where").required(true).args(["socket", "tcp"]))]
pub(super) struct Serve {
    pub(super) view: OsString,
    /// Listen on a Unix socket at PATH, which must not exist
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    /// Listen on a TCP port; without ADDR only for this host
    #[arg(long, value_name = "[ADDR:]PORT", value_parser = listen_at)]
    pub(super) tcp: Option<SocketAddr>,
    /// Call the export N as well; without a name it is the one that clients get who ask for none
    #[arg(long, value_name = "N", default_value = "")]
    pub(super) name: String,
    /// How many clients there may be at once; further ones are turned away
    #[arg(long, value_name = "N", default_value = "16", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) max_clients: u16,
    /// This image alone, without its backing files
    #[arg(long)]
    pub(super) layer: bool,
    #[command(flatten)]
    pub(super) reading: Reading,
    #[command(flatten)]
    pub(super) allow: Allow,
}
