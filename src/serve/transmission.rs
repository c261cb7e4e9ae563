//! The second phase: requests and their replies, one after another ("Transmission").

use std::io::{self, Read, Write};

use super::handshake::Session;
use super::reading::{Reader, still_valid};
use super::wire::{
    MAX_REQUEST, Request, SIMPLE_REPLY, STRUCTURED_REPLY, chunk, command, command_flag, drain, errno,
    violation,
};
use super::{Export, What};
use crate::error::Error;

/// Longest error message; the protocol permits 4096 bytes.
const MAX_MESSAGE: usize = 1024;
/// `NBD_REPLY_FLAG_DONE`.
const DONE: u16 = 1 << 0;
/// Bytes before the payload of a chunk.
pub(super) const CHUNK_HEAD: usize = 20;

/// Answers requests until the client leaves.
pub(super) fn transmit<S: Read + Write>(
    stream: &mut S,
    export: &Export,
    session: &Session,
    tell: &mut dyn FnMut(What),
) -> io::Result<()> {
    let mut reader = Reader::new(export.view());
    while let Some(request) = Request::read(stream)? {
        if request.command == command::DISC {
            return Ok(());
        }
        if request.command == command::WRITE {
            if request.length > MAX_REQUEST {
                return Err(violation(format!("it sent {} bytes to write", request.length)));
            }
            drain(stream, request.length.into())?;
        }
        let mut to = Replies { stream, structured: session.structured, cookie: request.cookie };
        match (allowed(&request, export, session), request.command) {
            (Err((code, message)), _) => to.error(code, message, None)?,
            (Ok(()), command::READ) => reader.read(&mut to, &request, tell)?,
            (Ok(()), _) => block_status(&mut to, &request, export, session, tell)?,
        }
    }
    Ok(())
}

/// Whether a request can be answered; if not, the error and why ("Error values").
fn allowed(request: &Request, export: &Export, session: &Session) -> Result<(), (u32, &'static str)> {
    let flags = match request.command {
        command::WRITE | command::TRIM | command::WRITE_ZEROES => {
            return Err((errno::EPERM, "this export is read-only"));
        }
        command::READ if session.structured => command_flag::DF,
        command::READ => 0,
        command::BLOCK_STATUS if session.contexts.is_empty() => {
            return Err((errno::EINVAL, "no metadata context was chosen"));
        }
        command::BLOCK_STATUS => command_flag::REQ_ONE,
        // Flush and cache were not offered, which makes them as unknown as others.
        _ => return Err((errno::EINVAL, "this server does not know that command")),
    };
    if request.flags & !flags != 0 {
        return Err((errno::EINVAL, "a flag that this command does not have"));
    }
    match request.offset.checked_add(request.length.into()) {
        Some(end) if end <= export.view().size() => Ok(()),
        _ => Err((errno::EINVAL, "beyond the end of the export")),
    }
}

/// One chunk for each context; all of them are made before the first is sent, since an error may only
/// come instead.
fn block_status<S: Write>(
    to: &mut Replies<'_, S>,
    request: &Request,
    export: &Export,
    session: &Session,
    tell: &mut dyn FnMut(What),
) -> io::Result<()> {
    if request.length == 0 {
        return to.error(errno::EINVAL, "no bytes were asked about", None);
    }
    let one = request.flags & command_flag::REQ_ONE != 0;
    let mut chunks = Vec::new();
    for context in &session.contexts {
        let found = context.describe(export.view(), request.offset, request.length, one);
        match found.and_then(|found| still_valid(export.view()).map(|()| found)) {
            Ok(found) => {
                let mut payload = context.id().to_be_bytes().to_vec();
                for (length, status) in found {
                    payload.extend(length.to_be_bytes());
                    payload.extend(status.to_be_bytes());
                }
                chunks.push(payload);
            }
            Err(e) => return to.failed(&e, Some(request.offset), tell),
        }
    }
    let last = chunks.len().saturating_sub(1);
    for (i, payload) in chunks.iter().enumerate() {
        to.chunk(chunk::BLOCK_STATUS, i == last, payload)?;
    }
    Ok(())
}

/// Where the reply to one request goes.
pub(super) struct Replies<'a, S> {
    stream: &'a mut S,
    /// Everything is answered in chunks ("Structured reply chunk message": errors had better be).
    pub(super) structured: bool,
    cookie: u64,
}

impl<S: Write> Replies<'_, S> {
    /// The head of a simple reply.
    pub(super) fn simple(&self, error: u32) -> [u8; 16] {
        let mut head = [0; 16];
        head[..4].copy_from_slice(&SIMPLE_REPLY.to_be_bytes());
        head[4..8].copy_from_slice(&error.to_be_bytes());
        head[8..].copy_from_slice(&self.cookie.to_be_bytes());
        head
    }

    /// The head of a chunk.
    pub(super) fn head(&self, kind: u16, last: bool, payload: usize) -> io::Result<[u8; CHUNK_HEAD]> {
        let len = u32::try_from(payload).map_err(io::Error::other)?;
        let mut head = [0; CHUNK_HEAD];
        head[..4].copy_from_slice(&STRUCTURED_REPLY.to_be_bytes());
        head[4..6].copy_from_slice(&if last { DONE } else { 0 }.to_be_bytes());
        head[6..8].copy_from_slice(&kind.to_be_bytes());
        head[8..16].copy_from_slice(&self.cookie.to_be_bytes());
        head[16..].copy_from_slice(&len.to_be_bytes());
        Ok(head)
    }

    /// A chunk with a small payload.
    pub(super) fn chunk(&mut self, kind: u16, last: bool, payload: &[u8]) -> io::Result<()> {
        let head = self.head(kind, last, payload.len())?;
        self.send(&[&head, payload].concat())
    }

    /// An image could not be read; everybody concerned is told. `at` lies in what was asked for.
    pub(super) fn failed(
        &mut self,
        error: &Error,
        at: Option<u64>,
        tell: &mut dyn FnMut(What),
    ) -> io::Result<()> {
        let text = error.to_string();
        tell(What::ReadFailed(text.clone()));
        self.error(errno::EIO, &text, at)
    }

    /// The final reply to a request that failed.
    pub(super) fn error(&mut self, code: u32, message: &str, at: Option<u64>) -> io::Result<()> {
        if !self.structured {
            let head = self.simple(code);
            return self.send(&head);
        }
        let message = super::export::cut(message.to_owned(), MAX_MESSAGE);
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend(u16::try_from(message.len()).map_err(io::Error::other)?.to_be_bytes());
        payload.extend(message.as_bytes());
        let kind = match at {
            Some(offset) => {
                payload.extend(offset.to_be_bytes());
                chunk::ERROR_OFFSET
            }
            None => chunk::ERROR,
        };
        self.chunk(kind, true, &payload)
    }

    /// Bytes as they are.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }
}
