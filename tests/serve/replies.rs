//! Requests and their replies: simple, in chunks, and errors.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cowherd::serve::Export;

use crate::client::*;
use crate::common::Random;
use crate::stage::{Said, Sheet, connected, export, view};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Holes of many sizes, some of them not worth a chunk.
fn holey(len: u64, seed: u64) -> Vec<Range<u64>> {
    let mut random = Random::new(seed);
    let mut holes = Vec::new();
    let mut at = random.below(64) * KIB;
    while at < len {
        let n = *random.pick(&[512, 512, 4 * KIB, 4096 - 512, 64 * KIB, 300 * KIB]);
        holes.push(at..(at + n).min(len));
        at += n + 512 * (1 + random.below(900));
    }
    holes
}

#[test]
fn every_read_tells_the_bytes() {
    let len = 5 * MIB;
    for seed in 1..=4 {
        let sheet = Sheet::new(len as usize, &holey(len, seed));
        let bytes = sheet.bytes.clone();
        let export = export(sheet);
        for structured in [false, true] {
            let mut client = connected(&export);
            client.hello(3);
            if structured {
                client.structured();
            }
            client.go("", &[]);
            let mut random = Random::new(seed);
            for round in 0..120 {
                let at = random.below(len);
                let most = *random.pick(&[1, 513, 4096, 70_000, 3 << 20]);
                let n = (1 + random.below(most)).min(len - at);
                let got = client.read(at, n as u32).unwrap();
                assert!(got == bytes[at as usize..(at + n) as usize], "seed {seed} round {round}: {at} {n}");
            }
            assert!(client.read(0, len as u32).unwrap() == bytes);
        }
    }
}

#[test]
fn holes_are_told_as_holes() {
    let sheet = Sheet::new(1 << 20, &[0..64 * KIB, 128 * KIB..129 * KIB, 256 * KIB..1 << 20]);
    let mut client = connected(&export(sheet));
    client.open(&[]);
    client.request(READ, 0, 0, 1 << 20);
    let parts = client.parts(0, 1 << 20).unwrap();
    // A kibibyte of zeros is not worth a chunk.
    let shape: Vec<_> = parts
        .iter()
        .map(|part| match part {
            Part::Data(at, data) => (*at, data.len() as u64, true),
            Part::Hole(at, len) => (*at, u64::from(*len), false),
        })
        .collect();
    let expected = [(0, 64 * KIB, false), (64 * KIB, 192 * KIB, true), (256 * KIB, MIB - 256 * KIB, false)];
    assert_eq!(shape, expected);
    client.request(READ, 0, 300 * KIB, 1);
    assert_eq!(client.parts(300 * KIB, 1).unwrap(), [Part::Hole(300 * KIB, 1)]);
}

#[test]
fn unfragmented_reads_are_one_chunk() {
    let len = 4 * MIB;
    let sheet = Sheet::new(len as usize, &holey(len, 9));
    let (bytes, hole) = (sheet.bytes.clone(), sheet.holes[3].clone());
    let mut client = connected(&export(sheet));
    client.open(&[]);
    let mut random = Random::new(9);
    for _ in 0..60 {
        let n = 1 + random.below(MIB);
        let at = random.below(len - n);
        client.request(READ, DF, at, n as u32);
        let parts = client.parts(at, n as u32).unwrap();
        assert_eq!(parts.len(), 1);
        assert!(joined(&parts, at, n as u32) == bytes[at as usize..(at + n) as usize]);
    }
    let n = (hole.end - hole.start) as u32;
    client.request(READ, DF, hole.start, n);
    assert_eq!(client.parts(hole.start, n).unwrap(), [Part::Hole(hole.start, n)]);
    client.request(READ, DF, 0, MIB as u32 + 1);
    let failed = client.parts(0, MIB as u32 + 1).unwrap_err();
    assert_eq!((failed.code, failed.before), (EOVERFLOW, vec![]));
}

