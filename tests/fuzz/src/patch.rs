//! Turning a fuzzer's bytes into changes of a sound image, so that it gets past the magic.

/// Overwrites 64-bit words: each patch is a cluster number (one byte), a word in it (two bytes) and a
/// value in a compact form (four bytes) that favours what is nearly right.
pub fn words(image: &mut Vec<u8>, cluster: usize, input: &[u8], big_endian: bool) {
    for patch in input.chunks_exact(7).take(64) {
        let word = usize::from(u16::from_le_bytes([patch[1], patch[2]])) % (cluster / 8);
        let at = usize::from(patch[0] % 16) * cluster + word * 8;
        let value = value(cluster as u64, [patch[3], patch[4], patch[5], patch[6]]);
        if image.len() < at + 8 {
            image.resize(at + 8, 0);
        }
        let bytes = if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        image[at..at + 8].copy_from_slice(&bytes);
    }
}

/// A value out of four bytes: flags at the top, an offset in clusters, low bits, a shift.
fn value(cluster: u64, [flags, number, low, shift]: [u8; 4]) -> u64 {
    let offset = u64::from(number).wrapping_mul(cluster) << (shift % 48);
    u64::from(flags) << 56 | (offset | u64::from(low)) & 0x00ff_ffff_ffff_ffff
}

/// Overwrites bytes from `at` on.
pub fn bytes(image: &mut Vec<u8>, at: usize, input: &[u8]) {
    if image.len() < at + input.len() {
        image.resize(at + input.len(), 0);
    }
    image[at..at + input.len()].copy_from_slice(input);
}
