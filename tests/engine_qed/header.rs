//! What lies in the header: options and the backing file.

use std::ffi::OsString;

use cowherd::error::Kind;
use cowherd::image::qed::{self, CreateOptions};
use cowherd::image::{self, BackingRef, Format};
use cowherd::storage::{Recorder, Trace};

use crate::model::{Random, bytes, check, created, memory, power_cuts};

#[test]
fn a_new_backing_file_takes_one_sector() {
    for (seed, first) in [(1, 3_usize), (2, 448), (3, 449), (4, 900), (5, 1023)] {
        let file = created(4096, 2, 1 << 20, false);
        let mut random = Random::new(seed);
        let mut name = |len: usize| {
            OsString::from((0..len).map(|_| (b'a' + random.below(26) as u8) as char).collect::<String>())
        };
        let mut now = BackingRef { name: name(first), format: Some("raw".into()) };
        image::relink(&*file, Format::Qed, Some(&now), false).unwrap();
        for len in [1, 1023, 1000, 448, 449, 1023, 20] {
            let old = bytes(&file);
            let next = BackingRef { name: name(len), format: (len % 2 == 0).then(|| "raw".into()) };
            let trace = Trace::default();
            let recorded = Recorder::new(file.clone(), trace.clone());
            let asked = BackingRef {
                format: Some(if len % 2 == 0 { "raw" } else { "qcow2" }.into()),
                ..next.clone()
            };
            let written = image::relink(&recorded, Format::Qed, Some(&asked), false).unwrap();
            assert!(written <= 512 + len as u64);
            power_cuts(&old, &trace.events(), &|crashed, what| {
                let image = image::open(crashed.clone(), Some(Format::Qed)).unwrap();
                let found = image.backing().unwrap();
                assert!(*found == now || *found == next, "{what}: {found:?}");
                assert_eq!((check(crashed).corruptions, check(crashed).leaks), (0, 0));
            });
            now = next;
        }
        for len in [0, 1024] {
            let bad = BackingRef { name: name(len), format: None };
            assert_eq!(
                image::relink(&*file, Format::Qed, Some(&bad), false).unwrap_err().kind(),
                Kind::Unsupported
            );
        }
    }
}

#[test]
fn impossible_options_are_refused() {
    let cases = [
        (2048, 4, 0),
        (12288, 4, 0),
        (128 << 20, 4, 0),
        (65536, 1, 0),
        (65536, 3, 0),
        (65536, 32, 0),
        (64 << 20, 2, 1 << 20),
        (4096, 2, 1 << 40),
        (65536, 4, u64::MAX),
    ];
    for (cluster_size, table_size, virtual_size) in cases {
        let file = memory(Vec::new());
        let options = CreateOptions { cluster_size, table_size, virtual_size, backing: None };
        assert_eq!(qed::create(&*file, &options).unwrap_err().kind(), Kind::Usage, "{options:?}");
        assert_eq!(file.len().unwrap(), 0);
    }
    let long = BackingRef { name: "x".repeat(1024).into(), format: None };
    let options = CreateOptions { backing: Some(long), ..CreateOptions::default() };
    assert_eq!(qed::create(&*memory(Vec::new()), &options).unwrap_err().kind(), Kind::Usage);
}
