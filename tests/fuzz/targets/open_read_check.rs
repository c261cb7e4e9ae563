//! Any file at all: open it, map it, read it, check it, count its space.

#![no_main]

use cowherd_fuzz::exercise;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    exercise(input.to_vec());
});
