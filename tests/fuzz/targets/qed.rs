//! QED: any header fields, any words in its tables.

#![no_main]

use cowherd_fuzz::{CLUSTER, exercise, patch, qed_sample};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((kind, rest)) = input.split_first() else { return };
    let mut image = qed_sample(kind & 1 != 0);
    let fields = usize::from(kind >> 4);
    let (head, words) = rest.split_at(rest.len().min(fields * 5));
    for field in head.chunks_exact(5) {
        patch::bytes(&mut image, 4 + usize::from(field[0] % 60), &field[1..]);
    }
    patch::words(&mut image, CLUSTER, words, false);
    exercise(image);
});
