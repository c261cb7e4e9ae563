//! What the fuzz targets share. The sound images are those of `tests/hostile`.

#![allow(dead_code)]

#[path = "../../hostile/build.rs"]
mod build;
mod exercise;
pub mod patch;
#[path = "../../hostile/qcow2.rs"]
mod qcow2;
#[path = "../../hostile/qed.rs"]
mod qed;

use std::sync::OnceLock;

pub use exercise::exercise;

/// Bytes per cluster of every sample but the one with subclusters.
pub const CLUSTER: usize = 4096;

/// A sound qcow2 image, by the bits of `kind`, and its cluster size. Each is made once.
pub fn sample(kind: u8) -> (Vec<u8>, usize) {
    static KNOWN: [OnceLock<(Vec<u8>, usize)>; 32] = [const { OnceLock::new() }; 32];
    KNOWN[usize::from(kind % 32)].get_or_init(|| make(kind % 32)).clone()
}

fn make(kind: u8) -> (Vec<u8>, usize) {
    let extended = kind & 16 != 0;
    let image = qcow2::Qcow2 {
        v2: kind & 1 != 0 && !extended,
        snapshot: kind & 2 != 0 && !extended,
        zstd: kind & 4 != 0 && kind & 1 == 0,
        backing: (kind & 8 != 0).then(|| (b"base.img".to_vec(), Some("raw"))),
        extended,
        ..qcow2::Qcow2::default()
    };
    (image.build().near, if extended { 4 * CLUSTER } else { CLUSTER })
}

/// A sound QED image; with `over`, without data and over a backing file.
pub fn qed_sample(over: bool) -> Vec<u8> {
    if over { qed::over(b"base.img", true).near } else { qed::qed().near }
}
