//! The fixed header of qcow2: any bytes behind the magic of a sound image.

#![no_main]

use cowherd_fuzz::{exercise, patch, sample};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((kind, rest)) = input.split_first() else { return };
    let (mut image, _) = sample(*kind);
    // A place and a field each, so that most of the header stays as it is.
    for field in rest.chunks(9).take(16) {
        let at = 4 + usize::from(field[0] % 120);
        patch::bytes(&mut image, at, &field[1..]);
    }
    exercise(image);
});
