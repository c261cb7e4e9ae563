//! QED: header, tables, backing name.

use crate::case::{Case, Verdict, case, refused, sound};
use crate::qed::{CLUSTER, over, qed};

const L1: u64 = CLUSTER;
const L2: u64 = 2 * CLUSTER;

/// QED cannot be written yet, whatever its state.
fn read_only() -> Verdict {
    Verdict { commit: (13, ""), ..sound() }
}

fn corrupt(words: &'static str) -> Verdict {
    Verdict { check: (2, words), ..read_only() }
}

fn unreadable(words: &'static str) -> Verdict {
    Verdict { map: (13, words), cat: (13, words), ..corrupt(words) }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = vec![case("qed/sound", qed(), read_only())];
    for size in [0, 1, 2048, 4095, 4097, 12288, 1 << 27, u32::MAX] {
        all.push(case(format!("qed/cluster_size_{size}"), qed().le32(4, size), refused("cluster_size")));
    }
    for size in [0, 3, 17, 32, u32::MAX] {
        all.push(case(format!("qed/table_size_{size}"), qed().le32(8, size), refused("table_size")));
    }
    all.extend([
        case("qed/header_size_0", qed().le32(12, 0), refused("header_size")),
        case("qed/header_size_2_32_minus_1", qed().le32(12, u32::MAX), refused("header_size")),
        case("qed/header_over_the_l1", qed().le32(12, 2), refused("l1_table_offset")),
        case("qed/unknown_feature", qed().le64(16, 8), refused("unknown QED feature bit 3")),
        case("qed/all_features", qed().le64(16, u64::MAX), refused("unknown QED feature bit 3, 4")),
        case("qed/unknown_compat_and_autoclear", qed().le64(24, u64::MAX).le64(32, u64::MAX), read_only()),
        case("qed/need_check", qed().le64(16, 2), read_only().tree("not closed cleanly")),
        case("qed/l1_at_0", qed().le64(40, 0), refused("l1_table_offset")),
        case("qed/l1_misaligned", qed().le64(40, L1 + 8), refused("l1_table_offset")),
        case("qed/l1_past_eof", qed().le64(40, 1 << 30), refused("l1_table_offset")),
        case("qed/l1_overflow", qed().le64(40, 0u64.wrapping_sub(CLUSTER)), refused("l1_table_offset")),
        case("qed/image_size_not_times_512", qed().le64(48, 1000), refused("image_size")),
        case("qed/image_size_too_large", qed().le64(48, (1 << 30) + 512), refused("image_size")),
        case("qed/image_size_2_64_minus_512", qed().le64(48, u64::MAX << 9), refused("image_size")),
        case("qed/image_size_0", qed().le64(48, 0), read_only()),
        case(
            "qed/name_outside_the_header",
            over(b"base", true).le32(56, 4094),
            refused("backing_filename_offset"),
        ),
        case("qed/name_in_the_fields", over(b"base", true).le32(56, 8), refused("backing_filename_offset")),
        case("qed/name_empty", over(b"", true), refused("backing_filename_size")),
        case("qed/name_of_1024", over(b"base", true).le32(60, 1024), refused("backing_filename_size")),
        case("qed/name_with_nul", over(b"ba\0se", true), refused("NUL byte")),
        case(
            "qed/name_json",
            over(b"json:{}", true),
            Verdict { map: (13, "json"), cat: (13, "json"), tree: "json", ..read_only() },
        ),
        case("qed/raw_backing_bit_alone", qed().le64(16, 4), read_only()),
        case(
            "qed/l1_to_itself",
            qed().le64(L1, L1),
            unreadable("overlaps").map(13, "another table").cat(13, "another table"),
        ),
        case("qed/l1_to_header", qed().le64(L1, 64), unreadable("misaligned or outside the file")),
        case("qed/l1_misaligned_table", qed().le64(L1, L2 + 8), unreadable("misaligned")),
        case("qed/l1_past_eof_table", qed().le64(L1, 1 << 40), unreadable("outside the file")),
        case(
            "qed/l1_zero_marker",
            qed().le64(L1, 1),
            unreadable("").map(13, "misaligned").cat(13, "misaligned"),
        ),
        case(
            "qed/two_l1_entries_one_table",
            qed().le64(L1 + 8, L2),
            unreadable("overlaps").map(13, "another table").cat(13, "another table"),
        ),
        case("qed/l2_to_header", qed().le64(L2, 2), unreadable("misaligned")),
        case("qed/l2_to_l1", qed().le64(L2, L1), corrupt("referenced twice")),
        case("qed/l2_to_itself", qed().le64(L2, L2), corrupt("referenced twice")),
        case("qed/l2_misaligned", qed().le64(L2, 3 * CLUSTER + 512), unreadable("misaligned")),
        case("qed/l2_past_eof", qed().le64(L2, 1 << 50), unreadable("outside the file")),
        case("qed/l2_overflow", qed().le64(L2, u64::MAX << 12), unreadable("outside the file")),
        case("qed/one_cluster_twice", qed().le64(L2 + 24, 3 * CLUSTER), corrupt("referenced twice")),
        case(
            "qed/cluster_never_used",
            qed().put(5 * CLUSTER, &[1; 4096]),
            Verdict { check: (3, "not referenced"), ..read_only() },
        ),
    ]);
    for len in [4, 8, 63, 64, 100, 4095, 4096, 8191] {
        all.push(case(format!("qed/cut_at_{len}"), qed().cut(len), refused("")));
    }
    all
}
