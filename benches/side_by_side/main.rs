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
//! | `scan`, `metadata`, `compare`, `commit`, `changes` | the benches |

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod changes;
mod commit;
mod compare;
mod duel;
mod images;
mod metadata;
mod scan;
mod verdict;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs this too; a measurement is not a test.
    if !arguments.iter().any(|a| a == "--bench") {
        println!("side_by_side: measures only under cargo bench");
        return;
    }
    if !duel::has_qemu() {
        println!("qemu-img is not installed: cowherd's own times follow, and no ratios");
    }
    let wanted: Vec<_> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let benches: [(&str, fn()); 12] = [
        ("scan", scan::folder),
        ("small", metadata::small),
        ("chain", metadata::chain),
        ("terabyte", metadata::terabyte),
        ("qed", metadata::qed),
        ("compare", compare::qcow2),
        ("raw", compare::raw),
        ("compressed", compare::compressed),
        ("commit", commit::layer),
        ("layers", changes::layers),
        ("rebase", changes::rebase),
        ("snapshots", changes::snapshots),
    ];
    for (name, bench) in benches {
        if wanted.is_empty() || wanted.iter().any(|w| name.contains(w.as_str())) {
            bench();
        }
    }
}
