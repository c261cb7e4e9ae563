//! The snapshot table: any number of entries, any bytes.

#![no_main]

use cowherd_fuzz::{CLUSTER, exercise, patch, sample};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((head, rest)) = input.split_at_checked(3) else { return };
    let (mut image, _) = sample(2 | head[0] & 13);
    let count = u32::from(u16::from_le_bytes([head[1], head[2]]));
    patch::bytes(&mut image, 60, &count.to_be_bytes());
    patch::bytes(&mut image, 8 * CLUSTER, &rest[..rest.len().min(CLUSTER)]);
    exercise(image);
});
