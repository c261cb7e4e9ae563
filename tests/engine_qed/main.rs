//! The QED engine against a model, in memory: random writes, zeroes and growth; the image reads as
//! the model says, its check is clean and leaves no leak, and every moment a power cut could leave
//! behind is the old image or the new one, with leaks at worst.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod changes;
#[path = "../common/mod.rs"]
mod common;
mod header;
mod model;
mod repairs;
