//! A listener, a thread for each client, and their end.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::event::{PollFd, PollFlags, poll};

use super::listen::Listener;
use super::paced::Paced;
use super::socket::Socket;
use super::talk::{ended, lead};
use super::{Address, Export, Limits, Listen, What};
use crate::error::{Error, Result};

/// Events that wait to be fetched; more are lost.
const EVENTS: usize = 1024;
/// How long no connection is accepted when the process has no descriptors or memory left for one.
const BREATHER: Duration = Duration::from_millis(100);

/// Something that happened to one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which one, counted from 1.
    pub client: u64,
    /// What.
    pub what: What,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {}: {}", self.client, self.what)
    }
}

/// A running server. It ends when it is stopped or dropped.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    address: Address,
    events: Receiver<Event>,
    wake: UnixStream,
    acceptor: Option<JoinHandle<()>>,
}

/// What all threads of a server see.
#[derive(Debug)]
struct Shared {
    export: Export,
    limits: Limits,
    stopping: Arc<AtomicBool>,
    clients: Mutex<BTreeMap<u64, Socket>>,
    /// A client left.
    left: Condvar,
    tell: Sender<Event>,
}

impl Server {
    /// Serves a view until it is stopped: from now on clients can connect.
    ///
    /// Whoever can connect can read all of it; nothing is encrypted. A Unix socket is for its owner alone.
    /// Fails when nobody can listen there; an image that cannot be read is an error of the client that
    /// tries.
    pub fn start(export: Export, listen: &Listen, limits: Limits) -> Result<Self> {
        let (listener, address) = Listener::open(listen)?;
        let failed = |e| Error::io("cannot start a server", e);
        let (wake, woken) = UnixStream::pair().map_err(failed)?;
        let (tell, events) = bounded(EVENTS);
        let shared = Arc::new(Shared {
            export,
            limits,
            stopping: Arc::default(),
            clients: Mutex::default(),
            left: Condvar::new(),
            tell,
        });
        let of_thread = shared.clone();
        let accept = move || of_thread.accept(&listener, &woken);
        let acceptor = Builder::new().name("nbd-accept".to_owned()).spawn(accept).map_err(failed)?;
        Ok(Self { shared, address, events, wake, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The address as a client is given it.
    pub fn uri(&self) -> String {
        self.address.uri(self.shared.export.name())
    }

    /// How many clients are connected.
    pub fn clients(&self) -> usize {
        self.shared.clients().len()
    }

    /// What happens, from here on. Who does not fetch it loses it.
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    /// Takes no more clients, lets replies under way be finished within [`Limits::grace`], and ends all
    /// connections. The name of the socket is gone afterwards.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(acceptor) = self.acceptor.take() else { return };
        self.shared.stopping.store(true, Ordering::Release);
        // Its other end is readable then.
        let _ = self.wake.shutdown(Shutdown::Both);
        // It cannot have panicked, and there is nobody to tell.
        let _ = acceptor.join();
        let shared = &self.shared;
        // Who waits for a request gets none any more ("Terminating the transmission phase").
        shared.clients().values().for_each(|socket| socket.shutdown(Shutdown::Read));
        let until = Instant::now().checked_add(shared.limits.grace);
        let mut clients = shared.clients();
        while !clients.is_empty() {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                break;
            }
            let wait = shared.left.wait_timeout(clients, left.unwrap_or(Duration::MAX));
            clients = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        clients.values().for_each(|socket| socket.shutdown(Shutdown::Both));
        // What is left is reading an image, which ends.
        while !clients.is_empty() {
            clients = shared.left.wait(clients).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn clients(&self) -> MutexGuard<'_, BTreeMap<u64, Socket>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, client: u64, what: What) {
        // A server does not wait for whoever watches it.
        let _ = self.tell.try_send(Event { client, what });
    }

    fn accept(self: &Arc<Self>, listener: &Listener, woken: &UnixStream) {
        let mut number = 0;
        while !self.stopping.load(Ordering::Acquire) {
            let mut fds = [
                PollFd::from_borrowed_fd(listener.fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(woken.as_fd(), PollFlags::IN),
            ];
            // What fails here fails again in accept, or was a signal.
            let _ = poll(&mut fds, None);
            match listener.accept() {
                Ok(socket) => {
                    number += 1;
                    self.admit(number, socket);
                }
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => std::thread::sleep(BREATHER),
            }
        }
    }

    /// Gives a client a thread of its own, or closes the connection.
    fn admit(self: &Arc<Self>, number: u64, socket: Socket) {
        let mut clients = self.clients();
        if clients.len() >= self.limits.clients {
            return self.tell(number, What::TurnedAway);
        }
        let Ok(handle) = socket.again() else { return self.tell(number, What::TurnedAway) };
        self.tell(number, What::Connected);
        clients.insert(number, handle);
        drop(clients);
        let place = Place { shared: self.clone(), number };
        let client = move || place.serve(socket);
        // Without a thread the place is given back at once.
        let _ = Builder::new().name(format!("nbd-client-{number}")).spawn(client);
    }
}

/// A client's place among the others; given back when it is dropped, whatever happened.
struct Place {
    shared: Arc<Shared>,
    number: u64,
}

impl Place {
    fn serve(self, socket: Socket) {
        let Shared { export, limits, stopping, .. } = &*self.shared;
        let mut tell = |what| self.shared.tell(self.number, what);
        let mut paced = Paced::new(socket, limits.handshake, limits.reply, stopping.clone());
        let led = catch_unwind(AssertUnwindSafe(|| lead(&mut paced, export, &mut tell, Paced::unhurried)));
        // What panicked was about this client's requests; the others have their own.
        let led = led.unwrap_or_else(|_| Err(io::Error::other("a defect in cowherd")));
        tell(ended(led));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let gone = self.shared.clients().remove(&self.number);
        if let Some(socket) = gone {
            // The other handle may still be open.
            socket.shutdown(Shutdown::Both);
        }
        self.shared.left.notify_all();
    }
}
