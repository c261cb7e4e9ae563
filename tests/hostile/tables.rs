//! L1 and L2 entries that lead where they must not.

use crate::case::{Case, case, corrupt, sound, unreadable};
use crate::qcow2::{
    CLUSTER, COMPRESSED, COPIED, Qcow2, SIZE, at, compressed, l1, l2, rc, v2, v3, with_snapshot,
};

pub(crate) fn cases() -> Vec<Case> {
    let mut all = l1_entries();
    all.extend(l2_entries());
    all.extend(flags());
    all.extend(extended());
    all
}

/// An image of 4 MiB, so that there are two L1 entries.
fn two() -> crate::build::Bytes {
    v3().be64(24, 4 << 20).be32(36, 2)
}

fn l1_entries() -> Vec<Case> {
    let far = "L2 table reaches beyond the end of the file";
    let beyond = "beyond the end of the file";
    let other = "holds other metadata";
    let start = "not the start of a cluster";
    vec![
        case("l1_entry/misaligned", v3().be64(l1(0), (at(4) + 512) | COPIED), unreadable(start)),
        case(
            "l1_entry/past_eof",
            v3().be64(l1(0), at(500) | COPIED),
            unreadable(far).map(13, beyond).cat(13, beyond),
        ),
        case(
            "l1_entry/largest_offset",
            v3().be64(l1(0), 0x00ff_ffff_ffff_f000 | COPIED),
            unreadable(far).map(13, beyond).cat(13, beyond),
        ),
        case("l1_entry/flag_without_table", v3().be64(l1(0), COPIED), corrupt_leaks()),
        case("l1_entry/reserved_bits", v3().be64(l1(0), at(4) | COPIED | 0x7f << 56 | 0x1ff), sound()),
        case("l1_entry/at_l1", v3().be64(l1(0), at(3) | COPIED), meta(other)),
        case("l1_entry/at_refcount_table", v3().be64(l1(0), at(1) | COPIED), meta(other)),
        case("l1_entry/at_refcount_block", v3().be64(l1(0), at(2) | COPIED), corrupt("refcount")),
        case("l1_entry/at_snapshot_table", with_snapshot().be64(l1(0), at(8) | COPIED), meta(other)),
        case(
            "l1_entry/at_data",
            v3().be64(l1(0), at(5) | COPIED),
            corrupt("data cluster reaches beyond the end"),
        ),
        case(
            "l1_entry/two_share_one_table",
            two().be64(l1(1), at(4) | COPIED),
            unreadable("refcount 1, 2 references")
                .map(13, "several L1 entries")
                .cat(13, "several L1 entries"),
        ),
        case(
            "l1_entry/snapshot_shares_writable_table",
            with_snapshot().be64(at(9), at(4)),
            corrupt("refcount 1, 2 references"),
        ),
        case("l1_entry/second_past_eof", two().be64(l1(1), at(999)), corrupt(far).map(13, beyond)),
    ]
}

/// Everything behind the entry is lost, which is a waste and no contradiction.
fn corrupt_leaks() -> crate::case::Verdict {
    sound().check(3, "leak")
}

fn meta(words: &'static str) -> crate::case::Verdict {
    unreadable("refcount").map(13, words).cat(13, words)
}

