//! **cowherd** tends herds of copy-on-write disk images.
//!
//! It shows every image of a folder as one forest (backing files, overlays, internal snapshots) and
//! changes it safely. One promise holds for every operation, at every instant, whatever is killed:
//!
//! > A *view* never changes unless you named it.
//!
//! A view is what a guest would read from one image at one point in time: the active state of an
//! image, or one of its internal snapshots, through its whole backing chain.
//!
//! # The house
//!
//! Each floor imports only floors below it; `tests/layers.rs` enforces the rule.
//!
//! | floor | concern |
//! |---|---|
//! | [`tui`], [`cli`] | faces: both speak plan, job, forest and chain; neither touches bytes |
//! | [`job`] | doing it: worker thread, locks, progress, cancel, trash |
//! | [`plan`] | what will happen: steps, cost, hazards, the forest after; writes nothing |
//! | [`forest`] | many images: scan, edges, problems, the figure |
//! | [`serve`] | one view for others: a read-only NBD server |
//! | [`stream`] | one view for other systems: the stream that Ceph's RBD imports |
//! | [`chain`] | one stack: views, extents, reading, comparing, the gate |
//! | [`image`] | one file: raw, QED, qcow2; tables, allocation, check |
//! | [`storage`] | bytes: real file, memory, recorder, locks |
//!
//! [`error`], [`text`], [`units`] and [`config`] lie under all of them.

pub mod chain;
pub mod cli;
pub mod config;
pub mod error;
pub mod forest;
pub mod image;
pub mod job;
pub mod plan;
pub mod serve;
pub mod storage;
pub mod stream;
pub mod text;
pub mod tui;
pub mod units;
mod wire;
