//! What the keys do: moving, filtering, planning, running, stopping, quitting.

use cowherd::error::Kind;
use cowherd::plan::{Hazard, HazardKind};
use cowherd::tui::{Input, Options};

use super::herd;
use super::stage::Stage;

const TO_PLAN: &str = "/Snap-2<enter><esc>c<wait:Plan: commit Snap-2><idle>";

fn stage() -> Stage {
    Stage::new(100, 24)
}

#[test]
fn moving_stops_at_the_ends() {
    let mut stage = stage();
    assert!(stage.selected_line().contains("RootBase"));
    stage.play("k");
    assert!(stage.selected_line().contains("RootBase"));
    stage.play("jj<down><up>");
    assert!(stage.selected_line().contains("Overlay-2"));
    stage.play("G");
    assert!(stage.selected_line().contains("sn0"));
    stage.play("j<ctrl-u>g");
    assert!(stage.selected_line().contains("RootBase"));
    stage.play("<ctrl-d>");
    assert!(stage.selected_line().contains("sn"), "{}", stage.screen());
}

#[test]
fn left_and_right_follow_the_chain() {
    let mut stage = stage();
    stage.play("/Snap-4<enter><esc>h");
    assert!(stage.selected_line().contains("Snap-3"), "to what it is based on");
    stage.play("hhh");
    assert!(stage.selected_line().contains("Snap-1"), "an open row closes first");
    stage.lacks("Overlay-2.qcow2").play("h");
    assert!(stage.selected_line().contains("RootBase"));
    stage.play("l");
    assert!(stage.selected_line().contains("Snap-1"), "to the layer that follows");
    stage.play("l").sees("Overlay-2.qcow2").play("l");
    assert!(stage.selected_line().contains("Overlay-2"));
}

#[test]
fn what_is_closed_and_selected_survives_a_rescan() {
    let mut stage = stage();
    stage.play("/Snap-1<enter><esc>h").lacks("Snap-4");
    stage.script.lock().forest.nodes.insert(0, herd::node("0-first.qcow2", None, 1));
    let nodes = std::mem::take(&mut stage.script.lock().forest.nodes);
    let untied = nodes.into_iter().map(|mut n| {
        n.children.clear();
        n
    });
    stage.script.lock().forest = herd::forest(untied.collect());
    stage.play("R<wait:0-first><idle>").lacks("Snap-4");
    assert!(stage.selected_line().contains("Snap-1"), "{}", stage.screen());
}

#[test]
fn a_filter_keeps_what_its_matches_are_based_on() {
    let mut stage = stage();
    stage.play("/snap-3").sees("Snap-3.qcow2").sees("Snap-1.qcow2").lacks("Overlay-2.qcow2").lacks("imageA");
    assert!(stage.selected_line().contains("Snap-3"));
    stage.play("<esc>").sees("imageA");
    assert!(stage.selected_line().contains("RootBase"), "dropped, the old selection is back");
    stage.play("/sn0<enter>").sees("filter: sn0 (3)");
    let first = stage.selected_line();
    stage.play("n");
    assert_ne!(stage.selected_line(), first);
    stage.play("nn");
    assert_eq!(stage.selected_line(), first, "around the end");
    stage.play("NN<esc>").lacks("filter:");
    stage.play("/nothing").sees("Nothing matches nothing").play("<esc>");
}

#[test]
fn a_plan_shows_everything_and_cancel_has_the_focus() {
    let mut stage = Stage::new(120, 50);
    stage.play(TO_PLAN);
    for text in [
        "Changes what a guest reads from",
        "→ Snap-1.qcow2",
        "gets its own copy of 38 MiB",
        "431 MiB",
        "412 MiB of 38 GiB free",
        "protect Overlay-2.qcow2",
        "move Snap-2.qcow2 to the trash",
        "waits in the trash",
        "qemu-img rebase -u",
        "commit data",
        "protect",
    ] {
        stage.sees(text);
    }
    stage.play("<enter>").lacks("Plan:");
    assert!(stage.script.lock().started.is_empty());
}

#[test]
fn an_option_changes_the_plan_in_place() {
    let mut stage = Stage::new(120, 50);
    stage.play(TO_PLAN).sees("[ ] keep the file").sees("move Snap-2.qcow2 to the trash");
    stage.play("<tab><tab><space><idle>").sees("[x] keep the file").lacks("move Snap-2.qcow2 to the trash");
    stage.play("<space><idle>").sees("move Snap-2.qcow2 to the trash");
}

