//! The short, seeded version of `tests/fuzz`: sound images with bytes and words changed at random,
//! through everything a reader does. The same on every machine; a failure names its round.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "hostile/build.rs"]
mod build;
mod common;
#[path = "fuzz/src/exercise.rs"]
mod exercise;
#[path = "fuzz/src/patch.rs"]
mod patch;
#[path = "hostile/qcow2.rs"]
mod qcow2;
#[path = "hostile/qed.rs"]
mod qed;

use common::Random;

/// Sound images, their cluster sizes, and whether their words are big endian.
fn samples() -> Vec<(Vec<u8>, usize, bool)> {
    let plain = qcow2::Qcow2::default;
    let kinds = [
        plain(),
        qcow2::Qcow2 { v2: true, ..plain() },
        qcow2::Qcow2 { snapshot: true, ..plain() },
        qcow2::Qcow2 { zstd: true, snapshot: true, ..plain() },
        qcow2::Qcow2::over("base.img", Some("raw")),
        qcow2::Qcow2 { extended: true, ..plain() },
    ];
    let mut all: Vec<_> =
        kinds.iter().map(|k| (k.build().near, if k.extended { 16384 } else { 4096 }, true)).collect();
    all.push((qed::qed().near, 4096, false));
    all.push((qed::over(b"base.img", true).near, 4096, false));
    all
}

fn mutated(random: &mut Random, (image, cluster, big_endian): &(Vec<u8>, usize, bool)) -> Vec<u8> {
    let mut image = image.clone();
    for _ in 0..random.below(3) {
        let at = 4 + random.below(116) as usize;
        patch::bytes(&mut image, at, &[random.next() as u8]);
    }
    let words: Vec<u8> = (0..7 * random.below(6)).map(|_| random.next() as u8).collect();
    patch::words(&mut image, *cluster, &words, *big_endian);
    if random.one_in(8) {
        image.truncate(random.below(image.len() as u64) as usize);
    }
    image
}

#[test]
fn sound_samples_pass() {
    for (image, ..) in samples() {
        assert!(exercise::exercise(image));
    }
}

#[test]
fn whatever_is_changed_it_answers_or_refuses() {
    let samples = samples();
    let mut opened = 0;
    for round in 0..6000 {
        let mut random = Random::new(round);
        let image = mutated(&mut random, random_sample(&samples, round));
        let outcome = std::panic::catch_unwind(|| exercise::exercise(image));
        opened += u64::from(outcome.unwrap_or_else(|_| panic!("round {round} panicked")));
    }
    // Changes that only ever break the header would test nothing else.
    assert!(opened > 2000, "{opened} of 6000 opened");
}

fn random_sample(samples: &[(Vec<u8>, usize, bool)], round: u64) -> &(Vec<u8>, usize, bool) {
    &samples[(round % samples.len() as u64) as usize]
}
