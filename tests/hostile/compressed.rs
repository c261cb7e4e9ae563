//! Compressed clusters that are too short, too long, or bombs.

use crate::case::{Case, case, corrupt, sound};
use crate::qcow2::{CLUSTER, COMPRESSED, COPIED, Qcow2, at, compressed, deflate, l2, rc, v3, zstd};

pub(crate) fn cases() -> Vec<Case> {
    let bad = || sound().cat(13, "decompressed");
    let put = |stream: &[u8]| v3().put(at(7), stream).be64(l2(3), compressed(at(7), stream.len() as u64));
    let zput = |stream: &[u8]| {
        let image = Qcow2 { zstd: true, ..Qcow2::default() }.build();
        image.put(at(7), stream).be64(l2(3), compressed(at(7), stream.len() as u64))
    };
    let whole = CLUSTER as usize;
    let short = deflate(&vec![1; whole / 2]);
    let bomb = deflate(&vec![0; 64 << 20]);
    let noise: Vec<u8> = (0..whole as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let long = deflate(&noise);
    let zbomb = zstd(&vec![0; 64 << 20]);
    let mut window = zstd(&noise);
    // A frame header that asks for a window of 128 MiB.
    window.splice(4..6, [0, 17 << 3]);
    vec![
        case(
            "compressed/past_eof",
            v3().be64(l2(3), compressed(at(900), 100)),
            corrupt("beyond the end").cat(13, "decompressed"),
        ),
        case(
            "compressed/at_largest_offset",
            v3().be64(l2(3), COMPRESSED | ((1 << 58) - 1)),
            corrupt("beyond the end").cat(13, "decompressed"),
        ),
        case(
            "compressed/most_sectors",
            v3().be64(l2(3), compressed(at(7), 16 * 512)),
            corrupt("beyond the end"),
        ),
        case("compressed/zeros", put(&[0; 100]), bad()),
        case("compressed/too_short_inside", put(&short), bad()),
        case(
            "compressed/cut_off",
            put(&long[..long.len() / 2])
                .put(at(7) + long.len() as u64 / 2, &[0; 2048])
                .be64(l2(3), compressed(at(7), 512)),
            bad(),
        ),
        case("compressed/trailing_data", put(&[deflate(&vec![9; whole]), vec![0xee; 300]].concat()), sound()),
        case("compressed/bomb", put(&bomb[..whole]), sound()),
        case(
            "compressed/header_as_stream",
            v3().be64(l2(3), compressed(0, 512)),
            corrupt("references").cat(13, "decompressed"),
        ),
        case(
            "compressed/two_share_a_cluster",
            v3().be64(l2(4), compressed(at(7), 40)),
            corrupt("refcount 1, 2 references"),
        ),
        case(
            "compressed/shares_with_data",
            v3().be64(l2(3), compressed(at(5), 512)),
            corrupt("references").cat(13, "decompressed"),
        ),
        case(
            "compressed/all_of_the_disk",
            v3().fill64(l2(0), compressed(at(7), deflate(&[0x33; 4096]).len() as u64), 512)
                .be16(rc(7), 512)
                .be16(rc(5), 0)
                .be16(rc(6), 0),
            sound(),
        ),
        case("zstd/bomb", zput(&zbomb[..zbomb.len().min(whole)]), sound()),
        case("zstd/window_of_128_mib", zput(&window), bad()),
        case("zstd/zeros", zput(&[0; 100]), bad()),
        case("zstd/deflate_inside", zput(&deflate(&[0x33; 4096])), bad()),
        case("zstd/cut_off", zput(&zstd(&noise)[..100]), bad()),
        case("zstd/skippable_frame_forever", zput(&[0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff]), bad()),
        case(
            "zstd/copied_flag",
            Qcow2 { zstd: true, ..Qcow2::default() }.build().be64(l2(3), compressed(at(7), 40) | COPIED),
            corrupt("COPIED"),
        ),
    ]
}
