//! Header extensions: the list itself, bitmaps, encryption header, data file, feature names.

use crate::build::Bytes;
use crate::case::{Case, Verdict, case, corrupt, refused, scene, sound};
use crate::qcow2::{BITS, CLUSTER, COMPRESSED, COPIED, Qcow2, at, l2, rc};

const FORMAT: u32 = 0xe279_2aca;
const FEATURES: u32 = 0x6803_f857;
const BITMAPS: u32 = 0x2385_2875;
const CRYPTO: u32 = 0x0537_be77;
const DATA_FILE: u32 = 0x4441_5441;
const FIRST: u64 = 112;

pub(crate) fn cases() -> Vec<Case> {
    let unknown = |len: usize| Qcow2::default().with(0x1234_5678, vec![7; len]).build();
    let mut all = vec![
        case(
            "extension/length_2_31",
            unknown(8).be32(FIRST + 4, 1 << 31),
            refused("header extension 0x12345678"),
        ),
        case(
            "extension/length_2_32_minus_1",
            unknown(8).be32(FIRST + 4, u32::MAX),
            refused("header extension"),
        ),
        case(
            "extension/length_past_cluster",
            unknown(8).be32(FIRST + 4, CLUSTER as u32),
            refused("header extension"),
        ),
        case("extension/no_end_marker", v3_filled(), sound()),
        case("extension/garbage_for_a_list", garbage(), refused("header extension 0xffffffff")),
        case("extension/unknown", unknown(100), sound()),
        case("extension/unknown_of_length_0", unknown(0), sound()),
        case(
            "extension/format_twice",
            Qcow2::default().with(FORMAT, "raw").with(FORMAT, "qcow2").build(),
            sound(),
        ),
        case("extension/format_without_backing", Qcow2::default().with(FORMAT, "raw").build(), sound()),
        case(
            "extension/feature_names_with_escapes",
            Qcow2::default().with(FEATURES, [&[0, 63][..], b"\x1b]0;owned\x07\0", &[0; 35]].concat()).build(),
            sound(),
        ),
        case(
            "extension/feature_names_of_odd_length",
            Qcow2::default().with(FEATURES, [1; 49]).build(),
            sound(),
        ),
    ];
    all.extend(bitmaps());
    all.extend(crypto());
    all.extend(data_files());
    all
}

/// Extensions of 8 bytes up to the very end of the cluster, and no end marker.
fn v3_filled() -> Bytes {
    let list: Vec<u8> = std::iter::repeat_n([0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0], 498).flatten().collect();
    Qcow2::default().build().put(FIRST, &list)
}

fn garbage() -> Bytes {
    Qcow2::default().build().put(FIRST, &[0xff; 64])
}

/// An image with one bitmap directory of one entry at cluster 8, its table at cluster 9.
pub(crate) fn with_bitmaps(count: u32, size: u64, offset: u64, directory: &[u8]) -> Bytes {
    let ext = Bytes::default().be32(0, count).be32(4, 0).be64(8, size).be64(16, offset);
    let image = Qcow2::default().with(BITMAPS, ext.near).build().be64(88, 1);
    image.put(at(8), directory).put(at(9), &[0; CLUSTER as usize]).be16(at(2) + 16, 1).be16(at(2) + 18, 1)
}

pub(crate) fn bitmap(table: u64, entries: u32, flags: u32, name: &[u8]) -> Vec<u8> {
    let out = Bytes::default()
        .be64(0, table)
        .be32(8, entries)
        .be32(12, flags)
        .be8(16, 1)
        .be8(17, 16)
        .be16(18, name.len() as u16)
        .be32(20, 0)
        .put(24, name);
    let mut near = out.near;
    near.resize(near.len().next_multiple_of(8), 0);
    near
}

