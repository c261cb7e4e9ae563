//! qcow2, versions 2 and 3. One concern per file:
//!
//! | file | concern |
//! |---|---|
//! | `header` | the fixed header and its limits |
//! | `extensions` | header extensions and the backing name |
//! | `entry` | what one L1 or L2 entry means |
//! | `tables` | reading L1 and L2 tables, with a small cache |
//! | `snapshots` | the snapshot table |
//! | `bitmaps` | persistent dirty bitmaps |
//! | `external` | data in a file of its own |
//! | `compression` | compressed clusters |
//! | `refcounts`, `block` | the refcount table and its blocks; one of them |
//! | `scattered` | counted clusters that lie alone |
//! | `singles` | which clusters have a recorded refcount of 1 |
//! | `visits` | the L2 tables of all states, each once |
//! | `walk` | counting every reference |
//! | `counts`, `chunk` | the counts, in little memory |
//! | `runs` | neighbours in an L2 table, seen at once |
//! | `check` | the verdict |
//! | `space` | bytes that only one state holds |
//! | `compose` | sector 0 from nothing |
//! | `create` | a new image |
//! | `adopt` | a header and tables laid over a file that holds the data already |
//! | `amend` | another version, or refcounts of another width |
//! | `unroll` | every cluster to where a raw image has it |
//! | `prealloc` | everything mapped ahead |
//! | `layout` | a file in which nothing is wasted |
//! | `measure` | how large an image would become |
//! | `writer` | changes: new metadata in free space, one flip of sector 0 |
//! | `edit` | L2 tables under change, of one state or several |
//! | `take` | internal snapshots: take, apply, delete, rename |
//! | `trees` | references of whole trees |
//! | `pack` | writing compressed clusters |
//! | `target`, `flip` | the writer as others see it; making its change true |
//! | `alloc`, `refupdate` | the writer's free space and its new refcounts |
//! | `repair` | refcounts from references |
//! | `relink` | a new backing file in one sector |
//! | `empty` | giving up everything the active state holds |
//! | `compact` | free space back to the host: rounds, and what they cost |
//! | `compact_map`, `compact_round` | how far down the end can come; getting it there |
//!
//! Section numbers in comments are those of QEMU's `docs/interop/qcow2`.

mod adopt;
mod alloc;
mod amend;
mod bitmaps;
mod block;
mod check;
mod chunk;
mod compact;
mod compact_map;
mod compact_round;
mod compose;
mod compression;
mod counts;
mod create;
mod edit;
mod empty;
mod entry;
mod extensions;
mod external;
mod flip;
mod header;
mod image;
mod layout;
mod mark;
mod measure;
mod pack;
mod prealloc;
mod refcounts;
mod refupdate;
mod relink;
mod repair;
mod runs;
mod scattered;
mod singles;
mod snapshots;
mod space;
mod tables;
mod take;
mod target;
mod trees;
mod unroll;
mod visits;
mod walk;
mod writer;

pub(super) use adopt::Adopter;
pub(super) use amend::amend;
pub use compact::compact;
pub use create::{CreateOptions, create};
pub use empty::empty;
pub use image::Qcow2;
pub use mark::{fence, is_fenced, mark, marked};
pub use measure::{measure, measure_bitmaps};
pub use prealloc::preallocate;
pub use relink::relink;
pub(crate) use repair::repair;
pub(super) use unroll::unroll;
pub(crate) use unroll::window;
pub use writer::Writer;
