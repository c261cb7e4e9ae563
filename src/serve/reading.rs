//! `NBD_CMD_READ`: the only place where bytes of a view become a reply.

use std::io::{self, Write};

use super::What;
use super::talk::cut_off;
use super::transmission::{CHUNK_HEAD, Replies};
use super::wire::{MAX_REQUEST, Request, chunk, command_flag, errno};
use crate::chain::View;
use crate::error::{Error, Result};
use crate::units::Guest;

/// Most data that is held at once.
const PIECE: usize = 1 << 20;
/// Fewer zeros than this between data are sent as data: a chunk of their own would cost more.
const HOLE: u64 = 4 << 10;
/// What lies before the data in a data chunk: the chunk's head and the offset.
const HEAD: usize = CHUNK_HEAD + 8;
/// The head of a simple reply.
const SIMPLE_HEAD: usize = 16;

/// Answers reads of one client.
pub(super) struct Reader<'a> {
    view: &'a View,
    /// Room for a head, then data. It grows to what the client's requests need.
    buffer: Vec<u8>,
}

/// Whether what was learnt of the view, bytes or only that they are zeros, may be sent. An internal snapshot of
/// an image that a guest runs on is read without a lock, and can be gone by now.
pub(super) fn still_valid(view: &View) -> Result<()> {
    view.still_there()
}

/// What ends a reply early.
enum Trouble {
    /// The image: the client is told.
    Image(Error),
    /// The client: it is gone.
    Client(io::Error),
}

impl From<Error> for Trouble {
    fn from(e: Error) -> Self {
        Self::Image(e)
    }
}

impl From<io::Error> for Trouble {
    fn from(e: io::Error) -> Self {
        Self::Client(e)
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(view: &'a View) -> Self {
        Self { view, buffer: Vec::new() }
    }

    /// Answers one request that lies inside the view.
    pub(super) fn read<S: Write>(
        &mut self,
        to: &mut Replies<'_, S>,
        request: &Request,
        tell: &mut dyn FnMut(What),
    ) -> io::Result<()> {
        let whole = request.flags & command_flag::DF != 0;
        if request.length > MAX_REQUEST || (whole && request.length as usize > PIECE) {
            // Only where it is in chunks there is a word for it.
            let code = if to.structured { errno::EOVERFLOW } else { errno::EINVAL };
            return to.error(code, "too many bytes at once", None);
        }
        match to.structured {
            false => self.simple(to, request, tell),
            true if request.length == 0 => to.chunk(chunk::NONE, true, &[]),
            true => Chunks::new(self, whole, request).send(to, tell),
        }
    }

    /// Appends the `len` bytes that `read` reads to the buffer, which is as before when that fails.
    fn append(&mut self, len: usize, read: impl FnOnce(&View, &mut [u8]) -> Result<()>) -> Result<()> {
        let from = self.buffer.len();
        self.buffer.resize(from + len, 0);
        let done = read(self.view, &mut self.buffer[from..]);
        if done.is_err() {
            self.buffer.truncate(from);
        }
        done
    }

    /// The same for a range, which may be sent afterwards.
    fn piece(&mut self, at: u64, len: usize) -> Result<()> {
        self.append(len, |view, buf| view.read_at(Guest(at), buf).map(drop))?;
        still_valid(self.view)
    }

    /// A simple reply says first whether it succeeded and cannot take that back. What fits the buffer is
    /// read before; for more, everything is read once to see whether it can be, and again to be sent. Only
    /// what fails between the two ends the connection, as the protocol demands.
    fn simple<S: Write>(
        &mut self,
        to: &mut Replies<'_, S>,
        request: &Request,
        tell: &mut dyn FnMut(What),
    ) -> io::Result<()> {
        let pieces = || {
            let (from, len) = (request.offset, request.length as usize);
            (0..len).step_by(PIECE).map(move |by| (from + by as u64, PIECE.min(len - by)))
        };
        self.start(SIMPLE_HEAD);
        let mut at_once = true;
        for (at, len) in pieces() {
            at_once = len == request.length as usize;
            self.buffer.truncate(SIMPLE_HEAD);
            if let Err(e) = self.piece(at, len) {
                return to.failed(&e, None, tell);
            }
        }
        self.buffer[..SIMPLE_HEAD].copy_from_slice(&to.simple(0));
        if at_once {
            return to.send(&self.buffer);
        }
        to.send(&self.buffer[..SIMPLE_HEAD])?;
        for (at, len) in pieces() {
            self.buffer.clear();
            self.piece(at, len).map_err(|e| cut_off(&e))?;
            to.send(&self.buffer)?;
        }
        Ok(())
    }

    fn start(&mut self, head: usize) {
        self.buffer.clear();
        self.buffer.resize(head, 0);
    }
}

/// A structured reply in the making: data in pieces, zeros as holes, in the order of the guest.
///
/// Invariant: the buffer holds a head and the data right before `zeros` zeros, which end at `at`.
struct Chunks<'r, 'a> {
    reader: &'r mut Reader<'a>,
    /// Only one chunk of content may be sent ("Command flags", `NBD_CMD_FLAG_DF`).
    whole: bool,
    at: u64,
    end: u64,
    zeros: u64,
}

impl<'r, 'a> Chunks<'r, 'a> {
    fn new(reader: &'r mut Reader<'a>, whole: bool, request: &Request) -> Self {
        reader.start(HEAD);
        let end = request.offset.saturating_add(request.length.into());
        Self { reader, whole, at: request.offset, end, zeros: 0 }
    }

