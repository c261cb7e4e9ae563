//! How much one server gives to all of its clients together.

use std::time::Duration;

/// What clients may take. What a single message may take is fixed: see [`super::MAX_OPTION`] and
/// [`super::MAX_REQUEST`].
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once; further ones are closed as they come.
    pub clients: usize,
    /// Time for the whole handshake, however busy the client keeps it.
    pub handshake: Duration,
    /// Time in which a client must take one piece of a reply (at most 1 MiB and a header).
    pub reply: Duration,
    /// Time that replies under way get when the server stops.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients: 16,
            handshake: Duration::from_secs(10),
            reply: Duration::from_secs(60),
            grace: Duration::from_secs(2),
        }
    }
}
