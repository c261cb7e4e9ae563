//! The snapshot table.

use crate::build::Bytes;
use crate::case::{Case, case, corrupt, refused, sound};
use crate::qcow2::{CLUSTER, SIZE, at, entry, with_snapshot};

fn table(entries: &[Vec<u8>]) -> Bytes {
    with_snapshot()
        .be32(60, entries.len() as u32)
        .put(at(8), &vec![0; CLUSTER as usize])
        .put(at(8), &entries.concat())
}

fn one(l1_at: u64, l1_size: u32) -> Bytes {
    table(&[entry(l1_at, l1_size, b"1", b"sn0", 16, SIZE)])
}

pub(crate) fn cases() -> Vec<Case> {
    let good = || entry(at(9), 1, b"1", b"sn0", 16, SIZE);
    let l1 = "L1 table does not lie inside the file";
    vec![
        case("snapshot/2_32_minus_1", with_snapshot().be32(60, u32::MAX), refused("4294967295 snapshots")),
        case(
            "snapshot/65537",
            with_snapshot().be32(60, 65537),
            refused("65537 snapshots are more than 65536"),
        ),
        case("snapshot/65536", with_snapshot().be32(60, 65536), refused("snapshot table entry")),
        case("snapshot/table_at_0", with_snapshot().be64(64, 0), refused("snapshot table offset 0x0")),
        case(
            "snapshot/table_misaligned",
            with_snapshot().be64(64, at(8) + 8),
            refused("snapshot table offset"),
        ),
        case("snapshot/table_past_eof", with_snapshot().be64(64, at(99)), refused("snapshot table offset")),
        case(
            "snapshot/table_overflow",
            with_snapshot().be64(64, 0u64.wrapping_sub(CLUSTER)),
            refused("snapshot table offset"),
        ),
        case(
            "snapshot/table_at_l1",
            with_snapshot().be64(64, at(3)),
            corrupt("refcount 1, 2 references").map(0, ""),
        ),
        case(
            "snapshot/extra_4_gib",
            with_snapshot().be32(at(8) + 36, u32::MAX),
            refused("bytes of extra data"),
        ),
        case(
            "snapshot/extra_1025",
            with_snapshot().be32(at(8) + 36, 1025),
            refused("1025 bytes of extra data"),
        ),
        case("snapshot/id_64_kib", with_snapshot().be16(at(8) + 12, u16::MAX), refused("entry 0")),
        case("snapshot/name_64_kib", with_snapshot().be16(at(8) + 14, u16::MAX), refused("entry 0")),
        case("snapshot/second_entry_missing", with_snapshot().be32(60, 200), refused("entry")),
        case("snapshot/l1_huge", one(at(9), u32::MAX), refused("L1 table of 4294967295 entries")),
        case("snapshot/l1_over_32_mib", one(at(9), (4 << 20) + 1), refused("L1 table of 4194305 entries")),
        case("snapshot/l1_32_mib_past_eof", one(at(9), 4 << 20), corrupt("L1 tables overlap")),
        case("snapshot/l1_misaligned", one(at(9) + 8, 1), corrupt(l1)),
        case("snapshot/l1_past_eof", one(at(900), 1), corrupt(l1)),
        case("snapshot/l1_overflow", one(u64::MAX - 7, 1), corrupt("")),
        case("snapshot/l1_at_header", one(0, 1), corrupt("refcount")),
        case("snapshot/l1_is_the_active_one", one(at(3), 1), corrupt("L1 tables overlap")),
        case("snapshot/l1_size_0", one(at(9), 0), sound().check(3, "leak")),
        case("snapshot/same_id_twice", table(&[good(), good()]), corrupt("L1 tables overlap").info(0, "sn0")),
        case("snapshot/empty_name_and_id", table(&[entry(at(9), 1, b"", b"", 16, SIZE)]), sound()),
        case("snapshot/size_8_eib", table(&[entry(at(9), 1, b"1", b"sn0", 16, 1 << 63)]), sound()),
        case("snapshot/size_2_64_minus_1", table(&[entry(at(9), 1, b"1", b"sn0", 16, u64::MAX)]), sound()),
        case("snapshot/size_0", table(&[entry(at(9), 1, b"1", b"sn0", 16, 0)]), sound()),
        case("snapshot/no_extra_in_v3", table(&[entry(at(9), 1, b"1", b"sn0", 0, 0)]), sound()),
        case("snapshot/unknown_extra", table(&[entry(at(9), 1, b"1", b"sn0", 1024, SIZE)]), sound()),
        case(
            "snapshot/date_in_2106",
            with_snapshot().be32(at(8) + 16, u32::MAX).be32(at(8) + 20, u32::MAX),
            sound(),
        ),
        case("snapshot/name_not_utf8", table(&[entry(at(9), 1, b"1", b"\xff\xfe\x80", 16, SIZE)]), sound()),
        case("snapshot/name_with_nul", table(&[entry(at(9), 1, b"\0", b"a\0b", 16, SIZE)]), sound()),
        case(
            "snapshot/escapes_in_the_name",
            table(&[entry(at(9), 1, b"\x1b[2J", "\x1b]52;c;x\x07\u{202e}\u{9b}\r\n".as_bytes(), 16, SIZE)]),
            sound().info(0, "\\u{1b}]52").tree("\\u{1b}]52"),
        ),
    ]
}
