//! Jobs in the middle: stopping, quitting, and taking up what was cut off.

use std::process::Command;
use std::time::{Duration, Instant};

use cowherd::job;

use super::yard::Yard;

const RUN: &str = "/leaf<enter><esc>p<wait:[ y Run ]>y<wait:Jobs><wait:copying>";

#[test]
fn a_job_that_is_stopped_leaves_every_view_as_it_was() {
    let yard = Yard::new();
    let mut stage = yard.slow_stage();
    stage.play(RUN).lacks("100 %").play("wxy<wait:stopped><idle>");
    assert_eq!(yard.backing("leaf.qcow2").as_deref(), Some("top.qcow2"));
    yard.kept_but(&[]);
    stage.play("<esc><esc>").lacks("stopped");
}

#[test]
fn quitting_in_the_middle_stops_safely_or_waits() {
    let yard = Yard::new();
    let mut stage = yard.slow_stage();
    stage.play(RUN).play("q<wait:A job is running>s");
    stage.until("the end", |stage| stage.over);
    assert_eq!(yard.backing("leaf.qcow2").as_deref(), Some("top.qcow2"));
    yard.kept_but(&[]);

    let mut stage = yard.slow_stage();
    stage.play(RUN).play("q<wait:A job is running>w<wait:quitting when it is done>");
    stage.until("the end", |stage| stage.over);
    assert_eq!(yard.backing("leaf.qcow2"), None);
    yard.kept_but(&[]);
}

#[test]
fn a_pause_holds_the_job_where_it_is() {
    let yard = Yard::new();
    let mut stage = yard.slow_stage();
    stage.play(RUN).play("w<space><wait:paused>");
    stage.play("<space><gone:paused>").play("<wait:✓ done><idle>");
    assert_eq!(yard.backing("leaf.qcow2"), None);
    yard.kept_but(&[]);
}

/// A commit in another process, killed while it copies.
fn cut_off(yard: &Yard) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_cowherd"))
        .args(["commit", "--yes", "--rate-limit", "32k", "-q"])
        .arg(yard.path("leaf.qcow2"))
        .spawn()
        .unwrap();
    let start = Instant::now();
    let begun =
        || job::leftovers(&[yard.folder().to_path_buf()]).unwrap().iter().any(|l| !l.files.is_empty());
    while !begun() {
        assert!(start.elapsed() < Duration::from_secs(20), "the job never began");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_was_cut_off_is_offered_and_finished() {
    let yard = Yard::new();
    cut_off(&yard);
    let mut stage = yard.stage();
    stage.sees("interrupted").sees("u finish or undo it");
    stage.play("/side<enter><esc>c<wait:Plan:><idle>").play("<esc>");
    stage.play("u<wait:finish what was interrupted><idle>").sees("undo it").play("y<wait:✓ done><idle>");
    assert_eq!(yard.now("top.qcow2"), yard.was("leaf.qcow2"));
    yard.kept_but(&["top.qcow2"]);
    stage.lacks("interrupted");
}

#[test]
fn what_was_cut_off_can_be_undone() {
    let yard = Yard::new();
    cut_off(&yard);
    let mut stage = yard.stage();
    stage.play("u<wait:finish what was interrupted><idle>a").sees("undo what was interrupted");
    stage.play("y<wait:✓ done><idle>");
    yard.kept_but(&[]);
}
