//! Sound images, cut off at every sector.

use crate::case::{Case, Verdict, case, corrupt, refused};
use crate::qcow2::{CLUSTER, with_snapshot};

/// Up to where the header is refused: the L1 table at cluster 3, the snapshot table at cluster 8.
const HEADER: u64 = 9 * CLUSTER;

pub(crate) fn cases() -> Vec<Case> {
    let whole = with_snapshot();
    let mut all = Vec::new();
    for len in (0..whole.near.len() as u64).step_by(512) {
        let verdict = match len {
            0 => empty(),
            _ if len <= HEADER - CLUSTER => refused(""),
            // The last cluster need not be written out in full; whole ones are missed.
            _ if len > 11 * CLUSTER => crate::case::sound(),
            // Less than a cluster is missing of the snapshot's L1 table, which passes for zeros.
            _ if len <= HEADER => crate::case::sound().check(3, "leak"),
            _ => corrupt("beyond the end"),
        };
        all.push(case(format!("cut/at_{len:05}"), whole.clone().cut(len as usize), verdict));
    }
    for len in [4, 20, 71, 72, 103, 104, 111] {
        all.push(case(format!("cut/in_the_header_at_{len}"), whole.clone().cut(len), refused("")));
    }
    all
}

/// An empty file is a raw image of no bytes.
fn empty() -> Verdict {
    Verdict { check: (1, "raw"), ..crate::case::sound() }
}
