//! Serving a view to others: a read-only NBD server.
//!
//! Any view (the active state of an image or one of its internal snapshots, through its whole chain)
//! becomes a disk that NBD clients can read: `qemu-img`, `nbdcopy`, the kernel. The protocol is that of
//! the NBD protocol document, `doc/proto.md` of the NetworkBlockDevice project; its sections are cited by
//! their titles.
//!
//! This floor never writes to an image and never opens one: whoever starts a [`Server`] brings the [`View`],
//! with the locks it holds. A client is hostile until it is gone: what it sends is checked before memory is
//! taken for it, what it makes us wait for has an end, and nothing that it does reaches another client.
//!
//! A connection has two phases, [`handshake`] and [`transmission`], and knows nothing of sockets:
//! [`talk`] leads it over anything that reads and writes. Sockets, threads and clocks are in
//! [`server`], [`listen`] and [`paced`].
//!
//! ```no_run
//! use cowherd::chain::{Opener, ViewSpec};
//! use cowherd::serve::{Export, Limits, Listen, Server};
//!
//! let spec = ViewSpec::parse("top.qcow2@sn0".as_ref());
//! let view = Opener::for_path(&spec.path).open_view(&spec)?;
//! let server = Server::start(Export::new(view), &Listen::Unix("sn0.sock".into()), Limits::default())?;
//! println!("serving at {}", server.uri());
//! server.stop();
//! # Ok::<(), cowherd::error::Error>(())
//! ```
//!
//! [`View`]: crate::chain::View

mod contexts;
mod export;
mod handshake;
mod limits;
mod listen;
mod options;
mod paced;
mod reading;
mod server;
mod socket;
mod talk;
mod transmission;
mod wire;

pub use export::Export;
pub use limits::Limits;
pub use listen::{Address, Listen};
pub use server::{Event, Server};
pub use talk::{What, talk};
pub use wire::{MAX_NAME, MAX_OPTION, MAX_REQUEST};
