//! Refcounts that lie, and refcount structures in impossible places.

use crate::build::Bytes;
use crate::case::{Case, case, corrupt, sound};
use crate::qcow2::{CLUSTER, at, rc, v3, with_snapshot};

pub(crate) fn cases() -> Vec<Case> {
    let leak = |words| sound().check(3, words);
    let mut all = vec![
        case("refcount/block_at_0", v3().be64(at(1), 0), corrupt("refcount 0, 1 references")),
        case("refcount/block_at_header", v3().be64(at(1), 1 << 8), corrupt("refcount 0, 1 references")),
        case(
            "refcount/block_misaligned",
            v3().be64(at(1), at(2) + 512),
            corrupt("not the start of a cluster"),
        ),
        case("refcount/block_past_eof", v3().be64(at(1), at(500)), corrupt("refcount block reaches beyond")),
        case(
            "refcount/block_largest_offset",
            v3().be64(at(1), u64::MAX << 12),
            corrupt("refcount block reaches beyond"),
        ),
        case(
            "refcount/block_listed_twice",
            v3().be64(at(1) + 8, at(2)),
            corrupt("refcount block 1 overlaps"),
        ),
        case(
            "refcount/table_of_one_block",
            v3().fill64(at(1), at(2), 512),
            corrupt("overlaps something else"),
        ),
        case("refcount/block_at_l1", v3().be64(at(1), at(3)), corrupt("overlaps something else")),
        case("refcount/block_at_l2", v3().be64(at(1), at(4)), corrupt("overlaps something else")),
        case("refcount/block_at_data", v3().be64(at(1), at(5)), corrupt("overlaps something else")),
        case("refcount/too_low", v3().be16(rc(5), 0), corrupt("refcount 0, 1 references")),
        case("refcount/of_itself_0", v3().be16(rc(2), 0), corrupt("refcount 0, 1 references")),
        case("refcount/of_header_0", v3().be16(rc(0), 0), corrupt("refcount 0, 1 references")),
        case("refcount/all_0", v3().put(at(2), &[0; CLUSTER as usize]), corrupt("refcount 0, 1 references")),
        case(
            "refcount/all_full",
            v3().put(at(2), &[0xff; CLUSTER as usize]),
            corrupt("COPIED flag contradicts refcount 65535"),
        ),
        case(
            "refcount/too_high_of_a_snapshot",
            with_snapshot().be16(rc(11), 7),
            leak("refcount 7, 1 references"),
        ),
        case("refcount/leak_behind_the_end", v3().be16(rc(2000), 1), leak("refcount 1, 0 references")),
        case("refcount/too_high_for_compressed", v3().be16(rc(7), 2), leak("refcount 2, 1 references")),
    ];
    for order in [0, 1, 2, 3, 5, 6] {
        // The counters stay two bytes wide, so they all read wrong.
        let name = format!("refcount/read_as_{}_bits", 1 << order);
        all.push(case(name, v3().be32(96, order), corrupt("references")));
    }
    all.extend(bombs());
    all
}

/// Little on disk, much to look at.
fn bombs() -> Vec<Case> {
    let whole_table: Bytes = v3().be64(48, 1 << 21).be32(56, 2048);
    vec![
        case(
            "refcount_bomb/8_mib_table_of_one_block",
            whole_table.clone().fill64(1 << 21, at(2), 1 << 20),
            corrupt("overlaps something else"),
        ),
        case(
            "refcount_bomb/8_mib_table_of_far_blocks",
            whole_table.words(1 << 21, (0..1 << 20).map(|i| (16 << 20) + (i << 21))).sparse(2 << 41),
            corrupt("refcount 0, 1 references"),
        ),
    ]
}
