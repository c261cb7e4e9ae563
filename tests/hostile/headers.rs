//! The fixed header: every field with values that make no sense.

use crate::case::{Case, Verdict, case, corrupt, refused, sound, unreadable};
use crate::qcow2::{CLUSTER, Qcow2, SIZE, at, v2, v3, with_snapshot};

pub(crate) fn cases() -> Vec<Case> {
    let mut all = vec![
        case("header/sound_v3", v3(), sound()),
        case("header/sound_v2", v2(), sound()),
        case("header/sound_snapshot", with_snapshot(), sound()),
        case("header/sound_extended_l2", Qcow2 { extended: true, ..Qcow2::default() }.build(), sound()),
        case("header/sound_zstd", Qcow2 { zstd: true, ..Qcow2::default() }.build(), sound()),
    ];
    for bits in [0, 1, 8, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 63, 64, u32::MAX] {
        all.push(case(format!("header/cluster_bits_{bits}"), v3().be32(20, bits), refused("cluster_bits")));
    }
    for version in [0, 1, 4, u32::MAX] {
        all.push(case(format!("header/version_{version}"), v3().be32(4, version), refused("version")));
    }
    for order in [7, 8, 31, 32, 63, u32::MAX] {
        let name = format!("header/refcount_order_{order}");
        all.push(case(name, v3().be32(96, order), refused("refcount_order")));
    }
    for length in [0, 72, 103, 105, 111, CLUSTER as u32 + 8, 1 << 31, u32::MAX] {
        let name = format!("header/header_length_{length}");
        all.push(case(name, v3().be32(100, length), refused("header_length")));
    }
    all.extend(sizes());
    all.extend(bits());
    all.extend(tables());
    all
}

fn sizes() -> Vec<Case> {
    let small = refused("too small for a disk");
    let odd = sound();
    vec![
        case("size/8_eib", v3().be64(24, 1 << 63), small),
        case("size/2_64_minus_1", v3().be64(24, u64::MAX), small),
        case("size/one_l1_entry_too_many", v3().be64(24, (2 << 20) + 512), small),
        case("size/not_times_512", v3().be64(24, SIZE - 7), odd),
        case("size/0", v3().be64(24, 0), sound()),
        case("l1/size_0", v3().be32(36, 0), small),
        case("l1/size_0_with_snapshots", with_snapshot().be32(36, 0), small),
        case(
            "l1/size_0_of_nothing",
            v3().be32(36, 0).be64(24, 0),
            sound().check(3, "refcount 1, 0 references"),
        ),
        case("l1/larger_than_32_mib", v3().be32(36, (4 << 20) + 1), refused("L1 table of 33554440 bytes")),
        case("l1/size_2_31", v3().be32(36, 1 << 31), refused("L1 table of")),
        case("l1/size_2_32_minus_1", v3().be32(36, u32::MAX), refused("L1 table of")),
    ]
}

fn bits() -> Vec<Case> {
    let dirty = sound().tree("not closed cleanly").commit(13, "dirty");
    let marked = sound().tree("corrupt").commit(13, "corrupt");
    let mut all = vec![
        case("bits/dirty", v3().be64(72, 1), dirty),
        case("bits/corrupt", v3().be64(72, 2), marked),
        case("bits/zstd_without_type", v3().be64(72, 8), refused("compression_type")),
        case("bits/type_without_bit", v3().be8(104, 1), refused("compression_type")),
        case("bits/type_2", v3().be64(72, 8).be8(104, 2), refused("compression_type")),
        case("bits/extended_l2_with_small_clusters", v3().be64(72, 16), refused("extended L2")),
        case("bits/unknown_compatible", v3().be64(80, u64::MAX), sound()),
        case("bits/unknown_autoclear", v3().be64(88, u64::MAX << 1), sound()),
        case(
            "bits/all_incompatible",
            v3().be64(72, u64::MAX),
            refused("unknown incompatible feature bit 5, 6"),
        ),
        case("bits/crypt_method_3", v3().be32(32, 3), refused("encryption method 3")),
        case("bits/crypt_method_max", v3().be32(32, u32::MAX), refused("encryption method")),
    ];
    for bit in [5, 17, 63] {
        let words: &'static str = match bit {
            5 => "feature bit 5",
            17 => "feature bit 17",
            _ => "feature bit 63",
        };
        all.push(case(format!("bits/unknown_incompatible_{bit}"), v3().be64(72, 1 << bit), refused(words)));
    }
    for (name, method) in [("aes", 1), ("luks", 2)] {
        let words = if method == 1 { "AES" } else { "LUKS" };
        let verdict = Verdict { cat: (13, words), commit: (13, "encrypted"), ..sound() };
        // The compressed cluster is one contradiction more.
        let bytes = v3().be32(32, method).be64(crate::qcow2::l2(3), 0).be16(crate::qcow2::rc(7), 0);
        all.push(case(format!("bits/encrypted_{name}"), bytes, verdict));
    }
    all
}

fn tables() -> Vec<Case> {
    let far = "beyond the end of the file";
    let start = "not the start of a cluster";
    let other = "holds other metadata";
    vec![
        case("l1/offset_0", v3().be64(40, 0), refused("L1 table offset")),
        case("l1/offset_misaligned", v3().be64(40, at(3) + 8), refused(start)),
        case("l1/offset_past_eof", v3().be64(40, at(100)), refused(far)),
        case("l1/offset_overflow", v3().be64(40, u64::MAX - CLUSTER + 1), refused(far)),
        case("l1/at_refcount_table", v3().be64(40, at(1)), corrupt("refcount")),
        case("l1/at_refcount_block", v3().be64(40, at(2)), unreadable("L2 table").map(13, far).cat(13, far)),
        case("reftable/offset_0", v3().be64(48, 0), refused("refcount table offset")),
        case("reftable/offset_misaligned", v3().be64(48, at(1) + 512), refused(start)),
        case("reftable/offset_past_eof", v3().be64(48, at(1000)), refused(far)),
        case("reftable/offset_overflow", v3().be64(48, u64::MAX - CLUSTER + 1), refused(far)),
        case("reftable/no_clusters", v3().be32(56, 0), refused("refcount table of 0 bytes")),
        case("reftable/2_32_clusters", v3().be32(56, u32::MAX), refused("refcount table of")),
        case("reftable/larger_than_8_mib", v3().be32(56, 2049), refused("refcount table of")),
        case("reftable/past_eof", v3().be32(56, 100), refused(far)),
        case("reftable/at_l1", v3().be64(48, at(3)), corrupt("refcount block reaches beyond the end")),
        case("reftable/at_l2", v3().be64(48, at(4)), unreadable("refcount").map(13, other).cat(13, other)),
        case("reftable/at_itself_as_block", v3().be64(at(1), at(1)), corrupt("overlaps")),
    ]
}
