use std::sync::Arc;

use super::*;
use crate::error::Kind;
use crate::image::{ExtentKind, Severity};
use crate::storage::MemFile;

const CLUSTER: u64 = 4096;

/// Header, L1, L2 (both of one cluster), then data clusters; `l2` gives the first L2 entries.
fn image(l2: &[u64], data_clusters: u64) -> Vec<u8> {
    let mut bytes = b"QED\0".to_vec();
    for value in [CLUSTER as u32, 1, 1] {
        bytes.extend(value.to_le_bytes());
    }
    for value in [0, 0, 0, CLUSTER, 4 << 20] {
        bytes.extend(u64::to_le_bytes(value));
    }
    bytes.resize(((3 + data_clusters) * CLUSTER) as usize, 0);
    put(&mut bytes, CLUSTER, 2 * CLUSTER);
    for (i, entry) in (0..).zip(l2) {
        put(&mut bytes, 2 * CLUSTER + 8 * i, *entry);
    }
    bytes
}

fn put(bytes: &mut [u8], at: u64, value: u64) {
    bytes[at as usize..at as usize + 8].copy_from_slice(&value.to_le_bytes());
}

fn open(bytes: Vec<u8>) -> Result<Qed> {
    Qed::open(Arc::new(MemFile::new("x.qed", bytes)))
}

fn extents(image: &Qed) -> Vec<(u64, u64, ExtentKind)> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < image.virtual_size(State::Active) {
        let e = image.extent_at(State::Active, Guest(at), u64::MAX).unwrap();
        out.push((e.start.0, e.len, e.kind));
        at = e.end();
    }
    out
}

#[test]
fn runs_are_coalesced() {
    let qed = open(image(&[0, 1, 1, 3 * CLUSTER, 4 * CLUSTER, 6 * CLUSTER, 5 * CLUSTER], 4)).unwrap();
    let data = |cluster: u64| ExtentKind::Data { host: Host(cluster * CLUSTER) };
    let expected = [
        (0, CLUSTER, ExtentKind::Unallocated),
        (CLUSTER, 2 * CLUSTER, ExtentKind::Zero { host: None }),
        (3 * CLUSTER, 2 * CLUSTER, data(3)),
        (5 * CLUSTER, CLUSTER, data(6)),
        (6 * CLUSTER, CLUSTER, data(5)),
        (7 * CLUSTER, 505 * CLUSTER, ExtentKind::Unallocated),
        (512 * CLUSTER, 512 * CLUSTER, ExtentKind::Unallocated),
    ];
    assert_eq!(extents(&qed), expected);
    let inside = qed.extent_at(State::Active, Guest(3 * CLUSTER + 100), 200).unwrap();
    assert_eq!((inside.len, inside.kind), (200, ExtentKind::Data { host: Host(3 * CLUSTER + 100) }));
    assert_eq!(qed.space().unwrap().active, 4 * CLUSTER);
}

#[test]
fn threads_read_the_same() {
    let qed = open(image(&[3 * CLUSTER, 0, 1, 4 * CLUSTER], 2)).unwrap();
    let alone = extents(&qed);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| extents(&qed))).collect();
        assert!(all.into_iter().all(|t| t.join().unwrap() == alone));
    });
}

#[test]
fn hostile_headers_are_refused_by_field_and_offset() {
    // Place, width, value, what is said.
    let cases: [(usize, usize, u64, &str); 20] = [
        (0, 4, 0x1234, "magic"),
        (4, 4, 0, "cluster_size 0"),
        (4, 4, 2048, "cluster_size 2048"),
        (4, 4, 4097, "cluster_size 4097"),
        (4, 4, 128 << 20, "cluster_size 134217728"),
        (8, 4, 0, "table_size 0"),
        (8, 4, 3, "table_size 3"),
        (8, 4, 32, "table_size 32"),
        (12, 4, 0, "header_size of 0"),
        (12, 4, u32::MAX as u64, "header_size of 4294967295"),
        (16, 8, 8, "unknown QED feature bit 3"),
        (16, 8, 1 << 63, "unknown QED feature bit 63"),
        (40, 8, 0, "l1_table_offset 0x0"),
        (40, 8, 4097, "l1_table_offset 0x1001"),
        (40, 8, 1 << 40, "l1_table_offset 0x10000000000"),
        (40, 8, !4095, "l1_table_offset 0xfffffffffffff000"),
        (48, 8, 511, "image_size 511"),
        (48, 8, !511, "image_size"),
        (16, 8, 1, "backing_filename_size 0"),
        (8, 4, 16, "l1_table_offset 0x1000"),
    ];
    for (at, width, value, said) in cases {
        let mut bytes = image(&[], 1);
        bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        let error = open(bytes).map(|_| ()).unwrap_err();
        let expected = if said.contains("feature") { Kind::Unsupported } else { Kind::Corrupt };
        assert_eq!(error.kind(), expected, "{said}: {error}");
        let line = error.to_string();
        assert!(line.contains(said) && line.contains("at offset"), "{said}: {line}");
    }
}

