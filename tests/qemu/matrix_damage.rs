//! Damage at the end of a case of the matrix: both checks must give the same verdict.

use std::os::unix::fs::FileExt;

use crate::lab::{Lab, Random};
use crate::matrix::IMAGE;
use crate::matrix_shape::Shape;

const COPY: &str = "damaged.qcow2";
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

/// A qcow2 file under the knife, with refcounts of any width.
struct Patient<'a> {
    file: std::fs::File,
    shape: &'a Shape,
}

impl Patient<'_> {
    fn word(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, at).unwrap();
        u64::from_be_bytes(bytes)
    }

    fn put(&self, at: u64, word: u64) {
        self.file.write_all_at(&word.to_be_bytes(), at).unwrap();
    }

    /// Changes the lowest bits of the refcount of a cluster.
    /// `false` where no block holds it.
    fn spoil_refcount(&self, cluster: u64, by: u8) -> bool {
        let bits = self.shape.bits;
        let per_block = self.shape.cluster * 8 / bits;
        let block = self.word(self.word(48) + cluster / per_block * 8);
        if block == 0 {
            return false;
        }
        let bit = cluster % per_block * bits;
        // Wide counts are big endian, narrow ones lie in a byte from its lowest bit on.
        let (at, mask) = match bits {
            8.. => (block + bit / 8 + bits / 8 - 1, by),
            _ => (block + bit / 8, (by & ((1 << bits) - 1)) << (bit % 8)),
        };
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, at).unwrap();
        self.file.write_all_at(&[byte[0] ^ mask], at).unwrap();
        true
    }

    /// Where the active L2 entries in use are stored.
    fn entries(&self) -> Vec<u64> {
        let stride = if self.shape.extended { 16 } else { 8 };
        let l1_size = self.word(32) & 0xffff_ffff;
        let (l1_size, l1) = (u64::from(u32::try_from(l1_size).unwrap()), self.word(40));
        let l2s = (0..l1_size).map(|i| self.word(l1 + i * 8) & OFFSET).filter(|l2| *l2 != 0);
        let places = l2s.flat_map(|l2| (0..self.shape.cluster / stride).map(move |i| l2 + i * stride));
        places.filter(|at| self.word(*at) & OFFSET != 0).collect()
    }
}

/// Damages a copy of the image, and says how.
pub(crate) fn damage(lab: &Lab, random: &mut Random, shape: &Shape) -> String {
    std::fs::copy(lab.path(IMAGE), lab.path(COPY)).unwrap();
    let file = std::fs::OpenOptions::new().read(true).write(true).open(lab.path(COPY)).unwrap();
    let clusters = file.metadata().unwrap().len() / shape.cluster;
    let patient = Patient { file, shape };
    let entries = patient.entries();
    if entries.is_empty() || random.below(2) == 0 {
        let (cluster, by) = (random.below(clusters), 1 + random.below(3) as u8);
        let spoilt = patient.spoil_refcount(cluster, if shape.bits == 1 { 1 } else { by });
        return format!(
            "refcount of cluster {cluster} xor {by}{}",
            if spoilt { "" } else { ": it has none" }
        );
    }
    let at = entries[random.below(entries.len() as u64) as usize];
    let old = patient.word(at);
    // Data in a file of its own has one place only; there QEMU finds out when it reads.
    let (new, how) = match random.below(if shape.data.is_some() { 2 } else { 3 }) {
        0 => (old ^ 1 << 63, "COPIED flag"),
        1 => (0, "forgotten"),
        _ => ((1 << 63) | (random.below(clusters) * shape.cluster), "points elsewhere"),
    };
    patient.put(at, new);
    format!("L2 entry at {at:#x}, {old:#x}: {how}, {new:#x}")
}

/// Fails unless both programs give the damaged copy the same verdict.
pub(crate) fn agree(lab: &Lab) {
    let qemu = lab.try_tool("qemu-img", &["check", "-f", "qcow2", COPY]);
    let ours = lab.run(&format!("check {COPY}"));
    let theirs = String::from_utf8_lossy(&qemu.stdout).into_owned() + &String::from_utf8_lossy(&qemu.stderr);
    assert_eq!(
        Some(ours.code),
        qemu.status.code(),
        "verdicts on damage differ\ncowherd: {}{}\nQEMU: {theirs}",
        ours.text(),
        ours.err
    );
    std::fs::remove_file(lab.path(COPY)).unwrap();
}
