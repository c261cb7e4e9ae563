//! L1, L2, refcount and snapshot tables: any words anywhere in a sound image.

#![no_main]

use cowherd_fuzz::{exercise, patch, sample};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((kind, rest)) = input.split_first() else { return };
    let (mut image, cluster) = sample(*kind);
    patch::words(&mut image, cluster, rest, true);
    exercise(image);
});