fn bitmaps() -> Vec<Case> {
    let good = bitmap(at(9), 1, 2, b"b0");
    let len = good.len() as u64;
    let kept = Verdict { commit: (10, "bitmaps-lost"), ..sound() };
    let bad = |words| Verdict { check: (2, words), commit: (13, ""), ..sound() }.info(0, "(unreadable)");
    let escapes = bitmap(at(9), 1, 2, "\x1b[31m\u{202e}".as_bytes());
    vec![
        case("bitmap/sound", with_bitmaps(1, len, at(8), &good), kept.info(0, "b0")),
        case("bitmap/in_use", with_bitmaps(1, len, at(8), &bitmap(at(9), 1, 3, b"b0")), kept.info(0, "b0")),
        case(
            "bitmap/escapes",
            with_bitmaps(1, escapes.len() as u64, at(8), &escapes),
            kept.info(0, "\\u{1b}[31m\\u{202e}"),
        ),
        case("bitmap/65536_of_them", with_bitmaps(65536, len, at(8), &good), bad("bitmap directory of")),
        case(
            "bitmap/two_in_the_room_of_one",
            with_bitmaps(2, len, at(8), &good),
            bad("bitmap directory entry 1"),
        ),
        case("bitmap/directory_huge", with_bitmaps(1, u64::MAX, at(8), &good), bad("bitmap directory of")),
        case("bitmap/directory_past_eof", with_bitmaps(1, len, at(800), &good), bad("bitmap directory of")),
        case(
            "bitmap/directory_overflow",
            with_bitmaps(1, len, u64::MAX - 7, &good),
            bad("bitmap directory of"),
        ),
        case("bitmap/directory_at_l1", with_bitmaps(1, 8, at(3), &good), bad("bitmap directory entry 0")),
        case(
            "bitmap/directory_over_data",
            with_bitmaps(1, len, at(8), &good).be64(crate::qcow2::l2(0), at(8) | 1 << 63),
            Verdict { check: (2, "references"), commit: (13, "damaged"), ..kept },
        ),
        case(
            "bitmap/table_of_a_word_more_than_qemu_has",
            with_bitmaps(1, len, at(8), &bitmap(at(9), (512 << 20 >> BITS) + 1, 2, b"b0")).sparse(1 << 30),
            bad("bitmap directory entry 0"),
        ),
        case(
            "bitmap/largest_table",
            with_bitmaps(1, len, at(8), &bitmap(at(9), 512 << 20 >> BITS, 2, b"b0")).sparse(1 << 30),
            Verdict { commit: (13, ""), ..corrupt("references") }.info(0, "b0"),
        ),
        case(
            "bitmap/table_huge",
            with_bitmaps(1, len, at(8), &bitmap(at(9), u32::MAX, 2, b"b0")),
            bad("bitmap directory entry 0"),
        ),
        case(
            "bitmap/table_past_eof",
            with_bitmaps(1, len, at(8), &bitmap(at(900), 1, 2, b"b0")),
            bad("bitmap directory entry 0"),
        ),
        case(
            "bitmap/table_entry_past_eof",
            with_bitmaps(1, len, at(8), &good).be64(at(9), at(900)),
            Verdict { check: (2, "bitmap data reaches beyond"), commit: (13, "damaged"), ..kept },
        ),
        case(
            "bitmap/name_of_2000_bytes",
            with_bitmaps(1, 2024, at(8), &bitmap(at(9), 1, 2, &[b'x'; 2000])),
            bad("bitmap directory entry 0"),
        ),
        case(
            "bitmap/extension_too_short",
            Qcow2::default().with(BITMAPS, [0; 8]).build().be64(88, 1),
            bad("bitmaps extension is too short"),
        ),
    ]
}

fn crypto() -> Vec<Case> {
    let luks = |offset: u64, len: u64| {
        let ext = Bytes::default().be64(0, offset).be64(8, len);
        let image = Qcow2::default().with(CRYPTO, ext.near).build();
        image.be32(32, 2).be64(crate::qcow2::l2(3), 0).be16(crate::qcow2::rc(7), 0)
    };
    let locked = Verdict { cat: (13, "LUKS"), commit: (13, "encrypted"), ..sound() };
    let bad = |words| Verdict { check: (2, words), ..locked };
    vec![
        case("luks/header_past_eof", luks(at(900), CLUSTER), bad("encryption header reaches beyond")),
        case("luks/header_overflow", luks(u64::MAX, u64::MAX), bad("encryption header")),
        case("luks/header_huge", luks(at(7), 1 << 40), bad("encryption header of 1099511627776 bytes")),
        case("luks/header_at_l1", luks(at(3), CLUSTER), bad("refcount 1, 2 references")),
        case("luks/no_header", luks(0, 0), locked),
    ]
}

fn data_files() -> Vec<Case> {
    // Two clusters in the data file, at their guest offsets; nothing of it counted here.
    let external = |image: Qcow2| {
        let image = image.build().be64(72, 4).be64(l2(0), COPIED).be64(l2(1), at(1) | COPIED).be64(l2(3), 0);
        (5..8).fold(image, |image, cluster| image.be16(rc(cluster), 0))
    };
    let image = |name: &str| external(Qcow2::default().with(DATA_FILE, name));
    // Shown as text, and followed through the gate alone.
    let shown = |words: &'static str, code: i32, why: &'static str| Verdict {
        info: (0, words),
        map: (code, why),
        cat: (code, why),
        commit: (code, why),
        ..sound()
    };
    let mut all = vec![case(
        "data_file/unnamed",
        external(Qcow2::default()),
        shown("(unnamed)", 13, "does not say which file"),
    )];
    for (what, name, code, why) in [
        ("absolute", "/etc/shadow", 13, "outside the folders"),
        ("json", "json:{\"file.filename\":\"/etc/shadow\"}", 13, "only plain file names"),
        ("itself", "x.img", 13, "is the image itself"),
        ("nbd", "nbd://127.0.0.1/x", 13, "only plain file names"),
        ("dots", "../outside/secret", 13, "outside the folders"),
        ("device", "/dev/zero", 13, "not a file of an ordinary file system"),
        ("descriptor", "/dev/fd/3", 1, "cannot be reached"),
    ] {
        all.push(case(format!("data_file/{what}"), image(name), shown(name, code, why)));
    }
    // With a data file of that name; what it holds does not matter.
    let beside = |what: &str, image: Bytes, verdict| {
        scene(format!("data_file/{what}"), verdict, &["y.img"], move |stage| {
            stage.put("x.img", &image);
            stage.put("y.img", &Bytes::new(vec![0x44; 3 * CLUSTER as usize]));
        })
    };
    let wrong = |words| Verdict { map: (13, words), cat: (13, words), ..corrupt(words) };
    all.extend([
        beside("sound", image("y.img"), sound()),
        beside(
            "another_place",
            image("y.img").be64(l2(1), at(5) | COPIED),
            wrong("points at 0x5000 of the external data file"),
        ),
        beside(
            "compressed",
            image("y.img").be64(l2(3), COMPRESSED | at(7)),
            wrong("compressed cluster in an image with an external data file"),
        ),
    ]);
    all.push(case(
        "data_file/escapes",
        image("\x1b]0;x\x07"),
        shown("\\u{1b}]0;x\\u{7}", 1, "cannot be reached"),
    ));
    all
}