    fn send<S: Write>(mut self, to: &mut Replies<'_, S>, tell: &mut dyn FnMut(What)) -> io::Result<()> {
        match self.all(to) {
            Ok(()) => Ok(()),
            Err(Trouble::Client(e)) => Err(e),
            Err(Trouble::Image(e)) => self.fail(&e, to, tell),
        }
    }

    fn all<S: Write>(&mut self, to: &mut Replies<'_, S>) -> Result<(), Trouble> {
        let view = self.reader.view;
        let mut cursor = view.cursor();
        while self.at < self.end {
            let run = cursor.extent_at(Guest(self.at), self.end - self.at)?;
            if run.reads_zero() {
                self.zeros += run.len;
                self.at = run.end();
                continue;
            }
            self.settle(to)?;
            let mut skip = 0;
            while skip < run.len {
                let room = self.room(to)?;
                let len = room.min(usize::try_from(run.len - skip).unwrap_or(room));
                self.reader.append(len, |view, buf| view.read_extent(&run, skip, buf))?;
                skip += len as u64;
                self.at += len as u64;
            }
        }
        self.finish(to)
    }

    fn held(&self) -> u64 {
        (self.reader.buffer.len() - HEAD) as u64
    }

    /// How much more the buffer can take, after making room.
    fn room<S: Write>(&mut self, to: &mut Replies<'_, S>) -> Result<usize, Trouble> {
        if self.held() >= PIECE as u64 {
            self.flush_data(to, false)?;
        }
        Ok(PIECE - self.held() as usize)
    }

    /// Data follows: the zeros before it become data or a hole.
    fn settle<S: Write>(&mut self, to: &mut Replies<'_, S>) -> Result<(), Trouble> {
        if !self.whole && (self.zeros >= HOLE || self.held() == 0) {
            if self.held() > 0 {
                self.flush_data(to, false)?;
            }
            return self.flush_zeros(to, false);
        }
        while self.zeros > 0 {
            let room = self.room(to)?;
            let n = room.min(usize::try_from(self.zeros).unwrap_or(room));
            let len = self.reader.buffer.len() + n;
            self.reader.buffer.resize(len, 0);
            self.zeros -= n as u64;
        }
        Ok(())
    }

    /// The last chunk carries the end: everything has been read by now.
    fn finish<S: Write>(&mut self, to: &mut Replies<'_, S>) -> Result<(), Trouble> {
        if self.held() > 0 && (self.whole || self.zeros < HOLE) {
            self.settle(to)?;
        }
        let zeros = self.zeros > 0;
        if self.held() > 0 {
            self.flush_data(to, !zeros)?;
        }
        if zeros { self.flush_zeros(to, true) } else { Ok(()) }
    }

    /// What was read before is sent, unless it is that what is wrong, or there may be only one chunk of it; then
    /// the error.
    fn fail<S: Write>(
        mut self,
        error: &Error,
        to: &mut Replies<'_, S>,
        tell: &mut dyn FnMut(What),
    ) -> io::Result<()> {
        // Where the error is, which must not be told about twice: behind what can be sent.
        let at = self.at;
        if !self.whole && still_valid(self.reader.view).is_ok() {
            if self.held() > 0 {
                self.send_data(to, false)?;
            }
            self.send_zeros(to, false)?;
        }
        to.failed(error, Some(at.min(self.end.saturating_sub(1))), tell)
    }

    fn flush_data<S: Write>(&mut self, to: &mut Replies<'_, S>, last: bool) -> Result<(), Trouble> {
        still_valid(self.reader.view)?;
        Ok(self.send_data(to, last)?)
    }

    fn flush_zeros<S: Write>(&mut self, to: &mut Replies<'_, S>, last: bool) -> Result<(), Trouble> {
        if self.zeros > 0 {
            still_valid(self.reader.view)?;
        }
        Ok(self.send_zeros(to, last)?)
    }

    fn send_data<S: Write>(&mut self, to: &mut Replies<'_, S>, last: bool) -> io::Result<()> {
        let held = self.held();
        // Nothing was read after the zeros, so the data ends where they begin.
        let at = self.at - self.zeros - held;
        let buffer = &mut self.reader.buffer;
        let head = to.head(chunk::OFFSET_DATA, last, buffer.len() - CHUNK_HEAD)?;
        buffer[..CHUNK_HEAD].copy_from_slice(&head);
        buffer[CHUNK_HEAD..HEAD].copy_from_slice(&at.to_be_bytes());
        to.send(buffer)?;
        buffer.truncate(HEAD);
        Ok(())
    }

    fn send_zeros<S: Write>(&mut self, to: &mut Replies<'_, S>, last: bool) -> io::Result<()> {
        if self.zeros == 0 {
            return Ok(());
        }
        let len = u32::try_from(self.zeros).map_err(io::Error::other)?;
        let at = self.at - self.zeros;
        self.zeros = 0;
        to.chunk(chunk::OFFSET_HOLE, last, &[&at.to_be_bytes()[..], &len.to_be_bytes()].concat())
    }
}