#[test]
fn a_commit_from_key_to_result() {
    let mut stage = stage();
    stage.play(TO_PLAN).play("y<wait:Jobs>").sees("step 2 of 5").lacks("Plan:");
    stage.script.lock().job = Some(herd::half_way(430 * herd::MIB, 5000));
    stage.play("<wait:99 %>").lacks("100 %");
    stage.play("jjkc<esc>").sees("99 %");
    stage.script.lock().outcome = Some(Ok("committed 392 MiB".into()));
    stage.play("<wait:✓ done><idle>").sees("committed 392 MiB").lacks("Snap-2.qcow2");
    stage.play("jj3").sees("committed 392 MiB");
    stage.play("<esc><esc>").lacks("committed 392 MiB").lacks("Jobs");
    // Twice at the start and after the job; and once for each plan, which is made on the folder as it is then.
    assert_eq!(stage.script.lock().scans, 6);
}

#[test]
fn a_failed_job_says_what_and_changes_nothing() {
    let mut stage = stage();
    stage.play(TO_PLAN).play("y<wait:Jobs>");
    stage.script.lock().outcome = Some(Err(Kind::Io));
    stage.play("<wait:✗ failed>").sees("every view is as before").sees("Snap-2.qcow2");
}

#[test]
fn the_worst_needs_the_name_and_a_paste_cannot_give_it() {
    let mut stage = stage();
    stage.script.lock().hazards = vec![Hazard::new(HazardKind::HardLinks, "Snap-1.qcow2 has two names")];
    stage.play(TO_PLAN).play("y").sees("type Snap-2.qcow2 to consent");
    stage.send(Input::Paste("Snap-2.qcow2".into()));
    stage.play("<enter>").sees("type Snap-2.qcow2 to consent");
    stage.play("yes<enter>");
    assert!(stage.script.lock().started.is_empty());
    stage.play("<backspace><backspace><backspace>Snap-2.qcow2<enter><wait:Jobs>");
    let started = stage.script.lock().started.clone();
    assert_eq!(started, [("commit Snap-2.qcow2 into Snap-1.qcow2".to_owned(), vec![HazardKind::HardLinks])]);
}

#[test]
fn what_is_forbidden_says_why_and_does_not_run() {
    let mut stage = stage();
    stage.script.lock().hazards =
        vec![Hazard::new(HazardKind::InUse, "Snap-1.qcow2 is held by qemu-system-x86, pid 812")];
    stage.play(TO_PLAN).sees("It cannot be done").lacks("[ y Run ]");
    stage.play("y<tab><tab><tab><enter>").sees("is held by qemu-system-x86");
    assert!(stage.script.lock().started.is_empty());
}

#[test]
fn no_plan_says_why_and_what_to_do() {
    let mut stage = stage();
    stage.script.lock().refusal = Some("feature \"data-file\" cannot be written".into());
    stage.play(TO_PLAN).sees("This cannot be planned").sees("data-file").sees("choose another image");
    stage.play("y<esc>").lacks("This cannot");
}

#[test]
fn read_only_shows_plans_and_runs_none() {
    let options = Options { read_only: true, ..Options::default() };
    let mut stage = Stage::with(100, 24, herd::herd(), &options);
    stage.sees("READ-ONLY").play(TO_PLAN).play("y").sees("--read-only");
    assert!(stage.script.lock().started.is_empty());
}

#[test]
fn quitting_asks_while_a_job_runs() {
    let mut stage = stage();
    stage
        .play(TO_PLAN)
        .play("y<wait:Jobs>q")
        .sees("A job is running")
        .play("<esc>")
        .lacks("A job is running");
    stage.play("<ctrl-c>w").sees("quitting when it is done");
    assert!(!stage.over && !stage.script.lock().cancelled);
    stage.script.lock().outcome = Some(Ok("done".into()));
    stage.until("the end", |stage| stage.over);

    let mut stage = self::stage();
    stage.play(TO_PLAN).play("y<wait:Jobs>qs");
    assert!(stage.script.lock().cancelled && !stage.over);
    stage.script.lock().outcome = Some(Err(Kind::Cancelled));
    stage.until("the end", |stage| stage.over);
}

#[test]
fn stopping_a_job_asks_first() {
    let mut stage = stage();
    stage.play("x<esc>").play(TO_PLAN).play("y<wait:Jobs>wx").sees("Stop the job?").play("<enter>");
    assert!(!stage.script.lock().cancelled);
    stage.play("xy");
    assert!(stage.script.lock().cancelled);
    stage.script.lock().outcome = Some(Err(Kind::Cancelled));
    stage.play("<wait:stopped>").sees("every view is as before");
}

#[test]
fn a_job_waits_and_goes_on() {
    let mut stage = stage();
    stage.play(TO_PLAN).play("y<wait:Jobs>w<space><wait:paused>");
    assert!(stage.script.lock().paused);
    stage.play("<space><wait:copying>");
    assert!(!stage.script.lock().paused);
    stage.script.lock().outcome = Some(Ok("done".into()));
    stage.play("<wait:done>");
}

