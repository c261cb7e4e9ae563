//! Where clients come in: a Unix socket that only its owner can open, or a TCP port.

use std::fmt::Write as _;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::socket::Socket;
use crate::error::{Error, Kind, Place, Result};
use crate::storage;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 64;

/// Where a server is to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// At a path that does not exist yet, or is what a server that is gone left behind.
    Unix(PathBuf),
    /// At an address; port 0 is any that is free.
    Tcp(SocketAddr),
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// The absolute path of its socket.
    Unix(PathBuf),
    /// Its address and port.
    Tcp(SocketAddr),
}

impl Address {
    /// The address as clients are given it, with the name of the export, as the document "The NBD Uniform
    /// Resource Indicator (URI) format" has it. Nothing in it needs quoting but by single quotes.
    pub fn uri(&self, export: &str) -> String {
        let export = encoded(export.as_bytes(), b"");
        match self {
            Self::Unix(path) => {
                format!("nbd+unix:///{export}?socket={}", encoded(path.as_os_str().as_bytes(), b"/"))
            }
            Self::Tcp(address) => format!("nbd://{address}/{export}"),
        }
    }
}

/// Percent encoding of all but the unreserved characters (RFC 3986, 2.3) and those in `also`.
fn encoded(bytes: &[u8], also: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(*byte))
            }
            _ if also.contains(byte) => out.push(char::from(*byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

/// A listening socket; a Unix socket's name goes away with it.
#[derive(Debug)]
pub(super) enum Listener {
    Unix(UnixListener, #[expect(dead_code, reason = "held for its drop")] Name),
    Tcp(TcpListener),
}

impl Listener {
    pub(super) fn open(listen: &Listen) -> Result<(Self, Address)> {
        match listen {
            Listen::Unix(path) => {
                let path = std::path::absolute(path).map_err(|e| Error::io("is no path", e).at(path))?;
                let (listener, name) = unix(&path)?;
                Ok((Self::Unix(listener, name), Address::Unix(path)))
            }
            Listen::Tcp(address) => {
                let failed = |e| Error::io(format!("cannot listen at {address}"), e);
                let listener = TcpListener::bind(address).map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?;
                listener.set_nonblocking(true).map_err(failed)?;
                Ok((Self::Tcp(listener), Address::Tcp(address)))
            }
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(listener, _) => listener.as_fd(),
            Self::Tcp(listener) => listener.as_fd(),
        }
    }

    /// The next connection; [`io::ErrorKind::WouldBlock`] when there is none after all.
    pub(super) fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Unix(listener, _) => {
                let (socket, _) = listener.accept()?;
                socket.set_nonblocking(false)?;
                Ok(Socket::Unix(socket))
            }
            Self::Tcp(listener) => {
                let (socket, _) = listener.accept()?;
                socket.set_nonblocking(false)?;
                // "Both the client and the server should": replies are whole messages already.
                socket.set_nodelay(true)?;
                // A client whose machine is gone would keep its place for ever.
                rustix::net::sockopt::set_socket_keepalive(&socket, true)?;
                Ok(Socket::Tcp(socket))
            }
        }
    }
}

/// A socket's name in the file system.
#[derive(Debug)]
pub(super) struct Name {
    path: PathBuf,
    id: (u64, u64),
}

impl Drop for Name {
    fn drop(&mut self) {
        // Whoever put something else there meant it.
        if identity(&self.path).is_some_and(|id| id == self.id) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

fn unix(path: &Path) -> Result<(UnixListener, Name)> {
    let failed = |e: rustix::io::Errno| Error::io("cannot listen there", e.into()).at(path);
    let address = SocketAddrUnix::new(path).map_err(|e| match e {
        rustix::io::Errno::NAMETOOLONG => {
            Error::new(Kind::Usage, "the path of a socket has at most 107 bytes").at(path)
        }
        e => failed(e),
    })?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(failed)?;
    // Linux gives the name the mode of the socket, less the umask. So it is never there with another one,
    // and nothing of the process has to be changed for it.
    storage::owner_only(socket.as_fd()).at(path)?;
    match rustix::net::bind(&socket, &address) {
        Err(rustix::io::Errno::ADDRINUSE) => {
            remove_stale(path)?;
            rustix::net::bind(&socket, &address).map_err(failed)?;
        }
        bound => bound.map_err(failed)?,
    }
    let meta = std::fs::symlink_metadata(path).map_err(|e| Error::io("cannot examine", e).at(path))?;
    let name = Name { path: path.to_path_buf(), id: (meta.dev(), meta.ino()) };
    if meta.mode() & 0o077 != 0 {
        let what = "others could open a socket there: the file system does not keep its mode";
        return Err(Error::unsupported(what).at(path));
    }
    // Nobody is let in before this.
    rustix::net::listen(&socket, BACKLOG).map_err(failed)?;
    Ok((UnixListener::from(socket), name))
}

/// Removes a socket on which nobody listens. Anything else stays.
fn remove_stale(path: &Path) -> Result<()> {
    let before = identity(path);
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    if !is_socket {
        return Err(Error::new(Kind::Exists, "exists and is no socket")
            .at(path)
            .remedy("listen somewhere else"));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(Error::new(Kind::InUse, "somebody listens there already")
            .at(path)
            .remedy("stop it, or listen somewhere else")),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
            // Not one that somebody made since.
            if identity(path) == before {
                std::fs::remove_file(path)
                    .map_err(|e| Error::io("cannot remove the old socket", e).at(path))?;
            }
            Ok(())
        }
        Err(e) => Err(Error::io("a socket is there already, and cannot be asked", e).at(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_shells_and_parsers() {
        let unix = |path: &str, name: &str| Address::Unix(PathBuf::from(path)).uri(name);
        assert_eq!(unix("/run/a.sock", ""), "nbd+unix:///?socket=/run/a.sock");
        assert_eq!(unix("/a b/?&#%'\n", "x/y z"), "nbd+unix:///x%2Fy%20z?socket=/a%20b/%3F%26%23%25%27%0A");
        let tcp = |text: &str| Address::Tcp(text.parse().unwrap()).uri("ü");
        assert_eq!(tcp("127.0.0.1:10809"), "nbd://127.0.0.1:10809/%C3%BC");
        assert_eq!(tcp("[::1]:1"), "nbd://[::1]:1/%C3%BC");
    }
}