#[test]
fn what_cannot_be_done_is_an_error_and_the_next_is_done() {
    let len = 48 * MIB;
    let bad = |command, flags, offset, length, code| (command, flags, offset, length, code);
    for structured in [false, true] {
        let mut client = connected(&export(Sheet::new(len as usize, &[])));
        client.hello(3);
        if structured {
            client.structured();
            client.ask(SET_META, &meta_data("", &["base:allocation"]));
        }
        client.go("", &[]);
        let large = if structured { EOVERFLOW } else { EINVAL };
        for (command, flags, offset, length, code) in [
            bad(READ, 0, len, 1, EINVAL),
            bad(READ, 0, len - 1, 2, EINVAL),
            bad(READ, 0, u64::MAX, 2, EINVAL),
            bad(READ, 0, 1 << 63, u32::MAX, EINVAL),
            bad(READ, 1, 0, 512, EINVAL),
            bad(READ, REQ_ONE, 0, 512, EINVAL),
            bad(READ, 0x8000, 0, 512, EINVAL),
            bad(READ, 0, 0, (32 << 20) + 1, large),
            bad(WRITE, 0, 0, 512, EPERM),
            bad(WRITE, 0, 0, 0, EPERM),
            bad(WRITE, 0xffff, u64::MAX, 100_000, EPERM),
            bad(WRITE_ZEROES, 0, 0, 512, EPERM),
            bad(TRIM, 0, 0, 512, EPERM),
            bad(FLUSH, 0, 0, 0, EINVAL),
            bad(CACHE, 0, 0, 512, EINVAL),
            bad(8, 0, 0, 512, EINVAL),
            bad(0xffff, 0, 0, 512, EINVAL),
            bad(STATUS, 0, len, 1, EINVAL),
            bad(STATUS, 0, 0, 0, EINVAL),
            bad(STATUS, DF, 0, 512, EINVAL),
        ] {
            client.request(command, flags, offset, length);
            if command == WRITE {
                // A request within a request is no request.
                let inner = request(READ, 0, 7, 0, 512);
                let data = inner.iter().copied().cycle().take(length as usize).collect::<Vec<_>>();
                client.send(&data);
            }
            let failed = client.done().unwrap_err();
            assert_eq!(failed.code, code, "{command} {flags} {offset} {length}");
            assert_eq!(failed.message.is_empty(), !structured);
            assert_eq!(client.read(512, 512).unwrap().len(), 512);
        }
        // Nothing is not much, but it can be read.
        assert_eq!(client.read(512, 0).unwrap(), Vec::<u8>::new());
        if !structured {
            client.request(READ, DF, 0, 512);
            assert_eq!(client.done().unwrap_err().code, EINVAL, "not negotiated");
            client.request(STATUS, 0, 0, 512);
            assert_eq!(client.done().unwrap_err().code, EINVAL, "not negotiated");
        }
        client.request(DISC, 0, 0, 0);
        assert!(client.is_over());
    }
}

#[test]
fn an_empty_view_is_one_too() {
    let mut client = connected(&export(Sheet::new(0, &[])));
    assert_eq!(client.open(&["base:allocation"]), 0);
    assert_eq!(client.read(0, 0).unwrap(), Vec::<u8>::new());
    assert_eq!(client.read(0, 1).unwrap_err().code, EINVAL);
    assert_eq!(client.status(0, 1, 0, 1).unwrap_err().code, EINVAL);
}

fn with_bad_place(len: u64, bad: Range<u64>) -> Export {
    export(Sheet { bad, ..Sheet::new(len as usize, &[MIB..MIB + 64 * KIB]) })
}

