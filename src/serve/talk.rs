//! One connection from its first byte to its last, over anything that reads and writes.

use std::fmt;
use std::io::{self, Read, Write};

use super::handshake::handshake;
use super::transmission::transmit;
use super::{Export, wire};
use crate::text::Shown;

/// What happened on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A client came.
    Connected,
    /// A client came and was sent away: there are as many as may be.
    TurnedAway,
    /// The handshake is over; with structured replies or without.
    Opened {
        /// Whether it understands structured replies.
        structured: bool,
    },
    /// Something could not be read; the client was told.
    ReadFailed(String),
    /// The client left.
    Left,
    /// The connection was ended, for this reason.
    Dropped(String),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => write!(f, "connected"),
            Self::TurnedAway => write!(f, "turned away: too many clients"),
            Self::Opened { structured: true } => write!(f, "reads with structured replies"),
            Self::Opened { structured: false } => write!(f, "reads with simple replies"),
            Self::ReadFailed(why) => write!(f, "got an error: {why}"),
            Self::Left => write!(f, "left"),
            Self::Dropped(why) => write!(f, "dropped: {why}"),
        }
    }
}

/// Leads the connection with one client until it ends, and calls `tell` with what happens.
///
/// Memory stays below 3 MiB, whatever the client sends.
pub fn talk<S: Read + Write>(stream: &mut S, export: &Export, mut tell: impl FnMut(What)) {
    let led = lead(stream, export, &mut tell, |_| Ok(()));
    tell(ended(led));
}

/// The same; between the handshake and everything else `open` prepares the stream.
pub(super) fn lead<S: Read + Write>(
    stream: &mut S,
    export: &Export,
    tell: &mut dyn FnMut(What),
    open: impl FnOnce(&mut S) -> io::Result<()>,
) -> io::Result<()> {
    let Some(session) = handshake(stream, export)? else { return Ok(()) };
    open(stream)?;
    tell(What::Opened { structured: session.structured });
    transmit(stream, export, &session, tell)
}

/// How a connection ended.
pub(super) fn ended(led: io::Result<()>) -> What {
    match led {
        Ok(()) => What::Left,
        // Which of them it is depends on who was faster.
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
            ) =>
        {
            What::Dropped("it left in the middle of a message".to_owned())
        }
        Err(e) => What::Dropped(Shown::new(&e.to_string()).into_string()),
    }
}

/// A failure after which nothing right can be sent ("Request types", `NBD_CMD_READ`: then the server must
/// hang up).
pub(super) fn cut_off(why: &crate::error::Error) -> io::Error {
    wire::violation(format!("a reply that had begun could not be finished: {why}"))
}
