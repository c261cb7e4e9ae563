//! The NBD server, asked by a small client of our own: every option and request, clients that are
//! hostile, slow or gone, sockets and signals. What other programs make of it is in `tests/qemu/serving.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::single_range_in_vec_init)]

mod client;
#[path = "../common/mod.rs"]
mod common;
mod handshake;
mod hostile;
mod program;
mod replies;
mod sockets;
mod stage;
