//! The terminal face: journeys of keys and screens, sizes, pictures, and the real program in a
//! pseudo-terminal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

mod cleaning;
#[path = "../common/mod.rs"]
mod common;
mod files;
mod herd;
mod journeys;
mod manners;
mod pictures;
mod png;
mod pty;
mod readme;
mod real;
mod screens;
mod sizes;
mod stage;
mod svg;
