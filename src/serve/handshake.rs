//! The first phase: which export, and in which way ("Fixed newstyle negotiation").

use std::io::{self, Read, Write};

use super::Export;
use super::contexts::Context;
use super::options::{ContextsOf, InfoOf, Refusal};
use super::wire::{
    IHAVEOPT, MAX_OPTION, NBDMAGIC, OPTION_REPLY, handshake_flag, info, option, reply, violation,
};

/// What both sides agreed on.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Replies come in chunks.
    pub(super) structured: bool,
    /// What block status is told about.
    pub(super) contexts: Vec<Context>,
}

/// What the client has asked for so far.
#[derive(Default)]
struct Haggling {
    /// It understands replies to options.
    fixed: bool,
    no_zeroes: bool,
    session: Session,
    /// For which export the contexts were chosen; another one has none ("Option types",
    /// `NBD_OPT_SET_META_CONTEXT`).
    contexts_of: Vec<u8>,
}

/// What follows an option.
enum Next {
    Option,
    Transmission,
    Goodbye,
}

/// Leads the client through its options. `None` when it took its leave.
///
/// Fails when the client breaks a rule for which there is no answer, or wants an export that does not
/// exist in the one way that leaves no answer.
pub(super) fn handshake<S: Read + Write>(stream: &mut S, export: &Export) -> io::Result<Option<Session>> {
    let offered = handshake_flag::FIXED_NEWSTYLE | handshake_flag::NO_ZEROES;
    let mut hello = Vec::new();
    hello.extend(NBDMAGIC.to_be_bytes());
    hello.extend(IHAVEOPT.to_be_bytes());
    hello.extend(offered.to_be_bytes());
    send(stream, &hello)?;

    let flags = u32::from_be_bytes(array(stream)?);
    if flags & !u32::from(offered) != 0 {
        return Err(violation("it sent unknown flags"));
    }
    let has = |flag: u16| flags & u32::from(flag) != 0;
    let mut haggling = Haggling {
        fixed: has(handshake_flag::FIXED_NEWSTYLE),
        no_zeroes: has(handshake_flag::NO_ZEROES),
        ..Haggling::default()
    };
    loop {
        let (option, data) = next_option(stream)?;
        match haggling.answer(stream, export, option, &data)? {
            Next::Option => {}
            Next::Transmission => return Ok(Some(haggling.session)),
            Next::Goodbye => return Ok(None),
        }
    }
}

/// An option and its data.
fn next_option(stream: &mut impl Read) -> io::Result<(u32, Vec<u8>)> {
    if u64::from_be_bytes(array(stream)?) != IHAVEOPT {
        return Err(violation("what was sent is no option"));
    }
    let option = u32::from_be_bytes(array(stream)?);
    let len = u32::from_be_bytes(array(stream)?) as usize;
    if len > MAX_OPTION {
        return Err(violation(format!("option {option} has {len} bytes of data")));
    }
    let mut data = vec![0; len];
    stream.read_exact(&mut data)?;
    Ok((option, data))
}

impl Haggling {
    fn answer<S: Write>(
        &mut self,
        stream: &mut S,
        export: &Export,
        option: u32,
        data: &[u8],
    ) -> io::Result<Next> {
        if option == option::EXPORT_NAME {
            return self.export_name(stream, export, data);
        }
        if !self.fixed {
            // It would take an answer for something else ("Newstyle negotiation").
            return Err(violation("it sent an option that takes fixed newstyle, which it did not ask for"));
        }
        let mut to = Answer { stream, option };
        match option {
            option::ABORT => {
                // It may have gone without waiting for this.
                let _ = to.ack();
                return Ok(Next::Goodbye);
            }
            option::LIST | option::STRUCTURED_REPLY if !data.is_empty() => {
                to.error(reply::ERR_INVALID, "this option has no data")?;
            }
            option::LIST => {
                let len = u32::try_from(export.name().len()).unwrap_or(0);
                let entry = [&len.to_be_bytes(), export.name().as_bytes(), export.description().as_bytes()];
                to.send(reply::SERVER, &entry.concat())?;
                to.ack()?;
            }
            option::STRUCTURED_REPLY => {
                self.session.structured = true;
                to.ack()?;
            }
            option::INFO | option::GO => {
                if self.info(&mut to, export, data)? && option == option::GO {
                    return Ok(Next::Transmission);
                }
            }
            option::LIST_META_CONTEXT | option::SET_META_CONTEXT => {
                self.meta_contexts(&mut to, export, data)?;
            }
            // TLS ("NOTLS mode") and the extended headers are among them.
            _ => to.error(reply::ERR_UNSUP, "this server does not know that option")?,
        }
        Ok(Next::Option)
    }