#[test]
fn a_bad_place_is_told_and_the_rest_is_read() {
    let export = with_bad_place(4 * MIB, 2 * MIB + 512..2 * MIB + 1024);
    let mut client = connected(&export);
    client.open(&["base:allocation"]);
    let failed = client.read(0, 4 << 20).unwrap_err();
    assert_eq!(failed.code, EIO);
    assert!(failed.message.contains("cannot read"), "{}", failed.message);
    assert!(!failed.before.is_empty(), "what was read before is told");
    let failed = client.read(2 << 20, 4096).unwrap_err();
    assert_eq!((failed.code, failed.before), (EIO, vec![]));
    client.request(READ, DF, 2 << 20, 4096);
    let failed = client.parts(2 << 20, 4096).unwrap_err();
    assert_eq!((failed.code, failed.before), (EIO, vec![]), "one chunk or none");
    client.read(0, 2 << 20).unwrap();
    client.read((2 << 20) + 1024, 4096).unwrap();

    let mut client = connected(&export);
    client.hello(3);
    client.go("", &[]);
    // Small and large: the error comes first, the data not at all.
    for (at, len) in [(2 << 20, 4096), (0, 4 << 20), (1 << 20, 3 << 20)] {
        assert_eq!(client.read(at, len).unwrap_err().code, EIO);
    }
    assert_eq!(client.read(0, 2 << 20).unwrap().len(), 2 << 20);
}

#[test]
fn status_has_limits() {
    let len = 1 << 20;
    let holes: Vec<_> = (0..len / 1024).map(|i| i * 1024..i * 1024 + 512).collect();
    let mut client = connected(&export(Sheet::new(len as usize, &holes)));
    client.open(&["base:allocation", "qemu:allocation-depth"]);
    let found = client.status(0, len as u32, 0, 2).unwrap();
    assert_eq!(found[0].len() as u64, 2 * len / 1024);
    assert!(found[0].chunks(2).all(|pair| pair == [(512, 3), (512, 0)]));
    assert_eq!(found[1], [(len as u32, 1)]);
    assert_eq!(client.status(100, 5000, REQ_ONE, 2).unwrap(), [vec![(412, 3)], vec![(5000, 1)]]);
    assert_eq!(client.status(100, 5, REQ_ONE, 2).unwrap(), [vec![(5, 3)], vec![(5, 1)]]);
    assert_eq!(client.map(len, 2)[0].len() as u64, 2 * len / 1024);

    // More than one reply tells at once: a client goes on where it ends.
    let end = 36_000 * 1024;
    let few: Vec<_> = (0..end / 1024).map(|i| i * 1024..i * 1024 + 512).collect();
    let mut client = connected(&export(Sheet::new(end as usize, &few)));
    client.open(&["base:allocation"]);
    let found = client.status(0, end as u32, 0, 1).unwrap();
    assert!((1..few.len() * 2).contains(&found[0].len()));
    let told: u64 = found[0].iter().map(|(len, _)| u64::from(*len)).sum();
    assert!(told < end);
    assert_eq!(client.status(told, 512, 0, 1).unwrap()[0].len(), 1);
}

#[test]
fn memory_is_bounded() {
    let len = 40 << 20;
    let sheet = Arc::new(Sheet::new(len, &[]));
    let export = Export::new(view(sheet.clone()));
    for structured in [false, true] {
        let mut said = 3_u32.to_be_bytes().to_vec();
        if structured {
            said.extend(option(STRUCTURED, &[]));
        }
        said.extend(option(GO, &info_data("", &[])));
        said.extend(request(READ, 0, 1, 4096, 32 << 20));
        said.extend(request(DISC, 0, 2, 0, 0));
        let mut stream = Said::new(&said);
        cowherd::serve::talk(&mut stream, &export, |_| {});
        assert!(stream.output.len() > 32 << 20);
        assert!(stream.largest <= (1 << 20) + 28, "{} bytes were sent at once", stream.largest);
        let largest = sheet.largest.load(Ordering::Relaxed);
        assert!(largest <= 1 << 20, "{largest} bytes were read at once");
    }
}
