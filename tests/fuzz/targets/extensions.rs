//! Header extensions and the backing name: any bytes behind a sound header.

#![no_main]

use cowherd_fuzz::{CLUSTER, exercise, patch, sample};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((kind, rest)) = input.split_first() else { return };
    let (mut image, _) = sample(kind & 0x0f);
    let at = if kind & 1 != 0 { 72 } else { 112 };
    // A bitmap directory and its table may lie behind the rest.
    image.resize(image.len() + 2 * CLUSTER, 0);
    patch::bytes(&mut image, at, &rest[..rest.len().min(CLUSTER - at)]);
    exercise(image);
});
