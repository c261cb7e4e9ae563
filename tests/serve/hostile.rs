//! Clients that say anything, nothing, too much or too slowly.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use cowherd::serve::{Export, Limits, MAX_OPTION, MAX_REQUEST, What, talk};

use crate::client::*;
use crate::common::Random;
use crate::stage::{Said, Serving, Sheet, connected, export};

const LEN: usize = 256 << 10;

fn sheet() -> Export {
    export(Sheet { bad: 8192..8704, ..Sheet::new(LEN, &[65_536..131_072]) })
}

/// A conversation in which nearly everything is said.
fn conversation() -> Vec<u8> {
    let contexts = ["base:allocation", "qemu:allocation-depth"];
    [
        3_u32.to_be_bytes().to_vec(),
        option(LIST, &[]),
        option(77, b"something else"),
        option(STRUCTURED, &[]),
        option(LIST_META, &meta_data("", &[])),
        option(SET_META, &meta_data("disk", &contexts)),
        option(INFO, &info_data("other", &[])),
        option(GO, &info_data("disk", &[1, 2, 3])),
        request(READ, 0, 1, 0, 4096),
        request(READ, DF, 2, 60_000, 70_000),
        request(READ, 0, 3, 8000, 4096),
        request(STATUS, 0, 4, 0, LEN as u32),
        request(STATUS, REQ_ONE, 5, 100, 1000),
        request(WRITE, 0, 6, 0, 16),
        b"IHAVEOPT%`\x95\x13\0\0\0\0".to_vec(),
        request(TRIM, 0, 7, 0, 512),
        request(DISC, 0, 8, 0, 0),
    ]
    .concat()
}

/// What the server sends to somebody who says this, and how it ends.
fn answer(export: &Export, said: &[u8]) -> (Vec<u8>, Vec<What>) {
    let mut stream = Said::new(said);
    let mut told = Vec::new();
    talk(&mut stream, export, |what| told.push(what));
    (stream.output, told)
}

#[test]
fn cut_off_at_every_byte_it_has_said_the_same_until_then() {
    let export = sheet();
    let all = conversation();
    let (whole, told) = answer(&export, &all);
    assert_eq!(told.last(), Some(&What::Left));
    assert!(told.iter().any(|what| matches!(what, What::ReadFailed(_))));
    let mut before = 0;
    for end in 0..all.len() {
        let (part, told) = answer(&export, &all[..end]);
        assert!(whole.starts_with(&part), "cut at {end}");
        assert!(part.len() >= before, "cut at {end}");
        before = part.len();
        assert!(matches!(told.last(), Some(What::Left | What::Dropped(_))), "{told:?}");
    }
    assert_eq!(before, whole.len());
}

#[test]
fn whatever_is_said_it_answers_or_hangs_up() {
    let export = sheet();
    let all = conversation();
    let mut opened = 0;
    for round in 0..4000 {
        let mut random = Random::new(round);
        let mut said = all.clone();
        for _ in 0..1 + random.below(6) {
            let at = random.below(said.len() as u64) as usize;
            match random.below(4) {
                0 => said[at] = random.next() as u8,
                1 => said[at] = *random.pick(&[0, 1, 0x7f, 0x80, 0xff]),
                2 => drop(said.remove(at)),
                _ => said.insert(at, random.next() as u8),
            }
        }
        let told = catch_unwind(AssertUnwindSafe(|| answer(&export, &said).1));
        let told = told.unwrap_or_else(|_| panic!("round {round} panicked"));
        opened += u64::from(told.iter().any(|what| matches!(what, What::Opened { .. })));
    }
    assert!(opened > 1000, "only {opened} of 4000 came past the handshake");
    for round in 0..200 {
        let mut random = Random::new(round);
        let garbage: Vec<u8> = (0..random.below(5000)).map(|_| random.next() as u8).collect();
        for head in [0, 4, all.len() - 200] {
            answer(&export, &[&all[..head], &garbage].concat());
        }
    }
}

