//! A connected socket of either kind.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A connection.
#[derive(Debug)]
pub(super) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

macro_rules! each {
    ($of:expr, $socket:ident => $do:expr) => {
        match $of {
            Socket::Unix($socket) => $do,
            Socket::Tcp($socket) => $do,
        }
    };
}

impl Socket {
    /// A second handle of the same connection.
    pub(super) fn again(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Unix(socket) => Self::Unix(socket.try_clone()?),
            Self::Tcp(socket) => Self::Tcp(socket.try_clone()?),
        })
    }

    pub(super) fn read_within(&self, time: Option<Duration>) -> io::Result<()> {
        each!(self, socket => socket.set_read_timeout(time))
    }

    pub(super) fn write_within(&self, time: Option<Duration>) -> io::Result<()> {
        each!(self, socket => socket.set_write_timeout(time))
    }

    /// Wakes whoever waits for the connection. It may be over already.
    pub(super) fn shutdown(&self, how: Shutdown) {
        let _ = each!(self, socket => socket.shutdown(how));
    }
}

impl Read for &Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        each!(self, socket => { let mut socket = socket; socket.read(buf) })
    }
}

impl Write for &Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        each!(self, socket => { let mut socket = socket; socket.write(buf) })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