#[test]
fn hostile_backing_names_are_refused() {
    let with = |offset: u32, size: u32, name: &[u8]| {
        let mut bytes = image(&[], 0);
        put(&mut bytes, 16, 1);
        bytes[56..60].copy_from_slice(&offset.to_le_bytes());
        bytes[60..64].copy_from_slice(&size.to_le_bytes());
        bytes[64..64 + name.len()].copy_from_slice(name);
        open(bytes)
    };
    assert_eq!(with(64, 4, b"base").unwrap().backing().unwrap().name, "base");
    for (offset, size) in [(0, 4), (63, 4), (64, 1024), (4093, 4), (u32::MAX, 4), (64, u32::MAX), (64, 5)] {
        let error = with(offset, size, b"base").map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{offset} {size}");
    }
}

#[test]
fn a_recorded_raw_is_told_and_nothing_else_is_guessed() {
    for (features, format) in [(1, None), (5, Some("raw"))] {
        let mut bytes = image(&[], 0);
        put(&mut bytes, 16, features | 2);
        bytes[56..64].copy_from_slice(&[64, 0, 0, 0, 1, 0, 0, 0]);
        bytes[64] = b'b';
        let qed = open(bytes).unwrap();
        assert_eq!(qed.backing().unwrap().format.as_deref(), format);
        assert_eq!(qed.details(), Details::Qed { need_check: true, table_size: 1 });
    }
}

#[test]
fn check_counts_what_is_wrong() {
    let counts = |l2: &[u64], clusters| {
        let report = open(image(l2, clusters)).unwrap().check().unwrap();
        (report.corruptions, report.leaks, report.allocated_clusters, report.fragmented_clusters)
    };
    assert_eq!(counts(&[3 * CLUSTER, 1, 4 * CLUSTER], 2), (0, 0, 2, 0));
    assert_eq!(counts(&[4 * CLUSTER, 3 * CLUSTER], 2), (0, 0, 2, 1));
    assert_eq!(counts(&[3 * CLUSTER], 3), (0, 2, 1, 0), "leaks");
    assert_eq!(counts(&[3 * CLUSTER, 3 * CLUSTER], 1), (1, 0, 2, 1), "one cluster twice");
    assert_eq!(counts(&[2 * CLUSTER], 0), (1, 0, 1, 0), "data on its own L2 table");
    assert_eq!(counts(&[0x1234, 1 << 60, 0], 0), (2, 0, 2, 1), "offsets outside");
    let report = open(image(&[0], 5000)).unwrap().check().unwrap();
    assert_eq!((report.leaks, report.findings.len()), (5000, CheckReport::MAX_FINDINGS));
    assert!(report.findings.iter().all(|f| f.severity == Severity::Leak));
}

#[test]
fn a_bad_entry_fails_its_range_only() {
    let qed = open(image(&[3 * CLUSTER, 1 << 50, 1], 1)).unwrap();
    let at = |cluster: u64| qed.extent_at(State::Active, Guest(cluster * CLUSTER), u64::MAX);
    assert_eq!(at(0).unwrap().len, CLUSTER);
    let error = at(1).unwrap_err();
    assert!(error.to_string().contains("0x2008"), "{error}");
    assert_eq!(at(2).unwrap().kind, ExtentKind::Zero { host: None });
    // An L1 entry that leads to the L1 table itself is a table like any other to read; check sees it.
    let mut bytes = image(&[], 0);
    put(&mut bytes, CLUSTER, CLUSTER);
    assert_eq!(open(bytes).unwrap().check().unwrap().corruptions, 1);
    let mut bytes = image(&[], 0);
    put(&mut bytes, CLUSTER, 1 << 40);
    assert_eq!(open(bytes).unwrap().extent_at(State::Active, Guest(0), 1).unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn damaged_anywhere_it_answers_or_refuses() {
    let good = image(&[3 * CLUSTER, 1, 4 * CLUSTER], 2);
    let interesting = [0, 1, 2, 0xfff, 0x1000, 0x1001, u64::MAX, 1 << 63, !0xfff, 1 << 32];
    for at in (0..64).chain(4096..4112).chain(8192..8208) {
        for value in interesting {
            let mut bytes = good.clone();
            bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
            let Ok(qed) = open(bytes) else { continue };
            let _ = qed.check();
            let size = qed.virtual_size(State::Active);
            for guest in [0, CLUSTER, size / 2, size.saturating_sub(1)] {
                if guest < size
                    && let Ok(extent) = qed.extent_at(State::Active, Guest(guest), u64::MAX)
                {
                    assert!(extent.len > 0 && extent.end() <= size);
                    let _ = qed.read(&extent, 0, &mut [0; 16]);
                }
            }
        }
    }
    for cut in 0..good.len() {
        if let Ok(qed) = open(good[..cut].to_vec()) {
            let _ = (qed.check(), qed.extent_at(State::Active, Guest(0), u64::MAX));
        }
    }
}
