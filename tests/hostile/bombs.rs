//! Little on disk, much to look at: sparse files and shared tables that claim terabytes. Each would
//! take minutes or gigabytes if the work followed the claims.

use crate::build::Bytes;
use crate::case::{Case, Verdict, case, corrupt, refused, scene, sound, unreadable};
use crate::extensions::{bitmap, with_bitmaps};
use crate::qcow2::{COPIED, SIZE, at, entry, l1, v3, with_snapshot};
use crate::qed;

const MIB: u64 = 1 << 20;

/// An L1 table of 4 Mi entries at 32 MiB, on a disk that needs them all.
fn large() -> Bytes {
    v3().be64(40, 32 * MIB).be32(36, 4 << 20).be64(24, 8 << 40).sparse(64 * MIB)
}

pub(crate) fn cases() -> Vec<Case> {
    let shared = "several L1 entries";
    vec![
        case("bomb/l1_of_32_mib_in_a_hole", large(), corrupt("references")),
        case(
            "bomb/l1_of_one_l2_4_million_times",
            large().fill64(32 * MIB, at(4), 4 << 20),
            unreadable("refcount 1, 4194304 references").map(13, shared).cat(13, shared),
        ),
        case(
            "bomb/l2_tables_in_holes",
            large().words(32 * MIB, (0..1 << 16).map(|i| (1 << 40) + i * (1 << 22))).sparse(1 << 42),
            corrupt("references"),
        ),
        case(
            "bomb/far_data_clusters",
            v3().words(at(4), (0..512).map(|i| ((1 << 30) + (i << 32)) | COPIED)).sparse(1 << 42),
            corrupt("refcount 0, 1 references"),
        ),
        case(
            "bomb/65536_snapshots_of_one_l1",
            snapshots(|_| (32 * MIB, 4 << 20)),
            corrupt("L1 tables overlap"),
        ),
        case("bomb/1024_snapshots_with_32_mib_each", apart(), corrupt("references")),
        case("bomb/65536_snapshots_with_long_names", fat_names(), corrupt("references")),
        scene("bomb/largest_snapshot_table", corrupt("references"), &[], |stage| {
            stage.put("x.img", &largest(0))
        }),
        scene("bomb/snapshot_table_of_a_word_more", refused("larger than 67108864 bytes"), &[], |stage| {
            stage.put("x.img", &largest(8))
        }),
        scene("bomb/65535_bitmaps_with_long_names", corrupt("references"), &[], |stage| {
            stage.put("x.img", &many_bitmaps(1))
        }),
        scene("bomb/65535_bitmaps_of_one_table", corrupt("bitmap tables overlap"), &[], |stage| {
            stage.put("x.img", &many_bitmaps(1 << 17))
        }),
        scene("bomb/bitmap_of_4_million_far_clusters", corrupt("references"), &[], |stage| {
            stage.put("x.img", &far_bitmap())
        }),
        case("bomb/refcount_block_of_16_million_bits", bits(), sound().check(3, "references")),
        case("bomb/file_of_8_tib", v3().sparse(8 << 40), sound()),
        case("bomb/disk_of_2_pib", pib(), corrupt("references")),
        case(
            "bomb/qed_table_of_1_gib_in_a_hole",
            qed_holes(),
            Verdict { commit: (13, ""), ..sound() }.check(3, "not referenced"),
        ),
        case(
            "bomb/qed_far_clusters",
            qed_far(),
            Verdict { check: (3, "not referenced"), commit: (0, ""), ..sound() },
        ),
        case("bomb/deep_l1_entry", v3().be64(l1(0), at(4) | COPIED).sparse(1 << 43), sound()),
    ]
}

/// 65536 snapshots, each with the L1 table that `place` says.
fn snapshots(place: impl Fn(u64) -> (u64, u32)) -> Bytes {
    let table: Vec<u8> = (0..1 << 16)
        .flat_map(|i| {
            let (at, size) = place(i);
            entry(at, size, i.to_string().as_bytes(), b"s", 16, SIZE)
        })
        .collect();
    with_snapshot().be32(60, 1 << 16).be64(64, 2 * MIB).put(2 * MIB, &table).sparse(1 << 36)
}

