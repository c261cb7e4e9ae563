//! How quick the terminal interface is, in a real pseudo-terminal: `cargo bench --bench tui`.
//!
//! What is measured is what a user waits for: from starting the program to the first frame with images on it, from
//! a key to the frame that answers it; and what the program takes while nobody does anything.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod herds;
mod session;

use std::time::{Duration, Instant};

use session::Session;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs this too; a measurement is not a test.
    if !arguments.iter().any(|a| a == "--bench") {
        println!("tui: measures only under cargo bench");
        return;
    }
    let wanted: Vec<_> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    if !wanted.is_empty() && !wanted.iter().any(|w| w.contains("tui")) {
        return;
    }
    println!("\nterminal interface, 100x24, in a pseudo-terminal");
    println!("| what | median ms | 99th ms | worst ms | target ms |");
    println!("|---|---|---|---|---|");
    first_frame();
    keys();
    beside_a_job();
}

fn report(what: &str, mut times: Vec<Duration>, target: &str) {
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part).round() as usize].as_secs_f64() * 1000.0;
    println!("| {what} | {:.1} | {:.1} | {:.1} | {target} |", at(0.5), at(0.99), at(1.0));
}

fn first_frame() {
    let folder = tempfile::tempdir().unwrap();
    herds::many(folder.path(), 1000);
    let once = || {
        let start = Instant::now();
        let mut session = Session::start(folder.path());
        session.until(|screen| screen.contents().contains("image-00000"));
        let took = start.elapsed();
        session.quit();
        took
    };
    once();
    report("start to first frame, 1,000 images", (0..20).map(|_| once()).collect(), "100");
}

/// From a key to the frame that shows the next row selected.
fn each_key(session: &mut Session, count: usize) -> Vec<Duration> {
    let key = |i: usize| if i.is_multiple_of(2) { "j" } else { "k" };
    let mut times = Vec::new();
    for i in 0..count {
        let row = session.selected();
        let start = Instant::now();
        session.types(key(i));
        session.until(|screen| session::selected(screen) != row);
        times.push(start.elapsed());
    }
    times
}

fn keys() {
    let folder = tempfile::tempdir().unwrap();
    herds::many(folder.path(), 10_000);
    let mut session = Session::start(folder.path());
    session.until(|screen| screen.contents().contains("image-00000") && screen.contents().contains(" own "));
    each_key(&mut session, 20);
    report("a key, 10,000 images", each_key(&mut session, 300), "33");
    session.types("G");
    session.until(|screen| screen.contents().contains("image-09999"));
    session.types("kkkkk");
    let before = session.cpu();
    std::thread::sleep(Duration::from_secs(1));
    let settled = session.cpu();
    std::thread::sleep(Duration::from_secs(10));
    let idle = session.cpu() - settled;
    println!("| CPU in 10 s of rest, 10,000 images | {:.1} | | | 0 |", idle.as_secs_f64() * 1000.0);
    assert!(settled >= before);
    session.quit();
}

fn beside_a_job() {
    let folder = tempfile::tempdir().unwrap();
    herds::pair(folder.path(), 2 << 30);
    let mut session = Session::start(folder.path());
    session.until(|screen| screen.contents().contains("top.qcow2"));
    session.types("jc");
    session.until(|screen| screen.contents().contains("Run"));
    session.types("y");
    session.until(|screen| screen.contents().contains("copying"));
    let start = Instant::now();
    let mut times = Vec::new();
    while session.shows("copying") && start.elapsed() < Duration::from_secs(60) {
        times.extend(each_key(&mut session, 2));
    }
    let what = format!(
        "a key while 2 GiB are committed ({} keys in {:.1} s)",
        times.len(),
        start.elapsed().as_secs_f64()
    );
    report(&what, times, "33");
    session.until(|screen| screen.contents().contains("done"));
    session.quit();
}
