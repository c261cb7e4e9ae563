//! A connection on which nobody can make us wait for ever.
//!
//! The handshake has one deadline for all of it: a limit for each read would let a client that sends a
//! byte now and then hold its place. Afterwards a client may be idle for as long as it likes, but what is
//! sent to it must be taken in time.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::socket::Socket;

/// A socket with deadlines.
pub(super) struct Paced {
    socket: Socket,
    /// When the handshake must be over; `None` after it.
    handshake: Option<Instant>,
    /// Time for each message that is sent.
    reply: Duration,
    /// The server stops: no further request is read.
    stopping: Arc<AtomicBool>,
}

impl Paced {
    pub(super) fn new(
        socket: Socket,
        handshake: Duration,
        reply: Duration,
        stopping: Arc<AtomicBool>,
    ) -> Self {
        // A time that cannot be counted is as good as none.
        Self { socket, handshake: Instant::now().checked_add(handshake), reply, stopping }
    }

    /// The handshake is over.
    pub(super) fn unhurried(&mut self) -> io::Result<()> {
        self.handshake = None;
        self.socket.read_within(None)
    }
}

/// What is left until `deadline`; an error when nothing is.
fn left(deadline: Instant, what: &str) -> io::Result<Duration> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::Error::new(io::ErrorKind::TimedOut, what)),
        left => Ok(left),
    }
}

/// A call that waited as long as it may; the next look at the clock tells.
fn timed_out(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

const SLOW_HANDSHAKE: &str = "the handshake took too long";
const SLOW_READER: &str = "it did not take what was sent to it";

impl Read for Paced {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.stopping.load(Ordering::Acquire) {
                return Ok(0);
            }
            if let Some(deadline) = self.handshake {
                self.socket.read_within(Some(left(deadline, SLOW_HANDSHAKE)?))?;
            }
            match (&self.socket).read(buf) {
                Err(e) if timed_out(&e) => {}
                done => return done,
            }
        }
    }
}

impl Write for Paced {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_all(buf).map(|()| buf.len())
    }

    fn write_all(&mut self, mut buf: &[u8]) -> io::Result<()> {
        let own = Instant::now().checked_add(self.reply);
        while !buf.is_empty() {
            let mut time = None;
            for (deadline, what) in [(own, SLOW_READER), (self.handshake, SLOW_HANDSHAKE)] {
                let left = deadline.map(|deadline| left(deadline, what)).transpose()?;
                time = time.into_iter().chain(left).min();
            }
            self.socket.write_within(time)?;
            match (&self.socket).write(buf) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => buf = buf.get(n..).unwrap_or_default(),
                Err(e) if timed_out(&e) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