#[test]
fn too_much_at_once_ends_it() {
    let export = sheet();
    let mut long = connected(&export);
    long.hello(3);
    long.send(&option(GO, &[])[..12]);
    long.send(&(MAX_OPTION as u32 + 1).to_be_bytes());
    assert!(long.is_over(), "an option that is too long");

    let mut large = connected(&export);
    large.open(&[]);
    large.request(WRITE, 0, 0, MAX_REQUEST + 1);
    assert!(large.is_over(), "more to write than anybody sends");

    let mut wrong = connected(&export);
    wrong.open(&[]);
    wrong.send(&[0x55; 28]);
    assert!(wrong.is_over(), "no request");
}

fn limits() -> Limits {
    Limits { clients: 2, ..Limits::default() }
}

#[test]
fn too_many_are_turned_away() {
    let serving = Serving::new(sheet(), limits());
    let mut first = Client::opened(&serving.path, &[]);
    let second = serving.connect();
    serving.wait_for(2);
    for _ in 0..5 {
        assert!(serving.connect().is_over());
    }
    first.read(0, 512).unwrap();
    drop(second);
    serving.wait_for(1);
    Client::opened(&serving.path, &[]).read(0, 512).unwrap();
    serving.server.stop();
}

#[test]
fn a_slow_handshake_keeps_no_place() {
    let handshake = Duration::from_millis(60);
    let serving = Serving::new(sheet(), Limits { handshake, ..limits() });
    let mut silent = serving.connect();
    let mut busy = serving.connect();
    // A byte now and then is no reason to wait: the whole handshake has one limit.
    let said = [&3_u32.to_be_bytes()[..], &option(99, &[0; 60_000])].concat();
    let mut said = said.iter().cycle();
    while busy.stream.write_all(&[*said.next().unwrap()]).is_ok() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut rest = Vec::new();
    let _ = silent.stream.read_to_end(&mut rest);
    assert!(rest.len() <= 18, "only the greeting");
    serving.wait_for(0);
    // Whoever is through may be idle for as long as it likes.
    let mut idle = loop {
        // On a busy machine this one can be too slow as well.
        if let Ok(client) = catch_unwind(|| Client::opened(&serving.path, &[])) {
            break client;
        }
    };
    std::thread::sleep(handshake * 3);
    idle.read(0, 512).unwrap();
}

#[test]
fn who_does_not_take_its_reply_is_dropped() {
    let large = export(Sheet::new(33 << 20, &[]));
    let serving = Serving::new(large, Limits { reply: Duration::from_millis(300), ..limits() });
    let mut stuck = Client::opened(&serving.path, &[]);
    stuck.request(READ, 0, 0, 32 << 20);
    serving.wait_for(0);
    let why = serving.server.events().iter().find_map(|event| match event.what {
        What::Dropped(why) => Some(why),
        _ => None,
    });
    assert!(why.unwrap().contains("did not take"));
}

#[test]
fn who_leaves_in_the_middle_disturbs_nobody() {
    let serving = Serving::new(export(Sheet::new(33 << 20, &[])), limits());
    let mut other = Client::opened(&serving.path, &[]);
    for round in 0..6 {
        let mut gone = Client::opened(&serving.path, &[]);
        gone.request(READ, 0, 0, 32 << 20);
        match round % 3 {
            0 => {}
            1 => drop(gone.bytes(100_000)),
            _ => gone.stream.shutdown(Shutdown::Write).unwrap(),
        }
        drop(gone);
        other.read(0, 4096).unwrap();
        serving.wait_for(1);
    }
}

#[test]
fn a_defect_ends_one_client_only() {
    let serving = Serving::new(export(Sheet { defect: 4096..8192, ..Sheet::new(LEN, &[]) }), limits());
    let mut other = Client::opened(&serving.path, &[]);
    for _ in 0..3 {
        let mut unlucky = Client::opened(&serving.path, &[]);
        unlucky.request(READ, 0, 4096, 512);
        assert!(unlucky.is_over());
        serving.wait_for(1);
        other.read(0, 4096).unwrap();
    }
}
