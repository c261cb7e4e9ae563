//! Little on disk, much to look at: sparse files and shared tables that claim terabytes. Each would
//! take minutes or gigabytes if the work followed the claims.

use crate::build::Bytes;
use crate::case::{Case, Verdict, case, corrupt, refused, scene, sound, unreadable};
use crate::extensions::{bitmap, with_bitmaps};
use crate::qcow2::{BITS, COPIED, SIZE, at, entry, l1, v3, with_snapshot};
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
        scene("bomb/bitmaps_of_4_million_far_clusters", corrupt("references"), &[], |stage| {
            stage.put("x.img", &far_bitmaps(12, 32))
        }),
        scene("bomb/bitmaps_of_4_million_far_small_clusters", corrupt("references"), &[], |stage| {
            stage.put("x.img", &far_bitmaps(9, 4).be64(24, 32 << 10))
        }),
        scene("bomb/65535_bitmap_tables_in_holes", corrupt("references"), &[], |stage| {
            stage.put("x.img", &bitmap_tables_in_holes())
        }),
        scene("bomb/4_million_far_l2_tables", corrupt("references"), &[], |stage| {
            stage.put("x.img", &small_clusters(1 << 22).words(64 * MIB, far(1 << 22, 128 * MIB)))
        }),
        scene("bomb/l2_tables_of_4_million_far_clusters", corrupt("COPIED"), &[], |stage| {
            stage.put("x.img", &far_data())
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

/// Bitmaps, as large as they can be and 4 million clusters together, whose data lies all over a file of
/// 8 TiB.
fn far_bitmaps(bits: u32, count: u32) -> Bytes {
    let entries = (512 << 20) >> bits;
    let place = |i: u32| 64 * MIB + u64::from(i * entries) * 8;
    let list: Vec<u8> =
        (0..count).flat_map(|i| bitmap(place(i), entries, 2, format!("b{i:02}").as_bytes())).collect();
    with_bitmaps(count, list.len() as u64, at(8), &list)
        .be32(20, bits)
        .words(64 * MIB, far(u64::from(count * entries), 0))
        .sparse((8 << 40) + 2 * MIB)
}

/// As many bitmaps as there can be, each with a table of its own without an entry.
fn bitmap_tables_in_holes() -> Bytes {
    let list: Vec<u8> = (0..65535)
        .flat_map(|i| bitmap(64 * MIB + (i << 20), (512 << 20) >> BITS, 2, format!("b{i}").as_bytes()))
        .collect();
    with_bitmaps(65535, list.len() as u64, 16 * MIB, &[]).put(16 * MIB, &list).sparse(1 << 37)
}

/// Words that refer to every second MiB of a file.
fn far(count: u64, more: u64) -> impl Iterator<Item = u64> {
    (1..=count).map(move |i| ((i << 21) + more) | COPIED)
}

/// Clusters of 512 bytes in a file of 8 TiB, and an L1 table of this many entries at 64 MiB.
fn small_clusters(l1: u32) -> Bytes {
    v3().be32(20, 9)
        .be64(24, u64::from(l1) << 15)
        .be32(36, l1)
        .be64(40, 64 * MIB)
        .sparse((8 << 40) + 256 * MIB)
}

/// L2 tables side by side, each entry with a cluster far from that of any other, and in no order.
fn far_data() -> Bytes {
    let clusters: Vec<u64> = far(4 << 20, MIB).collect();
    small_clusters(1 << 16)
        .words(64 * MIB, (0..1 << 16).map(|i| 128 * MIB + i * 512))
        .words(128 * MIB, (0..clusters.len()).map(|i| clusters[i * 40_503 % clusters.len()]))
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