/// 1024 snapshots whose L1 tables of 32 MiB lie in holes, one behind the other.
fn apart() -> Bytes {
    let table: Vec<u8> = (0..1024)
        .flat_map(|i: u64| entry((64 + i * 32) * MIB, 4 << 20, i.to_string().as_bytes(), b"s", 16, SIZE))
        .collect();
    with_snapshot().be32(60, 1024).be64(64, 2 * MIB).put(2 * MIB, &table).sparse(1 << 36)
}

/// As many snapshots as there can be, with names that grow when they are shown.
fn fat_names() -> Bytes {
    let name = vec![0x1b; 100];
    let table: Vec<u8> =
        (0..65536).flat_map(|i: u64| entry(0, 0, i.to_string().as_bytes(), &name, 16, SIZE)).collect();
    with_snapshot().be32(60, 65536).be64(64, 2 * MIB).put(2 * MIB, &table)
}

/// The largest table that QEMU reads, 65536 entries of 1024 bytes, and `more` bytes.
fn largest(more: usize) -> Bytes {
    let name = vec![0xff; 255];
    let extra = 1024 - 40 - 127 - name.len();
    let mut table = entry(0, 0, &[b'0'; 127], &name, extra, SIZE).repeat(65535);
    table.extend_from_slice(&entry(0, 0, &[b'0'; 127], &name, extra + more, SIZE));
    for i in 0..65536 {
        let at = i * 1024 + 40 + extra + if i == 65535 { more } else { 0 };
        table[at..at + 127].copy_from_slice(format!("{i:0127}").as_bytes());
    }
    assert_eq!(table.len(), (64 << 20) + more);
    with_snapshot().be32(60, 65536).be64(64, 2 * MIB).put(2 * MIB, &table)
}

/// The largest directory that there can be, of bitmaps that share a table of `entries`.
fn many_bitmaps(entries: u32) -> Bytes {
    let one = bitmap(32 * MIB, entries, 2, &[0xff; 1000]);
    let list = one.repeat(65535);
    with_bitmaps(65535, list.len() as u64, 64 * MIB, &[]).put(64 * MIB, &list).fill64(
        32 * MIB,
        1,
        entries as usize,
    )
}

/// One bitmap whose data lies all over a file of 8 TiB.
fn far_bitmap() -> Bytes {
    let one = bitmap(64 * MIB, 4 << 20, 2, b"b0");
    with_bitmaps(1, one.len() as u64, at(8), &one)
        .words(64 * MIB, (1..=4 << 20).map(|i| i << 21))
        .sparse((8 << 40) + 2 * MIB)
}

/// Refcounts of one bit, in blocks of 2 MiB full of ones.
fn bits() -> Bytes {
    let big = 2 * MIB;
    v3().be32(20, 21)
        .be32(96, 0)
        .be64(40, 3 * big)
        .be64(48, big)
        .be64(big, 2 * big)
        .put(2 * big, &vec![0xff; big as usize])
        .be64(3 * big, 0)
        .sparse(4 * big)
}

/// Clusters of 2 MiB and an L1 table for 2 PiB, mapped nowhere.
fn pib() -> Bytes {
    let big = 2 * MIB;
    v3().be32(20, 21)
        .be64(24, 2 << 50)
        .be32(36, 4096)
        .be64(40, 3 * big)
        .be64(48, big)
        .be64(big, 2 * big)
        .sparse(4 * big)
}

/// Tables of 16 clusters of 64 MiB, most of it holes.
fn qed_holes() -> Bytes {
    let cluster: u64 = 64 << 20;
    qed::qed()
        .le32(4, cluster as u32)
        .le32(8, 16)
        .le64(40, cluster)
        .le64(48, 1 << 50)
        .put(4096, &[0; 4096 * 4])
        .le64(cluster, cluster * 17)
        .sparse(cluster * 64)
}

/// One table of clusters all over a file of 2 TiB.
fn qed_far() -> Bytes {
    (0..512)
        .fold(qed::qed(), |image, i| image.le64(2 * qed::CLUSTER + i * 8, (1 << 32) + (i << 32)))
        .sparse(1 << 42)
}