#[test]
fn a_signal_stops_the_job_and_then_the_ui() {
    let mut stage = stage();
    stage.play(TO_PLAN).play("y<wait:Jobs>");
    stage.send(Input::Signal(15));
    assert!(stage.script.lock().cancelled && !stage.over);
    stage.script.lock().outcome = Some(Err(Kind::Cancelled));
    stage.until("the end", |stage| stage.over);
    assert!(stage.app.last_outcome().contains("every view is as before"));
}

#[test]
fn help_is_searched_and_runs_the_line() {
    let mut stage = stage();
    stage.play("?").sees("show every key").play("problems").sees("go to the problems").lacks("rescan");
    stage.play("<enter>").lacks(" Help ").sees("Elsewhere");
    stage.play("<esc>g?backing file").sees("RootBase.img has no backing file").play("<enter>");
    stage.sees("RootBase.img has no backing file").sees(" Help ").play("<esc>");
}

#[test]
fn disabled_actions_say_why() {
    let mut stage = stage();
    stage.play("c").sees("RootBase.img has no backing file");
    stage.play("/sn1<enter><esc>c").sees("internal snapshot");
    stage.play("/broken<enter><esc>c").sees("cannot be reached");
}

#[test]
fn y_copies_the_path() {
    let mut stage = stage();
    stage.play("/Snap-3<enter><esc>y").sees("copied /var/lib/libvirt/images/Snap-3.qcow2");
    assert_eq!(stage.script.lock().copied, ["/var/lib/libvirt/images/Snap-3.qcow2"]);
}

#[test]
fn the_layers_follow_the_selection() {
    let mut stage = stage();
    stage.play("/Snap-3<enter><esc>2<idle>").sees("What each layer holds").sees("Snap-1.qcow2").sees("░");
    stage.lacks("internal snapshots hold");
    stage.play("<esc>/imageB<enter><esc><idle>").sees("What its internal snapshots hold").sees("◆ sn1");
    stage.play("/broken<enter><esc><idle>").sees("The layers cannot be told").sees("not there");
    stage.play("[").sees("broken").play("]]").sees("format");
}

#[test]
fn two_marked_views_are_compared() {
    let mut stage = Stage::new(100, 30);
    stage.play("v").sees("mark one view with Space");
    stage.play("/Snap-2<enter><esc><space>").sees("✓").play("/sn1<enter><esc>v<idle>");
    stage.sees("This cannot be compared").sees("pid 812").play("<esc>").lacks("Verify");
    let disk = |fill| herd::disk("a.img", vec![fill; 1 << 20]);
    let one = disk(7);
    stage.script.lock().views = Some([one.clone(), one]);
    stage.play("v<idle>").sees("✓ identical").sees("1 MiB compared, 1 MiB shared and therefore equal");
    stage.play("y").sees("copied the command").play("<esc>");
    let command = stage.script.lock().copied.pop().unwrap();
    assert_eq!(
        command,
        "cowherd compare '/var/lib/libvirt/images/Snap-2.qcow2' '/var/lib/libvirt/images/imageB.qcow2@#2'"
    );
    stage.script.lock().views = Some([disk(7), disk(8)]);
    stage.play("v<idle>").sees("✗ different in 1 MiB").sees("0x000000000000  1 MiB from 0").sees("[07");
    stage.play("<esc><space>v<idle>").sees("Verify");
    stage.play("<esc><esc>").lacks("✓").play("v").sees("mark one view");
}

#[test]
fn counts_stand_until_they_are_counted_anew() {
    let mut stage = stage();
    stage.sees("840 MiB");
    stage.play("R").sees("840 MiB").sees(" own ");
}

#[test]
fn a_problem_offers_its_remedy() {
    let mut stage = stage();
    stage.play("/broken<enter><esc>4").sees("Enter: say which image it is based on").play("<enter>");
    stage.sees("Rebase broken.qcow2").play("<esc>");
    stage
        .play("<esc>g4")
        .sees("Nothing is known to be wrong")
        .play("<enter>")
        .sees("nothing is offered here");
    stage.script.lock().leftovers = vec![herd::interrupted("Snap-2.qcow2")];
    stage.play("<esc>R<idle>").sees("interrupted").play("/Snap-2<enter><esc>4");
    stage
        .sees("a job on it was interrupted")
        .sees("steps were done")
        .sees("Enter: finish the interrupted job");
    stage.play("<enter>").sees("Plan: recover");
}

#[test]
fn what_the_trash_holds_is_counted() {
    let mut stage = Stage::new(120, 24);
    stage.lacks("in the trash");
    stage.script.lock().trash = vec![("a".into(), 300 << 20), ("b".into(), 212 << 20)];
    stage.play("R<idle>").sees("512 MiB in the trash");
}