fn l2_entries() -> Vec<Case> {
    let far = "data cluster reaches beyond the end of the file";
    let twice = "refcount 1, 2 references";
    vec![
        case("l2_entry/at_header", v3().be64(l2(0), COPIED), sound().check(3, "leak")),
        case("l2_entry/at_refcount_table", v3().be64(l2(0), at(1) | COPIED), corrupt(twice)),
        case(
            "l2_entry/at_refcount_block",
            v3().be64(l2(0), at(2) | COPIED),
            corrupt("overlaps something else"),
        ),
        case("l2_entry/at_l1", v3().be64(l2(0), at(3) | COPIED), corrupt(twice)),
        case("l2_entry/at_l2", v3().be64(l2(0), at(4) | COPIED), corrupt(twice)),
        case("l2_entry/at_snapshot_table", with_snapshot().be64(l2(0), at(8) | COPIED), corrupt(twice)),
        case("l2_entry/at_snapshot_l1", with_snapshot().be64(l2(0), at(9) | COPIED), corrupt(twice)),
        case("l2_entry/same_cluster_twice_copied", v3().be64(l2(1), at(5) | COPIED), corrupt(twice)),
        case(
            "l2_entry/all_the_same_cluster",
            v3().fill64(l2(0), at(5) | COPIED, 256),
            corrupt("refcount 1, 256 references"),
        ),
        case("l2_entry/past_eof", v3().be64(l2(0), at(500) | COPIED), corrupt(far)),
        case("l2_entry/largest_offset", v3().be64(l2(0), 0x00ff_ffff_ffff_f000 | COPIED), corrupt(far)),
        case(
            "l2_entry/misaligned",
            v3().be64(l2(0), (at(5) + 512) | COPIED),
            unreadable("not the start of a cluster"),
        ),
        case(
            "l2_entry/second_misaligned",
            v3().be64(l2(1), (at(6) + 512) | COPIED),
            unreadable("(at offset 0x4008)").check(2, "0x000000004008"),
        ),
        case("l2_entry/past_the_disk", v3().be64(l2(300), at(6) | COPIED), corrupt(twice)),
        case("l2_entry/prealloc_zero_past_eof", v3().be64(l2(2), at(500) | COPIED | 1), corrupt(far)),
        case("l2_entry/prealloc_zero_shares_data", v3().be64(l2(2), at(5) | COPIED | 1), corrupt(twice)),
    ]
}

fn flags() -> Vec<Case> {
    let copied = "COPIED flag contradicts refcount";
    vec![
        case("flags/reserved_l2_bits", v3().be64(l2(0), at(5) | COPIED | 0x3f << 56 | 0x1fe), sound()),
        case("flags/zero_flag_in_v2", v2().be64(l2(0), at(5) | COPIED | 1), sound()),
        case(
            "flags/compressed_and_copied",
            v3().be64(l2(3), compressed(at(7), 40) | COPIED),
            corrupt("compressed cluster with the COPIED flag"),
        ),
        case("flags/l1_copied_missing", v3().be64(l1(0), at(4)), corrupt(copied)),
        case("flags/l2_copied_missing", v3().be64(l2(0), at(5)), corrupt(copied)),
        case("flags/l1_copied_though_shared", v3().be16(rc(4), 2), corrupt(copied)),
        case("flags/l2_copied_though_shared", v3().be16(rc(5), 2), corrupt(copied)),
        case(
            "flags/compressed_in_luks",
            v3().be32(32, 2),
            unreadable("compressed cluster in an encrypted image")
                .map(13, "compressed")
                .cat(13, "LUKS")
                .commit(13, ""),
        ),
        case(
            "flags/compressed_bit_alone",
            v3().be64(l2(3), COMPRESSED),
            corrupt("refcount").cat(13, "decompressed"),
        ),
    ]
}

fn extended() -> Vec<Case> {
    let image = || Qcow2 { extended: true, ..Qcow2::default() }.build();
    let table = 4 << 14;
    let words = "contradicts itself";
    vec![
        case("extended/allocated_and_zero", image().be64(table + 8, u64::MAX), unreadable(words)),
        case("extended/one_part_both", image().be64(table + 8, 1 | 1 << 32), unreadable(words)),
        case("extended/allocated_without_cluster", image().be64(table, 0), unreadable(words)),
        case("extended/zero_without_cluster", image().words(table + 32, [0, 0xffff_ffff << 32]), sound()),
        case(
            "extended/misaligned",
            image().be64(table, (5 << 14) + 512),
            unreadable("not the start of a cluster"),
        ),
        case("extended/past_eof", image().be64(table, 900 << 14 | COPIED), corrupt("beyond the end")),
        case("extended/zero_flag", image().be64(table, 5 << 14 | COPIED | 1), sound()),
        case(
            "extended/bitmap_of_compressed",
            image().words(table, [COMPRESSED | 5 << 14, u64::MAX]),
            sound().cat(13, "decompressed"),
        ),
        case("extended/size_of_a_part", image().be64(24, SIZE - CLUSTER + 512), sound()),
    ]
}
