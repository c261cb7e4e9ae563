//! A small NBD client that says exactly what a test wants said, and checks the form of every answer.

#![allow(dead_code)]

#[path = "messages.rs"]
mod messages;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

pub(crate) use messages::*;

/// What a request came to: the data with the chunks that brought it, or an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) code: u32,
    pub(crate) message: String,
    pub(crate) offset: Option<u64>,
    /// What had come before, in chunks.
    pub(crate) before: Vec<Part>,
}

/// A content chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Data(u64, Vec<u8>),
    Hole(u64, u32),
}

pub(crate) struct Client<S> {
    pub(crate) stream: S,
    pub(crate) structured: bool,
    cookie: u64,
}

impl Client<UnixStream> {
    pub(crate) fn connect(path: &Path) -> Self {
        Self::new(UnixStream::connect(path).unwrap())
    }

    /// Structured replies, these contexts, and into transmission.
    pub(crate) fn opened(path: &Path, queries: &[&str]) -> Self {
        let mut client = Self::connect(path);
        client.open(queries);
        client
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, structured: false, cookie: 0 }
    }

    pub(crate) fn open(&mut self, queries: &[&str]) -> u64 {
        self.hello(3);
        self.structured();
        self.ask(SET_META, &meta_data("", queries));
        self.go("", &[]).0
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Whether the server hung up: an orderly end, or a reset because it left bytes of ours unread.
    pub(crate) fn is_over(&mut self) -> bool {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest);
        rest.is_empty()
    }

    /// The greeting, answered with these flags.
    pub(crate) fn hello(&mut self, flags: u32) {
        assert_eq!(&self.array::<16>(), b"NBDMAGICIHAVEOPT");
        assert_eq!(self.u16(), 3, "fixed newstyle, no zeroes");
        self.send(&flags.to_be_bytes());
    }

    /// An option and all replies to it, the final one last.
    pub(crate) fn ask(&mut self, which: u32, data: &[u8]) -> Vec<(u32, Vec<u8>)> {
        self.send(&option(which, data));
        let mut replies = Vec::new();
        loop {
            assert_eq!(self.u64(), 0x0003_e889_0455_65a9);
            assert_eq!(self.u32(), which);
            let (kind, len) = (self.u32(), self.u32());
            replies.push((kind, self.bytes(len as usize)));
            if kind == ACK || kind >> 31 == 1 {
                return replies;
            }
        }
    }

    /// How an option ended.
    pub(crate) fn verdict(&mut self, which: u32, data: &[u8]) -> u32 {
        self.ask(which, data).last().unwrap().0
    }

    pub(crate) fn structured(&mut self) {
        assert_eq!(self.ask(STRUCTURED, &[]), [(ACK, vec![])]);
        self.structured = true;
    }

    /// Into transmission: size, flags, and everything else that was told.
    pub(crate) fn go(&mut self, name: &str, wanted: &[u16]) -> (u64, u16, Vec<(u16, Vec<u8>)>) {
        let replies = self.ask(GO, &info_data(name, wanted));
        assert_eq!(replies.last().unwrap().0, ACK);
        told(&replies)
    }

    pub(crate) fn request(&mut self, command: u16, flags: u16, offset: u64, length: u32) -> u64 {
        self.cookie += 0x0101_0101_0101;
        self.send(&request(command, flags, self.cookie, offset, length));
        self.cookie
    }

    /// Reads and puts together what came.
    pub(crate) fn read(&mut self, offset: u64, length: u32) -> Result<Vec<u8>, Failed> {
        self.request(READ, 0, offset, length);
        match self.structured {
            false => self.simple(length as usize),
            true => self.parts(offset, length).map(|parts| joined(&parts, offset, length)),
        }
    }

    /// The simple reply to the last request.
    pub(crate) fn simple(&mut self, length: usize) -> Result<Vec<u8>, Failed> {
        assert_eq!(self.u32(), 0x6744_6698);
        let code = self.u32();
        assert_eq!(self.u64(), self.cookie);
        match code {
            0 => Ok(self.bytes(length)),
            code => Err(Failed { code, message: String::new(), offset: None, before: Vec::new() }),
        }
    }

    /// One chunk: whether it is the last one, its kind and its payload.
    pub(crate) fn chunk(&mut self) -> (bool, u16, Vec<u8>) {
        assert_eq!(self.u32(), 0x668e_33ef);
        let (flags, kind) = (self.u16(), self.u16());
        assert_eq!(self.u64(), self.cookie);
        assert!(flags <= 1, "unknown flags of a chunk");
        let len = self.u32();
        (flags == 1, kind, self.bytes(len as usize))
    }

    /// The chunks of content of the last request, which must tile it.
    pub(crate) fn parts(&mut self, offset: u64, length: u32) -> Result<Vec<Part>, Failed> {
        let mut parts = Vec::new();
        loop {
            let (last, kind, payload) = self.chunk();
            let at = || u64::from_be_bytes(payload[..8].try_into().unwrap());
            match kind {
                0 => assert!(last && payload.is_empty()),
                1 => parts.push(Part::Data(at(), payload[8..].to_vec())),
                2 => {
                    assert_eq!(payload.len(), 12);
                    parts.push(Part::Hole(at(), u32::from_be_bytes(payload[8..].try_into().unwrap())));
                }
                _ => {
                    let mut failed = error(kind, &payload);
                    assert!(last, "an error is the last that is sent");
                    let inside = offset..offset + u64::from(length);
                    assert!(failed.offset.is_none_or(|at| inside.contains(&at)), "{failed:?}");
                    failed.before = parts;
                    return Err(failed);
                }
            }
            if last {
                return Ok(parts);
            }
        }
    }

    /// An answer without data.
    pub(crate) fn done(&mut self) -> Result<(), Failed> {
        if !self.structured {
            return self.simple(0).map(drop);
        }
        let (last, kind, payload) = self.chunk();
        assert!(last);
        if kind == 0 { Ok(()) } else { Err(error(kind, &payload)) }
    }

    /// Block status: for each context the descriptors.
    pub(crate) fn status(
        &mut self,
        offset: u64,
        length: u32,
        flags: u16,
        contexts: usize,
    ) -> Result<Vec<Vec<(u32, u32)>>, Failed> {
        self.request(STATUS, flags, offset, length);
        let mut found = vec![Vec::new(); contexts];
        for n in 1.. {
            let (last, kind, payload) = self.chunk();
            if kind != 5 {
                assert!(last && n == 1, "an error comes alone");
                return Err(error(kind, &payload));
            }
            let words: Vec<_> =
                payload.chunks(4).map(|w| u32::from_be_bytes(w.try_into().unwrap())).collect();
            assert!(words.len() >= 3 && words.len() % 2 == 1);
            let id = if contexts == 1 { 0 } else { words[0] as usize };
            assert!(found[id].is_empty(), "one chunk for each context");
            found[id] = words[1..].chunks(2).map(|pair| (pair[0], pair[1])).collect();
            assert_eq!(last, n == contexts);
            if last {
                break;
            }
        }
        Ok(found)
    }

    /// Block status of everything, neighbours joined: start, length, status.
    pub(crate) fn map(&mut self, size: u64, contexts: usize) -> Vec<Vec<(u64, u64, u32)>> {
        let mut all: Vec<Vec<(u64, u64, u32)>> = vec![Vec::new(); contexts];
        for (id, map) in all.iter_mut().enumerate() {
            let mut at = 0;
            while at < size {
                let length = (size - at).min(1 << 30) as u32;
                let found = self.status(at, length, 0, contexts).unwrap();
                for (len, status) in &found[id] {
                    assert!(*len > 0);
                    match map.last_mut() {
                        Some(last) if last.2 == *status => last.1 += u64::from(*len),
                        _ => map.push((at, u64::from(*len), *status)),
                    }
                    at += u64::from(*len);
                }
            }
        }
        all
    }
}

