//! What will happen: one file per operation, each making a [`Plan`] and writing nothing.
//!
//! A plan is plain data: steps from a small closed set, cost, hazards, how to undo it, the qemu-img
//! equivalent, and the forest before and after. The same value is printed by `--dry-run`, drawn by
//! the TUI's plan screen, and run by a job. Planning reads metadata only: the cost comes from a
//! rehearsal of the very code that will write.
//!
//! | file | concern |
//! |---|---|
//! | `model`, `step`, `copy` | the plan as plain data |
//! | `describe` | steps in words |
//! | `hazard` | why a plan needs consent, or cannot run |
//! | `named` | what a plan means to the libvirt domains that name its files |
//! | `switch` | whether all of it becomes true at one instant |
//! | `scene` | where a plan begins: the files as they are, or as an earlier operation leaves them |
//! | `draft` | what every operation does the same way |
//! | `flags` | what every operation warns of, from the files themselves |
//! | `rules`, `ranges`, `fill` | from a copy's rule to runs, for one state or several |
//! | `rehearse` | cost |
//! | `kept` | which views must read as which, and comparing them |
//! | `unprotected` | who would read what a protection was left out for |
//! | `commit`, `commit_flags` | merging an overlay into a layer below |
//! | `rebase` | another backing file: rebase, pull |
//! | `overlay` | a new image on top |
//! | `rename` | another name, and the references to it |
//! | `delete` | taking one layer out of its chain |
//! | `repair` | mending metadata |
//! | `snapshot` | internal snapshots |
//! | `compact` | free space back to the host |
//! | `convert` | another format, in place |
//! | `resize` | a longer or shorter disk |
//! | `revert` | an overlay as it was when it was new |
//! | `export` | a view as an image of its own, in full or as a delta |
//! | `linear`, `file_names` | all views of a chain as a chain of files |
//! | `streams` | a view as a stream for another system |
//! | `import` | a chain of files as the snapshots of one image |
//! | `cleanup` | what must go, or must stay, by the cheapest safe operations |
//! | `sequence` | one plan out of several operations |

mod cleanup;
mod commit;
mod commit_flags;
mod compact;
mod convert;
mod copy;
mod delete;
mod describe;
mod draft;
mod export;
mod file_names;
mod fill;
mod flags;
mod hazard;
mod import;
mod kept;
mod linear;
mod model;
mod named;
mod overlay;
mod ranges;
mod rebase;
mod rehearse;
mod rename;
mod repair;
mod resize;
mod revert;
mod rules;
mod scene;
mod sequence;
mod snapshot;
mod step;
mod streams;
mod switch;
mod unprotected;

pub use cleanup::{Candidate, Judged, Standing, ViewId, Wishes, candidates, cleanup, judge};
pub use commit::{CommitOptions, commit};
pub use compact::compact;
pub use convert::{ConvertOptions, Wanted, convert};
pub use copy::{Copy, CopyMode, Ranges, States};
pub use delete::{DeleteOptions, delete};
pub use export::{ExportOptions, Since, export};
pub use fill::StateRuns;
pub use hazard::{Consent, Hazard, HazardKind, HazardSeverity};
pub use import::import;
pub use kept::Kept;
pub use linear::{ChainOptions, export_chain};
pub use model::{Cost, FileState, Flow, Plan, Room};
pub use overlay::overlay;
pub use ranges::{Move, Source, StateRun, drive, resize as resize_image};
pub use rebase::{RebaseOptions, pull, rebase};
pub use rename::rename;
pub use repair::repair;
pub use resize::resize;
pub use revert::revert;
pub use scene::Scene;
pub use snapshot::{SnapshotRequest, snapshot};
pub use step::{SnapNames, SnapshotChange, Step};
pub use streams::export_stream;
pub use switch::{data_of, ends_roll_back, is_in_place, is_one_switch, linked_copy, targets};
