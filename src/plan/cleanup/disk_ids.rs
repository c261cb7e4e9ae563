//! The names that a disk gives itself: partition tables and file systems carry numbers made at random when
//! they are made, which stay as long as they do.

use crate::chain::View;
use crate::units::Guest;

/// Partitions that are looked into.
const MOST_PARTITIONS: usize = 8;
const SECTOR: u64 = 512;

/// What it is, the bytes, and where they lie on the disk.
pub(super) type DiskId = (&'static str, Vec<u8>, u64);

/// The numbers of the disk that `view` shows.
pub(super) fn disk_ids(view: &View) -> Vec<DiskId> {
    let mut found = Vec::new();
    let mut starts = vec![0];
    let mut sector = [0; 512];
    if read(view, 0, &mut sector) && sector[510..] == [0x55, 0xaa] {
        push(&mut found, "disk signature", &sector[440..444], 440);
        for entry in sector[446..510].chunks_exact(16) {
            let kind = entry[4];
            let start = u32::from_le_bytes([entry[8], entry[9], entry[10], entry[11]]);
            // 0xee only says that there is a GPT.
            if kind != 0 && kind != 0xee && start != 0 {
                starts.push(u64::from(start) * SECTOR);
            }
        }
    }
    if read(view, SECTOR, &mut sector) && sector.starts_with(b"EFI PART") {
        push(&mut found, "GPT disk GUID", &sector[56..72], SECTOR + 56);
        let first = u64::from_le_bytes(sector[72..80].try_into().unwrap_or_default());
        let size = u64::from(u32::from_le_bytes(sector[84..88].try_into().unwrap_or_default()));
        for index in 0..MOST_PARTITIONS as u64 {
            let at = first.checked_mul(SECTOR).and_then(|at| at.checked_add(index.checked_mul(size)?));
            let mut entry = [0; 48];
            let start = at
                .filter(|at| size >= 128 && read(view, *at, &mut entry))
                .map(|_| u64::from_le_bytes(entry[32..40].try_into().unwrap_or_default()));
            starts.extend(start.filter(|start| *start != 0).and_then(|start| start.checked_mul(SECTOR)));
        }
    }
    starts.sort_unstable();
    starts.dedup();
    starts.into_iter().take(MOST_PARTITIONS + 1).for_each(|start| file_systems(view, start, &mut found));
    found
}

/// The number of the file system that begins at `start`, if it is one of those known here.
fn file_systems(view: &View, start: u64, found: &mut Vec<DiskId>) {
    // What it is, where its magic lies and what that is, where its number lies.
    let known: [(&str, u64, &[u8], u64); 4] = [
        ("ext4 UUID", 1024 + 0x38, &[0x53, 0xef], 1024 + 0x68),
        ("XFS UUID", 0, b"XFSB", 32),
        ("Btrfs UUID", (64 << 10) + 64, b"_BHRfS_M", (64 << 10) + 32),
        ("LUKS UUID", 0, b"LUKS\xba\xbe", 168),
    ];
    for (what, magic_at, magic, at) in known {
        let (mut has, mut number) = (vec![0; magic.len()], [0; 16]);
        let (Some(magic_at), Some(at)) = (start.checked_add(magic_at), start.checked_add(at)) else {
            continue;
        };
        if read(view, magic_at, &mut has) && has == magic && read(view, at, &mut number) {
            push(found, what, &number, at);
        }
    }
}

fn push(found: &mut Vec<DiskId>, what: &'static str, bytes: &[u8], at: u64) {
    // Zeros are no name.
    if bytes.iter().any(|byte| *byte != 0) {
        found.push((what, bytes.to_vec(), at));
    }
}

fn read(view: &View, at: u64, buf: &mut [u8]) -> bool {
    let fits = at.checked_add(buf.len() as u64).is_some_and(|end| end <= view.size());
    fits && view.read_at(Guest(at), buf).is_ok_and(|n| n == buf.len())
}