/// What information replies say.
pub(crate) fn told(replies: &[(u32, Vec<u8>)]) -> (u64, u16, Vec<(u16, Vec<u8>)>) {
    let kind = |data: &[u8]| u16::from_be_bytes(data[..2].try_into().unwrap());
    let mut rest: Vec<_> = replies
        .iter()
        .filter(|(reply, _)| *reply == REP_INFO)
        .map(|(_, data)| (kind(data), data[2..].to_vec()))
        .collect();
    let at = rest.iter().position(|(kind, _)| *kind == 0).expect("the size must be told");
    let (_, about) = rest.remove(at);
    assert_eq!(about.len(), 10);
    let size = u64::from_be_bytes(about[..8].try_into().unwrap());
    (size, u16::from_be_bytes(about[8..].try_into().unwrap()), rest)
}

fn error(kind: u16, payload: &[u8]) -> Failed {
    assert!(kind >> 15 == 1, "unexpected chunk {kind}");
    let code = u32::from_be_bytes(payload[..4].try_into().unwrap());
    let len = u16::from_be_bytes(payload[4..6].try_into().unwrap()) as usize;
    let message = String::from_utf8(payload[6..6 + len].to_vec()).unwrap();
    let offset = match kind & 0x7fff {
        1 => None,
        2 => Some(u64::from_be_bytes(payload[6 + len..].try_into().unwrap())),
        _ => panic!("unexpected error chunk {kind}"),
    };
    assert!(code != 0 && !message.chars().any(char::is_control), "{code} {message:?}");
    Failed { code, message, offset, before: Vec::new() }
}

/// The bytes that chunks tell; they must cover everything once.
pub(crate) fn joined(parts: &[Part], offset: u64, length: u32) -> Vec<u8> {
    let mut bytes = vec![0; length as usize];
    let mut seen = vec![false; length as usize];
    for part in parts {
        let (at, len) = match part {
            Part::Data(at, data) => (*at, data.len()),
            Part::Hole(at, len) => (*at, *len as usize),
        };
        assert!(len > 0, "an empty chunk");
        let from = (at - offset) as usize;
        assert!(seen[from..from + len].iter().all(|seen| !seen), "told twice");
        seen[from..from + len].fill(true);
        if let Part::Data(_, data) = part {
            bytes[from..from + len].copy_from_slice(data);
        }
    }
    assert!(seen.iter().all(|seen| *seen), "not everything was told");
    bytes
}
