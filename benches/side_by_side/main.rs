//! Side by side with qemu-img, in one run on one machine: `cargo bench`, or `cargo bench -- NAME` for
//! the benches whose name contains NAME.
//!
//! Each side runs the command that an operator would type, as a process of its own, on files that
//! are in the page cache. The sides take turns; the first round only warms up, and there both must
//! come to the same verdict, because a fast wrong answer is worth nothing. Only the ratios travel to
//! other machines.
//!
//! | file | concern |
//! |---|---|
//! | `duel` | two sides taking turns, the clock, the report |
//! | `images` | what the images hold, and how they are made |
//! | `verdict` | that both sides say the same |
//! | `between` | how much memory a command takes |
//! | `place` | the file system, with or without shared blocks |
//! | `herd` | a chain that operations change |
//! | `scan`, `metadata`, `compare`, `commit`, `changes`, `snapshots`, `export`, `convert` | the benches |
//!
//! Benches whose name begins with `xfs` make a file system in a file, which takes root and mkfs.xfs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod between;
mod changes;
mod commit;
mod compare;
mod convert;
mod duel;
mod export;
mod herd;
mod images;
mod metadata;
mod place;
mod scan;
mod snapshots;
mod verdict;

use std::process::ExitCode;

use place::Place;

/// A bench, and what it takes.
enum Bench {
    Plain(fn()),
    /// On the usual file system, or (by name) on one that shares blocks.
    Placed(fn(Place)),
}

fn main() -> ExitCode {
    if let Some(end) = between::stand_between() {
        return end;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs this too; a measurement is not a test.
    if !arguments.iter().any(|a| a == "--bench") {
        println!("side_by_side: measures only under cargo bench");
        return ExitCode::SUCCESS;
    }
    if let Some(end) = place::apart() {
        return end;
    }
    if !duel::has_qemu() {
        println!("qemu-img is not installed: cowherd's own times follow, and no ratios");
    }
    let wanted: Vec<_> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    use Bench::{Placed, Plain};
    let benches = [
        ("scan", Plain(scan::folder)),
        ("small", Plain(metadata::small)),
        ("chain", Plain(metadata::chain)),
        ("terabyte", Plain(metadata::terabyte)),
        ("qed", Plain(metadata::qed)),
        ("compare", Plain(compare::qcow2)),
        ("raw", Plain(compare::raw)),
        ("compressed", Plain(compare::compressed)),
        ("commit", Placed(commit::layer)),
        ("layers", Placed(changes::layers)),
        ("rebase", Placed(changes::rebase)),
        ("flatten", Placed(changes::flatten)),
        ("snapshots", Plain(snapshots::small)),
        ("snapshots-huge", Plain(snapshots::huge)),
        ("export-base", Placed(export::base)),
        ("export-layer", Placed(export::layer)),
        ("copy", Placed(convert::copies)),
        ("copy-compressed", Plain(convert::compressed)),
        ("in-place", Plain(convert::in_place)),
        ("xfs-copy", Placed(convert::copies)),
        ("xfs-commit", Placed(commit::layer)),
        ("xfs-layers", Placed(changes::layers)),
        ("xfs-rebase", Placed(changes::rebase)),
        ("xfs-flatten", Placed(changes::flatten)),
        ("xfs-export-base", Placed(export::base)),
        ("xfs-export-layer", Placed(export::layer)),
    ];
    for (name, bench) in benches {
        if !wanted.is_empty() && !wanted.iter().any(|w| name.contains(w.as_str())) {
            continue;
        }
        match bench {
            Plain(bench) => bench(),
            Placed(bench) if !name.starts_with("xfs") => bench(Place::usual()),
            Placed(bench) => match Place::reflink() {
                Ok(place) => bench(place),
                Err(why) => println!("\n{name}: ignored: {why}"),
            },
        }
    }
    duel::summary();
    ExitCode::SUCCESS
}