    /// The old way into transmission, which has no answer but hanging up for what cannot be.
    fn export_name<S: Write>(&mut self, stream: &mut S, export: &Export, name: &[u8]) -> io::Result<Next> {
        if !export.is_called(name) {
            return Err(violation("it asked for an export that there is not"));
        }
        self.settle(name);
        let mut data = Vec::new();
        data.extend(export.view().size().to_be_bytes());
        data.extend(export.flags(self.session.structured).to_be_bytes());
        if !self.no_zeroes {
            data.extend([0; 124]);
        }
        send(stream, &data)?;
        Ok(Next::Transmission)
    }

    /// Whether the export is one that can be opened, after telling about it.
    fn info<S: Write>(&mut self, to: &mut Answer<'_, S>, export: &Export, data: &[u8]) -> io::Result<bool> {
        let asked = match InfoOf::parse(data) {
            Ok(asked) => asked,
            Err(refusal) => return to.refuse(&refusal).map(|()| false),
        };
        if !export.is_called(asked.name) {
            to.error(reply::ERR_UNKNOWN, "there is no such export")?;
            return Ok(false);
        }
        let mut about = info::EXPORT.to_be_bytes().to_vec();
        about.extend(export.view().size().to_be_bytes());
        about.extend(export.flags(self.session.structured).to_be_bytes());
        to.send(reply::INFO, &about)?;
        // Told once, and only when it was asked for: others may not know it.
        for kind in [info::NAME, info::DESCRIPTION, info::BLOCK_SIZE] {
            if !asked.wanted.contains(&kind) {
                continue;
            }
            let mut about = kind.to_be_bytes().to_vec();
            match kind {
                info::NAME => about.extend(export.name().as_bytes()),
                info::DESCRIPTION => about.extend(export.description().as_bytes()),
                _ => export.sizes().iter().for_each(|size| about.extend(size.to_be_bytes())),
            }
            to.send(reply::INFO, &about)?;
        }
        if to.option == option::GO {
            self.settle(asked.name);
        }
        to.ack()?;
        Ok(true)
    }

    fn meta_contexts<S: Write>(
        &mut self,
        to: &mut Answer<'_, S>,
        export: &Export,
        data: &[u8],
    ) -> io::Result<()> {
        let listing = to.option == option::LIST_META_CONTEXT;
        if !listing {
            // Also when this fails, what was chosen before is no longer.
            self.session.contexts.clear();
            if !self.session.structured {
                return to.error(reply::ERR_INVALID, "structured replies come first");
            }
        }
        let asked = match ContextsOf::parse(data) {
            Ok(asked) => asked,
            Err(refusal) => return to.refuse(&refusal),
        };
        if !export.is_called(asked.name) {
            return to.error(reply::ERR_UNKNOWN, "there is no such export");
        }
        let everything = listing && asked.queries.is_empty();
        let meant = |context: &Context| {
            everything || asked.queries.iter().any(|query| context.is_meant(query, listing))
        };
        let contexts: Vec<_> = Context::ALL.into_iter().filter(meant).collect();
        for context in &contexts {
            let id = if listing { 0 } else { context.id() };
            to.send(reply::META_CONTEXT, &[&id.to_be_bytes(), context.name().as_bytes()].concat())?;
        }
        if !listing {
            self.session.contexts = contexts;
            self.contexts_of = asked.name.to_vec();
        }
        to.ack()
    }

    /// The export is chosen; contexts that were chosen for another one are void.
    fn settle(&mut self, name: &[u8]) {
        if name != self.contexts_of {
            self.session.contexts.clear();
        }
    }
}

/// Where the answer to an option goes.
struct Answer<'a, S> {
    stream: &'a mut S,
    option: u32,
}

impl<S: Write> Answer<'_, S> {
    fn send(&mut self, kind: u32, data: &[u8]) -> io::Result<()> {
        let mut message = OPTION_REPLY.to_be_bytes().to_vec();
        message.extend(self.option.to_be_bytes());
        message.extend(kind.to_be_bytes());
        message.extend(u32::try_from(data.len()).map_err(io::Error::other)?.to_be_bytes());
        message.extend(data);
        send(self.stream, &message)
    }

    fn ack(&mut self) -> io::Result<()> {
        self.send(reply::ACK, &[])
    }

    fn error(&mut self, kind: u32, message: &str) -> io::Result<()> {
        self.send(kind, message.as_bytes())
    }

    fn refuse(&mut self, refusal: &Refusal) -> io::Result<()> {
        match refusal {
            Refusal::Invalid => self.error(reply::ERR_INVALID, "the lengths in it contradict each other"),
            Refusal::TooLong => self.error(reply::ERR_TOO_BIG, "a string in it is too long"),
        }
    }
}

fn send(stream: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}

fn array<const N: usize>(stream: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
